"""What answers cost, beside what others recorded for the same events: under the run, under other policies, in hindsight.

Only words that were recorded are compared, event by event, so every number is of the same events. Knows nothing of who
decided what.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from eddyline.policies.losses import Answer, Loss
from eddyline.records import NOT_ASKED, Place, Prediction, Rollout, Said
from eddyline.stages.bouts import Roll
from eddyline.stages.voices import assigned

STRETCH = 500
"""The oracle chooses once in so many events."""
Word = Prediction | Said


class Sums(msgspec.Struct, frozen=True):
    """The mean loss over the same `events` under the run as it was, under the policies tried, and in hindsight.

    `best_line` is the one line whose answers, wherever it spoke, would have cost least over all; `oracle` takes the best
    line of each `STRETCH` events, which nobody can know before. `regret` is what the policies tried cost more than that.
    """

    loss: str
    events: int
    recorded: float
    policy: float
    best_line: str
    best_line_loss: float
    oracle: float

    @property
    def regret(self) -> float:
        """What the policies tried cost more than the oracle, an event."""
        return self.policy - self.oracle


def said_under(rollout: Rollout, roll: Roll, prediction: Prediction) -> Word | None:
    """Whose words would have been returned under a rollout; None where nobody recorded them."""
    key = prediction.key or prediction.event_id
    for place in rollout.places:
        if place.mode != "shadow" and assigned(rollout.salt, place.who, place.share, key):
            said = roll.said(prediction, place.who)
            if said is None or _fault(said) == NOT_ASKED:
                return None
            if _fault(said) is None:
                return said
    return roll.said(prediction, roll.champion)


def answer_of(word: Word | None) -> Answer | None:
    """The answer in a word; None where it was a fault."""
    return None if word is None or _fault(word) is not None else word


def _fault(word: Word) -> str | None:
    return word.fault if type(word) is Said else None


@dataclass(slots=True)
class Losses:
    """Adds up what answers cost, event by event."""

    loss: Loss
    events: int = 0
    recorded: float = 0.0
    policy: float = 0.0
    lines: dict[str, float] = field(default_factory=dict)
    """by line: what its answers cost more than the recorded ones"""
    stretch: dict[str, float] = field(default_factory=dict)
    """the same over the events since the oracle chose"""
    saved: float = 0.0
    """what the oracle's choices cost more than the recorded answers: 0 or less"""

    def add(self, lived: Roll, prediction: Prediction, truth: object, mine: Word) -> None:
        """Takes an event whose truth is known: `mine` is what the policies tried would have answered."""
        cost = self.loss.cost
        recorded = cost(truth, prediction)
        self.events += 1
        self.recorded += recorded
        self.policy += cost(truth, answer_of(mine))
        for who in lived.parties:
            word = lived.said(prediction, who)
            if word is not None and _fault(word) != NOT_ASKED:
                more = cost(truth, answer_of(word)) - recorded
                self.lines[who] = self.lines.get(who, 0.0) + more
                self.stretch[who] = self.stretch.get(who, 0.0) + more
        if self.events % STRETCH == 0:
            self.saved += min(0.0, *self.stretch.values())
            self.stretch = {}

    def sums(self) -> Sums:
        """The mean losses so far."""
        count = max(1, self.events)
        best = min(self.lines, key=lambda who: (self.lines[who], who), default="")
        oracle = self.recorded + self.saved + min(0.0, *self.stretch.values(), 0.0)
        return Sums(
            loss=self.loss.name,
            events=self.events,
            recorded=self.recorded / count,
            policy=self.policy / count,
            best_line=best,
            best_line_loss=(self.recorded + self.lines.get(best, 0.0)) / count,
            oracle=oracle / count,
        )


@dataclass(slots=True)
class Move:
    """A change of champion, and what it gained over the answers after it that both sides recorded."""

    loss: Loss
    roll: Roll
    now: str
    before: str
    slot: int
    gain: float = 0.0
    measured: int = 0

    @classmethod
    def of(cls, loss: Loss, own: str, now: str, before: str, slot: int) -> Move:
        """The move from the champion `before` to the champion `now`, for the answers from number `slot` on."""
        rollout = Rollout(0, now, "", "", (Place(before),))
        return cls(loss, Roll(rollout, own), now, before, slot)

    def add(self, prediction: Prediction, truth: object, slot: int) -> None:
        """Takes an event whose truth is known."""
        if slot < self.slot:
            return
        now, before = self.roll.said(prediction, self.now), self.roll.said(prediction, self.before)
        if now is None or before is None or NOT_ASKED in (_fault(now), _fault(before)):
            return
        self.gain += self.loss.gain(truth, answer_of(before), answer_of(now))
        self.measured += 1
