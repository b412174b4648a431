"""One challenger against one champion: pairs go in, in event order once matured; verdicts come out at any time.

Keeps `split` (how pairs were cut into batches changes nothing) and costs less than a microsecond for an agreement. A
missing label counts against whoever would gain by it, so both readings are kept. Refuses to know when a pair is mature
and what is done about a verdict; `InOrder` and the policies do.
"""

from __future__ import annotations

import math
from typing import Any

from eddyline.policies.losses import Answer, Loss
from eddyline.policies.sums import Claim, MeanSums, PairSums, sums_of
from eddyline.policies.verdict import Favours, Verdict, judge

Plain = tuple[str, str, list[float]]


class Contest:
    """A champion and a challenger, asked about the same events.

    >>> from eddyline.records import Output
    >>> from eddyline.policies import zero_one
    >>> contest = Contest.new(zero_one())
    >>> contest.add(Output("fraud"), Output("fraud"))                      # they agree: no label is needed
    >>> contest.add(Output("fraud"), Output("fine"), truth="fine")         # the challenger wins
    >>> contest.add(Output("fraud"), Output("fine"), known=False)          # nobody ever said
    >>> contest.verdict(evidence=20).sentence()
    'inconclusive: 1 wins, 0 losses, 1 unlabelled in 3 events, E = 0.67 of 20; it cannot be said how many more labels it takes'
    """

    __slots__ = ("_cache", "loss", "sums")

    def __init__(self, loss: Loss, sums: PairSums | MeanSums) -> None:
        self.loss = loss
        self.sums = sums
        self._cache: dict[tuple[Claim, float], tuple[tuple[float, ...], float]] = {}

    @classmethod
    def new(cls, loss: Loss) -> Contest:
        """A contest before its first pair."""
        return cls(loss, PairSums() if loss.counted else MeanSums(loss.clip))

    def add(
        self, champion: Answer | None, challenger: Answer | None, truth: Any = None, *, known: bool = True
    ) -> tuple[str, ...] | None:
        """Takes a matured pair: what each said (None where it could not answer), and the truth.

        `known` is False when the horizon passed without a label. Pairs must come in event order. Gives why losses could
        not be computed, where they could not.
        """
        loss = self.loss
        if not known or (type(self.sums) is PairSums and champion is not None and challenger is not None):
            low, high = loss.reaches(champion, challenger)
            if not known or low == high:
                self.sums.add(low, high)
                return None
        (ours, fault), (theirs, other) = loss.judged(truth, champion), loss.judged(truth, challenger)
        self.sums.add(ours - theirs, ours - theirs)
        return None if fault is None and other is None else tuple(why for why in (fault, other) if why is not None)

    def count(self, *, wins: int = 0, losses: int = 0, ties: int = 0, unlabelled: int = 0) -> None:
        """Takes many pairs of 0/1 losses at once, already told apart: the same as adding them one by one."""
        sums = self.sums
        assert type(sums) is PairSums, "only 0/1 losses can be counted"
        sums.pairs += wins + losses + ties + unlabelled
        sums.wins += wins
        sums.losses += losses
        sums.unlabelled += unlabelled
        sums.could_lose += unlabelled
        sums.could_win += unlabelled

    @property
    def pairs(self) -> int:
        """How many pairs were taken."""
        return self.sums.pairs

    def reached(self, claim: Claim, evidence: float, gain: float = 0.0) -> bool:
        """Whether E for the claim is at least `evidence`: what a policy asks after every event.

        Claims are "better" (mean gain above `gain`, missing labels counted against the challenger), "maybe better" (the
        same, counted against the champion) and "worse" (below `gain`, proved whatever the missing labels say). Computed
        again only when something changed, and only when a cheap bound does not already say no.
        """
        needed = math.log(evidence)
        state: tuple[float, ...] = self.sums.state()
        if gain:
            state = (*state, self.sums.pairs)
        known = self._cache.get((claim, gain))
        if known is not None and known[0] == state:
            return known[1] >= needed
        log_e = self.sums.ceiling(claim, gain)
        if log_e >= needed:
            log_e = self.sums.log_e(claim, gain)
            self._cache[claim, gain] = (state, log_e)
        return log_e >= needed

    def verdict(self, evidence: float = 100.0, better_by: float = 0.0, favours: Favours = "champion") -> Verdict:
        """The verdict where E of at least `evidence` decides: α = 1/evidence for each of its claims, over all looks.

        `better_by` is the least mean gain worth having, in the loss's unit. `favours` is for whom disagreements count that
        nobody labelled. Costs some milliseconds; `reached` is for every event.
        """
        loss = self.loss
        return judge(self.sums, loss=loss.name, clip=loss.clip, evidence=evidence, better_by=better_by, favours=favours)

    def plain(self) -> Plain:
        """Everything as plain values: equal contests give equal values, however they came to be."""
        return self.loss.key, self.sums.kind, self.sums.plain()

    @classmethod
    def of(cls, plain: Plain, loss: Loss) -> Contest:
        """The contest that `plain` described, under the loss of the declaration."""
        key, kind, sums = plain
        assert key == loss.key, "a contest goes on under the loss it began with"
        return cls(loss, sums_of(kind, sums))
