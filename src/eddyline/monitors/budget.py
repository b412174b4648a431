"""How often a monitor may cry wolf: false alarms per week, turned into the expected number of records to one.

Keeps I23: the rate of the stream is read off event time, never off a clock. Refuses to know what is watched.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from eddyline.records.errors import DeclarationError
from eddyline.records.time import DAY_US

UNKNOWN = 10_000.0
"""Records to a false alarm while nobody knows yet how many records a week has."""
LEAST = 100.0
"""Fewer records to a false alarm are never promised: a detector of ten events detects nothing."""
_WEEK_US = 7 * DAY_US


class Pace(msgspec.Struct):
    """How many answers and truths come in how much event time. Renewed at ticks only.

    The span runs from the middle event time of the first tick to the latest such middle, so that a date that is wrong (a
    null read as 1970, a year typed wrong) does not stretch it while fewer than half of a tick's are. Truths are counted
    from the tick on that brought the first of them: before, they were on their way.

    >>> pace, day = Pace(), 86_400_000_000
    >>> for week in range(3): pace.add([(7 * week + part) * day for part in (-1, 0, 1)], labelled=1)
    >>> pace.per_week(labelled=False), pace.per_week(labelled=True)
    (3.0, 1.0)
    >>> pace.add([14 * day, 0, 14 * day], labelled=0); pace.add([21 * day] * 3, labelled=0); pace.per_week(labelled=False)
    4.0
    """

    answered: int = 0
    """answers after the first tick"""
    labelled: int = 0
    """truths after the tick that brought the first of them"""
    first: int | None = None
    """the middle event time of the first tick (µs)"""
    last: int | None = None
    """the latest middle of a tick"""
    labelled_since: int | None = None
    """what `last` was when the first truths came"""

    def add(self, ats: list[int], labelled: int) -> None:
        """Counts the answers of a tick by their event times in microseconds, and its truths."""
        if ats:
            middle = sorted(ats)[len(ats) // 2]
            if self.first is None or self.last is None:
                self.first = self.last = middle
            else:
                self.answered += len(ats)
                self.last = max(self.last, middle)
        if labelled:
            if self.labelled_since is None:
                self.labelled_since = self.last
            else:
                self.labelled += labelled

    def per_week(self, *, labelled: bool) -> float | None:
        """Records a week of event time so far; None before there is a span with any."""
        count, since = (self.labelled, self.labelled_since) if labelled else (self.answered, self.first)
        if since is None or self.last is None or self.last <= since or not count:
            return None
        return count * _WEEK_US / (self.last - since)


@dataclass(frozen=True, slots=True)
class Budget:
    """False alarms that somebody is willing to look at; made by `per_week` or `one_in`."""

    alarms: float
    records: float | None = None
    """the records among which so many are allowed; None: those of a week as observed"""
    weekly: bool = True

    def __post_init__(self) -> None:
        numbers = (self.alarms, 1.0 if self.records is None else self.records)
        if any(isinstance(n, bool) or not isinstance(n, int | float) or not 0 < n < 1e15 for n in numbers):
            raise DeclarationError(
                f"watch: a budget of {self.alarms!r} false alarms in {self.records!r} records\n"
                "write budget=per_week(1), or budget=one_in(100_000)"
            )

    def arl(self, observed: float | None) -> float:
        """Records to a false alarm that this promises, where so many records a week were `observed`.

        >>> per_week(2).arl(50_000.0), per_week(2).arl(None), one_in(700).arl(50_000.0)
        (25000.0, 10000.0, 700.0)
        """
        records = self.records if self.records is not None else observed
        return UNKNOWN if records is None else max(LEAST, records / self.alarms)

    def __repr__(self) -> str:
        if not self.weekly:
            return f"one_in({self.records:g})"
        return f"per_week({self.alarms:g})" if self.records is None else f"per_week({self.alarms:g}, records={self.records:g})"


def per_week(alarms: float = 1.0, *, records: float | None = None) -> Budget:
    """A budget of so many false alarms a week of event time.

    Say `records`, how many records a week has, where you know it. Else the rate is the one observed so far:
    answers (or truths, for monitors of the error) over the event time that they took, by the middle of each tick of
    the watch, so that single wrong dates do not count. Until the second tick 10,000 records are promised between
    false alarms, and never less than 100. The promise holds while the rate moves: what a detector reports is at least
    what the latest rate asks.

    >>> per_week(0.5)
    per_week(0.5)
    """
    return Budget(alarms, records)


def one_in(records: float) -> Budget:
    """A budget of one false alarm in so many records: the average run length, for who thinks in it.

    >>> one_in(100_000)
    one_in(100000)
    """
    return Budget(1.0, records, weekly=False)


WEEKLY = per_week(1)
"""What monitors take unless told otherwise: one false alarm a week."""
