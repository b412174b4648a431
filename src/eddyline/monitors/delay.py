"""How long labels take: a histogram of whole microseconds with a bounded relative error.

Keeps `split` and I21: integer arithmetic only, so it is the same on every machine and in every order, and it
has at most 7,424 bins whatever it is fed. Refuses to know what the numbers mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil

from eddyline.records import Measurement

_BITS = 6
_FIRST = 1 << (_BITS + 1)
LARGEST = 2**63 - 1


class DelayHistogram:
    """A distribution of durations in microseconds: quantiles within 1 %, the rest exact.

    Choose it over a list of values when there may be millions of them; it costs about 0.2 µs a value and a
    few kilobytes. Bins are log-linear: below 128 one bin a microsecond, above it 64 bins an octave, found by
    shifting. A bin [lo, hi] is answered as 2·lo·hi / (lo + hi), whose relative error to anything in it is at
    most (hi - lo)/(hi + lo) ≤ 1/129 = 0.78 %. Negative durations (a truth known before its event) have
    mirrored bins. Two histograms merge without loss.

    Source: Masson, Rim, Lee, "DDSketch", VLDB 12, 2019 (the guarantee, and merging); Tene, HdrHistogram (bins
    by shifting).

    >>> delays = DelayHistogram()
    >>> delays.add([1_000_000, 2_000_000, 60_000_000])
    >>> delays.count, delays.least, delays.largest, delays.mean
    (3, 1000000, 60000000, 21000000.0)
    >>> abs(delays.quantile(0.5) / 2_000_000 - 1) < 0.01
    True
    """

    __slots__ = ("bins", "count", "largest", "least", "total")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.least: int | None = None
        self.largest: int | None = None

    def add(self, values: list[int]) -> None:
        """Takes a batch of durations in, in any order."""
        if not values:
            return
        least, largest = min(values), max(values)
        assert max(-least, largest) <= LARGEST, "a duration is beyond the range of event time"
        bins = self.bins
        for value, many in Counter(values).items():
            index = _bin(value)
            bins[index] = bins.get(index, 0) + many
        self.count += len(values)
        self.total += sum(values)
        self.least = least if self.least is None else min(least, self.least)
        self.largest = largest if self.largest is None else max(largest, self.largest)

    def merge(self, other: DelayHistogram) -> None:
        """Takes in everything the other has seen."""
        if other.least is None or other.largest is None:
            return
        for index, many in other.bins.items():
            self.bins[index] = self.bins.get(index, 0) + many
        self.count += other.count
        self.total += other.total
        self.least = other.least if self.least is None else min(self.least, other.least)
        self.largest = other.largest if self.largest is None else max(self.largest, other.largest)

    @property
    def mean(self) -> float | None:
        """The mean in microseconds, from the exact sum; None before the first value."""
        return self.total / self.count if self.count else None

    def quantile(self, q: float) -> float | None:
        """The value of rank ceil(q · count), in microseconds, within 1 %; None before the first value."""
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"quantile({q!r}): expected a share between 0 and 1, such as 0.99")
        if self.least is None or self.largest is None:
            return None
        rank = max(1, ceil(q * self.count))
        for index in sorted(self.bins):
            rank -= self.bins[index]
            if rank <= 0:
                return min(max(_middle(index), self.least), self.largest)
        raise AssertionError("the bins hold fewer values than were counted")

    def measurements(self) -> Iterator[Measurement]:
        """How long labels took, in seconds: quantiles within 1 %, the mean and the largest exactly."""
        if self.count:
            for q in (0.5, 0.9, 0.99):
                yield self._in_seconds(f"p{round(100 * q)}", self.quantile(q))
            yield self._in_seconds("mean", self.mean)
            yield self._in_seconds("max", self.largest)

    def _in_seconds(self, name: str, us: float | None) -> Measurement:
        return Measurement(f"label_delay_{name}_s", None if us is None else us / 1_000_000, self.count)

    def plain(self) -> tuple[list[tuple[int, int]], int, int, int | None, int | None]:
        """Everything as plain values, in one order."""
        return sorted(self.bins.items()), self.count, self.total, self.least, self.largest

    @classmethod
    def of(cls, plain: tuple[Iterable[tuple[int, int]], int, int, int | None, int | None]) -> DelayHistogram:
        """The histogram that `plain` described."""
        histogram = cls()
        bins, histogram.count, histogram.total, histogram.least, histogram.largest = plain
        histogram.bins = dict(bins)
        return histogram


def _bin(value: int) -> int:
    """The bin of a value: rising with the value, and of the value's sign."""
    if value < 0:
        return -_bin(-value)
    if value < _FIRST:
        return value
    shift = value.bit_length() - _BITS - 1
    return (shift << _BITS) + (value >> shift)


def _middle(index: int) -> float:
    """The harmonic middle of a bin: the answer with the least worst relative error."""
    if index < 0:
        return -_middle(-index)
    if index < _FIRST:
        return float(index)
    shift = (index >> _BITS) - 1
    low = (index - (shift << _BITS)) << shift
    high = low + (1 << shift) - 1
    return 2.0 * low * high / (low + high)
