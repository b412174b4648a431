"""The recursions that monitors and policies share: one step of an e-detector, in floating point and nothing else.

Both rooms keep memories of their own around it, with a grid of bets of their own; what a step is stands here once. Keeps
`split`: numbers are folded one by one. Refuses to know what is measured, and when an alarm is due.

Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England
Journal of Statistics in Data Science 2, 2024, definitions 2.5 and 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence


def shiryaev_roberts(shares: Sequence[float], held: Sequence[float], bet: float) -> list[float]:
    """One step M ← L · (M + 1) for each share of the largest bet; 0 before the first.

    For "the mean of X in [0, 1] is above μ₀" the bet of a number is (X - μ₀)/μ₀, and L = 1 + share · bet is what the part of
    the capital that stakes `share` is multiplied by. The mean of the M reaches c after at least c numbers on average, while
    no number is expected above μ₀, however they depend on each other.

    >>> held = [0.0, 0.0]
    >>> for number in (0.0, 1.0): held = shiryaev_roberts((0.25, 0.5), held, (number - 0.1) / 0.1)
    >>> held
    [5.6875, 8.25]
    """
    return [(1.0 + share * bet) * (m + 1.0) for share, m in zip(shares, held, strict=True)]


def cusum(shares: Sequence[float], held: Sequence[float], bet: float) -> list[float]:
    """One step M ← L · max(M, 1) for each share: fewer false alarms than promised, and later ones.

    >>> cusum((0.25, 0.5), [0.0, 4.0], 2.0)
    [1.5, 8.0]
    """
    return [(1.0 + share * bet) * (m if m > 1.0 else 1.0) for share, m in zip(shares, held, strict=True)]


def average(held: Sequence[float]) -> float:
    """The evidence: the mean over the grid.

    >>> average([1.0, 3.0])
    2.0
    """
    return sum(held) / len(held)
