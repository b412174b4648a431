"""Whether values still look drawn as before: a conformal test martingale, with a promise about false alarms.

Keeps `split` (it folds whole ticks), I21 (bins, not values) and I23 (ties are broken by a hash of the event id).
Refuses to know what a change means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from eddyline.monitors.above import e_bh
from eddyline.monitors.bins import BinLosses, Bins, Indices
from eddyline.monitors.budget import WEEKLY, Budget
from eddyline.monitors.declared import SCORE, TIE, Monitor, Slice, Tick, fill, measured, names, told, whole
from eddyline.records import Alert, Measurement, Value

Floats = np.ndarray[Any, np.dtype[np.float64]]
BINS = 16
SHIFT = (-1.75, -0.75, 0.75, 1.75)
"""Bets on values having become smaller or larger: a p-value p multiplies a bet by 1 + bet · (p - ½)."""
SPREAD = (-1.5, 1.5)
"""Bets on values having drawn together or apart: the same with |2p - 1|."""
_CHUNK = 100
"""p-values folded at once: 0.125^100 still is far from the smallest float."""


class Evidence(msgspec.Struct):
    """A conformal Shiryaev-Roberts statistic over bins.

    The n-th value in bin b has p = (#{bins > b} + θ · #{bins = b}) / n among the n values so far, itself
    included, with θ in (0, 1) drawn by the event id. While values are exchangeable, the p are independent and
    uniform, whatever the bins. Each bet is folded as R ← (R + 1) · (1 + bet · (p - ½)); their mean reaches a
    line c on average not before c values.

    Source: Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", 2nd edition, 2022, chapter 8
    (betting on p-values, the conformal Shiryaev-Roberts procedure).

    >>> evidence = Evidence.of(2)
    >>> evidence.add(np.array([0, 1] * 300), np.arange(600) * 2654435761 % 2**32)
    >>> calm = evidence.mean
    >>> evidence.add(np.array([1] * 100), np.arange(100) * 2654435761 % 2**32)
    >>> calm < 100 < 1_000 < evidence.mean
    True
    """

    counts: list[int]
    bets: list[float]

    @classmethod
    def of(cls, bins: int) -> Evidence:
        """Before the first value."""
        return cls([0] * bins, [0.0] * (len(SHIFT) + len(SPREAD)))

    @property
    def mean(self) -> float:
        """The statistic now."""
        return sum(self.bets) / len(self.bets)

    def add(self, placed: Indices, ties: Any) -> None:
        """Takes the bins of values in order, and a whole number below 2**32 for each that breaks its ties."""
        if not len(placed):
            return
        rows = np.arange(len(placed))
        counts = np.zeros((len(placed), len(self.counts)), dtype=np.int64)
        counts[rows, placed] = 1
        counts[0] += self.counts
        np.cumsum(counts, axis=0, out=counts)
        self.counts = counts[-1].tolist()
        below = np.cumsum(counts, axis=1)
        total = below[:, -1]
        p = (total - below[rows, placed] + _uniform(ties) * counts[rows, placed]) / total
        factors = np.concatenate(
            (1.0 + np.multiply.outer(SHIFT, p - 0.5), 1.0 + np.multiply.outer(SPREAD, np.abs(2.0 * p - 1.0) - 0.5))
        )
        bets = np.array(self.bets)
        for start in range(0, len(placed), _CHUNK):
            products = np.cumprod(factors[:, start : start + _CHUNK], axis=1)
            # R_n = P_n · (R_0 + 1 + Σ 1/P_s over s < n): the recursion above, unrolled.
            bets = products[:, -1] * (bets + 1.0 + (1.0 / products[:, :-1]).sum(axis=1))
        self.bets = bets.tolist()


class ConformalStream(msgspec.Struct):
    """The reference of one stream, and the evidence since."""

    reference: list[Value] = []
    bins: Bins | None = None
    losses: BinLosses | None = None
    evidence: Evidence | None = None
    odd: int = 0
    alarmed: float | None = None
    """the evidence of the last alert"""


class ConformalMemory(msgspec.Struct):
    """By name and segment, and the line of the last look."""

    streams: dict[tuple[str, str | None], ConformalStream] = {}
    line: float = 0.0


@dataclass(frozen=True, repr=False)
class Conformal(Monitor[ConformalMemory]):
    """Alerts when a feature, or the `SCORE`, no longer looks drawn as before: its level or its spread changed.

    The first `reference` values fix sixteen bins (as `Psi`'s); those after them are ranked among each other.
    The promise holds for any distribution: as long as values are exchangeable, an alert of any of the names
    comes on average no oftener than `budget` says, by e-BH over all names (and segments) at each tick. It
    sees a shift of one standard deviation within about 50 values, of a tenth within some thousand. It is
    told of change, not of harm: a live model's own score changes as it learns, and values that follow the
    hour of the day are not exchangeable, so give it what has no season. Costs about 0.6 µs an answer and name,
    and 2 µs more by segment.

    >>> Conformal(("amount", SCORE), reference=200)
    Conformal(('amount', '(score)'), reference=200)
    """

    of: Any = (SCORE,)
    reference: int = 500
    by_segment: bool = False
    budget: Budget = WEEKLY
    word = "conformal"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "of", names("Conformal", self.of))
        whole("Conformal", "reference", self.reference, 50, 100_000)

    def columns(self) -> tuple[str, ...]:
        return (*self.of, TIE)

    def segmented(self) -> bool:
        return self.by_segment

    def start(self) -> ConformalMemory:
        return ConformalMemory()

    def look(self, memory: ConformalMemory, tick: Tick) -> list[Alert]:
        recent: dict[tuple[str, str | None], tuple[Slice, list[int]]] = {}
        for one in tick.slices(self.of, self.by_segment):
            stream = memory.streams.setdefault((one.name, one.segment), ConformalStream())
            recent[one.name, one.segment] = one, self._take(stream, one)
        arl = self.budget.arl(tick.pace.per_week(labelled=False))
        memory.line = arl * len(self.of) * (2 if self.by_segment else 1)
        evidence = {key: s.evidence.mean for key, s in memory.streams.items() if s.evidence is not None}
        alerts = []
        for key in e_bh(evidence, memory.line):
            if key in recent:
                alerts.append(self._alert(memory.streams[key], *recent[key], tick, memory.line))
                memory.streams[key] = ConformalStream(odd=memory.streams[key].odd, alarmed=evidence[key])
        return alerts

    def _take(self, stream: ConformalStream, one: Slice) -> list[int]:
        """Folds what a tick brought; gives how much of it fell into each bin."""
        values, ties = one.values, one.ties
        if stream.bins is None:
            before = len(stream.reference)
            read = fill(stream.reference, values, self.reference)
            stream.odd += read - (len(stream.reference) - before)
            values, ties = values[read:], ties[read:]
            if len(stream.reference) < self.reference:
                return []
            stream.bins, stream.reference = Bins.of(stream.reference, BINS), []
            stream.losses, stream.evidence = BinLosses.of(stream.bins), Evidence.of(stream.bins.size)
        assert stream.losses is not None, "bins without losses"
        assert stream.evidence is not None, "bins without evidence"
        stream.losses.add(stream.bins, one.labelled, one.losses)
        placed, where = stream.bins.place(values)
        stream.odd += len(values) - len(placed)
        stream.evidence.add(placed, ties if where is None else [ties[i] for i in where])
        fell: list[int] = np.bincount(placed, minlength=stream.bins.size).tolist()
        return fell

    def _alert(self, stream: ConformalStream, one: Slice, recent: list[int], tick: Tick, line: float) -> Alert:
        assert stream.evidence is not None, "an alert without evidence"
        assert stream.losses is not None, "an alert without losses"
        found, now, before = stream.evidence.mean, recent, sum(stream.evidence.counts)
        usual = [all_of - few for all_of, few in zip(stream.evidence.counts, now, strict=True)]
        effect = stream.losses.effect(_shares(usual), _shares(now))
        reason = (
            f"{told(one.name)} no longer looks drawn as before: evidence {found:.4g} after {before} values, "
            f"above the line of {line:.4g}"
        )
        return tick.alert(self.word, one, line, found, reason, effect)

    def measurements(self, memory: ConformalMemory) -> Iterator[Measurement]:
        for (name, segment), stream in memory.streams.items():
            seen = sum(stream.evidence.counts) if stream.evidence is not None else 0
            value = stream.evidence.mean if stream.evidence is not None else None
            yield Measurement(f"evidence of change in {measured(name)}", value, seen, segment=segment)
            if stream.odd:
                yield Measurement(f"change in {measured(name)} skipped", float(stream.odd), stream.odd, segment=segment)
        yield Measurement("evidence of change line", memory.line or None, len(memory.streams))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _uniform(ties: Any) -> Floats:
    """A number in (0, 1) for each whole one: its bits stirred, so that ids in a row give numbers in no order.

    The stirring is the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    bits = np.asarray(ties, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> np.uint64(31))
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
