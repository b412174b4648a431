"""Truths beside answers, as metrics are shown them: all of a batch, or the part of it that belongs to a group.

Equal pairs are counted once, however many groups take them; of yes and no a batch is one text of four letters, in which each
group counts its own. Keeps `split`. Refuses to know metrics and groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

FEW = 8
"""Fewer examples than this are shown to a metric one by one: counting them costs more."""
Columns = list[list[Any]]
"""For each metric the answers it is given; None where there was none."""
Counts = list[tuple[Any, Any, int]]
"""How often each (truth, answer) occurs."""
_BOOL = {bool}


class Pairs:
    """Truths in order, and beside them the answers that each metric is given.

    For River's metrics of classes it is the same to the bit, and shorter, to be told how often a pair occurs. `values` is
    what was answered, whichever the metrics read.

    >>> pairs = Pairs([True] * 5 + [False] * 5, [[True] * 10])
    >>> pairs.counts(0), pairs.some(range(4, 10)).counts(0), pairs.some(range(1, 10)).counts(0)
    ([(True, True, 5), (False, True, 5)], None, [(True, True, 4), (False, True, 5)])
    """

    __slots__ = ("_letters", "_parts", "columns", "counted", "gaps", "truths", "values")

    def __init__(self, truths: list[Any], columns: Columns, values: list[Any] | None = None) -> None:
        self.truths = truths
        self.columns = columns
        self.values = columns[0] if values is None and columns else values
        self.gaps = [column.count(None) for column in columns]
        """how many answers are missing in each"""
        self.counted: dict[int, Counts | None] = {}
        self._letters: bytes | bool | None = False
        self._parts: dict[tuple[int, int], Pairs] = {}

    def counts(self, i: int) -> Counts | None:
        """How often each (truth, answer) occurs for metric `i`, in the order they first came; None: show them one by one."""
        if len(self.truths) < FEW:
            return None
        column = self.columns[i]
        mark = id(column)  # metrics of one kind are given one column
        if mark not in self.counted:
            self.counted[mark] = self._count(column)
        return self.counted[mark]

    def _count(self, column: list[Any]) -> Counts | None:
        letters = self.letters() if column is self.values else None
        if letters is not None:
            first = sorted((letters.find(letter), letter) for letter in range(4) if letter in letters)
            return [(letter > 1, letter % 2 == 1, letters.count(letter)) for _, letter in first]
        try:
            found = Counter(zip(self.truths, column, strict=True))
        except TypeError:  # an answer that is no key: the metric says so itself
            return None
        return [(truth, answer, many) for (truth, answer), many in found.items() if answer is not None]

    def letters(self) -> bytes | None:
        """For each example 2 where the truth is yes, and 1 more where the answer is; None where they are not all yes or no."""
        if self._letters is False:
            truths, values = self.truths, self.values
            self._letters = None
            if values is not None and set(map(type, truths)) == _BOOL == set(map(type, values)):
                both = np.frombuffer(bytes(truths), np.uint8) * 2 + np.frombuffer(bytes(values), np.uint8)
                self._letters = both.tobytes()
        return self._letters  # type: ignore[return-value]

    def some(self, chosen: Sequence[int]) -> Pairs:
        """Those with these numbers; neighbours are remembered for whoever asks for the same next."""
        if type(chosen) is not range:
            return self._made(lambda column: [column[i] for i in chosen])
        start, end = chosen.start, chosen.stop
        if end - start == len(self.truths):
            return self
        found = self._parts.get((start, end))
        if found is None:
            found = self._parts[start, end] = self._made(lambda column: column[start:end])
            if self._letters:
                found._letters = self._letters[start:end]  # type: ignore[index]
        return found

    def _made(self, part_of: Any) -> Pairs:
        made: dict[int, list[Any]] = {}
        for column in (*self.columns, self.values):
            if column is not None and id(column) not in made:
                made[id(column)] = part_of(column)
        values = None if self.values is None else made[id(self.values)]
        return Pairs(part_of(self.truths), [made[id(column)] for column in self.columns], values)
