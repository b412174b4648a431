"""A version of models per key, made again: the examples of a job folded up to a position, by the shelves of serve.

Serve keeps what each key's model is, not what it was, and learn holds none; so who goes back to a position brings the version
along. `<pipeline>.examples` is whole, numbered without a gap, and says of each example which of its shard came before it: what
is missing, or is of another job, is refused and never guessed. Keeps `rebuild`. Asks no topic itself.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.topics import Topics
from eddyline.engines.flink.learn import ROOM
from eddyline.engines.flink.per_key import Shelves, together
from eddyline.models import PerKey
from eddyline.models.fingerprint import describe_difference, fingerprint, same_numbers
from eddyline.pipeline import Pipeline
from eddyline.records import ModelVersion
from eddyline.records.errors import EddylineError, NotFound, SourceError, StoreMismatch
from eddyline.stages.commands import LIVE

Numbered = tuple[bytes, str]
"""A message of `<pipeline>.examples`, and its header `place`: "shard.before.saw"."""
MADE_AGAIN = "made again from the examples"
_PLACE = re.compile(r"\d+\.\d+\.\d+")


def made_again(pipeline: Pipeline, position: int, examples: Iterable[Numbered], fresh: bytes) -> bytes:
    """The pipeline's own line at a position, as a message of `<pipeline>.versions` that can be read by itself.

    `examples` come in any order, and no more of them are taken than it needs; `fresh` is the message of the version at 0, by
    which the job says how its models are made. Takes as long as learning so many examples does, memory for the models of all
    keys, and disk for the examples. Raises `NotFound` where the position was not reached or not all examples are there,
    `StoreMismatch` where this file or this machine would make other models than the job's, and `EddylineError` where the
    version is larger than what a command takes along.
    """
    was, _ = wire.decode_version(fresh)
    _check_alike(pipeline, was, position)
    with closing(sqlite3.connect("")) as db:
        _lay_by(db, pipeline, position, examples)
        model = _folded(db, pipeline, position)
    version = msgspec.structs.replace(was, position=position, digest=model.digest(), parent=was.name, created_by=MADE_AGAIN)
    body = wire.encode_version(version, model.save(), ROOM)
    if (left_out := wire.peek_version(body).left_out) is not None:
        raise EddylineError(
            f"{version.name} holds the models of {len(model.learned()):,} keys: {left_out}, all that a command takes along\n"
            f"go back to {was.name}, or {LIVE} for the learner"
        )
    return body


def _check_alike(pipeline: Pipeline, was: ModelVersion, position: int) -> None:
    """Refuses to make what the job would not have made."""
    plan, wanted = pipeline.plan(), f"{was.model}@{position}"
    here = fingerprint(plan.models)
    if not same_numbers(was.fingerprint, here):
        raise StoreMismatch(
            f"{wanted} would be another model if it was made here: the job's workers and this machine differ in "
            f"{describe_difference(was.fingerprint, here)}\nask where a worker runs, with its interpreter: eddyline flink env"
        )
    assert plan.model is not None
    if plan.model.digest() != was.digest:
        raise StoreMismatch(
            f"{wanted} would be another model if it was made here: this file's fresh model is not {was.name}\n"
            "give the file that the job runs"
        )


def _lay_by(db: sqlite3.Connection, pipeline: Pipeline, position: int, examples: Iterable[Numbered]) -> None:
    """Puts the examples up to a position in their order; refuses where they are not all there, and no other."""
    topic, found, last = Topics.of(pipeline.name).examples, 0, 0
    db.execute("CREATE TABLE numbered(position INTEGER PRIMARY KEY, place TEXT, body BLOB)")
    for body, place in examples:
        try:
            at = _numbered(body).position
        except msgspec.MsgspecError as error:
            raise SourceError(f"topic {topic} holds a message that is no example ({error})\nonly the job writes it") from error
        last = max(last, at)
        if not 0 < at <= position:
            continue
        if not _PLACE.fullmatch(place):
            raise SourceError(f"topic {topic}: example {at} does not say where it belongs\nonly the job writes it")
        try:
            db.execute("INSERT INTO numbered VALUES (?, ?, ?)", (at, place, body))
        except sqlite3.IntegrityError:
            raise _of_two_jobs(pipeline, topic, at) from None
        found += 1
        if found == position:
            return
    raise _missing(db, pipeline, topic, position, last)


def _missing(db: sqlite3.Connection, pipeline: Pipeline, topic: str, position: int, last: int) -> NotFound:
    """Why a position cannot be had: it was not reached, or the broker let go of examples."""
    own = pipeline.name
    if last < position:
        return NotFound(
            f"no version {own}@{position}: the examples in {topic} end at {own}@{last}\n"
            f"name a position up to that, or {LIVE} for the learner"
        )
    positions = db.execute("SELECT position FROM numbered ORDER BY position")
    first = next((number for number, (at,) in enumerate(positions, 1) if at != number), position)
    (there,) = db.execute("SELECT COUNT(*) FROM numbered").fetchone()
    return NotFound(
        f"{own}@{position} cannot be made again: of its {position:,} examples {position - there:,} are not in {topic} "
        f"(the first is number {first:,}): the broker let go of them, or of the transaction that held them\n"
        f"go back to {own}@0, or {LIVE} for the learner; keep them from here on: retention.ms=-1 of {topic}"
    )


def _of_two_jobs(pipeline: Pipeline, topic: str, position: int) -> NotFound:
    return NotFound(
        f"{topic} holds the examples of two jobs: {position:,} does not follow what came before it\n"
        f"go back to {pipeline.name}@0, or {LIVE} for the learner"
    )


def _folded(db: sqlite3.Connection, pipeline: Pipeline, position: int) -> PerKey:
    """The models of all keys after these examples, each shard learned as serve learned it."""
    plan = pipeline.plan()
    shelves = Shelves(plan)
    for at, place, body in db.execute("SELECT position, place, body FROM numbered ORDER BY position"):
        shard = int(place.partition(".")[0])
        shelves.take(shard, body, f"|{place}")
        if shelves.by_shard[shard].reached != at:
            raise _of_two_jobs(pipeline, Topics.of(pipeline.name).examples, at)
    return together(plan, shelves.by_shard.values())


class _Position(msgspec.Struct, frozen=True):
    position: int


_numbered = msgspec.json.Decoder(_Position).decode


def number_of(body: bytes) -> int:
    """Which number a message of `<pipeline>.examples` has."""
    return _numbered(body).position
