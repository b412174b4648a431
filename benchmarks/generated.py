"""A stream of payments of any length that is on no disk: each record is a function of its number.

Ids look random, as UUIDs do: that is the worst that an index of ids can meet. A block of events gets its labels in
an order that was shuffled, so labels come in event time, at random distances from their events. Making the records
costs time which is not Eddyline's: `spent` tells how much, and the benchmarks take it off.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from eddyline import EpochMillis, Event, Id, Key, Label, Truth
from eddyline.ports import Line, Source

POOL = 65_536
KEYS = 10_000
_MIX, _MASK = 0x9E3779B97F4A7C15, 2**64 - 1


class Payment(Event):
    id: Id
    card: Key
    at: EpochMillis
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    g: float
    h: float


class Chargeback(Label):
    id: Id
    at: EpochMillis
    fraud: Truth[bool]


def features(payment: Payment, spent_1h: float) -> dict[str, float]:
    """Eight numbers, one of them against the last hour."""
    return {
        "a": payment.a,
        "b": payment.b,
        "c": payment.c,
        "d": payment.d,
        "e": payment.e,
        "f": payment.f,
        "g": payment.g,
        "share": payment.a / (1.0 + abs(spent_1h)),
    }


@dataclass(frozen=True, slots=True)
class Shape:
    """The stream: how many events, how many of them in an hour, which share of them gets a label and how much later.

    A label comes `delay_ms` after the block of `shuffle` events that its own is in has ended, or as long after that as the
    block took.
    """

    events: int
    per_hour: int = 7_200
    delay_ms: int = 3_600_000
    labelled: float = 0.9
    shuffle: int = 1_024

    @property
    def step_ms(self) -> float:
        """Event time between two events."""
        return 3_600_000 / self.per_hour


@dataclass(slots=True)
class Clock:
    """Seconds spent on making records, by wall and by processor."""

    wall: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Generated:
    """Events or labels of a shape, as a pipeline declares them."""

    type: type
    shape: Shape
    spent: Clock = field(default_factory=Clock)

    def describe(self) -> str:
        """The source in words."""
        return f"{self.shape.events:,} generated"

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The records; nothing is read, so `base` and `follow` mean nothing."""
        make = _Events if self.type is Payment else _Labels
        return make(self.type.__name__, self.shape, self.spent)


class _Reader(ABC):
    """Records by number; a position is how many numbers were passed."""

    def __init__(self, name: str, shape: Shape, spent: Clock) -> None:
        self.name = name
        self.shape = shape
        self.spent = spent

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` records after `position`."""
        wall, cpu = time.perf_counter(), time.process_time()
        end = min(position + limit, self.shape.events)
        lines = self.lines(position, end) if position < end else []
        self.spent.wall += time.perf_counter() - wall
        self.spent.cpu += time.process_time() - cpu
        return lines

    @abstractmethod
    def lines(self, start: int, end: int) -> list[Line]:
        """The records of these numbers."""

    def size(self) -> int | None:
        """How many numbers there are."""
        return self.shape.events


class _Events(_Reader):
    def lines(self, start: int, end: int) -> list[Line]:
        pool, step, keys = _pool(), self.shape.step_ms, _keys()
        return [
            Line(
                b'{"id":"%016x","card":"k%d","at":%d,%b}'
                % (i * _MIX & _MASK, keys[i % POOL], int(i * step), pool[i * 31 % POOL]),
                i + 1,
            )
            for i in range(start, end)
        ]


class _Labels(_Reader):
    def lines(self, start: int, end: int) -> list[Line]:
        found: list[Line] = []
        while not found and start < self.shape.events:  # an empty list would say that there are no more
            found = [line for i in range(start, end) if (line := self._line(i)) is not None]
            start, end = end, min(end + end - start, self.shape.events)
        return found

    def _line(self, number: int) -> Line | None:
        shape, block = self.shape, self.shape.shuffle
        event = number // block * block + _order(block)[number % block]
        if event >= shape.events or _chances()[event % POOL] >= shape.labelled:
            return None
        at = int((number + block) * shape.step_ms) + shape.delay_ms
        truth = b"true" if event * 31 % POOL % 7 == 0 else b"false"
        return Line(b'{"id":"%016x","at":%d,"fraud":%b}' % (event * _MIX & _MASK, at, truth), number + 1)


def event_id(number: int) -> str:
    """The id of an event by its number."""
    return f"{number * _MIX & _MASK:016x}"


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


@cache
def _pool() -> list[bytes]:
    rows = _rng().normal(50.0, 20.0, size=(POOL, 8)).tolist()
    return [b",".join(b'"%c":%a' % (ord(n), v) for n, v in zip("abcdefgh", row, strict=True)) for row in rows]


@cache
def _keys() -> list[int]:
    keys: list[int] = _rng().integers(0, KEYS, POOL).tolist()
    return keys


@cache
def _chances() -> list[float]:
    chances: list[float] = _rng().random(POOL).tolist()
    return chances


@cache
def _order(block: int) -> list[int]:
    order: list[int] = _rng().permutation(block).tolist()
    return order
