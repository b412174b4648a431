"""How strongly paired losses speak: e-processes that may be looked at after every event, and the bounds they give.

An e-process starts at 1 and is expected not to grow where there is no gain, so by Ville's inequality it ever reaches
1/α with probability at most α, whenever and however often it is looked at. Everything here is a pure function of a few
sums, in logarithms. Refuses to know models, labels and policies.

Sources: Ville 1939; Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", Annals of Statistics 2021; Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting",
JRSS B 2024; Choe, Ramdas, "Comparing sequential forecasters", Operations Research 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from eddyline.policies.integral import log_integral

LOG2 = math.log(2.0)
TOP = 690.0
"""The largest logarithm that is written as a number: e^690 is about 1e299."""


def as_e(log_e: float) -> float:
    """E from its logarithm, at most e^690, so that it stays a finite number.

    >>> as_e(0.0), as_e(1e6) < float("inf")
    (1.0, True)
    """
    return math.exp(min(log_e, TOP))


def log_e_pairs(wins: float, losses: float, ties: float = 0.0, gain: float = 0.0) -> float:
    """log E that the mean gain is above `gain`, from 0/1 losses: `wins` + `losses` disagreements and `ties` agreements.

    The gain of an event is D = champion's loss - challenger's loss, in {-1, 0, 1}. Against "D is at most g on average,
    whatever came before", a bettor who stakes the share s of what can be lost holds `Π (1 - s + s(1 + D)/(1 + g))`;
    with s uniform on (0, 1)

        E = ∫₀¹ (1 - s + 2s/(1+g))^wins · (1 - s + s/(1+g))^ties · (1 - s)^losses ds.

    For g = 0 agreements drop out, and this is the discordant-pair e-process of one-sided uniform p in (½, 1):
    `E = 2^(w+l+1) · B(1+w, 1+l) · (1 - I_½(1+w, 1+l))`. E falls in g, so the g at which E = 1/α is a lower bound of the
    mean gain that holds at every look with probability 1 - α. Counts may be fractions, for projections.

    >>> round(math.exp(log_e_pairs(61, 31)), 1)
    35.7
    >>> round(math.exp(log_e_pairs(0, 0)), 9), log_e_pairs(61, 31, 3_118, gain=0.005) < log_e_pairs(61, 31)
    (1.0, True)
    """
    if wins + losses == 0.0 and gain == 0.0:
        return 0.0
    if gain == 0.0:
        return _log_e_discordant(wins, losses)
    assert -1.0 < gain < 1.0, "a mean gain of 0/1 losses lies between -1 and 1"
    won, tied = (1.0 - gain) / (1.0 + gain), -gain / (1.0 + gain)

    def log_wealth(s: float) -> float:
        return wins * math.log1p(s * won) + ties * math.log1p(s * tied) + losses * math.log1p(-s)

    def slope(s: float) -> float:
        return wins * won / (1.0 + s * won) + ties * tied / (1.0 + s * tied) - losses / (1.0 - s)

    return log_integral(log_wealth, slope, 0.0, 1.0)


def _log_e_discordant(wins: float, losses: float) -> float:
    """The closed form at g = 0, using 1 - I_½(1+w, 1+l) = I_½(1+l, 1+w) and its continued fraction."""
    a, b = 1.0 + losses, 1.0 + wins
    if a + 1.0 > 0.5 * (a + b + 2.0):
        return math.log(_fraction(a, b) / (2.0 * a))  # the powers of 2 and B cancel
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    other_tail = math.exp(-(a + b) * LOG2 - log_beta) * _fraction(b, a) / b
    return (a + b - 1.0) * LOG2 + log_beta + math.log1p(-other_tail)


def _fraction(a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function at ½ (DLMF 8.17.22), by Lentz's method."""
    tiny, x = 1e-300, 0.5
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    h = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for part in (even, odd):
            d = 1.0 + part * d
            c = 1.0 + part / c
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            h *= c * d
        if abs(c * d - 1.0) < 1e-15:
            return h
    raise AssertionError("the continued fraction of the incomplete beta function did not converge")


