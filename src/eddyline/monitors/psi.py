"""Whether values are still distributed as in a frozen reference: the population stability index, with an honest line.

Keeps `split` (it looks at ticks), I21 and I23. Refuses to know whether a shift hurts; `Alert.effect` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from math import log
from typing import Any

import msgspec

from eddyline.monitors.bins import BinLosses, Bins
from eddyline.monitors.budget import WEEKLY, Budget
from eddyline.monitors.declared import SCORE, Monitor, Slice, Tick, fill, measured, names, told, whole
from eddyline.records import Alert, Measurement, Value
from eddyline.records.errors import DeclarationError
from eddyline.records.time import show_instant

BINS = 10
MINUTE_US = 60_000_000


class PsiStream(msgspec.Struct):
    """The reference of one stream and the window that grows beside it."""

    reference: list[Value] = []
    """values until there are enough of them; then they are forgotten"""
    bins: Bins | None = None
    losses: BinLosses | None = None
    expected: list[int] = []
    counts: list[int] = []
    psi: float | None = None
    line: float | None = None
    compared: int = 0
    """values in the last window that was compared"""
    odd: int = 0
    """values without a bin: None, or text among numbers"""
    since: int | None = None
    """event time in µs from which the reference is"""
    until: int = 0
    """and until when"""


class PsiMemory(msgspec.Struct):
    """By name and segment."""

    streams: dict[tuple[str, str | None], PsiStream] = {}


@dataclass(frozen=True, repr=False)
class Psi(Monitor[PsiMemory]):
    """Alerts when a feature, or the `SCORE`, is distributed otherwise than in its reference.

    PSI = Σ (q - p) ln(q / p) over bins with share p in the reference and q in the window; no unit. Ten bins,
    equally full in the reference (the first `reference` values), frozen with it; half a value is added to each.
    Texts have a bin for each of the nine most frequent and one for the rest. Each full `window` is compared
    once. Without drift PSI is about (1/n + 1/m) · χ²(bins - 1) for n values in the window and m in the
    reference, so the folk rule "above 0.1" cries wolf on 40 % of clean windows of 100. The line here is the
    larger of `size`, the practical one, and the quantile of that χ² at which `budget` is kept by all names
    together. Measurements show both as `psi of ...` and `psi line of ...`. After an alert the reference is
    learned anew, from what comes then; an alert says from when to when its reference is. Let the reference cover what
    comes and goes by itself, a day or a week of events: with the first 1,000 values of a summer every autumn alerts.
    Choose `Conformal` where a shift must be seen at once or however small; this one is the
    number that auditors ask for. Costs about 0.4 µs an answer and name, and 1 µs more by segment.

    Source: Yurdakul, Naranjo, "Statistical properties of the population stability index", Journal of Risk
    Model Validation 14, 2020.

    >>> Psi("amount", size=0.2)
    Psi(('amount',), size=0.2)
    >>> round(psi([50, 50], [40, 60]), 4), round(chance_line(100, 100, 10, 0.05), 3)
    (0.0397, 0.338)
    """

    of: Any = (SCORE,)
    size: float = 0.1
    reference: int = 1_000
    window: int = 1_000
    by_segment: bool = False
    budget: Budget = WEEKLY
    word = "psi"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "of", names("Psi", self.of))
        whole("Psi", "reference", self.reference, 100, 100_000)
        whole("Psi", "window", self.window, 100, 1_000_000)
        if isinstance(self.size, bool) or not isinstance(self.size, int | float) or not 0 <= self.size < 100:
            raise DeclarationError(f"watch: Psi(size={self.size!r}), expected a number such as 0.1")

    def columns(self) -> tuple[str, ...]:
        return tuple(self.of)

    def segmented(self) -> bool:
        return self.by_segment

    def start(self) -> PsiMemory:
        return PsiMemory()

    def look(self, memory: PsiMemory, tick: Tick) -> list[Alert]:
        alerts: list[Alert] = []
        # A window is a look, and a family has one a window and name: so many may fail that the budget is kept.
        arl = self.budget.arl(tick.pace.per_week(labelled=False))
        chance = min(0.05, self.window / (arl * len(self.of) * (2 if self.by_segment else 1)))
        for one in tick.slices(self.of, self.by_segment):
            stream = memory.streams.setdefault((one.name, one.segment), PsiStream())
            alerts += self._stream(stream, one, tick, chance)
        return alerts

    def _stream(self, stream: PsiStream, one: Slice, tick: Tick, chance: float) -> Iterator[Alert]:
        values = one.values
        if stream.bins is None:
            values = self._refer(stream, values, tick)
        if stream.bins is None:
            return
        assert stream.losses is not None, "bins without losses"
        stream.losses.add(stream.bins, one.labelled, one.losses)
        found = stream.bins.counted(values).tolist()
        stream.odd += len(values) - sum(found)
        stream.counts = [a + b for a, b in zip(stream.counts, found, strict=True)]
        if sum(stream.counts) < self.window:
            return
        alert = self._compare(stream, one, tick, chance)
        stream.counts = [0] * len(stream.counts)
        if alert is not None:
            kept = PsiStream(psi=stream.psi, line=stream.line, compared=stream.compared, odd=stream.odd)
            for word in PsiStream.__struct_fields__:
                setattr(stream, word, getattr(kept, word))
            yield alert

    def _refer(self, stream: PsiStream, values: Sequence[Value], tick: Tick) -> Sequence[Value]:
        """Fills the reference, freezes the bins when it is full; gives the values that were not needed."""
        if stream.since is None and values:
            stream.since = min(tick.since.ats)
        stream.until = tick.since.at
        before = len(stream.reference)
        read = fill(stream.reference, values, self.reference)
        stream.odd += read - (len(stream.reference) - before)
        if len(stream.reference) < self.reference:
            return []
        stream.bins = Bins.of(stream.reference, BINS)
        stream.losses = BinLosses.of(stream.bins)
        stream.expected = stream.bins.counted(stream.reference).tolist()
        stream.counts = [0] * stream.bins.size
        stream.reference = []
        return values[read:]

    def _compare(self, stream: PsiStream, one: Slice, tick: Tick, chance: float) -> Alert | None:
        window, reference = sum(stream.counts), sum(stream.expected)
        stream.psi, stream.compared = psi(stream.expected, stream.counts), window
        stream.line = max(float(self.size), chance_line(window, reference, len(stream.counts), chance))
        if stream.psi <= stream.line or stream.losses is None:
            return None
        shares = [count / reference for count in stream.expected], [count / window for count in stream.counts]
        effect = stream.losses.effect(*shares)
        reason = (
            f"{told(one.name)} is distributed otherwise than in its reference, {reference} values from "
            f"{_minute(stream.since or 0)} to {_minute(stream.until)}: "
            f"PSI {stream.psi:.3g} over {window}, above the line of {stream.line:.3g}"
        )
        return tick.alert(self.word, one, stream.line, stream.psi, reason, effect)

    def measurements(self, memory: PsiMemory) -> Iterator[Measurement]:
        for (name, segment), stream in memory.streams.items():
            yield Measurement(f"psi of {measured(name)}", stream.psi, stream.compared, segment=segment)
            yield Measurement(f"psi line of {measured(name)}", stream.line, stream.compared, segment=segment)
            if stream.odd:
                yield Measurement(f"psi of {measured(name)} skipped", float(stream.odd), stream.odd, segment=segment)


def _minute(at: int) -> str:
    """An instant to the minute."""
    return show_instant(at // MINUTE_US * MINUTE_US).replace(":00Z", "Z")


def psi(expected: Sequence[int], counts: Sequence[int]) -> float:
    """The index of two counts over the same bins, with half a value added to each bin."""
    half = 0.5 * len(counts)
    before, after = sum(expected) + half, sum(counts) + half
    total = 0.0
    for one, other in zip(expected, counts, strict=True):
        p, q = (one + 0.5) / before, (other + 0.5) / after
        total += (q - p) * log(q / p)
    return total


@lru_cache(256)
def chance_line(window: int, reference: int, bins: int, chance: float) -> float:
    """What PSI exceeds with this chance where nothing has changed: (1/n + 1/m) times the quantile of χ²(bins - 1).

    With fewer than 30 values a bin in the window, chances below 0.2 % are exceeded up to five times as often (a million
    simulated windows each of 100 and 200), so there a fifth of the chance is asked for.
    """
    if bins < 2:
        return 0.0
    if window < 30 * bins and chance < 0.002:
        chance /= 5
    special: Any = import_module("scipy.special")  # untyped; River brings it
    return float((1 / window + 1 / reference) * special.chdtri(bins - 1, chance))
