"""A job as those see it who work beside it: its log can be copied, and it can be asked for something.

`Job` is the door; `KafkaJob` is a job on Flink behind its topics, and tests play another. Refuses to know what is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Protocol

from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import fetching, steering
from eddyline.engines.flink.copying import LogCopy
from eddyline.engines.flink.fetching import Answered
from eddyline.pipeline import Pipeline
from eddyline.records import DeadLetter, Decision
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import Command

PAUSE_S = 0.2
PATIENCE_S = 60.0


class Job(Protocol):
    """What whoever works beside a job may do."""

    def fetch(self, copy: LogCopy) -> int:
        """Brings a copy up to what the topics hold now; gives how many examples came."""
        ...

    def ask(self, command: Command, version: bytes = b"") -> Decision:
        """Has a command taken, with the message of the version it brings; gives the decision, which is committed."""
        ...

    def answered(self, events: Collection[str]) -> frozenset[str]:
        """Those of some events that were answered, by id."""
        ...

    def answer(self, event_id: str) -> Answered | None:
        """The answer to an event; None where it was not answered."""
        ...

    def event(self, event_id: str) -> bytes | None:
        """An event as JSON; None where it is not there any more."""
        ...

    def refused(self, event_id: str) -> list[DeadLetter]:
        """What was refused of an event and its labels."""
        ...

    def wait(self) -> None:
        """Lets some time pass."""
        ...


class KafkaJob:
    """The job of a pipeline that reads from this Kafka. `patience_s` is how long it may take to do what it is asked."""

    def __init__(self, pipeline: Pipeline, connection: Connection, *, patience_s: float = PATIENCE_S) -> None:
        self.pipeline, self.connection, self.patience_s = pipeline, connection, patience_s

    def fetch(self, copy: LogCopy) -> int:
        return fetching.fetch(copy, self.connection)

    def ask(self, command: Command, version: bytes = b"") -> Decision:
        return steering.ask(self.pipeline, self.connection, command, version=version, patience_s=self.patience_s)

    def answered(self, events: Collection[str]) -> frozenset[str]:
        """Those of some events that were answered, by id; reads the whole topic of answers."""
        return fetching.answered(self.pipeline, self.connection, events)

    def answer(self, event_id: str) -> Answered | None:
        return fetching.answer_to(self.pipeline, self.connection, event_id)

    def event(self, event_id: str) -> bytes | None:
        return fetching.event_of(self.pipeline, self.connection, event_id)

    def refused(self, event_id: str) -> list[DeadLetter]:
        return list(fetching.refused(self.pipeline, self.connection, event_id))

    def wait(self) -> None:
        time.sleep(PAUSE_S)


def fetch_until(
    job: Job, copy: LogCopy, done: Callable[[LogCopy], bool], words: str, *, patience_s: float = PATIENCE_S
) -> None:
    """Fetches until a copy holds something, which `words` name. Raises `EddylineError` when it does not in time."""
    until = time.monotonic() + patience_s
    job.fetch(copy)
    while not done(copy):
        if time.monotonic() > until:
            raise EddylineError(
                f"the topics of {copy.pipeline.name} do not hold {words} after {patience_s:g} s\n"
                "what was done is committed with a checkpoint: eddyline flink status"
            )
        job.wait()
        job.fetch(copy)
