"""Whether a feature leaves its range. Laws as in `shares.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eddyline.monitors.budget import WEEKLY, Budget
from eddyline.monitors.declared import Slice, names, numbers_of, share, told, whole
from eddyline.monitors.shares import LEAST, Shares, ShareStream, at_most, objective
from eddyline.records import Value
from eddyline.records.errors import DeclarationError


@dataclass(frozen=True, repr=False)
class Ranges(Shares):
    """Alerts when a feature lies outside its range more often than chance has it.

    `of` is a feature, several, or a dict of the ranges you know: `{"amount": (0, 10_000)}`. A range that is not
    said is learned: the least and the largest of the first `reference` answers, which a further value leaves
    with a chance of 2 / reference. Texts and None lie outside of no range; `Missing` counts None. `at_most` is
    the share outside that is nobody's concern. `Alert.effect` is the mean loss outside minus that inside. Costs
    about 0.4 µs an answer and name.

    >>> Ranges({"amount": (0, 10_000)}, at_most=0.001)
    Ranges({'amount': (0, 10000)}, at_most=0.001)
    """

    of: Any
    at_most: float = LEAST
    reference: int = 1_000
    by_segment: bool = False
    budget: Budget = WEEKLY
    word = "range"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("Ranges", "reference", self.reference, 100, 100_000)
        share("Ranges", "at_most", self.at_most)
        if not isinstance(self.of, Mapping):
            object.__setattr__(self, "of", names("Ranges", self.of))
            return
        for name, ends in ((name, self.of[name]) for name in names("Ranges", list(self.of))):
            plain = isinstance(ends, list | tuple) and len(ends) == 2 and all(type(end) in (int, float) for end in ends)
            if not plain or not ends[0] <= ends[1]:
                raise DeclarationError(f'watch: Ranges({{"{name}": {ends!r}}})\nwrite the least and the largest: (0, 10_000)')
        object.__setattr__(self, "of", {name: tuple(ends) for name, ends in self.of.items()})

    def declared(self, name: str) -> tuple[list[Value], float] | None:
        return (list(self.of[name]), self.at_most) if isinstance(self.of, Mapping) else None

    def learned(self, name: str, reference: Sequence[Value]) -> tuple[list[Value], float]:
        numbers, _ = numbers_of(reference)
        if not len(numbers):
            return [], objective(0.0, self.at_most)
        # The least and the largest of n leave out as much as 2 of n do, where two fewer could have been outside.
        return [float(numbers.min()), float(numbers.max())], objective(at_most(2, len(numbers) + 1), self.at_most)

    def bad(self, known: list[Value], values: Sequence[Value]) -> list[bool]:
        bad = [False] * len(values)
        if known:
            numbers, where = numbers_of(values)
            ends: Any = known
            outside = ((numbers < ends[0]) | (numbers > ends[1])).nonzero()[0].tolist()
            for index in outside:
                bad[index if where is None else where[index]] = True
        return bad

    def reason(self, one: Slice, stream: ShareStream, known: list[Value]) -> str:
        assert stream.above is not None, "an alert without a detector"
        low, high = known
        return (
            f"{told(one.name)} was outside {low:g} to {high:g} in {stream.above.mean:.2%} of the last "
            f"{stream.above.count} answers, more than {stream.above.objective:.2%}"
        )
