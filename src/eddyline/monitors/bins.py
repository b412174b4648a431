"""Bins of one column, frozen with a reference: equally full intervals of numbers, or the most frequent texts.

Keeps I21 (a column has at most 32 bins) and I23. Refuses to know what is compared over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf, nextafter
from typing import Any

import msgspec
import numpy as np

from eddyline.monitors.declared import Losses, numbers_of
from eddyline.records import Value

Indices = np.ndarray[Any, np.dtype[np.intp]]


class Bins(msgspec.Struct):
    """Where a value belongs. Edges belong to the bin on their left; texts beyond the most frequent to the last bin.

    >>> bins = Bins.of([1.0, 2.0, 3.0, 4.0, None, 5.0, 6.0, 7.0, 8.0], 4)
    >>> bins.edges, bins.place([0.0, 2.0, 2.5, 99.0])[0].tolist()
    ([2.0, 4.0, 6.0], [0, 0, 1, 3])
    >>> bins = Bins.of(["UA", "UA", "AA", "DL"], 3)
    >>> bins.texts, bins.place(["DL", "UA", "B6"])[0].tolist()
    (['UA', 'AA'], [2, 0, 2])
    >>> Bins.of([7.0] * 100, 10).place([7.0, 6.9, 7.1])[0].tolist()             # a constant: below it, it, above it
    [1, 0, 2]
    """

    edges: list[float]
    texts: list[str] | None = None
    """None where the column is of numbers"""

    @classmethod
    def of(cls, reference: Sequence[Value], most: int) -> Bins:
        """The bins of a reference: of numbers, unless most of what is there is text."""
        words = [value for value in reference if type(value) is str]
        numbers, _ = numbers_of(reference)
        if len(words) > len(numbers):
            common = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
            return cls([], [word for word, _ in common[: most - 1]])
        numbers.sort()
        many = len(numbers)
        cuts = {float(numbers[(k * many + most - 1) // most - 1]) for k in range(1, most)} if many else set()
        largest = float(numbers[-1]) if many else 0.0
        if many and numbers[0] == largest:
            return cls([nextafter(largest, -inf), largest])  # or else whatever comes later would be in the one bin
        return cls(sorted(cut for cut in cuts if cut < largest))

    @property
    def size(self) -> int:
        """How many bins there are."""
        return len(self.edges) + 1 if self.texts is None else len(self.texts) + 1

    def place(self, values: Sequence[Value]) -> tuple[Indices, Sequence[int] | None]:
        """The bin of each value of the bins' kind, and which values those were (None: all of them)."""
        if self.texts is None:
            numbers, where = numbers_of(values)
            return np.array(self.edges).searchsorted(numbers, side="left"), where
        index, last = {text: i for i, text in enumerate(self.texts)}, len(self.texts)
        where = [i for i, value in enumerate(values) if type(value) is str]
        placed = [index.get(str(values[i]), last) for i in where]
        return np.array(placed, dtype=np.intp), where

    def counted(self, values: Sequence[Value]) -> Indices:
        """How many values fall into each bin."""
        return np.bincount(self.place(values)[0], minlength=self.size)


class BinLosses(msgspec.Struct):
    """Labelled loss by bin: what tells the effect of a shift once it is known which bins gained."""

    counts: list[int]
    totals: list[float]

    @classmethod
    def of(cls, bins: Bins) -> BinLosses:
        """Before the first labelled example."""
        return cls([0] * bins.size, [0.0] * bins.size)

    def add(self, bins: Bins, values: Sequence[Value], losses: Sequence[float]) -> None:
        """Takes labelled examples."""
        placed, where = bins.place(values)
        counts, totals = np.array(self.counts, dtype=np.int64), np.array(self.totals)
        np.add.at(counts, placed, 1)
        np.add.at(totals, placed, losses if where is None else [losses[i] for i in where])  # one by one, in their order
        self.counts, self.totals = counts.tolist(), totals.tolist()

    def effect(self, before: Sequence[float], after: Sequence[float]) -> float | None:
        """Mean loss in the bins whose share grew minus that in the others; None where either has few examples."""
        gained = [now > then for then, now in zip(before, after, strict=True)]
        losses = Losses()
        for grew, count, total in zip(gained, self.counts, self.totals, strict=True):
            if grew:
                losses.count, losses.total = losses.count + count, losses.total + total
            else:
                losses.others, losses.others_total = losses.others + count, losses.others_total + total
        return losses.effect()
