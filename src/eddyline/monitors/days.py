"""UTC days of event time, as numbers since 1970-01-01 and as dates when shown. No clock, no time zones."""

from __future__ import annotations

from eddyline.records.time import DAY_US, show_instant


def day_numbers(instants: list[int]) -> list[int]:
    """The UTC day of each instant, as its number since 1970-01-01.

    >>> day_numbers([0, 86_400_000_000, -1])
    [0, 1, -1]
    """
    first = min(instants) // DAY_US
    if first == max(instants) // DAY_US:
        return [first] * len(instants)
    return [at // DAY_US for at in instants]


def day_name(day: int) -> str:
    """A day as it is written, from its number since 1970-01-01.

    >>> day_name(15706)
    '2013-01-01'
    """
    return show_instant(day * DAY_US)[:10]
