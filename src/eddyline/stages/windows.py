"""One key's recent past: moments in the order of event time, and columns that answer for any span of them.

A `Past` holds one list of distinct event times and, beside it, one column for each thing that is asked of it.
Events of one instant share a moment, so the order in which they arrived leaves no trace: whatever a column
answers, and the bytes it saves, is a function of *which* events are in it. That is how the laws `schedule`,
`split` and `stop` hold here.

Sums are exact: a column keeps running totals as whole multiples of a power of two (every float is one), and a
window is a difference of two of them, rounded once, when it is answered. Appending in order costs the same
for ten events and for ten thousand; an event that arrives out of order moves what lies after it.

This file knows no event types, no keys, no watermark, no clock. It is told where the past ends (`forget`) and
how much it may hold (`coarsen`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate, pairwise
from math import inf
from operator import sub
from typing import Any, ClassVar, Protocol

from eddyline.records import LIMIT, Value

_UNIT, _SCALE = 1 << 64, 2.0**64
Group = tuple[int, int]
"""Moments `start` up to and without `end`, which are to become one."""


class Column(Protocol):
    """What is remembered of one field. `index` counts moments; a `value` of None is no value at all."""

    field: str | None
    """what it reads of an event; None is the event itself, which is never None"""

    def __init__(self, field: str | None) -> None: ...

    def append(self, at: int, value: Any) -> None:
        """Opens a new newest moment."""

    def insert(self, index: int, at: int, value: Any) -> None:
        """Opens a moment before the one that is at `index` now."""

    def add(self, index: int, at: int, value: Any) -> None:
        """One more event of a moment that is there."""

    def forget(self, count: int, horizon: int) -> None:
        """Drops the first `count` moments: all that lie at or before `horizon`."""

    def merge(self, groups: Sequence[Group], times: Sequence[int]) -> None:
        """Makes one moment, at the newest time, of each group."""

    def trim(self, most: int, times: Sequence[int]) -> None:
        """Keeps about `most` values at most, if moments can hold more than one."""

    def save(self) -> Any:
        """What is remembered, as plain msgpack values, the same for the same events."""

    def load(self, saved: Any, times: Sequence[int]) -> None:
        """The inverse of `save`, on a new column."""


class Tally:
    """How many values: of one field, or of anything when the field is always there.

    >>> tally = Tally()
    >>> for at in (10, 20, 30): tally.append(at, "x")
    >>> tally.count(1, 3)
    2
    """

    __slots__ = ("before", "field")

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        self.before = [0]
        """`before[i]` values lie before moment i, counted from an arbitrary start"""

    def count(self, start: int, end: int) -> int:
        return self.before[end] - self.before[start]

    def append(self, at: int, value: Any) -> None:
        before = self.before
        before.append(before[-1] + (value is not None))

    def insert(self, index: int, at: int, value: Any) -> None:
        self.before.insert(index, self.before[index])
        self.add(index, at, value)

    def add(self, index: int, at: int, value: Any) -> None:
        if value is not None:
            before = self.before
            before[index + 1 :] = [count + 1 for count in before[index + 1 :]]

    def forget(self, count: int, horizon: int) -> None:
        del self.before[:count]

    def merge(self, groups: Sequence[Group], times: Sequence[int]) -> None:
        self.before = [self.before[start] for start, _ in groups] + [self.before[-1]]

    def trim(self, most: int, times: Sequence[int]) -> None:
        """A count needs no room."""

    def save(self) -> Any:
        counts = _differences(self.before)
        return None if all(count == 1 for count in counts) else counts

    def load(self, saved: Any, times: Sequence[int]) -> None:
        self.before = list(accumulate(saved or [1] * len(times), initial=0))


class Total:
    """The exact sum of a field's numbers; None adds nothing.

    Totals are whole multiples of `2**-bits`; `bits` grows to the finest number that came. 1e100 and 1e-300 in
    one window make long integers, and still the exact answer:

    >>> total = Total()
    >>> for at, number in enumerate((1e100, 0.1, -1e100)): total.append(at, number)
    >>> total.sum(0, 3)
    0.1
    """

    __slots__ = ("before", "bits", "field", "numbers", "scale", "unit")

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        self.before = [0]
        """`before[i] * 2**-bits` is the sum before moment i, counted from an arbitrary start"""
        self.numbers: list[float | None] = []
        """a moment's only number, as it is saved; None where it has none or the exact sum of several"""
        self.bits, self.unit, self.scale = 64, _UNIT, _SCALE  # as `_set_bits(64)` would: most keys come and go with it

    def sum(self, start: int, end: int) -> float:
        return (self.before[end] - self.before[start]) / self.unit

    def mean(self, start: int, end: int, count: int) -> float | None:
        return (self.before[end] - self.before[start]) / (self.unit * count) if count else None

    def append(self, at: int, value: Any) -> None:
        before = self.before
        if type(value) is float:
            amount = value * self.scale
            whole = int(amount) if amount.is_integer() and -LIMIT <= value <= LIMIT else self._amount(value)
            before.append(before[-1] + whole)
            self.numbers.append(value)
            return
        whole = self._amount(value)  # first: it may refine `before`
        before.append(before[-1] + whole)
        self.numbers.append(_as_float(value))

    def insert(self, index: int, at: int, value: Any) -> None:
        self.before.insert(index, self.before[index])
        self.numbers.insert(index, None)
        self.add(index, at, value)
        self.numbers[index] = _as_float(value)

    def add(self, index: int, at: int, value: Any) -> None:
        amount, after = self._amount(value), index + 1
        self.before[after:] = [total + amount for total in self.before[after:]]
        self.numbers[index] = None

    def forget(self, count: int, horizon: int) -> None:
        del self.before[:count], self.numbers[:count]

    def merge(self, groups: Sequence[Group], times: Sequence[int]) -> None:
        self.before = [self.before[start] for start, _ in groups] + [self.before[-1]]
        self.numbers = [self.numbers[start] if end - start == 1 else None for start, end in groups]

    def trim(self, most: int, times: Sequence[int]) -> None:
        """A sum needs no room."""

    def save(self) -> Any:
        return [self._exact(i) if number is None else number for i, number in enumerate(self.numbers)]

    def load(self, saved: Any, times: Sequence[int]) -> None:
        for at, number in zip(times, saved, strict=True):
            if isinstance(number, str):
                top, bits = number.split("/")
                self._refine(int(bits))
                self.before.append(self.before[-1] + (int(top, 16) << (self.bits - int(bits))))
                self.numbers.append(None)
            else:
                self.append(at, number)

    def _amount(self, value: Any) -> int:
        """The number in units of `2**-bits`."""
        if type(value) is float:
            assert -LIMIT <= value <= LIMIT, f"{value!r} passed the check of the event's fields"
            amount = value * self.scale  # exact, by a power of two; or infinite, and then no integer
            if amount.is_integer():
                return int(amount)
        elif value is None:
            return 0
        top, bottom = value.as_integer_ratio()
        bits = bottom.bit_length() - 1
        self._refine(bits)
        amount_in_units: int = top << (self.bits - bits)
        return amount_in_units

    def _refine(self, bits: int) -> None:
        """Goes over to a finer unit when `bits` needs it, with some room so that it stays rare."""
        if bits > self.bits:
            more = bits + 32 - self.bits
            self.before[:] = [total << more for total in self.before]
            self._set_bits(bits + 32)

    def _set_bits(self, bits: int) -> None:
        self.bits = bits
        self.unit = 1 << bits
        self.scale = 2.0**bits if bits < 1024 else inf

    def _exact(self, index: int) -> str | None:
        """A moment's sum as `numerator/bits`, in lowest terms, so that the unit does not show."""
        top, bits = self.before[index + 1] - self.before[index], self.bits
        if not top:
            return None
        even = min(bits, (top & -top).bit_length() - 1)
        return f"{top >> even:x}/{bits - even}"


