"""What quality probably is where labels are late: confidence-based performance estimation. Advisory.

Keeps `split` (it looks at ticks), I21 and I23. It is an estimate, named so in every metric, raises no alert, and no
promotion may rest on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from eddyline.monitors.declared import ANSWER, CONFIDENCE, Monitor, Tick, numbers_of, whole
from eddyline.records import Alert, Measurement, Task, Value
from eddyline.records.errors import DeclarationError

BINS = 20
WEIGHT = 20.0
"""The model's own confidence counts as so many labelled examples in each bin."""
MEMORY = 2_000.0
"""Labelled examples in a bin beyond which its past is halved: a live model's calibration moves."""
KINDS = ("other", "False", "True")


class EstimateMemory(msgspec.Struct):
    """By kind of answer and bin of confidence."""

    labelled: list[float]
    right: list[float]
    counts: list[float]
    sums: list[float]
    shown: list[float | None]
    """accuracy, precision and recall of the last full window"""
    over: int = 0
    skipped: int = 0


@dataclass(frozen=True, repr=False)
class Estimated(Monitor[EstimateMemory]):
    """Estimates accuracy (and precision and recall of True) without labels, as `... (advisory, CBPE)`.

    With calibrated probabilities p of the answered class, expected accuracy is the mean of p; expected true
    positives are the sum of p over answers of True, and so on. Here p is calibrated by the labelled examples so
    far: in each of 20 bins of confidence, by answer, p = (right + 20 · stated) / (labelled + 20). It is renewed
    with each full `window` of answers. Right while only the features drift; wrong when the concept does: it said
    .735 where the truth was .517. Choose it to see something before labels come, and believe the labels. Costs
    about 0.5 µs an answer.

    Source: NannyML, "Confidence-based performance estimation"; Garg, Balakrishnan, Lipton, Neyshabur, Sedghi,
    "Leveraging unlabeled data to predict out-of-distribution performance", ICLR 2022.

    >>> Estimated(window=500)
    Estimated(window=500)
    """

    window: int = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("Estimated", "window", self.window, 50, 1_000_000)

    def check(self, task: Task) -> None:
        if task is not Task.CLASSIFICATION:
            raise DeclarationError("watch: Estimated needs a model that answers classes with probabilities\ntake it out")

    def columns(self) -> tuple[str, ...]:
        return (ANSWER, CONFIDENCE)

    def start(self) -> EstimateMemory:
        return EstimateMemory(_table(), _table(), _table(), _table(), [None, None, None])

    def look(self, memory: EstimateMemory, tick: Tick) -> list[Alert]:
        since = tick.since
        places, _, chosen = _place(since.labelled[ANSWER], since.labelled[CONFIDENCE])
        right = 1.0 - np.array(since.losses if type(chosen) is range else [since.losses[i] for i in chosen])
        _fill(memory.labelled, places, None)
        _fill(memory.right, places, right)
        for i, many in enumerate(memory.labelled):
            if many > MEMORY:
                memory.labelled[i] *= 0.5
                memory.right[i] *= 0.5
        places, stated, chosen = _place(since.columns[ANSWER], since.columns[CONFIDENCE])
        memory.skipped += len(since.ats) - len(chosen)
        _fill(memory.counts, places, None)
        _fill(memory.sums, places, stated)
        many = int(sum(memory.counts))
        if many >= self.window:
            memory.shown, memory.over = _estimates(memory), many
            memory.counts, memory.sums = _table(), _table()
        return []

    def measurements(self, memory: EstimateMemory) -> Iterator[Measurement]:
        for name, value in zip(("Accuracy", "Precision", "Recall"), memory.shown, strict=True):
            if value is not None or name == "Accuracy":
                yield Measurement(f"{name} (advisory, CBPE)", value, memory.over)
        if memory.skipped:
            yield Measurement("advisory, CBPE skipped", float(memory.skipped), memory.skipped)


def _table() -> list[float]:
    """A number for each kind of answer and bin of confidence, kind by kind."""
    return [0.0] * (len(KINDS) * BINS)


def _place(answers: Sequence[Value], confidences: Sequence[Value]) -> tuple[Any, Any, Sequence[int]]:
    """Where each answer with a confidence belongs in a table, its confidence, and which answers those were.

    A model of the user's may call anything a probability: what is beyond 0 and 1 is taken as 0 and 1.
    """
    found, where = numbers_of(confidences)
    stated = found.clip(0.0, 1.0)
    chosen = range(len(answers)) if where is None else where
    if where is None and set(map(type, answers)) == {bool}:
        yes: Any = answers
        kinds = np.frombuffer(bytes(yes), np.uint8).astype(np.int64) + _KIND[False]
    else:
        kinds = np.array([_KIND.get(answers[i], 0) if type(answers[i]) is bool else 0 for i in chosen], dtype=np.int64)
    return kinds * BINS + np.minimum(BINS - 1, (BINS * stated).astype(np.int64)), stated, chosen


_KIND: dict[Value, int] = {False: 1, True: 2}


def _fill(table: list[float], places: Any, weights: Any) -> None:
    """Adds one, or a weight, at each place."""
    table[:] = (np.bincount(places, weights, minlength=len(table)) + table).tolist()


def _estimates(memory: EstimateMemory) -> list[float | None]:
    """Accuracy, precision and recall of True that the window's answers would have."""
    right, counts = [0.0] * len(KINDS), [0.0] * len(KINDS)
    for i, (many, stated) in enumerate(zip(memory.counts, memory.sums, strict=True)):
        if many:
            known = memory.labelled[i] + WEIGHT
            right[i // BINS] += many * (memory.right[i] + WEIGHT * stated / many) / known
            counts[i // BINS] += many
    accuracy = sum(right) / sum(counts)
    if counts[0] or not sum(counts[1:]):
        return [accuracy, None, None]
    missed = counts[1] - right[1]
    found = right[2] + missed
    return [accuracy, right[2] / counts[2] if counts[2] else None, right[2] / found if found else None]
