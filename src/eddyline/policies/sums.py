"""What is remembered of the pairs: a few sums, each kept twice, as if every missing label spoke for one side or the other.

`low` takes the least that a gain can be, `high` the most; they are equal where the label is known. Sums forget nothing that
the evidence needs, so evidence is a function of them. `PairSums` is for 0/1 losses, `MeanSums` for other bounded ones.
Refuses to know answers and losses.
"""

from __future__ import annotations

from typing import Literal, Protocol

from eddyline.policies.evidence import ceiling_mean, ceiling_pairs, log_e_mean, log_e_pairs

Claim = Literal["better", "maybe better", "worse"]
"""What the evidence is asked for: that the mean gain is above g, missing labels counted against the challenger; the same,
counted against the champion; that it is below g, counted against the champion."""
Plain = list[float]


class Sums(Protocol):
    """What a verdict needs of the pairs, whichever the loss."""

    kind: str
    pairs: int
    wins: int
    losses: int
    unlabelled: int
    widest: float
    """mean gains lie in [-widest, widest]"""

    def add(self, low: float, high: float) -> None:
        """Takes one pair: its gain, or what the gain may be where its label is missing."""

    def log_e(self, claim: Claim, gain: float = 0.0, scale: float = 1.0) -> float:
        """log E for the claim, if there were `scale` times as many pairs like these."""

    def ceiling(self, claim: Claim, gain: float = 0.0) -> float:
        """A cheap number that `log_e` does not exceed."""

    def mean(self, claim: Claim) -> float:
        """The mean gain, under the claim's reading of missing labels."""

    def state(self) -> tuple[float, ...]:
        """What `log_e` depends on."""

    def plain(self) -> Plain:
        """Everything as plain numbers."""


class PairSums:
    """0/1 losses: wins, losses and agreements, and the disagreements without a label.

    >>> sums = PairSums()
    >>> for low, high in ((1, 1), (0, 0), (-1, 1)): sums.add(low, high)
    >>> sums.wins, sums.losses, sums.unlabelled, sums.plain()
    (1, 0, 1, [3, 1, 0, 1, 1, 1])
    """

    __slots__ = ("could_lose", "could_win", "losses", "pairs", "unlabelled", "wins")
    kind = "pairs"
    widest = 1.0

    def __init__(self) -> None:
        self.pairs = self.wins = self.losses = self.unlabelled = 0
        self.could_lose = self.could_win = 0

    def add(self, low: float, high: float) -> None:
        """Takes one pair."""
        self.pairs += 1
        if low == high:
            if low > 0.0:
                self.wins += 1
            elif low < 0.0:
                self.losses += 1
            return
        self.unlabelled += 1
        self.could_lose += low < 0.0
        self.could_win += high > 0.0

    def _counts(self, claim: Claim) -> tuple[int, int]:
        if claim == "better":
            return self.wins, self.losses + self.could_lose
        if claim == "maybe better":
            return self.wins + self.could_win, self.losses
        return self.losses, self.wins + self.could_win

    def log_e(self, claim: Claim, gain: float = 0.0, scale: float = 1.0) -> float:
        """log E for the claim, if there were `scale` times as many pairs like these."""
        up, down = self._counts(claim)
        ties = self.pairs - up - down
        return log_e_pairs(up * scale, down * scale, ties * scale, -gain if claim == "worse" else gain)

    def ceiling(self, claim: Claim, gain: float = 0.0) -> float:
        """A cheap number that `log_e` does not exceed, for a claim no weaker than "above 0" (or below)."""
        if (gain if claim == "worse" else -gain) > 0.0:
            return float("inf")
        return ceiling_pairs(*self._counts(claim))

    def mean(self, claim: Claim) -> float:
        """The mean gain, under the claim's reading of missing labels."""
        up, down = self._counts(claim)
        return (down - up if claim == "worse" else up - down) / self.pairs if self.pairs else 0.0

    def state(self) -> tuple[float, ...]:
        """What `log_e` depends on; agreements only where it is asked for another gain than 0."""
        return self.wins, self.losses, self.could_lose, self.could_win

    def plain(self) -> Plain:
        """Everything as plain numbers."""
        return [self.pairs, self.wins, self.losses, self.unlabelled, self.could_lose, self.could_win]

    @classmethod
    def of(cls, plain: Plain) -> PairSums:
        """The sums that `plain` described."""
        sums = cls()
        (sums.pairs, sums.wins, sums.losses, sums.unlabelled, sums.could_lose, sums.could_win) = map(int, plain)
        return sums


