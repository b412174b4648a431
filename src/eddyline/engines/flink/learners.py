"""The learners of all lines and who decides about them, fed record by record: what the host runs and the audit plays again.

It is what the loop of one process does with examples, answers and commands; its order is the order in which it is called.
Policies look at every so many records taken. Keeps `first-test` and `one-writer`. Knows no bytes but those of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from eddyline.engines.flink.taken import decides
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import Alert, DeadLetter, Decision, Example, Prediction, Rollout, Unlabelled
from eddyline.records.errors import EddylineError
from eddyline.records.time import BEGINNING
from eddyline.stages.commands import Command, version_of
from eddyline.stages.decide import Decided
from eddyline.stages.deciding import DecideState
from eddyline.stages.features import Maker
from eddyline.stages.learn import ENTERED, Snapshot
from eddyline.stages.lines import Entry, seen_by

Record = Prediction | Example | Unlabelled | Alert | DeadLetter | Command
_END_MS = 2**52
"""Beyond it a watermark says that the streams are drained, not what time it is."""


@dataclass(slots=True)
class Came:
    """What one record came to. `position` is where the own line stood after an example, -1 where it did not learn it."""

    position: int = -1
    also: dict[str, int] | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


class LineSaved(msgspec.Struct, frozen=True, array_like=True):
    """One line's learner."""

    position: int
    model: bytes


class LearnersSaved(msgspec.Struct, frozen=True):
    """The learners by line, decide's memory, and how far event time had come."""

    lines: dict[str, LineSaved]
    decide: bytes
    at: int
    taken: int


