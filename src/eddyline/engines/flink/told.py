"""What a job has told its topics, for who looks at it while it goes on: every committed message, sorted in a book.

An audit wants a job at rest and topics that begin at their first message; a look takes what there is, and says where the
broker has let go of a beginning. Refuses a file that the job does not run. Reads committed messages only; judges nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection, library
from eddyline.connectors.kafka.topics import WHOLE
from eddyline.engines.flink.audit_book import Book, Faults
from eddyline.engines.flink.audit_followed import turns_in
from eddyline.engines.flink.audit_topics import Message, place_of
from eddyline.engines.flink.copying import require_declared
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.looking import FIRST, spans, stored
from eddyline.pipeline import Pipeline
from eddyline.records.errors import SourceError

OURS = ("predictions", "examples", "versions", "rollouts", "decisions", "taken", "dead_letters", "measurements")
"""The streams that are read; events and labels stay where they are."""


@dataclass
class Told:
    """The messages of a job by stream, read when they are asked for.

    `place` is where its topics are, in words, `late` the streams whose first messages the broker has let go of.
    """

    streams: Mapping[str, Iterable[Message]]
    place: str = "memory"
    late: frozenset[str] = frozenset()
    written_at: float = 0.0
    """when the broker took the newest message that was read, in s since 1970"""
    begins: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """of each partition whose first messages are gone, by stream and number: the first one there, empty where none was read"""


def told_by(pipeline: Pipeline, connection: Connection) -> Told:
    """The topics of a job. Raises `SourceError` where one is missing, or a beginning that nothing can be told without."""
    library()
    topics = JobTopics.of(pipeline)
    names = {word: topics.taken if word == "taken" else str(getattr(topics.out, word)) for word in OURS}
    parts, begins = {word: dict[tuple[str, int], int]() for word in OURS}, dict[tuple[str, int], bytes]()
    words = {name: word for word, name in names.items()}
    for (name, number), (low, _) in spans(connection, list(names.values())).items():
        parts[words[name]][name, number] = FIRST
        if low and words[name] not in ("versions", "rollouts"):
            begins[words[name], number] = b""
    late = frozenset(word for word, _ in begins)
    for word in WHOLE:
        if word in late:
            raise SourceError(
                f"topic {names[word]} does not begin at its first message: the broker let go of those before\n"
                f"what a job learned and decided is told from all of them; keep them longer: retention.ms of {names[word]}"
            )
    told = Told({}, connection.describe(), late, begins=begins)
    told.streams = {word: _Stream(connection, word, parts[word], told) for word in OURS}
    return told


@dataclass
class _Stream:
    """One topic; each pass over it reads it again."""

    connection: Connection
    word: str
    positions: Mapping[tuple[str, int], int]
    told: Told

    def __iter__(self) -> Iterator[Message]:
        for message in stored(self.connection, self.positions):
            kind, at = message.timestamp()
            if kind:
                self.told.written_at = max(self.told.written_at, at / 1000)
            value, part = message.value() or b"", (self.word, message.partition() or 0)
            if self.told.begins.get(part) == b"":
                self.told.begins[part] = value
            yield Message(value, part[1], message.offset() or 0, place_of(message))


@contextmanager
def book_of(pipeline: Pipeline, told: Told) -> Iterator[Book]:
    """What was told, in tables, in a temporary file. Raises `StoreMismatch` where the job runs another declaration."""
    with tempfile.TemporaryDirectory(prefix="eddyline-told-") as folder:
        book = Book.filled(pipeline, {**told.streams, "events": [], "labels": []}, Path(folder), Faults())
        try:
            newest = book.one("SELECT raw FROM versions WHERE model=? ORDER BY position DESC LIMIT 1", pipeline.name)
            turns = turns_in(book)
            runs = None if newest is None else wire.registered(newest).recipe
            require_declared(pipeline, pipeline.plan(), runs, turns[-1].digest if turns else None)
            yield book
        finally:
            book.close()
