"""The learners of all lines and who decides about them, fed record by record: what the host runs and the audit plays again.

It is what the loop of one process does with examples, answers and commands; its order is the order in which it is called.
Policies look at every so many records taken. Keeps `first-test` and `one-writer`. Knows no bytes but those of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from eddyline.engines.flink.holding import HeldSaved, Holding
from eddyline.engines.flink.per_key import Counted, learned_where_served
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
from eddyline.stages.learn import ENTERED, LearnState, Snapshot
from eddyline.stages.lines import Entry, seen_by

STARTED = "started"
"""How a snapshot says that it is what a newcomer brought, before it learned what was held for it."""
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
    failed: list[tuple[str, str]] = field(default_factory=list)
    """challengers that could not learn the example, and why"""


class LineSaved(msgspec.Struct, frozen=True, array_like=True):
    """One line's learner."""

    position: int
    model: bytes
    published_at: int | None = None


class LearnersSaved(msgspec.Struct, frozen=True):
    """The learners by line, decide's memory, how far event time had come, and what is held for newcomers."""

    lines: dict[str, LineSaved]
    decide: bytes
    at: int
    taken: int
    holds: dict[str, HeldSaved] = {}


class Learners:
    """Every line's learner, and the memory of decide.

    `at` is event time in µs, as it is known here; `taken` counts the records that came.
    """

    def __init__(self, pipeline: Pipeline, kept: LearnersSaved | None = None) -> None:
        plan = pipeline.plan()
        self.own, self.per_key = pipeline.name, learned_where_served(pipeline)
        self.learn, self.decide, self.watched = plan.learn, plan.decide, decides(plan)
        self.at, self.taken = (BEGINNING, 0) if kept is None else (kept.at, kept.taken)
        self.deciding: DecideState = plan.decide.new_state() if kept is None else plan.decide.restore(kept.decide)
        self.makers: dict[str, Maker | None] = {name: line.maker for name, line in plan.lines.items()}
        self.blanks: dict[str, Model] = {name: line.model for name, line in pipeline.plan().lines.items()}
        self.likes: dict[str, str] = {}
        self.forgotten: dict[str, frozenset[str]] = {}
        self.holding = Holding(None if kept is None else kept.holds)
        self.newcomer: LearnState | None = None
        """made a moment ago, to see whether it can be"""
        for entry in self.deciding.entries.values():
            self._know(entry)
        if kept is None:
            models = {name: self._learner(name, line.model) for name, line in plan.lines.items()}
            self.states = {name: self.learn.new_state(model, name=name) for name, model in models.items()}
        else:
            self.states = {name: self._again(name, line) for name, line in kept.lines.items()}

    def _again(self, name: str, line: LineSaved) -> LearnState:
        """A learner that goes on. What it published last is with the scorers; when, it has to know to publish next."""
        state = self.learn.new_state(self._learner(name, self.blanks[name]).restored(line.model), line.position, name)
        state.published_at = line.published_at
        return state

    def _learner(self, name: str, model: Model) -> Model:
        """What learns for a line here: its model, but where it is one per key, which learn where they are served."""
        return Counted(model.task) if self.per_key and name == self.own else model

    def save(self) -> LearnersSaved:
        """The learners, whole; undoing starts from here afterwards."""
        for state in self.states.values():
            state.saved = state.model.save()
            state.since.clear()
        lines = {name: LineSaved(state.position, state.saved, state.published_at) for name, state in self.states.items()}
        return LearnersSaved(lines, self.decide.save(self.deciding), self.at, self.taken, self.holding.save())

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
            self.hold(record, came)
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
        """Lets every line that learns have it."""
        decide, event_id = self.deciding, example.prediction.event_id
        if decide.holding and decide.held(example):
            return
        learning = filter(decide.learns, self.states)
        self.learned_by([name for name in learning if event_id not in self.forgotten.get(name, ())], example, came)

    def learned_by(self, lines: Sequence[str], example: Example, came: Came) -> None:
        """Lets these lines learn an example, each from the features as it saw them."""
        extras: list[Snapshot | DeadLetter] = []
        if self.own in lines:
            came.position = self.learn.as_seen(self.states[self.own], example, extras, self.makers)
        for extra in extras:
            if isinstance(extra, Snapshot):
                came.snapshots.append(extra)
            else:
                came.letters.append(extra)
        others = [self.states[name] for name in lines if name != self.own]
        came.also = self.learn.beside(others, example, self.makers, came.snapshots, came.failed)
        for name, reason in came.failed:
            self.deciding.failed(name, reason)
        if self.holding.kept:
            self._keep(example, came)

    def _keep(self, example: Example, came: Came) -> None:
        """Keeps an example that lines learned for the newcomers that will catch up with them."""
        told = example.prediction
        for name, position in ((self.own, came.position), *(came.also or {}).items()):
            seen = told.features if told.model == name else seen_by(told, name, self.makers)
            if position >= 0 and seen is not None:
                self.holding.learned(name, position, told.event_id, seen, example.truth)
        came.letters += self.holding.let_go()

    # Deciding --------------------------------------------------------------------------------------------------------

    def refused(self, command: Command, brought: str, start: bytes) -> str | None:
        """Why Flink cannot obey a command that one process might; None where it can. Takes nothing.

        `brought` is the version whose bytes came with the command, `start` the state that a line enters with.
        """
        self.newcomer = None
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
        if source is not None and known[source[0]] != source[1] and self.holding.since(entry) is None:
            return (
                f"{entry.name} would have to catch up with {source[0]} from {entry.after}, and a job on Flink cannot read back "
                "what that line learned since: it was not asked to hold it, or let go of it; ask for a hold, catch up to the "
                "position that it names, and enter from there (eddyline retrain and forget do, with --brokers)"
            )
        if not start:
            return f"{entry.name} enters as {entry.start}, and the command does not bring the bytes of that version"
        try:
            self.newcomer = self._made(entry, start)
        except Exception as error:
            return f"{entry.name} cannot be made as a model like {entry.like} ({type(error).__name__}: {error})"
        return None

    def _made(self, entry: Entry, start: bytes) -> LearnState:
        """A newcomer, made of its bytes and of what was held for it."""
        model, position = self.blanks[entry.like].restored(start), version_of(entry.start)[1]
        for step in self.holding.since(entry) or ():
            model.learn(step.features, step.truth)
            position += 1
        return self.learn.new_state(model, position, entry.name)

    def hold(self, command: Command, came: Came) -> None:
        """Begins to hold what was asked for, and ends what nobody will come for."""
        if command.do == "hold" and came.decisions:
            self.holding.begin(command, self.positions()[command.to])
        elif command.do == "turn_away" and came.decisions:
            self.holding.end(command.to)
        self.newcomer = None

    def _effect(self, decided: Sequence[Decided], start: bytes, came: Came) -> None:
        """Makes true what was decided: lines come and go."""
        for one in decided:
            if type(one) is Rollout:
                came.rollouts.append(one)
            elif type(one) is Decision:
                came.decisions.append(one)
            elif type(one) is Entry:
                self.enter(one, start, came)
            else:
                came.letters.append(one)  # type: ignore[arg-type]
        if came.rollouts:
            self.deciding.end(self.states, self.own)

    def go_on(self, deciding: DecideState) -> None:
        """Goes on with this memory of decide, which another declaration left and this one took up."""
        self.deciding = deciding
        deciding.end(self.states, self.own)

    def enter(self, entry: Entry, start: bytes, came: Came) -> None:
        """A newcomer takes its place, as it was made a moment ago. Bytes of its own are a version, too."""
        state = self.newcomer or self._made(entry, start)
        self._know(entry)
        self.states[entry.name] = state
        self.holding.end(entry.name)
        line, began = version_of(entry.start)
        if line == entry.name:
            digest = self.blanks[line].restored(start).digest()
            came.snapshots.append(Snapshot(began, start, digest, line, STARTED))
        if line != entry.name or state.position > began:
            created_by = f"{ENTERED} from {entry.start}"
            came.snapshots.append(Snapshot(state.position, state.saved, state.model.digest(), entry.name, created_by))

    def _know(self, entry: Entry) -> None:
        """A line that entered is made, and sees, as the line that it is like."""
        self.makers[entry.name] = self.makers[entry.like]
        self.blanks[entry.name] = self.blanks[entry.like]
        self.likes[entry.name] = entry.like
        if entry.skip:
            self.forgotten[entry.name] = frozenset(entry.skip)
