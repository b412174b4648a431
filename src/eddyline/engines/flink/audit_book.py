"""What a run recorded, in order: the messages of the nine topics in a temporary database, which joins and sorts them.

Nothing is judged here but whether a message can be read. What an event says is known by a digest (`content`), so that the same
event sent twice is one content. A year of events fits: memory holds only what is being looked at.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.deltas import Reader as Versions
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit_topics import Message, Recorded
from eddyline.engines.flink.job import partition
from eddyline.engines.flink.per_key import learned_where_served
from eddyline.engines.flink.reading import Door, Reader, Stream, is_coded, source_of
from eddyline.engines.flink.stopwatch import split_place
from eddyline.pipeline import Pipeline
from eddyline.records import DeadLetter, ModelVersion, Rollout
from eddyline.records.errors import Rejected
from eddyline.records.time import BEGINNING, to_us
from eddyline.stages.aggregates import KEY_GROUPS
from eddyline.stages.join import truth_bytes
from eddyline.stages.refuse import digest_of

SHOWN = 50
ROWS = 2_000
CODED: tuple[Stream, ...] = ("events", "labels")
"""The streams whose messages need not be JSON."""
_TABLES = """
CREATE TABLE events(n INTEGER PRIMARY KEY, id TEXT, shard INTEGER, content BLOB, sha TEXT, origin TEXT, raw BLOB);
CREATE TABLE labels(n INTEGER PRIMARY KEY, id TEXT, at INTEGER, sees INTEGER, punctual INTEGER, sha TEXT, origin TEXT,
  raw BLOB);
CREATE TABLE predictions(n INTEGER PRIMARY KEY, id TEXT, shard INTEGER, place INTEGER, at INTEGER, model TEXT,
  position INTEGER, revision INTEGER, sha TEXT, raw BLOB);
CREATE TABLE examples(n INTEGER PRIMARY KEY, id TEXT, position INTEGER, revision INTEGER, known TEXT, at INTEGER, truth BLOB,
  sha TEXT, raw BLOB);
CREATE TABLE versions(n INTEGER PRIMARY KEY, model TEXT, position INTEGER, raw BLOB);
CREATE TABLE decisions(n INTEGER PRIMARY KEY, number INTEGER, raw BLOB);
CREATE TABLE inputs(n INTEGER PRIMARY KEY, first INTEGER, raw BLOB);
CREATE TABLE letters(n INTEGER PRIMARY KEY, stream TEXT, reason TEXT, id TEXT, shard INTEGER, place INTEGER,
  revision INTEGER, sha TEXT, content BLOB, raw BLOB);
"""
_ORDERS = """
CREATE INDEX event_content ON events(content);
CREATE INDEX event_sha ON events(sha);
CREATE INDEX label_id ON labels(id);
CREATE INDEX label_sha ON labels(sha);
CREATE INDEX prediction_id ON predictions(id, shard);
CREATE INDEX prediction_place ON predictions(shard, place);
CREATE INDEX example_position ON examples(position);
CREATE INDEX example_id ON examples(id, revision);
CREATE INDEX version_name ON versions(model, position);
CREATE INDEX decision_number ON decisions(number);
CREATE INDEX input_first ON inputs(first);
CREATE INDEX letter_place ON letters(shard, place);
CREATE INDEX letter_sha ON letters(stream, sha);
UPDATE letters SET content = (SELECT content FROM events WHERE events.sha = letters.sha) WHERE stream = 'events';
CREATE INDEX letter_content ON letters(content);
CREATE TABLE contents AS SELECT id, shard, content, COUNT(*) AS came, MIN(n) AS event,
  (SELECT COUNT(*) FROM letters WHERE letters.content = events.content) AS refused FROM events GROUP BY content;
CREATE INDEX content_of ON contents(id, shard);
CREATE UNIQUE INDEX content_content ON contents(content);
ANALYZE;
"""


class Faults:
    """What does not hold, in words: the first fifty of each part of the audit, and how many there are."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.found = 0
        self.room = SHOWN

    def next_part(self) -> None:
        """Another part of the audit begins, with room for its own."""
        self.room = SHOWN

    def add(self, fault: str) -> None:
        """One more."""
        self.found += 1
        if self.room:
            self.said.append(fault)
            self.room -= 1


