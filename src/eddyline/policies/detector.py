"""Whether the error is above its objective: an e-detector of Shiryaev and Roberts over bounded losses.

Keeps `split`. Its false alarms are bounded without assuming that events are independent. Refuses to know whose losses
they are.
"""

from __future__ import annotations

from eddyline.records.errors import DeclarationError
from eddyline.statistics import average, shiryaev_roberts

GRID = tuple(step / 8 for step in range(1, 8))
"""The shares of the largest bet, 1/objective, that are averaged over."""
CAP = 1e200

Plain = tuple[float, list[float], int, float]


class ErrorDetector:
    """Alarms when the mean loss goes above its objective: at most once in `1/α` losses where it does not, on average.

    With losses x in [0, 1] and λ on a grid in (0, 1/objective): `L = 1 + λ(x - objective)`, `M ← L · (M + 1)`; the mean of
    the M over the grid reaches 1/α after at least 1/α losses on average, while no loss is expected above the objective.
    Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", NEJSDS 2024.

    >>> fine, bad = ErrorDetector(0.05), ErrorDetector(0.05)
    >>> for number in range(1, 201):
    ...     fine.add(1.0 if number % 25 == 0 else 0.0); bad.add(1.0 if number % 4 == 0 else 0.0)
    >>> fine.value < 10_000 < bad.value
    True
    """

    __slots__ = ("losses", "objective", "sums", "total")

    def __init__(self, objective: float) -> None:
        if not 0.0 < objective < 1.0:
            raise DeclarationError(f"error_above={objective!r} is not a share between 0 and 1\nwrite error_above=0.08")
        self.objective = objective
        self.sums = [0.0] * len(GRID)
        self.losses = 0
        """how many it has seen"""
        self.total = 0.0
        """their sum"""

    def add(self, loss: float) -> None:
        """Takes the loss of the next event, divided by its clip: in [0, 1]. About 1 µs."""
        assert 0.0 <= loss <= 1.0, "a loss is outside of [0, 1]"
        self.losses += 1
        self.total += loss
        bet = loss / self.objective - 1.0
        self.sums = [min(held, CAP) for held in shiryaev_roberts(GRID, self.sums, bet)]

    @property
    def value(self) -> float:
        """The evidence: compare it with the number of losses to a false alarm."""
        return average(self.sums)

    @property
    def mean(self) -> float:
        """The mean loss since it began, in shares of the clip; 0 before the first."""
        return self.total / self.losses if self.losses else 0.0

    def plain(self) -> Plain:
        """Everything as plain values."""
        return self.objective, list(self.sums), self.losses, self.total

    @classmethod
    def of(cls, plain: Plain) -> ErrorDetector:
        """The detector that `plain` described."""
        objective, sums, losses, total = plain
        detector = cls(objective)
        detector.sums, detector.losses, detector.total = list(sums), losses, total
        return detector