class MeanSums:
    """Losses in [0, bound]: number, sum and spread of the gains, low and high.

    The spread is Σ (D_i - mean of the gains before i)². `widest` is the largest mean gain there can be; a split weighs its
    gains, so that a single one may be larger than that: `bound`. `start` is the one of `log_e_mean`.

    >>> sums = MeanSums(bound=1.0)
    >>> for gain in (0.5, -0.1): sums.add(gain, gain)
    >>> sums.pairs, round(sums.low_total, 3), round(sums.low_spread, 3)
    (2, 0.4, 0.61)
    """

    __slots__ = (
        "bound", "high_spread", "high_total", "losses", "low_spread", "low_total", "pairs", "start", "unlabelled",
        "widest", "wins",
    )  # fmt: skip
    kind = "means"

    def __init__(self, bound: float, widest: float | None = None, start: float = 1.0) -> None:
        self.pairs = self.wins = self.losses = self.unlabelled = 0
        self.low_total = self.low_spread = self.high_total = self.high_spread = 0.0
        self.bound = bound
        self.widest = bound if widest is None else widest
        self.start = start

    def add(self, low: float, high: float) -> None:
        """Takes one pair."""
        assert -self.bound <= low <= high <= self.bound, "a gain is outside of the bounds that were fixed beforehand"
        before = self.pairs or 1
        off = low - self.low_total / before
        self.low_spread += off * off
        off = high - self.high_total / before
        self.high_spread += off * off
        self.low_total += low
        self.high_total += high
        self.pairs += 1
        if low != high:
            self.unlabelled += 1
        elif low > 0.0:
            self.wins += 1
        elif low < 0.0:
            self.losses += 1

    def _side(self, claim: Claim) -> tuple[float, float]:
        if claim == "better":
            return self.low_total, self.low_spread
        return (-self.high_total if claim == "worse" else self.high_total), self.high_spread

    def log_e(self, claim: Claim, gain: float = 0.0, scale: float = 1.0) -> float:
        """log E for the claim, if there were `scale` times as many pairs like these."""
        total, spread = self._side(claim)
        gain = -gain if claim == "worse" else gain
        return log_e_mean(self.pairs * scale, total * scale, spread * scale, self.bound, gain, self.start)

    def ceiling(self, claim: Claim, gain: float = 0.0) -> float:
        """A cheap number that `log_e` does not exceed."""
        total, spread = self._side(claim)
        return ceiling_mean(self.pairs, total, spread, self.bound, -gain if claim == "worse" else gain)

    def mean(self, claim: Claim) -> float:
        """The mean gain, under the claim's reading of missing labels."""
        total = self.low_total if claim == "better" else self.high_total
        return total / self.pairs if self.pairs else 0.0

    def state(self) -> tuple[float, ...]:
        """What `log_e` depends on."""
        return self.pairs, self.low_total, self.low_spread, self.high_total, self.high_spread

    def plain(self) -> Plain:
        """Everything as plain numbers."""
        return [
            self.pairs, self.wins, self.losses, self.unlabelled,
            self.low_total, self.low_spread, self.high_total, self.high_spread, self.bound, self.widest, self.start,
        ]  # fmt: skip

    @classmethod
    def of(cls, plain: Plain) -> MeanSums:
        """The sums that `plain` described."""
        sums = cls(*plain[8:11])
        sums.pairs, sums.wins, sums.losses, sums.unlabelled = map(int, plain[:4])
        sums.low_total, sums.low_spread, sums.high_total, sums.high_spread = plain[4:8]
        return sums


def sums_of(kind: str, plain: Plain) -> PairSums | MeanSums:
    """The sums of this kind that `plain` described."""
    return PairSums.of(plain) if kind == "pairs" else MeanSums.of(plain)