class Book:
    """The recorded messages as tables. Make it with `filled`; `db` is asked by those who check."""

    def __init__(self, pipeline: Pipeline, folder: Path, faults: Faults) -> None:
        self.pipeline, self.faults = pipeline, faults
        self.db = sqlite3.connect(folder / "audit.sqlite", isolation_level=None)
        self.db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536; {_TABLES}")
        self.doors = {stream: Door(pipeline, stream) for stream in CODED}
        self.identity = pipeline.event_schema.identity
        self.readers = {s: Reader(source_of(pipeline, s)) for s in CODED if is_coded(source_of(pipeline, s))}
        self.versions = Versions()
        self.start = pipeline.plan().decide.new_state().rollout
        self.rollouts: dict[int, Rollout] = {}
        self.per_key = learned_where_served(pipeline)
        serve_by, owner = partition(pipeline)
        self.everybody, self.by_id = serve_by == "NOBODY", serve_by == "ID"
        named = (field.name for field in pipeline.event_schema.declared if field.wire == owner)
        self.owner = next(named, "")
        self.lateness = to_us(pipeline.join.lateness)
        self.newest: dict[int, int] = {}

    @classmethod
    def filled(cls, pipeline: Pipeline, recorded: Recorded, folder: Path, faults: Faults) -> Book:
        """A book with everything that a run recorded, sorted."""
        book = cls(pipeline, folder, faults)
        writers: dict[str, tuple[int, Callable[[Message], tuple[Any, ...] | None]]] = {
            "taken": (2, book._taken),  # first: while a job runs, what it names is in the others by then
            "events": (6, book._event),
            "labels": (7, book._label),
            "predictions": (9, book._prediction),
            "examples": (8, book._example),
            "versions": (3, book._version),
            "rollouts": (0, book._rollout),
            "decisions": (2, book._decision),
            "dead_letters": (9, book._letter),
        }
        for stream, (fields, row) in writers.items():
            table = {"dead_letters": "letters", "taken": "inputs"}.get(stream, stream)
            book._fill(f"INSERT INTO {table} VALUES (NULL{', ?' * fields})", stream, recorded, row)
        book.db.executescript(_ORDERS)
        return book

    def rows(self, query: str, *given: Any) -> Iterator[tuple[Any, ...]]:
        """What the database answers, a few thousand rows at a time."""
        cursor = self.db.execute(query, given)
        cursor.arraysize = ROWS
        while many := cursor.fetchmany():
            yield from many

    def one(self, query: str, *given: Any) -> Any:
        """The first column of the first row; None where there is none."""
        found = self.db.execute(query, given).fetchone()
        return None if found is None else found[0]

    def row(self, query: str, *given: Any) -> Any:
        """The first row; None where there is none."""
        return self.db.execute(query, given).fetchone()

    def count(self, table: str) -> int:
        """How many messages a stream has."""
        return int(self.one(f"SELECT COUNT(*) FROM {table}"))

    def rollout(self, revision: int) -> Rollout | None:
        """A rollout by its revision; the pipeline's start is 0."""
        return self.rollouts.get(revision) if revision else self.start

    def version(self, raw: bytes) -> tuple[ModelVersion, bytes]:
        """The version of a message and its state, also where it is told as what changed since another.

        Raises `SourceError` where it cannot be read.
        """
        return self.versions.version(raw, self._told)

    def _told(self, line: str, position: int) -> Iterator[bytes]:
        return (raw for (raw,) in self.rows("SELECT raw FROM versions WHERE model = ? AND position = ?", line, position))

    def close(self) -> None:
        """Lets go of the database."""
        self.db.close()

    def _fill(self, insert: str, stream: str, recorded: Recorded, row: Callable[[Message], tuple[Any, ...] | None]) -> None:
        rows: list[tuple[Any, ...]] = []
        self.db.execute("BEGIN")
        for message in recorded[stream]:
            try:
                made = row(message)
            except (msgspec.MsgspecError, ValueError) as error:
                self.faults.add(f"{stream}, {_origin(message)}: the message cannot be read ({error})")
                continue
            if made is not None:
                rows.append(made)
            if len(rows) >= ROWS:
                self.db.executemany(insert, rows)
                rows.clear()
        if rows:
            self.db.executemany(insert, rows)
        self.db.execute("COMMIT")

    # One message as a row --------------------------------------------------------------------------------------------

    def _event(self, message: Message) -> tuple[Any, ...]:
        raw, door = self._read("events", message), self.doors["events"]
        try:
            arrival = door.decode(raw)
        except Rejected as rejected:
            sha = door.letter(rejected, raw).sha256
            return None, None, sha.encode(), sha, _origin(message), raw
        shard = self._shard(arrival.id, arrival.value)
        content = hashlib.blake2b(self.identity(arrival), digest_size=16).digest()
        return arrival.id, shard, content, digest_of(arrival.value), _origin(message), raw

    def _read(self, stream: Stream, message: Message) -> bytes:
        """What the stages were handed of a message."""
        return self.readers[stream].read(message.value) if stream in self.readers else message.value

    def _shard(self, event_id: str, event: Any) -> int:
        """In which shard an event belongs."""
        if self.everybody:
            return 0
        owner = event_id if self.by_id else getattr(event, self.owner)
        return crc32(_json_text(owner).encode()) % KEY_GROUPS

    def _label(self, message: Message) -> tuple[Any, ...]:
        raw, origin, door = self._read("labels", message), _origin(message), self.doors["labels"]
        newest = self.newest.get(message.partition, BEGINNING)
        try:
            label = door.decode(raw)
        except Rejected as rejected:
            return None, None, newest, 1, door.letter(rejected, raw).sha256, origin, raw
        self.newest[message.partition] = sees = max(newest, label.at)
        return label.id, label.at, sees, int(label.at >= newest - self.lateness), digest_of(label.value), origin, raw

    def _prediction(self, message: Message) -> tuple[Any, ...]:
        p = wire.decode_prediction(message.value)
        shard, place, _ = _place(message)
        sha = hashlib.sha256(message.value).hexdigest()
        return p.event_id, shard, place, p.at, p.model, p.position, p.revision, sha, message.value

    def _example(self, message: Message) -> tuple[Any, ...]:
        example, position = wire.decode_example(message.value)
        p = example.prediction
        shown = {"features": p.features, "truth": example.truth, "known": example.known, "at": example.at}
        truth = truth_bytes(example.truth)
        sha = digest_of(shown) if position < 0 or self.per_key else ""
        return p.event_id, position, example.revision, example.known, example.at, truth, sha, message.value

    def _version(self, message: Message) -> tuple[Any, ...]:
        told = wire.peek_version(message.value)
        return told.model, told.position, message.value

    def _decision(self, message: Message) -> tuple[Any, ...]:
        return wire.decode_decision(message.value).number, message.value

    def _taken(self, message: Message) -> tuple[Any, ...]:
        return taken.decode(message.value).first, message.value

    def _rollout(self, message: Message) -> None:
        rollout = wire.decode_rollout(message.value)
        if rollout.revision in self.rollouts and self.rollouts[rollout.revision] != rollout:
            self.faults.add(f"rollout {rollout.revision} was recorded twice, and not the same")
        self.rollouts[rollout.revision] = rollout

    def _letter(self, message: Message) -> tuple[Any, ...]:
        letter: DeadLetter = wire.decode_dead(message.value)
        shard, place, revision = _place(message) if message.place else (None, None, None)
        about = letter.stream, letter.reason, letter.event_id
        return *about, shard, place, revision, letter.sha256, None, message.value


def _origin(message: Message) -> str:
    return f"{message.partition}:{message.offset}"


def _json_text(owner: Any) -> str:
    """A text, a number, a bool or None as `Reading.java` takes it out of JSON."""
    if owner is None:
        return "null"
    return str(owner).lower() if type(owner) is bool else str(owner)


def _place(message: Message) -> tuple[int, int, int]:
    """Shard, number, and the rollout that was in force: predictions tell it themselves, so there it is 0 here."""
    shard, dot, rest = split_place(message.place)[0].partition(".")
    place, _, revision = rest.partition(".")
    if not dot or not shard.isdecimal() or not place.isdecimal() or not (revision or "0").isdecimal():
        raise ValueError(f"its place is {message.place!r}, expected shard.number")
    return int(shard), int(place), int(revision or 0)
