"""Whether events became strange: scores of half-space trees, ranked as conformal p-values.

Keeps `split` (the trees learn at one place in the order of records), I21 and I23. Refuses to know labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from eddyline.monitors.bins import Bins
from eddyline.monitors.budget import LEAST, WEEKLY, Budget, Pace
from eddyline.monitors.conformal import BINS, Evidence
from eddyline.monitors.declared import Monitor, Seen, Tick, whole
from eddyline.monitors.saving import from_bytes, to_bytes
from eddyline.records import Alert, Features, Measurement

WINDOW = 250
"""Events over which River's trees count masses."""
STRANGE = 0.01
"""A p-value at most this counts as strange."""


class Kept(msgspec.Struct):
    """Everything but the trees."""

    skip: int = 0
    """events to pass before the next that is looked at"""
    reference: list[dict[str, float]] = []
    limits: dict[str, tuple[float, float]] = {}
    scores: list[float] = []
    ties: list[int] = []
    trained: list[float] = []
    """the scores of the reference, sorted"""
    bins: Bins | None = None
    evidence: Evidence | None = None
    strange: int = 0
    count: int = 0


@dataclass(slots=True)
class AnomalyMemory:
    """The trees, once they have learned, and the rest."""

    kept: Kept
    trees: Any = None


@dataclass(frozen=True, repr=False)
class Anomalies(Monitor[AnomalyMemory]):
    """Alerts when events look stranger, or less strange, than they did, over all numbers among the features at once.

    Half-space trees (River's) learn the first `reference` events that are looked at, every `every`-th, and are
    frozen. From there on a score is exchangeable with those before it as long as events are, so the evidence of
    `Conformal` keeps its promise: no alert oftener than `budget` says. `strange share` is the share of events
    with p ≤ 0.01, p = (1 + #{reference scores at least as large}) / (1 + reference). At most the first 50
    features in the order of their names are read. A line with other features that comes to answer looks
    strange: one alert, and then the reference is learned anew. Choose it where a shift may show in no feature
    alone. Costs about 1.5 µs an event.

    Source: Tan, Ting, Liu, "Fast anomaly detection for streaming data", IJCAI 2011; Bates, Candès, Lei, Romano,
    Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023.

    >>> Anomalies(every=4)
    Anomalies(every=4)
    """

    every: int = 16
    reference: int = 500
    budget: Budget = WEEKLY
    word = "anomaly"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("Anomalies", "every", self.every, 1, 10_000)
        whole("Anomalies", "reference", self.reference, WINDOW, 10_000)

    def start(self) -> AnomalyMemory:
        return AnomalyMemory(Kept())

    def feed(self, memory: AnomalyMemory, seen: Seen, pace: Pace) -> list[tuple[int, Alert]]:
        kept, many = memory.kept, len(seen.predictions)
        if kept.skip >= many:
            kept.skip -= many
            return []
        chosen = seen.predictions[kept.skip :: self.every]
        kept.skip = (kept.skip - many) % self.every
        for prediction in chosen:
            numbers = _numbers(prediction.features)
            if memory.trees is None:
                kept.reference.append(numbers)
                if len(kept.reference) == self.reference:
                    _train(memory)
            else:
                kept.scores.append(float(memory.trees.score_one(_scaled(numbers, kept.limits))))
                kept.ties.append(crc32(prediction.event_id.encode()))
        return []

    def look(self, memory: AnomalyMemory, tick: Tick) -> list[Alert]:
        kept = memory.kept
        if kept.bins is None or kept.evidence is None or not kept.scores:
            return []
        kept.evidence.add(kept.bins.place(kept.scores)[0], kept.ties)
        p = (1 + len(kept.trained) - np.searchsorted(kept.trained, kept.scores)) / (1 + len(kept.trained))
        kept.strange, kept.count = kept.strange + int((p <= STRANGE).sum()), kept.count + len(kept.scores)
        recent, scored = float((p <= STRANGE).mean()), len(kept.scores)
        kept.scores, kept.ties = [], []
        observed = tick.pace.per_week(labelled=False)
        line = max(LEAST, self.budget.arl(observed) / self.every)
        if kept.evidence.mean < line:
            return []
        since = tick.since
        reason = (
            f"events look stranger or less strange than they did: evidence {kept.evidence.mean:.4g} after "
            f"{kept.count} looked at, above the line of {line:.4g}; {recent:.1%} of the last {scored} have p ≤ {STRANGE:g}"
        )
        alert = Alert(self.word, "events", since.at, since.position, STRANGE, recent, reason)
        memory.kept, memory.trees = Kept(skip=kept.skip, strange=kept.strange, count=kept.count), None
        return [alert]

    def measurements(self, memory: AnomalyMemory) -> Iterator[Measurement]:
        kept = memory.kept
        yield Measurement("strange share", kept.strange / kept.count if kept.count else None, kept.count)
        yield Measurement("evidence of anomalies", kept.evidence.mean if kept.evidence else None, kept.count)

    def save(self, memory: AnomalyMemory) -> bytes:
        return to_bytes((msgspec.msgpack.encode(memory.kept), memory.trees), ())

    def restore(self, data: bytes) -> AnomalyMemory:
        kept, trees = from_bytes(data, ())
        return AnomalyMemory(msgspec.msgpack.decode(kept, type=Kept), trees)


def _train(memory: AnomalyMemory) -> None:
    """Grows the trees from the reference, and fixes the bins of their scores."""
    from river import anomaly

    kept = memory.kept
    columns: dict[str, list[float]] = {}
    for numbers in kept.reference:
        for name, number in numbers.items():
            columns.setdefault(name, []).append(number)
    chosen = sorted(columns)[:50]
    if not chosen:
        kept.reference = []  # there is no number to learn from; perhaps among those that come
        return
    kept.limits = {name: (min(columns[name]), max(columns[name])) for name in chosen}
    trees: Any = anomaly  # untyped in River
    memory.trees = trees.HalfSpaceTrees(n_trees=10, height=6, window_size=WINDOW, seed=1)
    scaled = [_scaled(numbers, kept.limits) for numbers in kept.reference]
    for one in scaled:
        memory.trees.learn_one(one)
    kept.trained = sorted(float(memory.trees.score_one(one)) for one in scaled)
    kept.bins = Bins.of(kept.trained, BINS)
    kept.evidence, kept.reference = Evidence.of(kept.bins.size), []


def _numbers(features: Features) -> dict[str, float]:
    plain: dict[str, Any] = features
    return {name: float(value) for name, value in plain.items() if type(value) in (float, int, bool)}


def _scaled(numbers: dict[str, float], limits: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Numbers in [0, 1] by the limits of the reference, the outside at its end; a half where one is missing."""
    scaled = {}
    for name, (low, high) in limits.items():
        number = numbers.get(name)
        if number is None or high <= low:
            scaled[name] = 0.5
        else:
            scaled[name] = min(1.0, max(0.0, (number - low) / (high - low)))
    return scaled
