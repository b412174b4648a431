"""UTC days of event time, as numbers since 1970-01-01 and as dates when shown. No clock, no time zones."""

from __future__ import annotations

from eddyline.monitors.keys import Keys
from eddyline.records.time import DAY_US, show_instant


def days_of(instants: list[int]) -> Keys:
    """The UTC day of each instant (µs), as its number since 1970-01-01.

    >>> days_of([-1, 0, 86_400_000_000]).several
    [(-1, 0, 1), (0, 1, 2), (1, 2, 3)]
    """
    return Keys.by_span(instants, DAY_US)


def day_name(day: int) -> str:
    """A day as it is written, from its number since 1970-01-01.

    >>> day_name(15706)
    '2013-01-01'
    """
    return show_instant(day * DAY_US)[:10]
