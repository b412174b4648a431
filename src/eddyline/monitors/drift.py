"""Whether a stream of numbers has changed its mean: River's ADWIN, with the means before and after.

Keeps `split`, `finite` and I23. Refuses to know whether the numbers are errors or features.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple


class Change(NamedTuple):
    """The mean moved at number `place` of the batch: over the numbers given up, and over those kept."""

    place: int
    before: float
    after: float


class Drift:
    """ADWIN over one stream of numbers: alerts when two parts of its window differ in their mean.

    It is the one detector of River's that is usable untuned: no false alarm in 2 million numbers of N(0, 1),
    where the others raise thousands. Costs about 0.2 µs a number. Its bound has a term for numbers in [0, 1]
    and a term by variance; numbers are taken as they are, so a stream whose whole range is far below 1 is
    noticed late: give such a feature another unit. Detections equal River's own on the same sequence. After
    one, it starts afresh, as River's does.

    Source: Bifet, Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007; River 0.26
    `drift.ADWIN`.

    >>> drift = Drift()
    >>> [(c.place, round(c.before, 2), round(c.after, 2)) for c in drift.feed([0.0, 0.1] * 200 + [1.0] * 20)]
    [(415, 0.05, 0.19)]
    """

    __slots__ = ("detector", "seen", "skipped", "total")

    def __init__(self) -> None:
        from river import drift

        adwin: Any = drift.ADWIN  # untyped in River
        self.detector: Any = adwin()
        self.seen = 0
        """numbers since the last detection"""
        self.total = 0.0
        """their sum, added one by one"""
        self.skipped = 0
        """values that were not numbers, over all time"""

    def feed(self, numbers: Sequence[float]) -> list[Change]:
        """Takes numbers in order; gives the changes found."""
        assert all(map(isfinite, numbers)), "a number that is not finite reached a drift detector"
        changes: list[Change] = []
        if not numbers:
            return changes
        # What `ADWIN.update` does, without asking for its attributes at each number.
        detector, total, start, found = self.detector, self.total, -self.seen, self.detector.drift_detected
        update = detector._helper.update
        for index, number in enumerate(numbers):
            if found:
                detector._reset()
                update = detector._helper.update
            found = update(number)
            total += number
            if found:
                count = index + 1 - start
                changes.append(self._change(index, count, total))
                total, start = 0.0, index + 1
        detector._drift_detected = found
        self.total, self.seen = total, len(numbers) - start
        return changes

    def _change(self, index: int, count: int, total: float) -> Change:
        kept, kept_total = int(self.detector.width), self.detector.total
        assert 0 < kept < count, "ADWIN found a change and gave nothing up"
        return Change(index, (total - kept_total) / (count - kept), kept_total / kept)

    def plain(self) -> tuple[Any, int, float, int]:
        """Everything as plain values, and River's detector."""
        return self.detector, self.seen, self.total, self.skipped

    @classmethod
    def of(cls, plain: tuple[Any, int, float, int]) -> Drift:
        """The detector that `plain` described."""
        drift = cls.__new__(cls)
        drift.detector, drift.seen, drift.total, drift.skipped = plain
        return drift