class High:
    """The greatest number of a field.

    Beside each moment's greatest number it keeps the *peaks*: those numbers that nothing later reaches. They
    fall from old to new, so the first peak inside a window is its answer, unless that peak is later than the
    window's end; then the window is searched.

    >>> high = High()
    >>> for at, number in enumerate((3.0, 9.0, 5.0)): high.append(at, number)
    >>> high.top(0, 3, since=-1, until=2), high.top(2, 3, since=1, until=2)
    (9.0, 5.0)
    """

    __slots__ = ("field", "peak_times", "peaks", "tops")
    sign: ClassVar[float] = 1.0

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        self.tops: list[float | None] = []
        self.peaks: list[float] = []
        self.peak_times: list[int] = []

    def top(self, start: int, end: int, since: int, until: int) -> float | None:
        """The greatest of the moments from `start` to `end`: those after `since`, up to `until`."""
        first = bisect_right(self.peak_times, since)
        top = self.peaks[first] if first < len(self.peaks) else None
        if end < len(self.tops) and top is not None and self.peak_times[first] > until:
            top = max((number for number in self.tops[start:end] if number is not None), default=None)
        return None if top is None else top * self.sign + 0.0

    def append(self, at: int, value: Any) -> None:
        number = None if value is None else value * self.sign + 0.0  # -0.0 and 0.0 are one number
        self.tops.append(number)
        if number is not None:
            peaks = self.peaks
            while peaks and peaks[-1] <= number:
                peaks.pop()
                self.peak_times.pop()
            peaks.append(number)
            self.peak_times.append(at)

    def insert(self, index: int, at: int, value: Any) -> None:
        self.tops.insert(index, None)
        self.add(index, at, value)

    def add(self, index: int, at: int, value: Any) -> None:
        if value is not None:
            number = value * self.sign + 0.0  # -0.0 and 0.0 are one number
            top = self.tops[index]
            self.tops[index] = number if top is None else max(top, number)
            self._raise(at, number)

    def forget(self, count: int, horizon: int) -> None:
        del self.tops[:count]
        gone = bisect_right(self.peak_times, horizon)
        del self.peaks[:gone], self.peak_times[:gone]

    def merge(self, groups: Sequence[Group], times: Sequence[int]) -> None:
        tops = [max((n for n in self.tops[a:b] if n is not None), default=None) for a, b in groups]
        self._rebuild(tops, [times[end - 1] for _, end in groups])

    def trim(self, most: int, times: Sequence[int]) -> None:
        """One number a moment is all there is."""

    def save(self) -> Any:
        return self.tops

    def load(self, saved: Any, times: Sequence[int]) -> None:
        self._rebuild(saved, times)

    def _raise(self, at: int, number: float) -> None:
        """Puts a number among the peaks, unless one as high comes with it or later."""
        place = bisect_left(self.peak_times, at)
        if place < len(self.peaks) and self.peaks[place] >= number:
            return
        end = place + (place < len(self.peaks) and self.peak_times[place] == at)
        while place and self.peaks[place - 1] <= number:
            place -= 1
        self.peaks[place:end] = [number]
        self.peak_times[place:end] = [at]

    def _rebuild(self, tops: Iterable[float | None], times: Iterable[int]) -> None:
        self.tops, self.peaks, self.peak_times = [], [], []
        for at, number in zip(times, tops, strict=True):
            self.append(at, None if number is None else number * self.sign)


