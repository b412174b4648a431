"""Who has a seat beside the champion: how it is asked, since when, how its contest stands, and how it does.

Reads the memory of the decide stage as it stands at the end of a store; writes nothing, decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.policies.action import Trial
from eddyline.policies.health import Health
from eddyline.policies.promote import Promote
from eddyline.policies.verdict import Verdict
from eddyline.records import Decision, Place
from eddyline.stages.bouts import Bout
from eddyline.stages.commands import version_of
from eddyline.stages.decide import Decide
from eddyline.stages.deciding import DecideState, trial_of
from eddyline.stages.rollouts import champion_of
from eddyline.store.database import Store
from eddyline.views.current import current
from eddyline.views.ledger import decisions

EVIDENCE = 100.0
"""What decides where no policy says."""


class Standing(msgspec.Struct, frozen=True):
    """How a contest stands under one loss: the verdict, and as a sentence."""

    loss: str
    verdict: Verdict
    sentence: str


class Seat(msgspec.Struct, frozen=True):
    """Somebody who is asked beside the champion. `position` is where its learner stands, None for a pinned version."""

    place: Place
    position: int | None
    learns: bool
    contests: list[Standing]
    answers: int
    exceptions: int
    not_finite: int
    latency_ms: float | None


class Unseated(msgspec.Struct, frozen=True):
    """A declared challenger that nobody asks, and the decision by which it lost its place.

    `failed` tells that it raised, was not finite or was too slow, and not that it was worse. `version` is its last.
    """

    line: str
    version: str
    decision: Decision
    failed: bool


class Seats(msgspec.Struct, frozen=True):
    """Everybody who is asked: the champion, and those beside it. `waiting` are the decisions that nobody approved yet.

    `uncounted` says how often under this rollout a policy's loss could not be computed, by policy and reason; `first_uncounted`
    is the decision of the ledger that told of each the first time.
    `behind` says why the store's end was not reached, where it was not. Where `counted` is False, it says why contests, health,
    what learns, is frozen, in quarantine or waits are not known: the newest rollout says who answers and who sits beside.
    """

    champion: str
    former: str | None
    position: int | None
    learns: bool
    frozen_since: int | None
    quarantined: dict[str, int]
    seats: list[Seat]
    waiting: list[Decision]
    uncounted: dict[str, int]
    behind: str
    unseated: list[Unseated] = []
    counted: bool = True
    first_uncounted: dict[str, Decision] = {}


def seats(store: Store, pipeline: Pipeline) -> Seats:
    """Everybody who is asked at the end of a store. Costs what replaying the inputs since the last checkpoint costs."""
    plan = pipeline.plan()
    reached = current(store, pipeline, plan)
    states = reached.states
    positions = {name: learn.position for name, learn in states.rivals.items()} | {pipeline.name: states.learn.position}
    found = seats_of(pipeline, plan.decide, states.decide, positions, states.serve.frontier, _decided(store))
    return msgspec.structs.replace(found, behind=reached.behind)


def _decided(store: Store) -> Iterator[Decision]:
    for entered in decisions(store):
        yield entered.decision


def seats_of(
    pipeline: Pipeline, decide: Decide, state: DecideState, positions: dict[str, int], at: int, decided: Iterable[Decision]
) -> Seats:
    """The same by a memory of the decide stage, wherever that is from.

    `positions` is where the learner of each line stands, `at` the time of the newest event, `decided` every decision in order;
    they are asked for only where a challenger lost its seat, or a loss could not be computed.
    """
    champion = champion_of(state.rollout, pipeline.name)
    ended = {line: state.ended[line] for one in pipeline.challengers if (line := f"{pipeline.name}.{one.name}") in state.ended}
    past = list(decided) if ended or state.uncounted else []
    return Seats(
        champion=champion,
        former=state.rollout.former,
        position=positions.get(champion),
        learns=_learns(state, champion),
        frozen_since=state.frozen_since,
        quarantined=dict(state.quarantined),
        seats=[_seat(decide, state, place, positions, at) for place in state.rollout.places],
        waiting=list(state.proposed.values()),
        uncounted=dict(state.uncounted),
        behind="",
        unseated=_unseated(ended, past),
        first_uncounted=_first_told(state.uncounted, past),
    )


def _first_told(uncounted: dict[str, int], past: list[Decision]) -> dict[str, Decision]:
    """The alert of each loss that could not be computed: there is one under each rollout, and the last is of this one."""
    alerts = [one for one in past if one.action == "alert" and {"event", "why", "clip"} <= one.evidence.keys()]
    told = {f"{one.policy}: {one.reason.partition(' on event ')[0]}": one for one in alerts}
    return {fault: one for fault, one in told.items() if fault in uncounted}


def _unseated(ended: dict[str, int], past: list[Decision]) -> list[Unseated]:
    """The declared challengers that are not asked, as far as a decision says why."""
    lost: dict[str, Decision] = {}
    for one in past:
        if one.subject in ended and one.action in ("retire", "leave") and one.status in ("done", "approved"):
            lost[one.subject] = one
    return [Unseated(line, f"{line}@{ended[line]}", one, "guardrail" in one.evidence) for line, one in sorted(lost.items())]


def _learns(state: DecideState, who: str) -> bool:
    return "@" not in who and state.frozen_since is None and state.learns(who)


def _seat(decide: Decide, state: DecideState, place: Place, positions: dict[str, int], at: int) -> Seat:
    health = state.pulses[place.who].health(state.latency_ms.get(place.who)) if place.who in state.pulses else Health()
    position = version_of(place.who)[1] if "@" in place.who else positions.get(place.who)
    mine = [bout for bout in state.bouts if bout.who == place.who]
    return Seat(
        place=place,
        position=position,
        learns=_learns(state, place.who),
        contests=[_standing(decide, state, place, bout, at) for bout in mine],
        answers=health.answers,
        exceptions=health.exceptions,
        not_finite=health.not_finite,
        latency_ms=health.latency_ms,
    )


def _standing(decide: Decide, state: DecideState, place: Place, bout: Bout, at: int) -> Standing:
    """The verdict that the policy which may promote it would act on."""
    number = state.trials.get(trial_of(place.who, bout.generation), 1)
    trial = Trial(number, min(state.promoted, number - 1))
    who = (None, place.who, _short(place))
    looking = [one for one in decide.policies if state.generations.get(one.called, 0) == bout.generation]
    judges = [one for one in looking if isinstance(one, Promote) and _same(one, bout) and one.challenger in who]
    evidence = judges[0].needed(trial) if judges else EVIDENCE
    verdict = bout.contest.verdict(evidence, judges[0].better_by if judges else 0.0)
    return Standing(bout.loss.name, verdict, verdict.sentence(_rate(state, place, bout, at)))


def _same(policy: Promote, bout: Bout) -> bool:
    return (policy.loss_used.name, policy.loss_used.clip) == (bout.loss.name, bout.loss.clip)


def _short(place: Place) -> str:
    """The name by which a policy calls a declared challenger."""
    return place.who.partition(".")[2]


def _rate(state: DecideState, place: Place, bout: Bout, at: int) -> float | None:
    """Matured pairs a second of event time; `at` is that of the newest event."""
    return bout.rate(max(place.since, state.rollout.since, state.began_at or 0), at) or None