class Learners:
    """Every line's learner, and the memory of decide.

    `at` is event time in µs, as it is known here; `taken` counts the records that came.
    """

    def __init__(self, pipeline: Pipeline, kept: LearnersSaved | None = None) -> None:
        plan = pipeline.plan()
        self.own = pipeline.name
        self.learn, self.decide, self.watched = plan.learn, plan.decide, decides(plan)
        self.at, self.taken = (BEGINNING, 0) if kept is None else (kept.at, kept.taken)
        self.deciding: DecideState = plan.decide.new_state() if kept is None else plan.decide.restore(kept.decide)
        self.makers: dict[str, Maker | None] = {name: line.maker for name, line in plan.lines.items()}
        self.blanks: dict[str, Model] = {name: line.model for name, line in pipeline.plan().lines.items()}
        self.likes: dict[str, str] = {}
        self.forgotten: dict[str, frozenset[str]] = {}
        for entry in self.deciding.entries.values():
            self._know(entry)
        if kept is None:
            self.states = {name: self.learn.new_state(line.model, name=name) for name, line in plan.lines.items()}
        else:
            self.states = {
                name: self.learn.new_state(self.blanks[name].restored(line.model), line.position, name)
                for name, line in kept.lines.items()
            }

    def save(self) -> LearnersSaved:
        """The learners, whole; undoing starts from here afterwards."""
        for state in self.states.values():
            state.saved = state.model.save()
            state.since.clear()
        lines = {name: LineSaved(state.position, state.saved) for name, state in self.states.items()}
        return LearnersSaved(lines, self.decide.save(self.deciding), self.at, self.taken)

    def time(self, watermark_ms: int) -> None:
        """Event time has come this far; it does not go back, and the end of all streams is no time."""
        if -_END_MS < watermark_ms < _END_MS:
            self.at = max(self.at, watermark_ms * 1000)

    def positions(self) -> dict[str, int]:
        """Where the learner of each line stands, those that have ended too."""
        return {**self.deciding.ended, **{name: state.position for name, state in self.states.items()}}

    @property
    def looked_at(self) -> bool:
        """Whether anybody looks: a policy is declared, or somebody has a seat beside the champion."""
        return self.watched and bool(self.decide.policies or self.deciding.rollout.places)

    # Taking ----------------------------------------------------------------------------------------------------------

    def take(self, record: Record, start: bytes = b"") -> Came:
        """Takes one record; `start` is the state that a line enters with, where a command lets one in."""
        came, self.taken = Came(), self.taken + 1
        if type(record) is Example:
            self._example(record, came)
        if type(record) is Command:
            self._effect(self.decide.step(self.deciding, record, self.at, self.positions()), start, came)
        elif self.looked_at and self._show(record):
            self._effect(self.decide.look(self.deciding, self.at), b"", came)
        return came

    def _show(self, record: Record) -> bool:
        """Shows a record to whoever decides; whether it is time to look."""
        if type(record) is Alert:
            return self.decide.take(self.deciding, (), (record,), ())
        if type(record) is DeadLetter:
            return self.decide.take(self.deciding, (), (), (record,))
        return self.decide.take(self.deciding, (record,), (), ())  # type: ignore[arg-type]

    def _example(self, example: Example, came: Came) -> None:
        """Lets every line learn it, from the features as that line saw them."""
        decide = self.deciding
        if decide.holding and decide.held(example):
            return
        also: dict[str, int] = {}
        for name, state in self.states.items():
            if not decide.learns(name) or example.prediction.event_id in self.forgotten.get(name, ()):
                continue
            own = name == self.own
            features = None
            if not own or example.prediction.model != name:
                features = seen_by(example.prediction, name, self.makers)
                if features is None:
                    continue
            extras: list[Snapshot | DeadLetter] = []
            position = self.learn.one(state, example, extras, features)
            if own:
                came.position = position
            elif position >= 0:
                also[name] = position
            for extra in extras:
                if isinstance(extra, Snapshot):
                    came.snapshots.append(extra)
                elif own:
                    came.letters.append(extra)
                else:
                    decide.failed(name, extra.reason)  # its failure to learn is its own: the champion has the example
        came.also = also or None

    # Deciding --------------------------------------------------------------------------------------------------------

    def refused(self, command: Command, brought: str, start: bytes) -> str | None:
        """Why Flink cannot obey a command that one process might; None where it can. Takes nothing.

        `brought` is the version whose bytes came with the command, `start` the state that a line enters with.
        """
        who = command.to if command.place is None else command.place.who
        if command.do in ("roll_out", "enter") and command.entry is None and who != brought and self._reached(who):
            return f"{who} was reached, and the command does not bring its bytes, without which no scorer can answer as {who}"
        if command.do != "enter":
            return None
        if not self.watched and not command.to:
            return (
                "this job compares nobody: its pipeline declares no challengers and no policies, so nobody would watch the "
                "newcomer; let it answer at once, or declare decide=(RollBack(),) and start a pipeline of another name"
            )
        entry = command.entry
        return None if entry is None else self._unfit(entry, start)

    def _reached(self, who: str) -> bool:
        """Whether this names a position that a learner has passed, which scorers cannot make by themselves."""
        line, at, position = who.rpartition("@")
        return bool(at) and position.isdecimal() and 0 < int(position) <= self.positions().get(line, -1)

    def _unfit(self, entry: Entry, start: bytes) -> str | None:
        try:
            version_of(entry.start)
            source = None if entry.after is None else version_of(entry.after)
        except EddylineError as error:
            return str(error)
        known = self.positions()
        if entry.name in known:
            return f"there is a line {entry.name} already; give the newcomer a name of its own"
        if entry.like not in known or (source is not None and source[0] not in known):
            return f"{entry.name}: like {entry.like}, after {entry.after}: one is not there; known: {', '.join(known)}"
        if source is not None and known[source[0]] != source[1]:
            return (
                f"{entry.name} would have to catch up with {source[0]} from {entry.after}, and a job on Flink cannot read back "
                f"what that line learned since; let it enter without catching up, or make it from {source[0]}'s newest version"
            )
        if not start:
            return f"{entry.name} enters as {entry.start}, and the command does not bring the bytes of that version"
        try:
            self.blanks[entry.like].restored(start)
        except Exception as error:
            return f"{entry.start} cannot be read as a model like {entry.like} ({type(error).__name__}: {error})"
        return None

    def _effect(self, decided: Sequence[Decided], start: bytes, came: Came) -> None:
        """Makes true what was decided: lines come and go."""
        for one in decided:
            if type(one) is Rollout:
                came.rollouts.append(one)
            elif type(one) is Decision:
                came.decisions.append(one)
            elif type(one) is Entry:
                self._enter(one, start, came)
            else:
                came.letters.append(one)  # type: ignore[arg-type]
        if came.rollouts:
            asked = self.deciding.asked()
            for name in [name for name in self.states if name != self.own and name not in asked]:
                self.deciding.ended[name] = self.states.pop(name).position

    def _enter(self, entry: Entry, start: bytes, came: Came) -> None:
        """A newcomer takes up its bytes."""
        self._know(entry)
        position = version_of(entry.start)[1]
        model = self.blanks[entry.name].restored(start)
        state = self.states[entry.name] = self.learn.new_state(model, position, entry.name)
        came.snapshots.append(Snapshot(position, state.saved, model.digest(), entry.name, f"{ENTERED} from {entry.start}"))

    def _know(self, entry: Entry) -> None:
        """A line that entered is made, and sees, as the line that it is like."""
        self.makers[entry.name] = self.makers[entry.like]
        self.blanks[entry.name] = self.blanks[entry.like]
        self.likes[entry.name] = entry.like
        if entry.skip:
            self.forgotten[entry.name] = frozenset(entry.skip)