class Low(High):
    """The least number of a field: `High` of the numbers turned round."""

    __slots__ = ()
    sign = -1.0


class Latest:
    """The value of the latest event that has one; of several at one instant the greatest, text above numbers.

    >>> latest = Latest()
    >>> for at, place in ((10, "Oslo"), (20, None), (30, "Rome")): latest.append(at, place)
    >>> latest.last(until=25, since=0), latest.last(until=25, since=10)
    ('Oslo', None)
    """

    __slots__ = ("field", "times", "values")

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        self.times: list[int] = []
        self.values: list[Value] = []

    def last(self, until: int, since: int) -> Value:
        """The value at `until` or before, but after `since`."""
        place = bisect_right(self.times, until) - 1
        return self.values[place] if place >= 0 and self.times[place] > since else None

    def append(self, at: int, value: Any) -> None:
        if value is not None:
            self.times.append(at)
            self.values.append(value + 0.0 if type(value) is float else value)

    def insert(self, index: int, at: int, value: Any) -> None:
        self.add(index, at, value)

    def add(self, index: int, at: int, value: Any) -> None:
        if value is None:
            return
        if type(value) is float:
            value += 0.0  # -0.0 and 0.0 are one number
        place = bisect_left(self.times, at)
        if place == len(self.times) or self.times[place] != at:
            self.times.insert(place, at)
            self.values.insert(place, value)
        elif _rank(value) > _rank(self.values[place]):
            self.values[place] = value

    def forget(self, count: int, horizon: int) -> None:
        gone = bisect_right(self.times, horizon)
        del self.times[:gone], self.values[:gone]

    def merge(self, groups: Sequence[Group], times: Sequence[int]) -> None:
        ends = (bisect_right(self.times, times[end - 1]) - 1 for _, end in groups)
        kept = sorted({place for place in ends if place >= 0})
        self.times = [self.times[place] for place in kept]
        self.values = [self.values[place] for place in kept]

    def trim(self, most: int, times: Sequence[int]) -> None:
        """One value a moment is all there is."""

    def save(self) -> Any:
        return [pack_times(self.times), [_pack(value) for value in self.values]]

    def load(self, saved: Any, times: Sequence[int]) -> None:
        self.times = unpack_times(saved[0])
        self.values = [_unpack(value) for value in saved[1]]


