"""What decide remembers: the rollout, contests and detectors that go on, proposals that wait, and counts.

Plain data with a few questions it can answer about itself; saved and restored to the bit, so that a restart changes no
decision. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from eddyline.policies.detector import ErrorDetector
from eddyline.policies.health import Pulse
from eddyline.policies.losses import Loss
from eddyline.policies.order import InOrder
from eddyline.records import Alert, Decision, Example, Prediction, Reason, Rollout, Said
from eddyline.stages.bouts import DROPPED, UNASKED, Bout, Roll
from eddyline.stages.learn import LearnState
from eddyline.stages.lines import Entry

ALL = ""
"""The segment that stands for all examples."""
_FAULTS = {Reason.NOT_FINITE.value: "not_finite"}


@dataclass(slots=True)
class DecideState:
    """Decide's memory. `record` counts what was taken: answers and what became of them; `number` the decisions made."""

    rollout: Rollout
    record: int = 0
    number: int = 0
    began_at: int | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    """lines that entered while it ran, by name"""
    ended: dict[str, int] = field(default_factory=dict)
    """where lines stood that nobody asks any more"""
    still: set[str] = field(default_factory=set)
    """lines that do not learn"""
    frozen_since: int | None = None
    quarantined: dict[str, int] = field(default_factory=dict)
    """by segment: since when (event time, µs)"""
    bouts: list[Bout] = field(default_factory=list)
    errors: dict[str, ErrorDetector] = field(default_factory=dict)
    """by policy: the champion's error against its objective"""
    pulses: dict[str, Pulse] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    """raised since the last look"""
    acted_at: dict[str, int] = field(default_factory=dict)
    """by policy: when it last acted (event time, µs)"""
    cooling: dict[str, int] = field(default_factory=dict)
    """by policy, action and subject: when that last happened"""
    proposed: dict[int, Decision] = field(default_factory=dict)
    """what waits for approval, by number"""
    told: set[str] = field(default_factory=set)
    """what was written down already and not carried out: it is written once under one rollout"""
    uncounted: dict[str, int] = field(default_factory=dict)
    """by policy and reason, under this rollout: how often a loss could not be computed, or a policy failed"""
    trials: dict[str, int] = field(default_factory=dict)
    """the numbers of the contests that go on, by `trial_of`"""
    promoted: int = 0
    tried: int = 0
    """contests begun: each has a number of its own, for e-LOND"""
    reign: int = 0
    """the revision in which this champion came"""
    frozen_by: str | None = None
    alerted_at: dict[str, int] = field(default_factory=dict)
    """by policy: the newest alert that concerned it (event time, µs)"""
    failing: dict[str, list[int]] = field(default_factory=dict)
    """since the last look, by line: exceptions, and answers that were not finite"""
    expected: InOrder = field(default_factory=InOrder)
    """the champion's answers that wait for their truth, for the objectives on its error"""
    roll: Roll | None = None
    generations: dict[str, int] = field(default_factory=dict)
    """by policy: the number of the change that it came with; those of the first declaration are not in it"""

    @property
    def holding(self) -> bool:
        """Whether any example is held back from learning."""
        return self.frozen_since is not None or bool(self.quarantined)

    def held(self, example: Example) -> bool:
        """Whether this example is held back from learning."""
        return self.frozen_since is not None or self.apart(example.prediction.segment)

    def apart(self, segment: str | None) -> bool:
        """Whether a segment is in quarantine."""
        return ALL in self.quarantined or (segment or ALL) in self.quarantined

    def judged(self, guard: str | None) -> list[Bout]:
        """The bouts that take pairs now: while learning is frozen, only the one with the `guard`, to whom one may go back."""
        if self.frozen_since is None:
            return self.bouts
        return [bout for bout in self.bouts if bout.who == guard]

    def set_apart(self, segment: str) -> None:
        """What waits for its truth in a segment that goes into quarantine counts for nobody.

        All of it at once, and not as its truths come: where one class is known sooner than the other, those that come during
        the quarantine are of one class, and whoever says the other would win.
        """
        of = None if segment == ALL else segment
        self.expected.drop(DROPPED, of)
        for bout in self.bouts:
            bout.set_apart(of)

    def freeze(self, at: int, author: str, guard: str | None) -> None:
        """Nobody learns from here on. What waits counts for no challenger but the `guard`, for its truths are in doubt."""
        self.frozen_since, self.frozen_by = at, author
        for bout in self.bouts:
            if bout.who != guard:
                bout.set_apart()

    def learns(self, line: str) -> bool:
        """Whether a line learns by itself."""
        return line not in self.still

    def failed(self, line: str, reason: str) -> None:
        """Somebody could not answer an event, or not learn an example: it counts at the next look, whenever it was between."""
        self.failing.setdefault(line, [0, 0])[reason == Reason.NOT_FINITE.value] += 1

    def asked(self) -> set[str]:
        """The lines that somebody asks: the champion's, those beside it, and those that a pinned version belongs to."""
        names = [self.rollout.champion, self.rollout.former, *(place.who for place in self.rollout.places)]
        return {name.rpartition("@")[0] or name for name in names if name is not None}

    def end(self, learners: dict[str, LearnState], own: str = "") -> None:
        """Learners of lines that nobody asks any more end where they stand, but the `own`; their versions can still be made."""
        asked = self.asked()
        for name in [name for name in learners if name != own and name not in asked]:
            self.ended[name] = learners.pop(name).position


