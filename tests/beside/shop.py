"""A shop whose job runs in memory, in the hosts that Flink calls, and the door to it for those who work beside it.

Visits flow whenever somebody waits for the job or asks it for something: so a newcomer always has something to catch up with.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from river import linear_model, preprocessing
from tests.shops import LongVisit, Sale

from eddyline import Event, Floor, Label, NotFound, Pipeline, Promote, Retrain, Versions, memory
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.copying import STREAMS, LogCopy, Sent
from eddyline.engines.flink.fetching import Answered
from eddyline.engines.flink.learn import Request
from eddyline.engines.flink.steering import _records as records
from eddyline.ports import Model
from eddyline.records import DeadLetter, Decision
from eddyline.stages.commands import Command
from eddyline.testing.hosted import Hosted
from eddyline.views.beside import COPY, Workshop


@dataclass(frozen=True, kw_only=True)
class Easy(Retrain):
    """Whatever comes of it is good enough."""

    gates = (Floor("accuracy", at_least=0.01),)


def shop(**more: Any) -> Pipeline:
    """The pipeline; somebody decides in it, so newcomers may have seats."""
    declared: dict[str, Any] = {
        "name": "shop",
        "events": memory([], LongVisit),
        "labels": memory([], Sale),
        "model": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        "versions": Versions(every=50),
        "decide": (Promote(evidence=1e12),),
    }
    return Pipeline(**declared | more)


def visits(start: int = 0, leave_out: Collection[str] = (), *, turned_at: int = 10**9) -> Iterator[Event | Label]:
    """Visits without an end, ten seconds apart, each with its truth a moment later; what it means turns around once."""
    for n in range(start, 10**9):
        drawn = random.Random(n)
        pages, minutes = drawn.random() * 9, drawn.random() * 20
        if f"v-{n}" not in leave_out:
            yield LongVisit(id=f"v-{n}", at=10 * n, pages=pages, minutes=minutes)
            yield Sale(id=f"v-{n}", at=10 * n + 5, bought=(pages * 2 + minutes > 20) == (n < turned_at))


class HostedJob:
    """A job in memory. `flow` records come with each thing that happens at the door; `lag` streams are not read to the end."""

    def __init__(self, pipeline: Pipeline, coming: Iterator[Event | Label], *, flow: int = 6) -> None:
        self.hosted, self.coming, self.flow = Hosted(pipeline, 2), coming, flow
        self.crashes = False
        self.log: list[Event | Label | Command] = []
        """everything that it took, in order"""

    def run(self, many: int) -> None:
        """Takes so many records, with a checkpoint after every tenth."""
        for number, record in enumerate(islice(self.coming, many)):
            self.take(record)
            if number % 10 == 9:
                self.hosted.checkpoint()

    def take(self, record: Event | Label | Command) -> None:
        """Takes one."""
        self.hosted.take(record)
        self.log.append(record)

    def fetch(self, copy: LogCopy) -> int:
        """What was committed."""
        self.run(self.flow)
        if self.crashes:
            self.hosted.crash()
        self.hosted.checkpoint()
        run, read = self.hosted.recorded(), copy.offsets
        for stream in STREAMS:
            after = read.get(f"{stream}/0", 0)
            copy.take(Sent(stream, 0, one.offset, 1.0, one.value) for one in run[stream] if one.offset >= after)
        return copy.settle()

    def ask(self, command: Command, version: bytes = b"") -> Decision:
        """Has it taken, after some records and before others."""
        self.run(self.flow)
        decisions, letters = len(self.hosted.written.decisions), len(self.hosted.written.dead)
        self.take(Request.of(command, version))
        self.run(self.flow)
        self.hosted.checkpoint()
        for letter in self.hosted.written.dead[letters:]:
            if letter.stream == "commands":
                raise NotFound(letter.detail)
        return next(one for one in self.hosted.written.decisions[decisions:] if records(one, command))

    def answered(self, events: Collection[str]) -> frozenset[str]:
        """By id."""
        return frozenset(events) & {one.event_id for one in self.hosted.written.predictions}

    def answer(self, event_id: str) -> Answered | None:
        """The answer, as it was written."""
        return next((Answered(one, 1.0) for one in self.hosted.written.predictions if one.event_id == event_id), None)

    def event(self, event_id: str) -> bytes | None:
        """The event, as it came."""
        needle = f'"{event_id}"'.encode()
        return next((one.value for stream, one in self.hosted.sent if stream == "events" and needle in one.value), None)

    def refused(self, event_id: str) -> list[DeadLetter]:
        """What was refused of it."""
        return [one for one in self.hosted.written.dead if one.event_id == event_id]

    def wait(self) -> None:
        """Time passes as records come."""
        self.run(self.flow)

    def model(self, line: str) -> Model:
        """What learns for a line now."""
        model: Model = self.hosted.learn.hosts[0].learners.states[line].model  # type: ignore[attr-defined]
        return model

    def sound(self) -> None:
        """What it recorded plays again to the same answers, versions and decisions."""
        self.hosted.drain()
        self.hosted.checkpoint()
        done = examine(self.hosted.pipeline, self.hosted.recorded())
        assert done.faults == []
        assert done.sound


def workshop(job: HostedJob, folder: Path, *, hold: int = 0) -> Workshop:
    """A place to make models beside a job."""
    copy = LogCopy(job.hosted.pipeline, folder / COPY)
    return Workshop(job, copy, folder, folder, hold=hold)
