"""Bouts: contests as they are kept beside a stream, each pair in its place until it is mature.

A prediction carries what everybody said, so champion and challenger are paired on the same event. Pairs leave in the order
of their events once the label is here or the horizon passed; two answers that cost the same whatever the truth is need no
label. Keeps `split`. Knows nothing of what is decided.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from operator import eq
from typing import Any

from eddyline.policies.contest import Contest
from eddyline.policies.losses import Loss
from eddyline.policies.order import InOrder
from eddyline.policies.split import SplitContest
from eddyline.records import NOT_ASKED, UNSEEN, Output, Prediction, Rollout, Said
from eddyline.stages.commands import version_of
from eddyline.stages.voices import assigned

KEYS = 1_000_000
"""A split counts the first event of so many keys; the events of further ones are left out of it."""
UNASKED: tuple[str | None, ...] = (NOT_ASKED, UNSEEN)
DROPPED = ["", "dropped"]
"""The outcome of a pair that counts for nobody."""
Fault = tuple[str, str]
"""Why a loss could not be computed, and of which event."""
Party = tuple[str, int]
"""A line and a position; -1 where it speaks for its line as it stands."""


def party(who: str) -> Party:
    """Whom a name in a rollout means."""
    return version_of(who) if "@" in who else (who, -1)


class Roll:
    """Who is who among the answers that a prediction carries, under one rollout."""

    __slots__ = ("answering", "beside", "champion", "parties", "pinned", "places", "salt")

    def __init__(self, rollout: Rollout, own: str) -> None:
        self.champion = rollout.champion or own
        names = [self.champion, *(place.who for place in rollout.places)]
        self.parties = {who: party(who) for who in names}
        self.salt = rollout.salt
        self.answering = [place for place in rollout.places if place.mode != "shadow"]
        """who answers a share of the keys"""
        self.pinned = {one for one in self.parties.values() if one[1] >= 0}
        self.places = {who: place for place, who in enumerate(self.parties)}
        """where each stands among what `heard` gives"""
        self.beside = None if self.pinned or len(self.parties) < len(names) else names[1:]
        """who sits beside the champion, where each is a line as it stands"""

    def together(self, prediction: Prediction, others: list[Said]) -> Sequence[Prediction | Said] | None:
        """What everybody said to this event, in the order of `places`, where everybody was there and answered.

        None is for the others, whom `heard` sorts out at three times the cost.
        """
        beside = self.beside
        if beside is None or prediction.model != self.champion or len(others) != len(beside):
            return None
        for one, who in zip(others, beside, strict=True):
            if one.model != who or one.fault is not None:
                return None
        return prediction, *others

    def between(self, who: str, key: str) -> bool:
        """Whether nobody but the champion and `who` may answer this key, whatever they say: by the share of each other one.

        What is left is shared between the two by chance, as declared. With those keys it would not be: where two splits take
        a half each, the first answers half of all keys, and the champion a quarter.
        """
        return not any(one.who != who and assigned(self.salt, one.who, one.share, key) for one in self.answering)

    def heard(self, prediction: Prediction) -> Sequence[Prediction | Said | None]:
        """What everybody said to this event, in the order of `places`; None for who was not there."""
        return [self.said(prediction, who) for who in self.parties]

    def said(self, prediction: Prediction, who: str) -> Prediction | Said | None:
        """What somebody said to this event; None where he was not there."""
        model, position = self.parties[who]
        everybody: list[Prediction | Said] = [prediction, *(prediction.others or ())]
        met: set[Party] = set()
        for one in everybody:
            if one.model == model and position in (-1, one.position):
                version = model, one.position
                if position >= 0 or version not in self.pinned or version in met:
                    return one
                met.add(version)  # said for the version by name; a line that stands just there says it again
        return None


class Bout:
    """One challenger against the champion under one loss, from the rollout `since` on.

    `share` is set for a split: then there are no pairs, and the first event of each key is a case of its own. `generation`
    is the number of the declaration whose policies look at it: those that came with a change begin anew.
    """

    __slots__ = ("agreeing", "champion", "contest", "generation", "keys", "loss", "order", "share", "since", "who")

    def __init__(
        self, champion: str, who: str, loss: Loss, since: int, share: float | None = None, generation: int = 0
    ) -> None:
        self.champion, self.who, self.loss, self.since, self.share = champion, who, loss, since, share
        self.generation = generation
        self.contest: Contest | SplitContest = Contest.new(loss) if share is None else SplitContest.new(loss, share)
        self.order = InOrder()
        self.keys: set[str] = set()
        self.agreeing = share is None and loss.counted
        """whether two equal answers are a pair that needs no truth"""

    def answered(
        self, roll: Roll, prediction: Prediction, heard: Sequence[Prediction | Said | None], still: Container[str] = ()
    ) -> None:
        """Takes a prediction under the rollout in force: it is decided at once, or waits for its truth.

        `heard` is what `roll` makes of the prediction, once for all bouts; `still` are the lines that do not learn. While
        either side has learned nothing yet and has nothing to say, the event is no case: on a cluster versions arrive one
        after the other, and whose first came earlier says nothing about who is better.
        """
        theirs = heard[roll.places[self.who]]
        if theirs is None:
            return
        ours = heard[roll.places[self.champion]]
        if self.agreeing and ours is not None and ours.value == theirs.value and _spoke(ours) and _spoke(theirs):
            if theirs.value is None and (_cold(theirs, still) or _cold(ours, still)):
                return
            if self.order.follow(prediction.at, prediction.event_id):
                self.contest.sums.add(0.0, 0.0)
            return
        if _cold(theirs, still) or (ours is not None and _cold(ours, still)):
            return
        if self.share is not None:
            self._split(roll, prediction, ours, theirs)
            return
        answers = plain_answer(ours), plain_answer(theirs)
        self.order.expect(prediction.at, prediction.event_id, answers, prediction.segment)

    def apart(self, answers: Sequence[Prediction], said: Sequence[Said]) -> Sequence[int] | None:
        """The numbers of the answers of the champion with which a challenger, who could answer all, does not agree.

        None where they are to be taken one by one: where answers are no pairs, or somebody has nothing to say, and where one
        may be late, or find no room to wait.
        """
        ours, theirs = [answer.value for answer in answers], [one.value for one in said]
        if not self.agreeing or None in ours or None in theirs:
            return None
        found = [number for number, same in enumerate(map(eq, ours, theirs)) if not same]
        return found if self.order.admits_all([answer.at for answer in answers], len(found)) else None

    def agreed(self, answers: Sequence[Prediction], said: Sequence[Said], apart: Sequence[int]) -> None:
        """Takes answers at once of which all agree but those with the numbers `apart`: the same as one by one."""
        order, at_once, start = self.order, 0, 0
        for number in apart:
            at_once += order.follow_all(number - start)
            answer, other, start = answers[number], said[number], number + 1
            pair = (answer.value, answer.scores), (other.value, other.scores)
            order.expect(answer.at, answer.event_id, pair, answer.segment)
        at_once += order.follow_all(len(answers) - start)
        if at_once:
            self._ties(at_once)

    def _ties(self, many: int) -> None:
        assert isinstance(self.contest, Contest), "who agrees is no case of a split"
        self.contest.count(ties=many)

    def _split(self, roll: Roll, prediction: Prediction, ours: Prediction | Said | None, theirs: Prediction | Said) -> None:
        if theirs is not prediction and ours is not prediction:
            return  # a third one answered
        key = prediction.key or prediction.event_id
        if key in self.keys or len(self.keys) >= KEYS or not roll.between(self.who, key):
            return
        self.keys.add(key)
        asked = not (isinstance(theirs, Said) and theirs.fault in UNASKED)
        arm = "challenger" if theirs is prediction or asked else "champion"
        answer = plain_answer(theirs if arm == "challenger" else ours)
        self.order.expect(prediction.at, prediction.event_id, (arm, answer), prediction.segment)

    def set_apart(self, segment: str | None = None) -> None:
        """Whoever waits, of a segment or of all, counts for nobody, whether the truth is here or not."""
        self.order.drop(DROPPED, segment)

    def expired(self, event_id: str) -> None:
        """Nobody told the truth about an event by its horizon."""
        self.order.settle(event_id, [])

    def ripen(self, watermark: int) -> list[Fault]:
        """Counts what is mature, in the order of events; gives the events whose loss could not be computed."""
        faults: list[Fault] = []
        contest = self.contest
        for _, event_id, (one, other), outcome in self.order.ready(watermark):
            if outcome == DROPPED:
                continue
            known = bool(outcome)
            truth = outcome[0] if known else None
            if isinstance(contest, SplitContest):
                why = contest.add(one, output_of(other), truth, known=known)
            else:
                why = contest.add(output_of(one), output_of(other), truth, known=known)
            faults += [(fault, event_id) for fault in why or ()]
        agreed = self.order.followed()
        if agreed:
            self._ties(agreed)
        return faults

    def rate(self, began: int, at: int) -> float:
        """Pairs a second of event time since `began`, as far as they are counted: who waits for a truth is no case yet."""
        took = self.order.until(at) - began
        return self.contest.pairs / (took / 1e6) if took > 0 else 0.0

    def plain(self) -> list[Any]:
        """Everything as plain values."""
        who = [self.champion, self.who, self.loss.key, self.since, self.share]
        found = [*who, self.contest.plain(), self.order.plain(), sorted(self.keys)]
        return [*found, self.generation] if self.generation else found

    @classmethod
    def of(cls, plain: list[Any], losses: Mapping[str, Loss]) -> Bout:
        """The bout that `plain` described, under the losses of the declaration."""
        champion, who, key, since, share, contest, order, keys, *more = plain
        loss = losses[key]
        bout = cls(champion, who, loss, since, share, *more)
        bout.contest = Contest.of(contest, loss) if share is None else SplitContest.of(contest, loss)
        bout.order, bout.keys = InOrder.of(order), set(keys)
        return bout


def _spoke(said: Prediction | Said | None) -> bool:
    """Whether a version was there and could answer."""
    return said is not None and (type(said) is not Said or said.fault is None)


def _cold(said: Prediction | Said, still: Container[str]) -> bool:
    """Whether a version is the empty start of a line that learns, and had nothing to say."""
    if said.value is not None or said.position:
        return False
    return (type(said) is not Said or said.fault is None) and said.model not in still


def plain_answer(said: Prediction | Said | None) -> tuple[Any, Any] | None:
    """What a version said, None where it could not."""
    return (said.value, said.scores) if _spoke(said) else None  # type: ignore[union-attr]


def output_of(plain: Any) -> Output | None:
    """The answer that `plain_answer` gave."""
    return None if plain is None else Output(plain[0], plain[1])