class Kinds:
    """How many distinct values a field has; None is no value, and 1, 1.0 and True are one.

    It keeps when each value was last seen, so a window without a later end is answered by one search.

    >>> kinds = Kinds()
    >>> for at, country in enumerate(("NO", "SE", "NO")): kinds.append(at, country)
    >>> kinds.distinct(0, 3, since=-1, until=2), kinds.distinct(2, 3, since=1, until=2)
    (2, 1)
    """

    __slots__ = ("field", "held", "last_seen", "last_times", "values")

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        self.values: list[Any] = []
        """each moment's value; None where it has none, a set where it has several"""
        self.held = 0
        """values in all moments together: what this column costs"""
        self.last_seen: dict[Any, int] = {}
        self.last_times: list[int] = []
        """the values of `last_seen`, sorted"""

    def distinct(self, start: int, end: int, since: int, until: int) -> int:
        """How many in the moments from `start` to `end`: those after `since`, up to `until`."""
        times = self.last_times
        first = bisect_right(times, since)
        if end == len(self.values):
            return len(times) - first
        later = set().union(*map(_members, self.values[end:]))
        again = len(later)
        for index in range(end - 1, start - 1, -1):  # which of the values seen later were seen here, too?
            if not later:
                break
            later.difference_update(_members(self.values[index]))
        return bisect_right(times, until) - first + again - len(later)

    def append(self, at: int, value: Any) -> None:
        self.values.append(None)
        self.add(-1, at, value)

    def insert(self, index: int, at: int, value: Any) -> None:
        self.values.insert(index, None)
        self.add(index, at, value)

    def add(self, index: int, at: int, value: Any) -> None:
        if value is None:
            return
        if type(value) is not str and value == int(value):
            value = int(value)
        there = self.values[index]
        if there is None:
            self.values[index] = value
            self.held += 1
        else:
            members = there if isinstance(there, set) else {there}
            self.held += value not in members
            members.add(value)
            self.values[index] = members if len(members) > 1 else value
        self._see(value, at)

    def forget(self, count: int, horizon: int) -> None:
        for there in self.values[:count]:
            members = _members(there)
            self.held -= len(members)
            for value in members:
                if self.last_seen.get(value, horizon + 1) <= horizon:
                    del self.last_seen[value]
        del self.values[:count]
        del self.last_times[: bisect_right(self.last_times, horizon)]

    def merge(self, groups: Sequence[Group], times: Sequence[int]) -> None:
        unions = [set().union(*map(_members, self.values[start:end])) for start, end in groups]
        self._rebuild(unions, [times[end - 1] for _, end in groups])

    def trim(self, most: int, times: Sequence[int]) -> None:
        """Over `most` values, keeps half as many, the newest; of one instant the least."""
        if self.held <= most:
            return
        room = most // 2
        kept: list[list[Any]] = []
        for there in reversed(self.values):
            kept.append(sorted(_members(there), key=_rank)[:room])
            room -= len(kept[-1])
        self._rebuild(reversed(kept), times)

    def save(self) -> Any:
        return [
            [_pack(value) for value in sorted(there, key=_rank)] if isinstance(there, set) else _pack(there)
            for there in self.values
        ]

    def load(self, saved: Any, times: Sequence[int]) -> None:
        self._rebuild((map(_unpack, there if isinstance(there, list) else [there]) for there in saved), times)

    def _see(self, value: Any, at: int) -> None:
        seen = self.last_seen.get(value)
        if seen is None or seen < at:
            if seen is not None:
                del self.last_times[bisect_left(self.last_times, seen)]
            insort(self.last_times, at)
            self.last_seen[value] = at

    def _rebuild(self, moments: Iterable[Iterable[Any]], times: Iterable[int]) -> None:
        self.values, self.held, self.last_seen, self.last_times = [], 0, {}, []
        for at, members in zip(times, moments, strict=True):
            self.values.append(None)
            for value in members:
                self.add(-1, at, value)


Need = tuple[type[Column], str | None]
"""A column that has to be kept, and the field that it reads."""


