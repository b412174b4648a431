"""Challenger against champion where each event is answered by one of them only: an A/B test.

Keeps `split` (batches) and its error rate over all looks and under drift. It needs about ten times the events of a
`Contest`, which sees both answers: choose it only for effects that need real actions. Refuses to know who assigned.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from eddyline.policies.losses import Answer, Loss
from eddyline.policies.sums import Claim, MeanSums
from eddyline.policies.verdict import Favours, Verdict, judge

START = 20.0
"""The `start` of `log_e_mean`: a split's gains are small beside their noise, whichever the loss."""

Arm = Literal["champion", "challenger"]
Plain = tuple[str, float, float, list[float]]


class SplitContest:
    """Two arms, told apart by chance: `share` is the challenger's share of the keys, fixed while the contest runs.

    Each event gives an unbiased gain: with baseline b, the mean loss of the events before, D = (L - b)/(1 - share) where
    the champion answered and D = -(L - b)/share where the challenger did (inverse propensity weights with a control
    variate). |D| ≤ clip/min(share, 1 - share) is the bound of an empirical-Bernstein process, see `log_e_mean`.
    The guarantee is for keys that are assigned by chance one by one: where a key has many events, feed its first one.

    >>> from eddyline.records import Output
    >>> from eddyline.policies import zero_one
    >>> contest = SplitContest.new(zero_one(), share=0.5)
    >>> contest.add("challenger", Output("fraud"), truth="fraud")
    >>> contest.add("champion", Output("fraud"), truth="fine")
    >>> contest.pairs, contest.verdict(evidence=20).outcome
    (2, 'inconclusive')
    """

    __slots__ = ("_loss_total", "loss", "share", "sums")

    def __init__(self, loss: Loss, share: float, sums: MeanSums, loss_total: float) -> None:
        self.loss = loss
        self.share = share
        self.sums = sums
        self._loss_total = loss_total

    @classmethod
    def new(cls, loss: Loss, share: float) -> SplitContest:
        """A split before its first event."""
        assert 0.0 < share < 1.0, "both arms of a split have a share"
        return cls(loss, share, MeanSums(loss.clip / min(share, 1.0 - share), widest=loss.clip, start=START), 0.0)

    def add(self, arm: Arm, answer: Answer | None, truth: Any = None, *, known: bool = True) -> tuple[str, ...] | None:
        """Takes a matured event, in event order: which arm answered it, what it said, and the truth.

        Without a label (`known` False) the answer may have cost nothing or everything: both are kept. Gives why the loss
        could not be computed, where it could not.
        """
        clip = self.loss.clip
        cost, fault = self.loss.judged(truth, answer) if known else (None, None)
        base = self._base()
        worst, best = (0.0, clip) if arm == "champion" else (clip, 0.0)
        self.sums.add(
            self._gain(arm, worst if cost is None else cost, base), self._gain(arm, best if cost is None else cost, base)
        )
        self._loss_total += base if cost is None else cost
        return None if fault is None else (fault,)

    def _base(self) -> float:
        """The mean loss of the events before: rounding may carry a mean out of what it is the mean of."""
        clip = self.loss.clip
        return min(max(self._loss_total / self.sums.pairs, 0.0), clip) if self.sums.pairs else 0.5 * clip

    def _gain(self, arm: Arm, cost: float, base: float) -> float:
        gain = (cost - base) / (1.0 - self.share) if arm == "champion" else (base - cost) / self.share
        return min(max(gain, -self.sums.bound), self.sums.bound)

    @property
    def pairs(self) -> int:
        """How many events were taken, of both arms."""
        return self.sums.pairs

    def reached(self, claim: Claim, evidence: float, gain: float = 0.0) -> bool:
        """Whether E for the claim is at least `evidence`; see `Contest.reached`."""
        needed = math.log(evidence)
        return self.sums.ceiling(claim, gain) >= needed and self.sums.log_e(claim, gain) >= needed

    def verdict(self, evidence: float = 100.0, better_by: float = 0.0, favours: Favours = "champion") -> Verdict:
        """The verdict where E of at least `evidence` decides; see `Contest.verdict`."""
        loss = self.loss
        return judge(self.sums, loss=loss.name, clip=loss.clip, evidence=evidence, better_by=better_by, favours=favours)

    def plain(self) -> Plain:
        """Everything as plain values."""
        return self.loss.key, self.share, self._loss_total, self.sums.plain()

    @classmethod
    def of(cls, plain: Plain, loss: Loss) -> SplitContest:
        """The split that `plain` described, under the loss of the declaration."""
        key, share, loss_total, sums = plain
        assert key == loss.key, "a contest goes on under the loss it began with"
        return cls(loss, share, MeanSums.of(sums), loss_total)
