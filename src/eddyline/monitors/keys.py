"""Which group each example belongs to: run by run where that is possible, which costs a tenth of key by key.

Days and versions come one after the other, so that most batches are a few runs. Knows nothing of what groups measure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

Run = tuple[Any, int, int]
"""A key, the number of the first example that has it, and the number after that of the last."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of examples in order: `several` runs, none of whose keys comes back, or else `each` key.

    >>> Keys.of(["a", "a"]), Keys.of(["a", "b"])
    (Keys(several=[('a', 0, 2)], each=None), Keys(several=None, each=['a', 'b']))
    >>> Keys.by_span([8, 9, 10, 31], 10), Keys.by_span([9, 10, 8], 10)
    (Keys(several=[(0, 0, 2), (1, 2, 3), (3, 3, 4)], each=None), Keys(several=None, each=[0, 1, 0]))
    """

    several: list[Run] | None
    each: list[Any] | None

    @classmethod
    def of(cls, keys: list[Any]) -> Keys:
        """Keys as they are."""
        if keys and keys.count(keys[0]) == len(keys):
            return cls([(keys[0], 0, len(keys))], None)
        return cls(None, keys)

    @classmethod
    def by_span(cls, numbers: list[int], span: int) -> Keys:
        """How many whole spans each number is: the day of an instant."""
        if sorted(numbers) != numbers:
            return cls.of([number // span for number in numbers])
        runs: list[Run] = []
        start, many = 0, len(numbers)
        while start < many:
            key = numbers[start] // span
            end = many if numbers[-1] < (key + 1) * span else bisect_left(numbers, (key + 1) * span, start)
            runs.append((key, start, end))
            start = end
        return cls(runs, None)

    def runs(self) -> Iterator[Run]:
        """The runs in order; where there are no others, of neighbours that are equal."""
        if self.several is not None:
            yield from self.several
            return
        start = 0
        for key, same in groupby(self.each or ()):
            end = start + len(list(same))
            yield key, start, end
            start = end

    def members(self) -> dict[Any, Sequence[int]]:
        """The numbers of the examples of each key, keys in the order in which they come last."""
        if self.several is not None:
            return {key: range(start, end) for key, start, end in self.several}
        keys = self.each or []
        order = list(dict.fromkeys(reversed(keys)))
        order.reverse()
        return _members(keys, order)


def _members(keys: Sequence[Any], order: Iterable[Any]) -> dict[Any, Sequence[int]]:
    members: dict[Any, list[int]] = {key: [] for key in order}
    for i, key in enumerate(keys):
        members[key].append(i)
    return dict(members)