class Past:
    """The distinct event times of one key, oldest first, and the columns beside them."""

    __slots__ = ("columns", "times")

    def __init__(self, needs: Iterable[Need]) -> None:
        self.times: list[int] = []
        columns: list[Any] = []
        for column, field in needs:
            columns.append(column(field))
        self.columns: tuple[Any, ...] = tuple(columns)

    def enter(self, at: int, event: Any) -> None:
        """Puts an event where its time belongs."""
        times = self.times
        if not times or times[-1] < at:
            times.append(at)
            for column in self.columns:
                field = column.field
                column.append(at, at if field is None else getattr(event, field))
            return
        index = bisect_left(times, at)
        known = times[index] == at
        if not known:
            times.insert(index, at)
        for column in self.columns:
            value = at if column.field is None else getattr(event, column.field)
            (column.add if known else column.insert)(index, at, value)

    def forget(self, horizon: int) -> None:
        """Drops all moments at or before `horizon`."""
        count = bisect_right(self.times, horizon)
        if count:
            for column in self.columns:
                column.forget(count, horizon)
            del self.times[:count]

    def held(self, value_slots: Iterable[int]) -> int:
        """The most that is held of anything: moments, or values in the `Kinds` at these slots."""
        most = len(self.times)
        for slot in value_slots:
            most = max(most, self.columns[slot].held)
        return most

    def coarsen(self, limit: int) -> None:
        """Brings a past that holds more than `limit` under it: the older a moment, the coarser.

        A moment of age *a* joins those in the same slice of at most *a* / 2^(p-1), for the largest whole *p*
        that leaves half of `limit`. So whatever the length of a window, the place where it starts is blurred
        by at most 2^(1-p) of that length: under 1 % with a limit of 10,000. Slices are aligned powers of two:
        once coarse, a moment only ever joins whole others, and the blur does not add up.
        """
        times = self.times
        if len(times) > limit:
            fineness = limit.bit_length() - 3
            groups = _slices(times, fineness)
            while len(groups) > limit // 2:
                fineness -= 1
                groups = _slices(times, fineness)
            for column in self.columns:
                column.merge(groups, times)
            self.times = [times[end - 1] for _, end in groups]
        for column in self.columns:
            column.trim(limit, self.times)

    def save(self) -> list[Any]:
        """All of it, as plain msgpack values."""
        return [pack_times(self.times), *(column.save() for column in self.columns)]

    def load(self, saved: Sequence[Any]) -> None:
        """The inverse of `save`, on a new past with the same columns."""
        self.times = unpack_times(saved[0])
        for column, raw in zip(self.columns, saved[1:], strict=True):
            column.load(raw, self.times)


def pack_times(times: Sequence[int]) -> list[int]:
    """Times as the first and then the steps, which are short in msgpack.

    >>> pack_times([1_700_000_000_000_000, 1_700_000_000_000_250])
    [1700000000000000, 250]
    """
    return [*times[:1], *_differences(times)]


def unpack_times(packed: Iterable[int]) -> list[int]:
    """The inverse of `pack_times`.

    >>> unpack_times([1_700_000_000_000_000, 250])
    [1700000000000000, 1700000000000250]
    """
    return list(accumulate(packed))


def _differences(numbers: Sequence[int]) -> list[int]:
    return list(map(sub, numbers[1:], numbers))


def _slices(times: Sequence[int], fineness: int) -> list[Group]:
    """Groups the moments by aligned slices of time, each about 2^-fineness of its own age."""
    assert fineness >= 0, "at 0 there are two slices for each doubling of the age, so at most 130"
    newest = times[-1]
    starts, slice_before = [], None
    for index, at in enumerate(times):
        age = newest - at
        bits = (age >> fineness).bit_length()
        here = (bits, at >> bits)
        if here != slice_before:
            starts.append(index)
            slice_before = here
    return list(pairwise([*starts, len(times)]))


def _members(there: Any) -> Collection[Any]:
    """The values of one moment of `Kinds`."""
    if isinstance(there, set):
        return there
    return () if there is None else (there,)


def _rank(value: Any) -> tuple[bool, Any, str]:
    """A total order of plain values: numbers by size, then text."""
    return (isinstance(value, str), value, type(value).__name__)


def _as_float(value: Any) -> float | None:
    """A number as a float if it is one exactly, for sure; else None."""
    if value is None or (type(value) is int and abs(value) > 2**53):
        return None
    return float(value)


def _pack(value: Value) -> Any:
    """A plain value for msgpack, whose integers end at 64 bits."""
    return {"int": f"{value:x}"} if type(value) is int and not -(2**63) <= value < 2**63 else value


def _unpack(packed: Any) -> Value:
    return int(packed["int"], 16) if isinstance(packed, dict) else packed
