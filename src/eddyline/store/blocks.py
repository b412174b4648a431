"""What one commit holds, as bytes and back: the inputs, and everything that followed from them.

A block is one row of the journal. Records are MessagePack, compressed with zstd; predictions in groups, so that one can be
read without reading a thousand. Knows nothing of SQLite.
"""

from __future__ import annotations

import enum
import threading
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import zstandard

from eddyline.records import Alert, DeadLetter, Decision, Declared, Prediction, Rollout
from eddyline.records.errors import StoreCorrupt
from eddyline.stages.lines import Entry

GROUP = 128
_SMALL = 256


class Kind(enum.IntEnum):
    """What an input is."""

    EVENT = 0
    LABEL = 1
    COMMAND = 2
    WATERMARK = 3
    EVENT_FAULT = 4
    LABEL_FAULT = 5


class Input(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One thing that came from outside, in the order it came: the truth that everything else follows from."""

    kind: int
    raw: bytes
    position: int = 0
    part: int = -1
    """which part of the source it came from, -1 where it has no parts"""
    trace: str = ""
    """the `traceparent` that came with it"""


class Fault(msgspec.Struct, array_like=True, frozen=True):
    """A record that its source had to refuse (too long, unreadable), in place of the record itself."""

    reason: str
    raw: bytes
    size: int
    sha256: str
    detail: str = ""


class ExampleRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An example as it is kept: which prediction, which truth, and the learner's position after it.

    `position` is -1 when it was measured and not learned (refused, held back, or a revision that is only recorded). `also`
    is where the other lines stood after it, None where none learned it.
    """

    slot: int
    truth: Any
    known: str
    at: int
    revision: int
    position: int
    also: dict[str, int] | None = None


class Notes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a block says beside its records: how far each source was read, where the learner stands, what was decided."""

    positions: dict[str, int]
    learner: int
    rollout: Rollout
    received_at: float = 0.0
    alerts: list[Alert] = []
    rollouts: list[Rollout] = []
    decisions: list[Decision] = []
    entered: list[Entry] = []
    kept: dict[str, bytes] = {}
    """the versions that this block vouches for, each with the digest of what is registered about it"""
    fingerprint: str = ""
    """how this block and those after it were computed, where that is not how those before it were"""
    published: int = -1
    """where the pipeline's own line stood when it was published last; -1: it answers live"""
    declared: Declared | None = None
    """the declaration that holds from this block on, where that is another one than before"""


class Block(msgspec.Struct, frozen=True):
    """One commit, decoded."""

    seq: int
    inputs: list[Input]
    predictions: list[Prediction]
    examples: list[ExampleRow]
    dead: list[DeadLetter]
    notes: Notes


_encode = msgspec.msgpack.Encoder().encode
_inputs = msgspec.msgpack.Decoder(list[Input]).decode
_predictions = msgspec.msgpack.Decoder(list[Prediction]).decode
_examples = msgspec.msgpack.Decoder(list[ExampleRow]).decode
_dead = msgspec.msgpack.Decoder(list[DeadLetter]).decode
_groups = msgspec.msgpack.Decoder(list[bytes]).decode
_views = msgspec.msgpack.Decoder(list[memoryview]).decode
_singles = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
decode_single = msgspec.msgpack.Decoder(Prediction).decode
"""One prediction out of those that `split_group` gives."""


class _Zstd(threading.local):
    """One of each for every thread: they let go of the interpreter's lock, and two threads in one of them crash."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def pack(raw: bytes) -> bytes:
    """Bytes behind a checksum and a byte that says whether they are compressed; small ones are not."""
    body = b"\x00" + raw if len(raw) < _SMALL else b"\x01" + _zstd.compress(raw)
    return zlib.crc32(body).to_bytes(4, "big") + body


def unpack(packed: bytes) -> bytes:
    """The bytes that `pack` was given; `StoreCorrupt` when these are not what it gave."""
    try:
        body = packed[4:]
        unchanged = zlib.crc32(body).to_bytes(4, "big") == packed[:4]
    except TypeError:  # where SQLite took another byte for the type, there are no bytes at all
        unchanged = False
    if not unchanged:
        raise StoreCorrupt("bytes in the store are not those that were written: another checksum\nrun eddyline verify")
    return body[1:] if body[:1] == b"\x00" else _zstd.decompress(body[1:])


def encode_inputs(inputs: Sequence[Input]) -> bytes:
    return pack(_encode(inputs))


def decode_inputs(packed: bytes) -> list[Input]:
    return _inputs(unpack(packed))


def encode_predictions(predictions: Sequence[Prediction]) -> bytes:
    groups = [pack(_encode(predictions[i : i + GROUP])) for i in range(0, len(predictions), GROUP)]
    return _encode(groups)


def _groups_of(packed: bytes) -> list[bytes]:
    try:
        return _groups(packed)
    except (msgspec.MsgspecError, TypeError) as error:
        raise StoreCorrupt(f"bytes in the store are not those that were written: {error}\nrun eddyline verify") from error


def decode_predictions(packed: bytes) -> list[Prediction]:
    return [prediction for group in _groups_of(packed) for prediction in _predictions(unpack(group))]


def split_group(packed: bytes, offset: int) -> list[msgspec.Raw]:
    """The group of predictions that holds the one at `offset` in its block, each still packed for `decode_single`.

    A group has 128 of them, and most readers want one: leaving the others packed costs a sixth.
    """
    return _singles(unpack(_views(packed)[offset // GROUP]))  # type: ignore[arg-type]


def groups_containing(packed: bytes, needle: bytes) -> Iterable[tuple[int, list[Prediction]]]:
    """The groups whose bytes hold `needle`, with the offset of their first prediction."""
    for number, group in enumerate(_groups_of(packed)):
        raw = unpack(group)
        if needle in raw:
            yield number * GROUP, _predictions(raw)


def encode_examples(rows: Sequence[ExampleRow]) -> bytes:
    return pack(_encode(rows))


def decode_examples(packed: bytes) -> list[ExampleRow]:
    return _examples(unpack(packed))


def encode_dead(letters: Sequence[DeadLetter]) -> bytes:
    return pack(_encode(letters))


def decode_dead(packed: bytes) -> list[DeadLetter]:
    return _dead(unpack(packed))


_notes = msgspec.msgpack.Decoder(Notes).decode


def encode_notes(notes: Notes) -> bytes:
    return pack(_encode(notes))


def decode_notes(packed: bytes) -> Notes:
    return _notes(unpack(packed))
