"""The store: one SQLite file that holds the journal, the versions and the checkpoints of one pipeline.

A commit is one transaction with one block: the inputs, and what followed from them. Blocks are chained by digest, so that
nothing in the past can be changed, removed or moved without `verify` seeing it. SQLite in WAL mode with full
synchronisation is the durability; acknowledged means committed here.

Keeps I11 (acknowledged is durable), I12 (fail-stop), I14 (loud corruption), I18 (joint commit), I22 (tamper-evident).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from eddyline.records import ModelVersion, Prediction
from eddyline.records.errors import NotFound, StoreCorrupt, StoreError, StoreMismatch
from eddyline.stages.commands import version_of
from eddyline.store import blocks
from eddyline.store.blocks import Block, ExampleRow, Notes
from eddyline.store.lock import WriterLock

SCHEMA = 3
GENESIS = bytes(32)
Registered = tuple[ModelVersion, bytes, str]
"""A version to register: with the bytes of its state, and its recipe."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
  seq INTEGER PRIMARY KEY, first_slot INTEGER NOT NULL, first_example INTEGER NOT NULL, deads INTEGER NOT NULL,
  inputs BLOB NOT NULL, predictions BLOB NOT NULL, examples BLOB NOT NULL, dead BLOB NOT NULL, notes BLOB NOT NULL,
  hash BLOB NOT NULL);
