"""What a monitor that comes with Eddyline is: declared by the user as a small frozen value, at work with a memory.

Sequential monitors are `fed` every record; the others `look` at ticks: fixed places in the order of the
records, so that nothing depends on batches. Keeps `split`, I21 and I23. Refuses to know any one monitor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
import numpy as np

from eddyline.monitors.budget import WEEKLY, Budget, Pace
from eddyline.monitors.judging import Judged
from eddyline.monitors.pausing import Paused
from eddyline.records import Alert, Measurement, Prediction, Task, Value
from eddyline.records.errors import DeclarationError

SCORE = "(score)"
"""Instead of the name of a feature: the answer itself, as a number. The probability of True for bool classes, of
the likeliest class for others; the answer where it is a number."""
CONFIDENCE = "(confidence)"
"""The probability that the model gave to the class it answered."""
ANSWER = "(answer)"
"""The answer as it was given."""
TIE = "(tie)"
"""A whole number below 2**32 drawn by the event id: what breaks ties, the same in every replay."""
OWN = frozenset((SCORE, CONFIDENCE, ANSWER, TIE))
"""The columns that are not features."""
FEW = 10
"""Fewer labelled examples than this, on either side, show no effect."""

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Seen:
    """A part of a batch, between two ticks, as monitors are fed it: all of it, its answers, its errors."""

    batch: Sequence[Any]
    predictions: Sequence[Prediction]
    judged: Judged

    def place(self, kind: type, number: int) -> int:
        """Where in the part the record is that is number so many of its kind."""
        return [i for i, record in enumerate(self.batch) if type(record) is kind][number]


class Since(msgspec.Struct):
    """The columns that monitors need of the records since the last tick."""

    records: int = 0
    at: int = 0
    position: int = 0
    ats: list[int] = []
    segments: list[str | None] = []
    columns: dict[str, list[Value]] = {}
    losses: list[float] = []
    labelled_segments: list[str | None] = []
    labelled: dict[str, list[Value]] = {}


@dataclass(frozen=True, slots=True)
class Slice:
    """One stream at a tick: what a feature was in the answers of a segment, and beside it in labelled examples."""

    name: str
    segment: str | None
    values: Sequence[Value]
    ties: Sequence[int]
    labelled: Sequence[Value]
    losses: Sequence[float]


def fill(reference: list[Value], values: Sequence[Value], size: int) -> int:
    """Adds values to a reference until it is full; gives how many were read for that, those that are None among them.

    >>> reference = [1.0]
    >>> fill(reference, [None, 2.0, None, 3.0, 4.0], size=3), reference
    (4, [1.0, 2.0, 3.0])
    """
    for read, value in enumerate(values):
        if len(reference) == size:
            return read
        if value is not None:
            reference.append(value)
    return len(values)


_NOBODY: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())


@dataclass(slots=True)
class Tick:
    """What happened since the last tick, column by column."""

    since: Since
    pace: Pace
    members: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    """for each segment its answers and its labelled examples, by their number"""
    paused: Paused = field(default_factory=dict)

    def slices(self, names: Sequence[str], by_segment: bool) -> Iterator[Slice]:
        """Each named column whole, and then by segment if so declared; without the answers for which it is paused."""
        since = self.since
        ties: Any = since.columns.get(TIE, ())
        for name in names:
            values, labelled = since.columns[name], since.labelled[name]
            out, out_labelled = self.paused.get(name, _NOBODY)
            if not out and not out_labelled:
                yield Slice(name, None, values, ties, labelled, since.losses)
            parts = self._members().items() if by_segment else ()
            everyone = ((None, (range(len(values)), range(len(labelled)))),) if out or out_labelled else ()
            for segment, (answers, examples) in (*everyone, *parts):
                here = [i for i in answers if i not in out]
                there = [i for i in examples if i not in out_labelled]
                yield Slice(
                    name,
                    segment,
                    [values[i] for i in here],
                    [ties[i] for i in here] if ties else (),
                    [labelled[i] for i in there],
                    [since.losses[i] for i in there],
                )

    def _members(self) -> dict[str, tuple[list[int], list[int]]]:
        if not self.members:
            for i, segment in enumerate(self.since.segments):
                if segment is not None:
                    self.members.setdefault(segment, ([], []))[0].append(i)
            for i, segment in enumerate(self.since.labelled_segments):
                if segment is not None:
                    self.members.setdefault(segment, ([], []))[1].append(i)
        return self.members

    def alert(self, monitor: str, of: Slice, before: float, after: float, reason: str, effect: float | None) -> Alert:
        """An alert about a slice, at the last record of the tick."""
        since = self.since
        return Alert(monitor, of.name, since.at, since.position, before, after, reason, of.segment, effect)


class Losses(msgspec.Struct):
    """The labelled loss with a condition and without it: the effect by which alerts are ranked.

    >>> losses = Losses()
    >>> losses.add([True] * 20 + [False] * 20, [1.0] * 15 + [0.0] * 25)
    >>> losses.effect()
    0.75
    """

    count: int = 0
    total: float = 0.0
    others: int = 0
    others_total: float = 0.0

    def add(self, condition: Sequence[bool], losses: Sequence[float]) -> None:
        """Takes labelled examples: whether the condition held, and the loss."""
        count, total, rest = self.count, self.total, self.others_total
        for held, loss in zip(condition, losses, strict=True):
            if held:
                count += 1
                total += loss
            else:
                rest += loss
        self.others += len(losses) - (count - self.count)
        self.count, self.total, self.others_total = count, total, rest

    def effect(self) -> float | None:
        """Mean loss with the condition minus that without; None where either has fewer than 10 labelled examples."""
        if self.count < FEW or self.others < FEW:
            return None
        return self.total / self.count - self.others_total / self.others


@dataclass(frozen=True, repr=False)
class Monitor(ABC, Generic[M]):
    """What all monitors that come with Eddyline have in common. Declare one of its kinds in `Watch(monitors=...)`.

    `name` is how its alerts are called, for policies (`on="strict"`) and in the ledger. By default that is its `word`, the
    kind in lower case, such as "error_above"; two of one kind need names.
    """

    word: ClassVar[str] = ""
    """how alerts of this kind are called where the declaration gives no name"""
    fed: ClassVar[bool] = False
    """whether it takes records as they come, and not at ticks alone"""
    name: str | None = field(default=None, kw_only=True)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fed = cls.feed is not Monitor.feed

    def __post_init__(self) -> None:
        """Refuses what any kind may be given wrongly; kinds go on from here."""
        kind = type(self).__name__
        declared: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        if not isinstance(declared.get("budget", WEEKLY), Budget):
            raise DeclarationError(f"watch: {kind}(budget={declared['budget']!r}) is not a budget\nwrite budget=per_week(1)")
        if type(declared.get("by_segment", False)) is not bool:
            fault = f"watch: {kind}(by_segment={declared['by_segment']!r}) is not True or False"
            raise DeclarationError(f'{fault}\nwrite Watch(segment="carrier", ...) for the segments, and by_segment=True here')
        first, second = declared.get("of"), list(declared.values())[2:3]  # after the name and `of`
        if isinstance(first, str) and second and isinstance(second[0], str):
            self._two(first, second[0])

    def _two(self, first: str, second: str) -> None:
        """Refuses a second name beside the first: several names are one argument."""
        kind = type(self).__name__
        raise DeclarationError(
            f'watch: {kind}("{first}", "{second}") names two features side by side\nwrite {kind}(("{first}", "{second}"))'
        )

    @property
    def called(self) -> str:
        """How its alerts are called."""
        return self.name or self.word

    def signed(self, alert: Alert) -> Alert:
        """An alert under the name that the declaration gave."""
        return alert if self.name is None else msgspec.structs.replace(alert, monitor=self.name)

    def columns(self) -> tuple[str, ...]:
        """The columns it reads at ticks."""
        return ()

    def segmented(self) -> bool:
        """Whether it looks at segments one by one."""
        return False

    def check(self, task: Task) -> None:
        """DeclarationError where it cannot watch a model of this task."""

    @abstractmethod
    def start(self) -> M:
        """Its memory before the first record: a msgspec struct, unless it saves itself."""

    def feed(self, memory: M, seen: Seen, pace: Pace) -> list[tuple[int, Alert]]:
        """Takes the records of a part in order; alerts with the places of their records."""
        return []

    def look(self, memory: M, tick: Tick) -> list[Alert]:
        """Looks at what happened since the last tick."""
        return []

    def measurements(self, memory: M) -> Iterator[Measurement]:
        """Its numbers as they stand."""
        return iter(())

    def save(self, memory: M) -> bytes:
        """The memory as bytes: equal memories, equal bytes."""
        return msgspec.msgpack.encode(memory)

    def restore(self, data: bytes) -> M:
        """The memory that `save` wrote."""
        return msgspec.msgpack.decode(data, type=type(self.start()))

    def __repr__(self) -> str:
        said: list[str] = []
        for one in sorted(fields(self), key=lambda one: one.name == "name"):  # what every kind has comes last
            value = getattr(self, one.name)
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            if value != default:
                said.append(repr(value) if not said and one.name == "of" else f"{one.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"


def names(kind: str, of: Any) -> tuple[str, ...]:
    """The declared features, one or several, as a tuple."""
    several = (of,) if isinstance(of, str) else of
    if not isinstance(several, list | tuple) or not several or not all(isinstance(name, str) and name for name in several):
        raise DeclarationError(f'watch: {kind}({of!r}) names no feature\nwrite {kind}("amount") or {kind}(("amount", SCORE))')
    return tuple(dict.fromkeys(several))


def whole(kind: str, word: str, value: Any, least: int, most: int) -> None:
    """Refuses a number that is not whole, or too small to say anything, or too large to be kept."""
    if type(value) is not int or not least <= value <= most:
        raise DeclarationError(f"watch: {kind}({word}={value!r}), expected a whole number from {least} to {most}")


def share(kind: str, word: str, value: Any) -> None:
    """Refuses what is not a share strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise DeclarationError(f"watch: {kind}({word}={value!r}), expected a share between 0 and 1, such as 0.01")


def told(name: str) -> str:
    """A column as it is called in a sentence."""
    return "the score" if name == SCORE else f"feature {name!r}"


def measured(name: str) -> str:
    """A column as it is called in the name of a metric."""
    return "score" if name == SCORE else name


def numbers_of(values: Sequence[Value]) -> tuple[np.ndarray[Any, np.dtype[np.float64]], Sequence[int] | None]:
    """The numbers among values, and which they were; None: all of them.

    >>> numbers_of([1, 0.5, True]), numbers_of([None, 2.0, "3"])[1]
    ((array([1. , 0.5, 1. ]), None), [1])
    """
    try:
        # An array of doubles takes nothing but numbers, and a third of the time that numpy takes.
        given: Any = values
        return np.frombuffer(array("d", given)) if given else np.empty(0), None
    except TypeError:
        where = [i for i, value in enumerate(values) if type(value) in _NUMBERS]
        return np.array([values[i] for i in where], dtype=np.float64), where


_NUMBERS = {float, int, bool}
