"""What other policies would have done in a job on Flink, from its topics: the record as learn and decide took it, told again.

The order is that of `<pipeline>.taken`, so with the policies of the job itself it takes the job's decisions, at the same
places. Lines are learned again on the way, since who failed to learn is said nowhere else. Reads committed messages only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink.audit_book import Book, Faults
from eddyline.engines.flink.audit_learn import LearnReplay
from eddyline.engines.flink.audit_topics import Recorded, recorded
from eddyline.engines.flink.learners import Came, Learners, Record
from eddyline.engines.flink.taken import decides
from eddyline.pipeline import Pipeline
from eddyline.policies.policy import Policy
from eddyline.records import Alert, DeadLetter, Declared, Prediction, Rollout
from eddyline.records.errors import DeclarationError, SourceError
from eddyline.records.time import BEGINNING, to_us
from eddyline.stages.commands import Command
from eddyline.stages.deciding import DecideState
from eddyline.store.declarations import Memory
from eddyline.views.backtest import Backtest, Hypothetical, found_by


def backtest_job(
    pipeline: Pipeline, connection: Connection, policies: Sequence[Policy], *, since: timedelta | None = None
) -> Backtest:
    """Lets `policies` decide on all that a job recorded, or on its last `since` of event time; nothing is changed.

    Where the job took up another declaration, it begins at the last change, with what was remembered there. Costs what learning
    everything again costs. Raises `SourceError` where a topic is missing, begins too late or is not whole.
    """
    return backtest_recorded(pipeline, recorded(pipeline, connection), policies, since=since)


def backtest_recorded(
    pipeline: Pipeline, run: Recorded, policies: Sequence[Policy], *, since: timedelta | None = None
) -> Backtest:
    """The same, for the messages of a run, wherever they come from."""
    if not decides(pipeline.plan()):
        raise DeclarationError(
            f"{pipeline.name}: nobody decides in its job, so in which order its answers and truths came was not recorded\n"
            "declare decide=(RollBack(),), or a challenger, and start a pipeline of another name"
        )
    needed: dict[str, Iterable[object]] = {**run, "events": [], "labels": []}
    with tempfile.TemporaryDirectory(prefix="eddyline-backtest-") as folder:
        faults = Faults()
        book = Book.filled(pipeline, needed, Path(folder), faults)  # type: ignore[arg-type]
        try:
            newest = book.one("SELECT max(at) FROM predictions")
            start = BEGINNING if since is None or newest is None else int(newest) - to_us(since)
            told = Told(Hypothetical(pipeline, tuple(policies), start))
            replay = LearnReplay(book, faults.add, told)
            replay.run()
        finally:
            book.close()
    if faults.said:
        raise SourceError(
            f"{pipeline.name}: what the job recorded is not whole: {faults.said[0]}\nsee eddyline verify --brokers"
        )
    made = sorted((wire.decode_decision(message.value) for message in run["decisions"]), key=lambda one: one.number)
    began = start if told.last is None else max(start, told.last.at)
    found = found_by(told.other, began, [one for one in made if one.number > replay.changed_by])
    return msgspec.structs.replace(found, changed_by=replay.changed_by)


@dataclass
class Slots:
    """The answers that were told, numbered from 0."""

    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many."""
        return len(self.numbers)

    def find(self, event_id: str) -> int | None:
        """The number of the answer to an event; None where it was not told."""
        return self.numbers.get(event_id)


class Told:
    """Tells a decide stage of its own what learn and decide took, record by record."""

    block = 0
    """a job has none"""

    def __init__(self, other: Hypothetical) -> None:
        self.other, self.disk = other, Slots()
        self.learners: Learners | None = None
        self.before: dict[str, int] = {}
        self.problem: str | None = None
        self.own = 0
        self.last: Declared | None = None
        """the last declaration that the job took up"""
        self.late: dict[int, int] = {}
        """by rollout of the job that was followed by another: which of its own was in force until then"""

    @property
    def states(self) -> Told:
        """Where the job itself stood."""
        return self

    @property
    def decide(self) -> DecideState:
        """Decide's memory in the job."""
        assert self.learners is not None, "nobody asks before something is told"
        return self.learners.deciding

    @property
    def rollout(self) -> Rollout:
        """Who answered in the job."""
        return self.decide.rollout

    @property
    def watermark(self) -> int:
        """How far event time had come for who decides."""
        assert self.learners is not None, "nobody asks before something is told"
        return self.learners.at

    def positions(self) -> dict[str, int]:
        """Where the learner of each line stood."""
        assert self.learners is not None, "nobody asks before something is told"
        return self.learners.positions()

    def turned(self, declared: Declared, learners: Learners) -> None:
        """The job took up its last declaration; what was taken before it was not told."""
        self.learners, self.last = learners, declared
        self.late.clear()
        memory = Memory(b"", learners.decide.save(learners.deciding), learners.positions())
        self.other.turned(self, declared.number, memory)

    def hears(self, record: Record, learners: Learners) -> None:
        """A record, before it is taken."""
        self.learners, self.problem = learners, None
        self.other.begins(self)
        self.own = self.other.revision
        if isinstance(record, Prediction):  # scorers take a rollout with the checkpoint after it was decided
            late = self.late.get(record.revision, self.own)
            self.other.revision = late if late in self.other.rolls else self.own
        if isinstance(record, Command):
            self.before = learners.positions()
            self.problem = learners.decide.problem(learners.deciding, record, self.before)

    def heard(self, record: Record, came: Came, learners: Learners) -> None:
        """The same record, when it was taken."""
        self.late |= {rollout.revision - 1: self.own for rollout in came.rollouts}
        for line, reason in came.failed:
            self.other.failed(line, reason)
        if isinstance(record, Command):
            self.other.command(record, learners.at, self.before, self.problem)
        elif isinstance(record, Alert):
            self.other.measured((), (record,), (), self)
        elif isinstance(record, DeadLetter):
            self.other.measured((), (), (record,), self)
        else:
            if isinstance(record, Prediction):
                self.disk.numbers.setdefault(record.event_id, len(self.disk.numbers))
            self.other.measured((record,), (), (), self)