def trial_of(who: str, generation: int) -> str:
    """How the contest of a challenger is called among `trials`, for the policies that came with a change (0: that were there).

    >>> trial_of("fraud.deep", 0), trial_of("fraud.deep", 2)
    ('fraud.deep', 'fraud.deep/2')
    """
    return f"{who}/{generation}" if generation else who


class Saved(msgspec.Struct, frozen=True):
    """Decide's memory as plain values."""

    rollout: Rollout
    record: int
    number: int
    began_at: int | None
    entries: dict[str, Entry]
    ended: dict[str, int]
    still: set[str]
    frozen_since: int | None
    quarantined: dict[str, int]
    latency_ms: dict[str, float]
    alerts: list[Alert]
    acted_at: dict[str, int]
    cooling: dict[str, int]
    proposed: dict[int, Decision]
    told: set[str]
    trials: dict[str, int]
    promoted: int
    tried: int
    reign: int
    frozen_by: str | None
    alerted_at: dict[str, int]
    failing: dict[str, list[int]]
    expected: Any
    bouts: list[Any]
    errors: dict[str, tuple[float, list[float], int, float]]
    pulses: dict[str, list[list[int]]]
    uncounted: dict[str, int] = {}
    generations: dict[str, int] = {}


_PLAIN = tuple(name for name in Saved.__struct_fields__ if name not in ("bouts", "errors", "pulses", "expected"))


def saved_state(state: DecideState) -> bytes:
    """The state as bytes."""
    plain = {name: getattr(state, name) for name in _PLAIN}
    plain |= {name: sorted(value) for name, value in plain.items() if isinstance(value, set)}  # sets have no order of their own
    kept = Saved(
        **plain,
        bouts=[bout.plain() for bout in state.bouts],
        expected=state.expected.plain(),
        errors={name: detector.plain() for name, detector in state.errors.items()},
        pulses={name: pulse.plain() for name, pulse in state.pulses.items()},
    )
    return msgspec.msgpack.encode(kept)


def restored_state(raw: bytes, model: str, losses: Mapping[str, Loss]) -> DecideState:
    """The state that was saved, for the pipeline called `model`, under the losses of its declaration."""
    kept = msgspec.msgpack.decode(raw, type=Saved)
    state = DecideState(**{name: getattr(kept, name) for name in _PLAIN})
    state.roll = Roll(state.rollout, model)
    state.bouts = [Bout.of(plain, losses) for plain in kept.bouts if plain[2] in losses]
    state.expected = InOrder.of(kept.expected)
    state.errors = {name: ErrorDetector.of(plain) for name, plain in kept.errors.items()}
    state.pulses = {name: Pulse.of(plain) for name, plain in kept.pulses.items()}
    return state


def beat_together(pulses: Mapping[str, Pulse], roll: Roll, many: int) -> int:
    """Counts events to which everybody had an answer; gives 0, for how many are left to count."""
    for who in roll.parties if many else ():
        pulses[who].answered(many)
    return 0


def beat(pulses: Mapping[str, Pulse], roll: Roll, heard: Sequence[Prediction | Said | None]) -> None:
    """Counts for everybody who was asked whether he could answer."""
    for who, said in zip(roll.parties, heard, strict=True):
        if said is not None:
            fault = said.fault if type(said) is Said else None
            if fault is None:
                pulses[who].add()
            elif fault not in UNASKED:
                pulses[who].add(_FAULTS.get(fault, "exception"))
