"""Where things stand in a chart: scales, ticks and the days worth drawing.

Plain arithmetic on numbers and UTC days; draws nothing. Axes are honest: ticks lie at round values, what is
measured from zero starts at zero, and days that are left out are counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, timedelta
from math import ceil, floor, log10

_EPOCH = date(1970, 1, 1)
_STEPS = (
    (1, "d"),
    (2, "d"),
    (7, "d"),
    (14, "d"),
    (1, "m"),
    (2, "m"),
    (3, "m"),
    (6, "m"),
    (12, "m"),
    (24, "m"),
    (60, "m"),
)


def round_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from at or below `low` to at or above `high`: steps of 1, 2 or 5 times a power of ten.

    >>> round_ticks(0.713, 0.796)
    [0.7, 0.72, 0.74, 0.76, 0.78, 0.8]
    >>> round_ticks(0, 931)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / about
    unit = 10.0 ** floor(log10(rough))
    step = next(size * unit for size in (1, 2, 5, 10) if size * unit >= 0.8 * rough)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    last = max(last, first + 1)
    digits = max(0, -floor(log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]


def day_ticks(first: int, last: int, most: int) -> list[tuple[int, str]]:
    """At most about `most` days between two days (both since 1970-01-01) with a short name each.

    >>> day_ticks(15706, 15770, 6)
    [(15706, '1 Jan 2013'), (15720, '15 Jan'), (15734, '29 Jan'), (15748, '12 Feb'), (15762, '26 Feb')]
    >>> day_ticks(15706, 16070, 6)
    [(15706, 'Jan 2013'), (15765, 'Mar'), (15826, 'May'), (15887, 'Jul'), (15949, 'Sep'), (16010, 'Nov')]
    """
    span = last - first + 1
    try:
        begin, end = _EPOCH + timedelta(first), _EPOCH + timedelta(last)
    except OverflowError:
        return []
    for size, unit in _STEPS:
        if span / (size * (1 if unit == "d" else 30.4)) <= most + 0.5:
            break
    if unit == "d":
        dates = [begin + timedelta(i) for i in range(0, span, size)]
        names = [f"{day.day} {day:%b}" for day in dates]
    else:
        month = begin.year * 12 + begin.month - 1 + (begin.day > 1)
        months = range(ceil(month / size) * size, end.year * 12 + end.month, size)
        dates = [date(one // 12, one % 12 + 1, 1) for one in months]
        names = [f"{day:%b}" if size < 12 else f"{day.year}" for day in dates]
    shown = [(day, name) for day, name in zip(dates, names, strict=True) if day <= end]
    return [((day - _EPOCH).days, _with_year(day, name, i, shown)) for i, (day, name) in enumerate(shown)]


def _with_year(day: date, name: str, i: int, shown: list[tuple[date, str]]) -> str:
    turned = i == 0 or shown[i - 1][0].year != day.year
    return f"{name} {day.year}" if turned and name != str(day.year) else name


def drawn_days(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The first and last day to draw, of (day, count) pairs: stray days far away would squeeze the rest.

    A day is stray when it holds less than 1 % of all and lies further from the next one than the others span,
    and 30 days.

    >>> drawn_days([(0, 1), (15706, 500), (15707, 700)])
    (15706, 15707)
    """
    days = sorted(counts)
    total = sum(count for _, count in days)
    low, high, left = 0, len(days) - 1, 0
    while low < high:
        spans = days[high][0] - days[low + 1][0], days[high - 1][0] - days[low][0]
        gaps = days[low + 1][0] - days[low][0], days[high][0] - days[high - 1][0]
        stray = [gap > span + 30 for gap, span in zip(gaps, spans, strict=True)]
        end = days[low] if stray[0] else days[high]
        if not any(stray) or 100 * (left + end[1]) >= total:
            break
        left += end[1]
        low, high = (low + 1, high) if stray[0] else (low, high - 1)
    return days[low][0], days[high][0]


LOG_TICKS = (
    (1_000, "1 ms"), (100_000, "0.1 s"), (1_000_000, "1 s"), (10_000_000, "10 s"), (60_000_000, "1 min"),
    (600_000_000, "10 min"), (3_600_000_000, "1 h"), (21_600_000_000, "6 h"), (86_400_000_000, "1 day"),
    (604_800_000_000, "7 days"), (2_592_000_000_000, "30 days"), (31_536_000_000_000, "1 year"),
)  # fmt: skip
"""Durations that people know, in microseconds, for a logarithmic axis."""


def log_bins(values: list[tuple[float, int]], most: int = 36) -> tuple[list[float], list[int]]:
    """Counts of positive values in bins of equal width on a logarithmic axis: (edges, counts).

    There are 4 bins an octave, or 2, or 1 where that would be more than `most`.

    >>> log_bins([(1.0, 2), (2.5, 3)], most=2)
    ([1.0, 2.0, 4.0], [2, 3])
    """
    low, high = values[0][0], values[-1][0]
    for parts in (4, 2, 1):
        first = floor(_log2(low) * parts + 1e-9)
        many = floor(_log2(high) * parts + 1e-9) - first + 1
        if many <= most:
            break
    edges = [2.0 ** ((first + i) / parts) for i in range(many + 1)]
    counts = [0] * many
    for value, count in values:
        counts[min(max(bisect_left(edges, value * (1 + 1e-12)) - 1, 0), many - 1)] += count
    return edges, counts


def _log2(value: float) -> float:
    return log10(value) / log10(2.0)
