"""Whether a mean in [0, 1] is above its objective, with a promise about false alarms: e-detectors.

Keeps `split` (numbers are folded one by one, and what is between two of them that are not zero is one step
however it was cut), `finite` and I21. Refuses to know what the numbers measure.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeVar

import msgspec

from eddyline.statistics import average, cusum, shiryaev_roberts

BETS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Each bet λ as a share of 1/objective, the largest that keeps every factor positive."""
Statistic = Literal["shiryaev-roberts", "cusum"]
K = TypeVar("K", bound=Hashable)


class Above(msgspec.Struct):
    """An e-detector for "the mean of X in [0, 1] is above μ₀", whatever the dependence between numbers.

    L_t(λ) = 1 + λ(X_t - μ₀); Shiryaev-Roberts M_t = L_t · (M_{t-1} + 1), CUSUM M_t = L_t · max(M_{t-1}, 1),
    averaged over λ = share / μ₀ for the shares in BETS. An alarm at M ≥ c gives an average run length of at
    least c numbers as long as each number's mean, given the past, is at most μ₀. It looks at numbers that are
    not zero only, which takes nothing from the promise. After an alarm it starts afresh.

    Costs 0.03 µs a zero and about 1 µs any other number. Beside it walks max(0, Σ(X - μ₀)): since it last
    left zero, `count` numbers with the sum `total` are the best guess at what came after the change.

    Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
    New England Journal of Statistics in Data Science 2, 2024, definitions 2.5 and 2.6.

    >>> above = Above(objective=0.1)
    >>> above.feed([0.0] * 200 + [1.0] * 20, line=10_000.0)
    205
    """

    objective: float
    cusum: bool = False
    bets: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(BETS))
    zeros: int = 0
    """zeros since the last number that was not zero, not folded in yet"""
    walk: float = 0.0
    count: int = 0
    total: float = 0.0

    def feed(self, numbers: Sequence[float], line: float) -> int | None:
        """Takes numbers in [0, 1] in order, up to the place where the evidence reaches the line; None: it did not."""
        if not any(numbers):
            self.zeros += len(numbers)
            return None
        before = -1
        for place, number in enumerate(numbers):
            if number:
                self.zeros += place - before - 1
                before = place
                if self._fold(number) >= line:
                    return place
        self.zeros += len(numbers) - before - 1
        return None

    def _fold(self, number: float) -> float:
        """Folds the zeros that wait and then one number in; gives the evidence."""
        self.settle()
        slope = (number - self.objective) / self.objective
        self.bets = (cusum if self.cusum else shiryaev_roberts)(BETS, self.bets, slope)
        self.walk += number - self.objective
        if self.walk > 0.0:
            self.count += 1
            self.total += number
        else:
            self.walk, self.count, self.total = 0.0, 0, 0.0
        return self.evidence

    def settle(self) -> None:
        """Folds the zeros that wait in: n of them are one step, M ← bⁿM + b(1 - bⁿ)/(1 - b) with b = 1 - share."""
        zeros = self.zeros
        if not zeros:
            return
        self.zeros = 0
        shrunk, gained = _after(zeros)
        if self.cusum:
            self.bets = [
                held if (held := m * b) > least else least for m, b, least in zip(self.bets, shrunk, _LEAST, strict=True)
            ]
        else:
            self.bets = [m * b + more for m, b, more in zip(self.bets, shrunk, gained, strict=True)]
        self.walk -= zeros * self.objective
        if self.walk > 0.0:
            self.count += zeros
        else:
            self.walk, self.count, self.total = 0.0, 0, 0.0

    @property
    def evidence(self) -> float:
        """M as of the last number that was folded in."""
        return average(self.bets)

    @property
    def mean(self) -> float:
        """The mean since the walk last left zero; the objective where it has not."""
        return self.total / self.count if self.count else self.objective

    def restart(self) -> None:
        """Forgets everything but the objective."""
        self.bets = [0.0] * len(BETS)
        self.zeros, self.walk, self.count, self.total = 0, 0.0, 0, 0.0


_LEAST = tuple(1.0 - share for share in BETS)


@lru_cache(1024)
def _after(zeros: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """For each bet b what so many zeros leave of it, bⁿ, and what they add, b(1 - bⁿ)/(1 - b)."""
    shrunk = tuple((1.0 - share) ** zeros for share in BETS)
    return shrunk, tuple((1.0 - share) * (1.0 - b) / share for share, b in zip(BETS, shrunk, strict=True))


def e_bh(evidence: Mapping[K, float], line: float) -> list[K]:
    """The streams to report when many are looked at together: the k with M ≥ line/k, for the largest such k.

    With K e-detectors that all see every record, line = K · c gives an average run length of at least c to
    the first false report of any: those reported sum to at least K · c, and E[ΣM] ≤ K · records.

    Source: Wang, Ramdas, "False discovery rate control with e-values", JRSS B 84, 2022; Dandapanthula,
    Ramdas, "Multiple testing in multi-stream sequential change detection", 2025.

    >>> e_bh({"amount": 900.0, "age": 510.0, "pages": 3.0}, line=1_000.0)
    ['amount', 'age']
    >>> e_bh({"amount": 900.0, "age": 400.0, "pages": 3.0}, line=1_000.0)
    []
    """
    ranked = sorted(evidence.items(), key=lambda item: -item[1])
    many = max((k for k, (_, value) in enumerate(ranked, 1) if value >= line / k), default=0)
    return [name for name, _ in ranked[:many]]
