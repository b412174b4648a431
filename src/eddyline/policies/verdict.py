"""The verdict: better, worse or inconclusive, with the interval, the evidence, and how much longer it may take.

It may be asked for after every event; its error rate holds over all looks together. A verdict carries the sums it came
from, so `recomputed` gives it again from its evidence alone. Refuses to know what is done about it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from eddyline.policies.evidence import as_e, lower_bound
from eddyline.policies.sums import Claim, Sums, sums_of
from eddyline.records.time import show_duration

Outcome = Literal["better", "worse", "inconclusive"]
Favours = Literal["champion", "challenger"]
"""For whom a disagreement counts that nobody labelled by the horizon."""
FAR = 10_000_000
"""Beyond so many more labels it is not said when a contest will be decided."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs so far say about the challenger against the champion.

    `low` and `high` hold the mean gain (champion's loss less the challenger's, in the loss's unit): each bound is wrong at
    any look with probability at most 1/`evidence_needed`. `e_better` speaks for a gain above `better_by`, `e_worse` for
    one below 0. `more_labels` is about how many more pairs it takes if things go on as they are, None if that cannot be
    said. `mean_gain` is what was seen, missing labels counted for neither, or where they speak against the champion
    (`favours` the challenger) as the interval counts them.
    """

    outcome: Outcome
    e_better: float
    e_worse: float
    low: float
    high: float
    mean_gain: float
    pairs: int
    wins: int
    losses: int
    unlabelled: int
    more_labels: int | None
    loss: str
    clip: float
    evidence_needed: float
    better_by: float
    favours: Favours
    kind: str
    sums: tuple[float, ...]

    def evidence(self) -> dict[str, Any]:
        """The verdict as finite plain values for the ledger: `recomputed` makes the same verdict of them."""
        return {name: list(value) if name == "sums" else value for name, value in msgspec.structs.asdict(self).items()}

    def sentence(self, labels_per_s: float | None = None) -> str:
        """The verdict in a line. `labels_per_s` is how many labels come a second of event time, for "about T".

        >>> from eddyline.policies import Contest, zero_one
        >>> contest = Contest.new(zero_one()); contest.count(wins=61, losses=31, ties=3_118)
        >>> contest.verdict(evidence=20).sentence()
        'better: 61 wins, 31 losses in 3,210 events, E = 36; mean gain 0.00935 (0.000581 to 0.0188)'
        >>> contest.verdict(evidence=100).sentence(labels_per_s=0.5)
        'inconclusive: 61 wins, 31 losses in 3,210 events, E = 36 of 100; about 740 more labels, about 24 minutes at this rate'
        """
        missing = f", {self.unlabelled:,} unlabelled" if self.unlabelled else ""
        e = self.e_worse if self.outcome == "worse" else self.e_better
        head = f"{self.outcome}: {self.wins:,} wins, {self.losses:,} losses{missing} in {self.pairs:,} events, E = {short(e)}"
        if self.outcome != "inconclusive":
            return f"{head}; mean gain {self.mean_gain:.3g} ({self.low:.3g} to {self.high:.3g})"
        head = f"{head} of {self.evidence_needed:g}"
        if self.more_labels is None:
            return f"{head}; it cannot be said how many more labels it takes"
        wait = f"{head}; about {_rounded(self.more_labels):,} more labels"
        if not labels_per_s:
            return wait
        return f"{wait}, about {about_us(self.more_labels / labels_per_s * 1e6)} at this rate"


def judge(
    sums: Sums, *, loss: str, clip: float, evidence: float, better_by: float = 0.0, favours: Favours = "champion"
) -> Verdict:
    """The verdict of these sums, when E of at least `evidence` decides."""
    needed = math.log(evidence)
    better: Claim = "better" if favours == "champion" else "maybe better"
    log_better, log_worse = sums.log_e(better, better_by), sums.log_e("worse")
    outcome: Outcome = "better" if log_better >= needed else "worse" if log_worse >= needed else "inconclusive"
    widest = sums.widest
    return Verdict(
        outcome=outcome,
        e_better=as_e(log_better),
        e_worse=as_e(log_worse),
        low=lower_bound(lambda gain: sums.log_e(better, gain), needed, -widest, widest),
        high=-lower_bound(lambda gain: sums.log_e("worse", -gain), needed, -widest, widest),
        mean_gain=(sums.mean(better) + sums.mean("maybe better")) / 2,
        pairs=sums.pairs,
        wins=sums.wins,
        losses=sums.losses,
        unlabelled=sums.unlabelled,
        more_labels=None if outcome != "inconclusive" else _more(sums, better, better_by, needed),
        loss=loss,
        clip=clip,
        evidence_needed=float(evidence),
        better_by=float(better_by),
        favours=favours,
        kind=sums.kind,
        sums=tuple(sums.plain()),
    )


def recomputed(evidence: Mapping[str, Any]) -> Verdict:
    """The verdict that this evidence of the ledger gives: equal to the one that was acted on, or the ledger is wrong.

    >>> from eddyline.policies import Contest, zero_one
    >>> contest = Contest.new(zero_one()); contest.count(wins=61, losses=31, ties=3_118)
    >>> verdict = contest.verdict(evidence=20)
    >>> recomputed(verdict.evidence()) == verdict
    True
    """
    return judge(
        sums_of(evidence["kind"], list(evidence["sums"])),
        loss=evidence["loss"],
        clip=evidence["clip"],
        evidence=evidence["evidence_needed"],
        better_by=evidence["better_by"],
        favours=evidence["favours"],
    )


def outweighed(verdict: Verdict) -> bool:
    """Whether a gain was seen, and what is not labelled could undo it: then more events of the same kind promote nobody.

    >>> from eddyline.policies import Contest, zero_one
    >>> few, many = Contest.new(zero_one()), Contest.new(zero_one())
    >>> few.count(wins=20, losses=8, unlabelled=3); many.count(wins=20, losses=8, unlabelled=30)
    >>> outweighed(few.verdict()), outweighed(many.verdict())
    (False, True)
    """
    if verdict.outcome != "inconclusive" or verdict.favours != "champion" or not verdict.unlabelled:
        return False
    least = sums_of(verdict.kind, list(verdict.sums)).mean("better")
    return least <= verdict.better_by < verdict.mean_gain


def _more(sums: Sums, better: Claim, better_by: float, needed: float) -> int | None:
    """How many more pairs like these decide, one way or the other."""
    ways = [_way(sums, better, better_by, needed)] if sums.mean(better) > better_by else []
    if sums.mean("worse") < 0.0:
        ways.append(_way(sums, "worse", 0.0, needed))
    found = [way for way in ways if way is not None]
    return min(found, default=None)


def _way(sums: Sums, claim: Claim, gain: float, needed: float) -> int | None:
    low, high = 1.0, 2.0
    while sums.log_e(claim, gain, high) < needed:
        low, high = high, high * 2
        if (low - 1.0) * sums.pairs > FAR:
            return None
    while (high - low) * sums.pairs > 1.0 and high - low > 1e-3 * low:
        middle = (low + high) / 2
        if sums.log_e(claim, gain, middle) < needed:
            low = middle
        else:
            high = middle
    return max(1, math.ceil((high - 1.0) * sums.pairs))


def about_us(us: float) -> str:
    """A duration as somebody would say it: one whole number of the largest unit that fits.

    >>> about_us(90e6), about_us(5_400e6), about_us(30 * 86_400e6)
    ('2 minutes', '2 hours', '30 days')
    """
    for size in (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000):
        if us >= size:
            return show_duration(round(us / size) * size) if us < 1e17 else "centuries"
    return "a second"


def _rounded(count: int) -> int:
    """Two significant digits: more would be a lie."""
    size: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // size) * size


def short(e: float) -> str:
    """Evidence in as many digits as anybody reads.

    >>> short(1.0954336452131e34), short(1_176.4), short(0.671)
    ('1e+34', '1,176', '0.67')
    """
    if e >= 1e6:
        return f"{e:.0e}"
    return f"{e:,.0f}" if e >= 10.0 else f"{e:.2g}"
