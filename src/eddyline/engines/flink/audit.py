"""The audit of a run on Flink: proof, from its nine topics alone, that it is the embedded logic.

Every event is answered once, every position is there, every label is applied once (`audit_records`); learning and deciding
played again in their recorded order give every digest and every decision (`audit_learn`), and every answer given again
by the serve stage is the recorded one, byte for byte (`audit_replay`); the embedded join finds out the same (`audit_join`).
Reads committed messages only and writes nothing. Where the run was made on a machine that computes otherwise, the audit says so
and claims no equality.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink.audit_book import Book, Faults
from eddyline.engines.flink.audit_join import check_join
from eddyline.engines.flink.audit_learn import LearnReplay
from eddyline.engines.flink.audit_per_key import KeyedModels
from eddyline.engines.flink.audit_records import check_events, check_examples, check_names, check_twice
from eddyline.engines.flink.audit_replay import Replay
from eddyline.engines.flink.audit_topics import Recorded, recorded
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline


@dataclass(slots=True)
class Audit:
    """What was shown, in counts, and what does not hold, in words. `sound` only when equality is claimed.

    `repeats` came again and were left out. `shared` ids were answered once for each of several keys. `waiting`, `disordered`
    and `overtaken` count ids whose truth depends on the order of arrival: see `audit_orders.Order`. `faults` are the first
    fifty of each part of the audit, of `found` in all.
    """

    events: int = 0
    predictions: int = 0
    repeats: int = 0
    shared: int = 0
    labels: int = 0
    examples: int = 0
    learned: int = 0
    versions: int = 0
    rollouts: int = 0
    decisions: int = 0
    dead: int = 0
    answered_again: int = 0
    waiting: int = 0
    disordered: int = 0
    overtaken: int = 0
    differences: int = 0
    fingerprint: str = ""
    written_as: str = ""
    found: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def comparable(self) -> bool:
        """Whether this machine computes as the one that ran the job.

        scikit-learn counts where both have imported it: a process that has not runs no model of it.
        """
        ours, theirs = self.fingerprint.split("-"), self.written_as.split("-")
        here, there = ([part for part in parts if not part.startswith("sklearn")] for parts in (ours, theirs))
        return ours == theirs or (here == there and len(ours) != len(theirs))

    @property
    def sound(self) -> bool:
        """Nothing was found, and equality is claimed."""
        return not self.found and self.comparable


def audit(
    pipeline: Pipeline, connection: Connection, *, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Audit:
    """Audits the topics of a pipeline on Kafka. The job must be at rest: stopped, or with nothing left to take.

    Takes about half a millisecond an event, and disk for a copy of the topics, which is deleted at the end. `on_progress` is
    told how many of how many answers were given again. Raises `SourceError` when a topic is missing or cannot be read.
    """
    return examine(pipeline, recorded(pipeline, connection), on_progress=on_progress)


def examine(pipeline: Pipeline, run: Recorded, *, on_progress: Callable[[int, int], None] = lambda done, of: None) -> Audit:
    """Audits a run by its messages, wherever they come from.

    >>> from river import dummy
    >>> from eddyline import memory
    >>> from eddyline.engines.flink.audit_topics import STREAMS, Message
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> run = {stream: [] for stream in STREAMS} | {"events": [Message(b'{"id":"a","at":0}')]}
    >>> examine(cases, run).faults
    ["event 'a' (0:0) came 1 times, was refused 0 times and never answered"]
    """
    done, faults = Audit(fingerprint=fingerprint(pipeline.plan().models)), Faults()
    with tempfile.TemporaryDirectory(prefix="eddyline-audit-") as folder:
        book = Book.filled(pipeline, run, Path(folder), faults)
        try:
            _count(book, done)
            check_events(book)
            done.shared = check_twice(book)
            check_examples(book)
            check_names(book)
            faults.next_part()
            _replay(book, done, on_progress)
            faults.next_part()
            joins = check_join(book)
        finally:
            book.close()
    done.waiting, done.disordered, done.overtaken = joins.waiting, joins.disordered, joins.overtaken
    done.found, done.faults = faults.found, faults.said
    return done


def _count(book: Book, done: Audit) -> None:
    done.events, done.predictions = book.count("events"), book.count("predictions")
    done.labels, done.examples, done.dead = book.count("labels"), book.count("examples"), book.count("letters")
    done.rollouts = len(book.rollouts)
    written = {msgspec.json.decode(raw, type=_Written).fingerprint for (raw,) in book.rows("SELECT raw FROM versions")}
    done.written_as = " and ".join(sorted(written))


def _replay(book: Book, done: Audit, on_progress: Callable[[int, int], None]) -> None:
    total = done.predictions
    replay = Replay(book, comparable=done.comparable, on_progress=lambda answered: on_progress(answered, total))
    learning = LearnReplay(book, replay.differs)
    learning.run()
    if book.per_key:
        replay.models.keyed = KeyedModels(book, learning.learners.makers, replay.differs)
        replay.models.keyed.check_versions()
    replay.run()
    if replay.models.keyed is not None:
        replay.models.keyed.finish()
    done.answered_again, done.repeats, done.differences = replay.answered, replay.repeats, replay.differences
    done.learned, done.versions, done.decisions = learning.position, learning.versions, learning.decisions


class _Written(msgspec.Struct, frozen=True):
    fingerprint: str
