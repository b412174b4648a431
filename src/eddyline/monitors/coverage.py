"""How many answers found their truth: by UTC day of the event.

Keeps `whole` for the eye: answered = labelled + by absence + expired + still waiting. Counting commutes, so
any order of records gives the same rows. Refuses to know what a truth says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from eddyline.monitors.days import day_name, days_of
from eddyline.monitors.keys import Keys
from eddyline.records import Measurement


class Fate(IntEnum):
    """What became of an answer: the column it is counted in."""

    ANSWERED = 0
    LABELLED = 1
    ABSENT = 2
    EXPIRED = 3


Row = list[int]


class Coverage:
    """Counts of answers by day: given, labelled, known by absence, and expired without a truth.

    It keeps the last `days` days that it has seen; older ones are added together in `before`.

    >>> coverage = Coverage(days=2)
    >>> coverage.add(Fate.ANSWERED, [10, 10, 11, 12])
    >>> coverage.add(Fate.LABELLED, [10, 12])
    >>> coverage.rows
    {11: [1, 0, 0, 0], 12: [1, 1, 0, 0]}
    >>> coverage.before, coverage.total()
    ([2, 1, 0, 0], [4, 2, 0, 0])
    """

    __slots__ = ("before", "days", "horizon", "rows")

    def __init__(self, days: int = 10_000) -> None:
        self.days = days
        self.rows: dict[int, Row] = {}
        self.before: Row = [0, 0, 0, 0]
        self.horizon: int | None = None
        """the newest day that is in `before`"""

    def add(self, fate: Fate, days: list[int]) -> None:
        """Counts one answer of this fate for each of these days (days since 1970-01-01)."""
        self.add_keys(fate, Keys.of(days))

    def add_at(self, fate: Fate, instants: list[int]) -> None:
        """Counts one answer of this fate for each of these instants (µs)."""
        self.add_keys(fate, days_of(instants))

    def add_keys(self, fate: Fate, days: Keys) -> None:
        """Counts answers of this fate, whose days are these."""
        for day, start, end in days.runs():
            self._count(fate, day, end - start)

    def _count(self, fate: Fate, day: int, many: int) -> None:
        row = self.rows.get(day)
        if row is None:
            if self.horizon is not None and day <= self.horizon:
                self.before[fate] += many
                return
            row = self.rows[day] = [0, 0, 0, 0]
        row[fate] += many
        if len(self.rows) > self.days:
            oldest = min(self.rows)
            self.horizon = oldest
            self.before = [a + b for a, b in zip(self.before, self.rows.pop(oldest), strict=True)]

    def total(self) -> Row:
        """The counts over all days."""
        return [sum(column) for column in zip(self.before, *self.rows.values(), strict=True)]

    def measurements(self) -> Iterator[Measurement]:
        """The counts over all and by day, and `coverage`: the share of answers whose truth is known."""
        days = [(day_name(day), row) for day, row in sorted(self.rows.items())]
        for day, row in [(None, self.total()), *days]:
            for fate in Fate:
                yield Measurement(fate.name.lower(), float(row[fate]), row[fate], day=day)
            answered = row[Fate.ANSWERED]
            known = row[Fate.LABELLED] + row[Fate.ABSENT]
            yield Measurement("coverage", known / answered if answered else None, answered, day=day)

    def plain(self) -> tuple[list[tuple[int, Row]], Row, int | None]:
        """Everything as plain values, in one order."""
        return sorted(self.rows.items()), self.before, self.horizon

    @classmethod
    def of(cls, plain: tuple[Iterable[tuple[int, Row]], Row, int | None], days: int = 10_000) -> Coverage:
        """The coverage that `plain` described."""
        coverage = cls(days)
        rows, coverage.before, coverage.horizon = plain
        coverage.rows = dict(rows)
        return coverage
