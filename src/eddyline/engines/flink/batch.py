"""What crosses between the operator in Java and a stage in Python: one message a batch, each way.

In goes a list of records, each with what is remembered about its id; out come records, what to remember, and wake-ups. The
kinds and the order of the fields are those of `Rec.java` and `StageOperator.java`.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import msgspec

NEVER = -(2**63)
"""The time of a record that says none."""


class Kind(enum.IntEnum):
    """What a record is."""

    EVENT = 0
    LABEL = 1
    PREDICTION = 2
    EXAMPLE = 3
    VERSION = 4
    ROLLOUT = 5
    MEASUREMENT = 6
    DEAD = 7
    EXPIRED = 8
    COMMAND = 9
    TIMER = 10
    DECISION = 11
    TAKEN = 12
    ALERT = 13


EVENT, LABEL, PREDICTION, EXAMPLE, VERSION, ROLLOUT, MEASUREMENT, DEAD = map(int, list(Kind)[:8])
EXPIRED, COMMAND, TIMER, DECISION, TAKEN, ALERT = map(int, list(Kind)[8:])

Taken = tuple[int, int, str, str, int, bytes, str, bytes | None]
"""Kind, shard, key, id, time in microseconds, bytes, trace, and what is remembered about the id: at its first in a batch."""
Given = tuple[int, str, str, int, bytes, str]
"""Kind, key, id, time in microseconds, bytes, trace."""
Remembered = tuple[int, str, bytes | None]
"""Shard, id, and what to remember about it; None forgets it."""
Wake = tuple[int, str, int]
"""Shard, id, and the event time in milliseconds at which the stage wants to hear of it."""

read_batch = msgspec.msgpack.Decoder(list[Taken]).decode
pack = msgspec.msgpack.Encoder().encode
_saved = msgspec.msgpack.Decoder(tuple[list[tuple[int, bytes]], list[bytes]]).decode


class Out:
    """What a step gives, as it is collected."""

    __slots__ = ("given", "remembered", "wakes")

    def __init__(self) -> None:
        self.given: list[Given] = []
        self.remembered: list[Remembered] = []
        self.wakes: list[Wake] = []

    def packed(self) -> bytes:
        """The message that the operator reads."""
        return pack((self.given, self.remembered, self.wakes))


class Saved(NamedTuple):
    """What a stage had kept: its shards, and what was told to all, as messages."""

    shards: dict[int, bytes]
    told: list[bytes]

    @classmethod
    def of(cls, raw: bytes) -> Saved:
        """What the operator hands over when it opens; nothing at a first start."""
        shards, told = _saved(raw)
        return cls(dict(shards), told)


def saved(shards: dict[int, Any], told: list[bytes]) -> bytes:
    """What a stage keeps, for the checkpoint: only the shards that changed."""
    return pack((list(shards.items()), told))


def milliseconds(us: int) -> int:
    """The first millisecond that is not before this microsecond.

    >>> milliseconds(1_500), milliseconds(2_000)
    (2, 2)
    """
    return -(-us // 1000)