CREATE INDEX blocks_by_slot ON blocks (first_slot);
CREATE INDEX blocks_by_example ON blocks (first_example);
CREATE INDEX blocks_with_dead ON blocks (seq) WHERE deads > 0;
CREATE TABLE snapshots (hash TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (
  model TEXT NOT NULL, position INTEGER NOT NULL, version BLOB NOT NULL, snapshot TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (model, position));
CREATE TABLE recipes (digest TEXT PRIMARY KEY, recipe TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, state BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE ids (mark INTEGER NOT NULL, slot INTEGER NOT NULL, PRIMARY KEY (mark, slot)) WITHOUT ROWID;
CREATE TABLE slots (chunk INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE inbox (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, taken INTEGER NOT NULL DEFAULT 0);
"""


class Store:
    """An open store. `Store.write` for the one runner, `Store.read` for anybody who looks.

    It keeps where the chain ends (`seq`, `head`), how many predictions (`slots`) and how many examples it holds.
    `before_commit` is called at the end of each transaction, inside it: for work that may be spread over commits.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriterLock | None) -> None:
        self.path = path
        self.db = connection
        self._lock = lock
        self._pid = os.getpid()
        self.broken: str | None = None
        self.pipeline: str = self.get("pipeline") or ""
        self.before_commit: Callable[[], None] = _nothing
        row = self.db.execute(
            "SELECT seq, hash, first_slot, first_example, predictions, examples FROM blocks ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        self.seq: int = row[0] if row else 0
        self.head: bytes = row[1] if row else GENESIS
        self.slots: int = row[2] if row else 0
        self.examples: int = row[3] if row else 0
        if row:
            with _as_written(path, f"block {self.seq}"):
                self.slots += len(blocks.decode_predictions(row[4]))
                self.examples += len(blocks.decode_examples(row[5]))

    # Opening and closing -------------------------------------------------------------------------------------------

    @classmethod
    def write(cls, path: Path, *, pipeline: str) -> Store:
        """Opens the store for its one writer, making it when it is new. Every name of the file leads to the same lock."""
        lock = WriterLock(path.resolve())
        try:
            db = _connect(path, f"file:{_quote(path)}?mode=rwc")
            with in_words(path):
                _prepare(db, path, pipeline)
                return cls(path, db, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def read(cls, path: Path) -> Store:
        """Opens the store for looking, also where nothing can be written. It never blocks the writer, nor waits for it."""
        if not path.exists():
            raise no_store(path)
        with in_words(path):
            return cls(path, _looking(path), None)

    def close(self) -> None:
        """Closes the file and lets the next writer in. A fork of the process that opened it lets go of its part alone."""
        if self.ours:
            self.db.close()
        if self._lock is not None:
            self._lock.release()

    @property
    def ours(self) -> bool:
        """Whether this is the process that opened it, and not a fork of that one."""
        return os.getpid() == self._pid

    def require_owner(self) -> None:
        """Refuses a process that was forked from the one that opened this: a connection is for one process."""
        if not self.ours:
            raise StoreError(
                f"store {self.path.name}: process {self._pid} opened it, and this is its fork, process {os.getpid()}\n"
                "fork first and open the engine in the one process that needs it, or ask the process that has it"
            )

    # Commits -------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. After an I/O error nothing more is acknowledged on this connection (fail-stop)."""
        if self.broken:
            raise StoreError(self.broken)
        self.require_owner()
        slots, examples, seq, head = self.slots, self.examples, self.seq, self.head
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield
            self.before_commit()
            self.db.execute("COMMIT")
        except BaseException as error:
            self.slots, self.examples, self.seq, self.head = slots, examples, seq, head
            if isinstance(error, sqlite3.Error):
                self.broken = _said(self.path, error, "; nothing was acknowledged")
                raise _kind(error)(self.broken) from error
            self.broken = f"store {self.path.name}: a commit was given up ({type(error).__name__}); open it again"
            raise

    def append(
        self,
        parts: tuple[bytes, bytes, bytes, bytes],
        deads: int,
        predictions: int,
        examples: int,
        notes: Notes,
        versions: Iterable[Registered] = (),
    ) -> None:
        """Adds one block inside the current transaction: (inputs, predictions, examples, dead) as bytes.

        Registers the `versions` that fell due in it, each before the next one is asked for, and notes the record of each in
        the block, so that the chain vouches for them too.
        """
        seq = self.seq + 1
        named = [version_of(entry.start) for entry in notes.entered]
        for registered in versions:
            _register(self.db, registered, seq)
            named.append((registered[0].model, registered[0].position))
        if named or seq == 1:
            notes = msgspec.structs.replace(notes, kept=self._records(named))
        if notes.fingerprint:
            self.put("fingerprint", notes.fingerprint)
        noted = blocks.encode_notes(notes)
        head = link(self.head, (seq, self.slots, self.examples, deads), (*parts, noted))
        self.db.execute(
            "INSERT INTO blocks VALUES (?,?,?,?,?,?,?,?,?,?)",
            (seq, self.slots, self.examples, deads, *parts, noted, head),
        )
        self.seq, self.head = seq, head
        self.slots += predictions
        self.examples += examples

    def _records(self, named: list[tuple[str, int]]) -> dict[str, bytes]:
        """The records of the versions that a block vouches for; the first block does for those that were there before it."""
        if not self.seq:
            return {f"{line}@{position}": record for line, position, record, _ in self.records()}
        found = ((line, position, self.record(line, position)) for line, position in named)
        return {f"{line}@{position}": record for line, position, record in found if record is not None}

    # Reading blocks ------------------------------------------------------------------------------------------------

    def block(self, seq: int) -> Block:
        """One block, checked and decoded."""
        for block in self.blocks(seq - 1, seq):
            return block
        raise StoreCorrupt(f"store {self.path.name}: block {seq} is missing")

    def blocks(self, after: int = 0, until: int | None = None) -> Iterator[Block]:
        """The blocks after a sequence number, in order, each checked against the one before it, and decoded."""
        until = self.seq if until is None else until
        for seq, stored, computed, parts in self._links(after, until):
            if stored != computed:
                raise StoreCorrupt(
                    f"store {self.path.name}: block {seq}, or one before it, was changed on disk\nrun eddyline verify"
                )
            yield _decoded(self.path, seq, parts)

    def _links(self, after: int, until: int) -> Iterator[tuple[int, bytes, bytes, tuple[bytes, ...]]]:
        """Blocks as (seq, hash as stored, hash as it must be, parts); what is before them is taken as it is stored."""
        with in_words(self.path):
            row = self.db.execute("SELECT hash FROM blocks WHERE seq=?", (after,)).fetchone() if after else (GENESIS,)
            head = row[0] if row else GENESIS
            for seq, stored, slot, example, deads, *parts in self.db.execute(
                "SELECT seq, hash, first_slot, first_example, deads, inputs, predictions, examples, dead, notes "
                "FROM blocks WHERE seq>? AND seq<=? ORDER BY seq",
                (after, until),
            ):
                with _as_written(self.path, f"block {seq}"):
                    head = link(head, (seq, slot, example, deads), tuple(parts))
                yield seq, stored, head, tuple(parts)

    def examples_of(self, seq: int) -> list[ExampleRow]:
        """The examples of one block."""
        row = self.db.execute("SELECT examples FROM blocks WHERE seq=?", (seq,)).fetchone()
        if row is None:
            raise StoreCorrupt(f"store {self.path.name}: block {seq} is missing")
        with _as_written(self.path, f"block {seq}"):
            return blocks.decode_examples(row[0])

    def seq_of_slot(self, slot: int) -> tuple[int, int]:
        """The block that holds a prediction, and the slot of its first prediction."""
        row = self.db.execute(
            "SELECT seq, first_slot FROM blocks WHERE first_slot<=? ORDER BY first_slot DESC, seq DESC LIMIT 1",
            (slot,),
        ).fetchone()
        if row is None or slot >= self.slots:
            raise NotFound(f"store {self.path.name}: no prediction number {slot}")
        return int(row[0]), int(row[1])

    def prediction_group(self, slot: int) -> tuple[int, list[Prediction]]:
        """The small group of predictions that holds this slot, with the slot of the first of them."""
        first, group = self.packed_group(slot)
        return first, list(map(blocks.decode_single, group))

    def packed_group(self, slot: int) -> tuple[int, list[msgspec.Raw]]:
        """The same group, each prediction still packed for `blocks.decode_single`."""
        seq, first = self.seq_of_slot(slot)
        row = self.db.execute("SELECT predictions FROM blocks WHERE seq=?", (seq,)).fetchone()
        if row is None:
            raise StoreCorrupt(f"store {self.path.name}: block {seq} is missing")
        offset = slot - first
        with _as_written(self.path, f"block {seq}"):
            group = blocks.split_group(row[0], offset)
            if offset % blocks.GROUP >= len(group):
                raise ValueError(f"it holds no answer number {slot}")
            return first + offset // blocks.GROUP * blocks.GROUP, group

    def check_file(self) -> None:
        """Lets SQLite look through its whole file: pages, order, indexes, values that must be there."""
        with in_words(self.path):
            (said,) = self.db.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise StoreCorrupt(f"store {self.path.name}: the file is damaged ({said})\nrestore it from a backup")

    def chain(self) -> Iterator[tuple[int, bytes, bytes, tuple[bytes, ...]]]:
        """Every block as (seq, hash as stored, hash as computed, its five parts as bytes), for verifying."""
        yield from self._links(0, self.seq)

    def computed_as(self) -> list[str]:
        """The numeric fingerprints under which its blocks were computed, in their order; reads the notes of all blocks."""
        rows = self.db.execute("SELECT seq, notes FROM blocks WHERE seq<=? ORDER BY seq", (self.seq,))
        found = []
        for seq, packed in rows:
            with _as_written(self.path, f"block {seq}"):
                found.append(blocks.decode_notes(packed).fingerprint)
        said = [one for one in found if one] or [self.get("fingerprint")]
        return [one for one in said if one]

    # Versions and checkpoints --------------------------------------------------------------------------------------

    def keep_version(self, version: ModelVersion, state: bytes, recipe: str) -> None:
        """Registers a version with its bytes, inside the current transaction. The same bytes are kept once.

        For what belongs to no block of its own; what falls due in a block is given to `append`.
        """
        _register(self.db, (version, state, recipe), self.seq)

    def record(self, line: str, position: int) -> bytes | None:
        """The digest of what is registered about a version; None where there is none."""
        row = self.db.execute(f"{_RECORDS} WHERE model=? AND position=?", (line, position)).fetchone()
        return None if row is None else _record(row)

    def records(self) -> list[tuple[str, int, bytes, int]]:
        """Of every version that is registered: its line, its position, the digest of its record, and its block."""
        rows = self.db.execute(f"{_RECORDS} ORDER BY model, position")
        return [(row[0], row[1], _record(row), row[4]) for row in rows]

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """The kept versions, by position: of the pipeline's own line, or of another by name."""
        rows = self.db.execute(
            "SELECT position, version FROM versions WHERE model=? ORDER BY position", (model or self.pipeline,)
        ).fetchall()
        return [self._version(*row) for row in rows]

    def lines(self) -> list[str]:
        """The names of all lines that have a version, the pipeline's own first."""
        names = [name for (name,) in self.db.execute("SELECT DISTINCT model FROM versions ORDER BY model")]
        return sorted(names, key=lambda name: (name != self.pipeline, name))

    def _version(self, position: int, packed: bytes) -> ModelVersion:
        with _as_written(self.path, f"the version at position {position}"):
            version = _version(packed)
            if version.position != position:
                raise ValueError(f"it says that it is {version.name}")
            return version

    def nearest_version(self, position: int, model: str | None = None) -> tuple[ModelVersion, bytes]:
        """The newest kept version of a line at or before a position, with the bytes of its state, checked."""
        line = model or self.pipeline
        row = self.db.execute(
            "SELECT v.position, v.version, v.snapshot, s.state FROM versions v LEFT JOIN snapshots s ON s.hash = v.snapshot "
            "WHERE v.model=? AND v.position<=? ORDER BY v.position DESC LIMIT 1",
            (line, position),
        ).fetchone()
        if row is None:
            raise NotFound(f"store {self.path.name}: no version of {line} at or before position {position}")
        version = self._version(row[0], row[1])
        state = unpacked_state(self.path, version.name, row[2], row[3])
        return version, state

    def keep_checkpoint(self, state: bytes) -> None:
        """Keeps where the stages stand at the current block; the two newest stay."""
        self.db.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?,?,?)",
            (self.seq, blocks.pack(state), _checkpoint_digest(self.seq, state)),
        )
        self.db.execute(
            "DELETE FROM checkpoints WHERE seq < (SELECT min(seq) FROM (SELECT seq FROM checkpoints ORDER BY seq DESC LIMIT 2))"
        )

    def checkpoint(self) -> tuple[int, bytes] | None:
        """The newest checkpoint: the block it stands at, and the bytes, checked."""
        row = self.db.execute("SELECT seq, state, hash FROM checkpoints ORDER BY seq DESC LIMIT 1").fetchone()
        if row is None:
            return None
        with _as_written(self.path, f"the checkpoint at block {row[0]}"):
            state = blocks.unpack(row[1])
            unchanged = _checkpoint_digest(row[0], state) == row[2]
        if not unchanged:
            raise StoreCorrupt(f"store {self.path.name}: the checkpoint at block {row[0]} was changed on disk")
        return int(row[0]), state

    def keep_bytes(self, state: bytes) -> str:
        """Keeps bytes under the name of what they hold, inside the current transaction; gives the name."""
        name = content_name(state)
        self.db.execute("INSERT OR IGNORE INTO snapshots VALUES (?,?)", (name, blocks.pack(state)))
        return name

    def kept_bytes(self, name: str, what: str) -> bytes:
        """The bytes of that name, checked; `what` they are, for the words where they are not there."""
        row = self.db.execute("SELECT state FROM snapshots WHERE hash=?", (name,)).fetchone()
        return unpacked_state(self.path, what, name, None if row is None else row[0])

    # Small values and the inbox ------------------------------------------------------------------------------------

    def get(self, key: str) -> Any:
        """A small value by name, or None."""
        with _as_written(self.path, key):
            row = self.db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
            return None if row is None else msgspec.msgpack.decode(row[0])

    def put(self, key: str, value: Any) -> None:
        """Keeps a small value, inside the current transaction."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (key, msgspec.msgpack.encode(value)))

    def inbox(self) -> list[tuple[int, bytes]]:
        """The operators' requests that no block has taken yet."""
        return list(self.db.execute("SELECT number, body FROM inbox WHERE taken=0 ORDER BY number"))

    def taken(self, numbers: Sequence[int]) -> None:
        """Marks requests as taken, in the transaction that journals them."""
        self.db.executemany("UPDATE inbox SET taken=1 WHERE number=?", [(number,) for number in numbers])


def no_store(path: Path) -> NotFound:
    """The words for a store that is not there, or never will be: a job on Flink keeps none."""
    return NotFound(
        f"no store at {path}\n"
        "make one by running the pipeline: eddyline replay FILE.py\n"
        "a job on Flink keeps none; what it did is in topics, and --brokers HOST:PORT asks them:\n"
        "  eddyline explain FILE.py ID, challengers, dead-letters, history, report, verify"
    )


def post(path: Path, body: bytes, version: Registered | None = None) -> int:
    """Leaves a request for whoever runs on this store, now or next; it takes effect when it is journaled.

    Gives its number. `version` is registered with it: the version, the bytes of its state, its recipe.
    """
    if not path.exists():
        raise no_store(path)
    with in_words(path):
        db = _connect(path, f"file:{_quote(path)}?mode=rw")
        try:
            _check_schema(db, path)
            db.execute("BEGIN IMMEDIATE")
            if version is not None:
                _register(db, version)
            number = db.execute("INSERT INTO inbox (body) VALUES (?)", (body,)).lastrowid
            db.execute("COMMIT")
            assert number is not None
            return number
        finally:
            db.close()


def _register(db: sqlite3.Connection, registered: Registered, seq: int = 0) -> None:
    version, state, recipe = registered
    snapshot = content_name(state)
    db.execute("INSERT OR IGNORE INTO snapshots VALUES (?,?)", (snapshot, blocks.pack(state)))
    db.execute("INSERT OR IGNORE INTO recipes VALUES (?,?)", (version.recipe, recipe))
    row = (version.model, version.position, msgspec.msgpack.encode(version), snapshot, seq)
    db.execute("INSERT OR IGNORE INTO versions VALUES (?,?,?,?,?)", row)


def link(head: bytes, numbers: tuple[int, ...], parts: tuple[bytes, ...]) -> bytes:
    """The digest of a block: of the one before it, its numbers, and its parts with their lengths."""
    digest = hashlib.blake2b(head, digest_size=32)
    for number in numbers:
        digest.update(number.to_bytes(8, "big", signed=True))
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def content_digest(text: str) -> str:
    """Recipes are named by what they say."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_name(state: bytes) -> str:
    """Snapshots are named by what they hold."""
    return hashlib.blake2b(state, digest_size=16).hexdigest()


def unpacked_state(path: Path, name: str, snapshot: str, packed: bytes | None) -> bytes:
    """The bytes of a snapshot, or words about what happened to them."""
    if packed is None:
        raise StoreCorrupt(f"store {path.name}: the snapshot of {name} is missing")
    with _as_written(path, f"the snapshot of {name}"):
        state = blocks.unpack(packed)
    if content_name(state) != snapshot:
        raise StoreCorrupt(f"store {path.name}: the snapshot of {name} was changed on disk")
    return state


_RECORDS = "SELECT model, position, version, snapshot, seq FROM versions"


def _record(row: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(row), digest_size=16).digest()


_version: Callable[[bytes], ModelVersion] = msgspec.msgpack.Decoder(ModelVersion).decode


def _decoded(path: Path, seq: int, row: Any) -> Block:
    with _as_written(path, f"block {seq}"):
        inputs, predictions, examples, dead, notes = row
        return Block(
            seq=seq,
            inputs=blocks.decode_inputs(inputs),
            predictions=blocks.decode_predictions(predictions),
            examples=blocks.decode_examples(examples),
            dead=blocks.decode_dead(dead),
            notes=blocks.decode_notes(notes),
        )


@contextmanager
def _as_written(path: Path, what: str) -> Iterator[None]:
    """Bytes that were written whole can be read again; when they cannot, something changed them."""
    try:
        yield
    except Exception as error:
        raise StoreCorrupt(f"store {path.name}: {what} cannot be read ({error})\nrun eddyline verify") from error


def _checkpoint_digest(seq: int, state: bytes) -> bytes:
    return hashlib.sha256(seq.to_bytes(8, "big", signed=True) + state).digest()


def _connect(path: Path, uri: str) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30, check_same_thread=False, cached_statements=64)
    except sqlite3.Error as error:
        raise _kind(error)(_said(path, error)) from error
    return db


def _looking(path: Path) -> sqlite3.Connection:
    """A connection for looking; where nothing can be written and no log waits to be read, to the file as it stands."""
    ways = ["mode=rw"]
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK):  # SQLite makes a file beside its log even for reading
        log = folder / f"{path.resolve().name}-wal"
        if log.exists() and log.stat().st_size:
            ways.append("mode=ro")
        else:
            ways = ["mode=ro&immutable=1"]
    for way in ways:
        db = _connect(path, f"file:{_quote(path)}?{way}")
        try:
            db.execute("PRAGMA query_only=ON")
            _check_schema(db, path)
        except sqlite3.OperationalError as error:
            db.close()
            if way == ways[-1]:
                hint = "\nit was not closed and cannot be written here: copy it, with its -wal, to where it can"
                raise StoreError(_said(path, error) + (hint if len(ways) > 1 else "")) from error
        except BaseException:
            db.close()
            raise
        else:
            return db
    raise AssertionError("one way or none")


def _prepare(db: sqlite3.Connection, path: Path, pipeline: str) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA cache_size=-65536")
    db.execute("PRAGMA wal_autocheckpoint=2000")
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        db.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                db.execute(statement)
        for key, value in (("schema", SCHEMA), ("pipeline", pipeline), ("created", time.time())):
            db.execute("INSERT INTO meta VALUES (?,?)", (key, msgspec.msgpack.encode(value)))
        db.execute("COMMIT")
    _check_schema(db, path)
    with _as_written(path, "the name of its pipeline"):
        owner = msgspec.msgpack.decode(db.execute("SELECT value FROM meta WHERE key='pipeline'").fetchone()[0])
    if owner != pipeline:
        raise StoreMismatch(
            f"store {path.name} belongs to the pipeline {owner!r}, not {pipeline!r}\nname another: --store {pipeline}.eddyline"
        )


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    try:
        row = db.execute("SELECT value FROM meta WHERE key='schema'").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":
            raise  # what hinders us from looking is no word about what is there
        row = None
    if row is None:
        raise StoreMismatch(
            f"{path} is not an Eddyline store\n"
            f"if it is a copy of a store on which somebody ran, the newest is in the file {path.name}-wal beside it\n"
            f'copy a store with: sqlite3 STORE.eddyline ".backup COPY.eddyline"'
        )
    with _as_written(path, "its schema version"):
        schema = msgspec.msgpack.decode(row[0])
    if schema != SCHEMA:
        raise StoreMismatch(
            f"store {path.name} has schema version {schema}; this Eddyline reads version {SCHEMA}\n"
            f"use the Eddyline that wrote it, or start a new store: --store NEW.eddyline"
        )


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors in our words; text and numbers that cannot be read are damage too."""
    try:
        yield
    except sqlite3.Error as error:
        raise _kind(error)(_said(path, error)) from error
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise StoreCorrupt(f"store {path.name}: the file is damaged ({error})\nrestore it from a backup") from error


def _kind(error: sqlite3.Error) -> type[StoreError]:
    code = getattr(error, "sqlite_errorname", "")
    return StoreCorrupt if code.startswith("SQLITE_CORRUPT") or code == "SQLITE_NOTADB" else StoreError


def _said(path: Path, error: sqlite3.Error, then: str = "") -> str:
    code = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if code in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):  # the second: no room for the index of its log
        return f"store {path.name}: the disk is full{then}\nmake room and go on: nothing is lost"
    if code.startswith("SQLITE_CORRUPT") or code == "SQLITE_NOTADB":
        return (
            f"store {path.name}: the file is damaged ({error})\nrestore it from a backup; eddyline verify says what can be read"
        )
    return f"store {path.name}: {error} ({code}){then}"


def _nothing() -> None:
    """Nobody has work to spread."""


def _quote(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