def ceiling_pairs(wins: float, losses: float) -> float:
    """No bet could have made more than this log E: a cheap test that comes before the exact one (gain = 0).

    >>> ceiling_pairs(61, 31) > log_e_pairs(61, 31), ceiling_pairs(3, 5)
    (True, 0.0)
    """
    if wins <= losses:
        return 0.0
    count = wins + losses
    most = wins * math.log(2.0 * wins / count)
    return most + losses * math.log(2.0 * losses / count) if losses else most


def log_e_mean(count: float, total: float, spread: float, bound: float, gain: float = 0.0, start: float = 1.0) -> float:
    """log E that the mean gain is above `gain`, from losses in [0, `bound`], fixed beforehand, in the loss's own unit.

    `total` is the sum of the gains D in [-bound, bound], `spread` V = Σ (D_i - mean of the gains before i)². With
    c = 2·bound and S = total - count·gain, exp(λS - ψ(λ)V), ψ(λ) = (-log(1 - cλ) - cλ)/c², is expected not to grow for
    λ in [0, 1/c) (Choe, Ramdas, Theorem 2). Mixed over λ with Howard et al.'s gamma-exponential density, ρ = `start`·c²,
    where a = V/c² + start and x = S/c + a:

        E = e^(x - start) · ∫₀¹ u^(a-1) e^(-xu) du / ∫₀¹ u^(start-1) e^(-start·u) du.

    It bounds the *running average* of the conditional mean gains, so it holds under drift. E falls in `gain`. A large
    `start` finds small gains among many noisy events sooner, and large gains later.

    >>> log_e_mean(0, 0.0, 0.0, 1.0), log_e_mean(1000, 60.0, 30.0, 1.0) > math.log(20)
    (0.0, True)
    """
    if count == 0:
        return 0.0
    c = 2.0 * bound
    a = spread / (c * c) + start
    x = (total - count * gain) / c + a
    return _log_gamma_part(a, x) - _log_start(start) + x - start


def _log_gamma_part(a: float, x: float) -> float:
    """log ∫₀¹ u^(a-1) e^(-xu) du. With u = t^8 there is no root at 0, which a sum over nodes would feel."""
    power = 8.0 * a - 1.0
    part = log_integral(lambda t: power * math.log(t) - x * t**8, lambda t: power / t - 8.0 * x * t**7, 0.0, 1.0)
    return part + 3.0 * LOG2


@cache
def _log_start(start: float) -> float:
    """The mass of the mixing density before the first pair."""
    return _log_gamma_part(start, start)


def ceiling_mean(count: float, total: float, spread: float, bound: float, gain: float = 0.0) -> float:
    """No λ could have made more than this log E, and a mixture is no better than its best part.

    The largest λS - ψ(λ)V is S/c - (V/c²)·log(1 + cS/V).

    >>> ceiling_mean(1000, 60.0, 30.0, 1.0) > log_e_mean(1000, 60.0, 30.0, 1.0), ceiling_mean(9, -1.0, 2.0, 1.0)
    (True, 0.0)
    """
    surplus, c = total - count * gain, 2.0 * bound
    if surplus <= 0.0:
        return 0.0
    saved = spread / (c * c) * math.log1p(c * surplus / spread) if spread > 0.0 else 0.0
    return surplus / c - saved


def lower_bound(log_e: Callable[[float], float], log_evidence: float, lowest: float, highest: float) -> float:
    """The largest gain in [lowest, highest] that E still speaks against: mean gain > it, at every look, with α = 1/evidence.

    `log_e(gain)` must fall in gain. Where even `lowest` cannot be excluded, `lowest`.

    >>> round(lower_bound(lambda g: log_e_pairs(61, 31, 908, g), math.log(20), -1.0, 1.0), 4)
    0.0019
    """
    width = highest - lowest
    low, high = lowest + width * 1e-9, highest - width * 1e-9
    if log_e(low) < log_evidence:
        return lowest
    while high - low > width * 1e-7:
        middle = (low + high) / 2
        if log_e(middle) >= log_evidence:
            low = middle
        else:
            high = middle
    return low
