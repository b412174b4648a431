"""Whether a feature is missing more often than it was. Laws as in `shares.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eddyline.monitors.budget import WEEKLY, Budget
from eddyline.monitors.declared import SCORE, Slice, names, share, told, whole
from eddyline.monitors.shares import LEAST, Shares, ShareStream, at_most, objective
from eddyline.records import Value


@dataclass(frozen=True, repr=False)
class Missing(Shares):
    """Alerts when a feature, or the `SCORE`, is None or absent more often than it was.

    Where a line answers that makes no such feature (it was in no answer of that line, not even as None), it pauses for those
    answers, as every monitor of a feature does: `feature age paused` counts them.

    Without `at_most` the share is learned from the first `reference` answers: what they allow with confidence
    99.9 %, and at least 1 %. `Alert.effect` is the mean loss where it is missing minus that where it is
    there. False alarms come no oftener than `budget` says, however misses follow each other. Costs about
    0.3 µs an answer and name.

    >>> Missing(("amount", "age"), at_most=0.05)
    Missing(('amount', 'age'), at_most=0.05)
    """

    of: Any = (SCORE,)
    at_most: float | None = None
    reference: int = 1_000
    by_segment: bool = False
    budget: Budget = WEEKLY
    word = "missing"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "of", names("Missing", self.of))
        whole("Missing", "reference", self.reference, 100, 100_000)
        if self.at_most is not None:
            share("Missing", "at_most", self.at_most)

    def declared(self, name: str) -> tuple[list[Value], float] | None:
        return None if self.at_most is None else ([], self.at_most)

    def learned(self, name: str, reference: Sequence[Value]) -> tuple[list[Value], float]:
        return [], objective(at_most(sum(self.bad([], reference)), len(reference)), LEAST)

    def bad(self, known: list[Value], values: Sequence[Value]) -> list[bool]:
        if None not in values:
            return [False] * len(values)
        return [value is None for value in values]

    def reason(self, one: Slice, stream: ShareStream, known: list[Value]) -> str:
        assert stream.above is not None, "an alert without a detector"
        return (
            f"{told(one.name)} is missing in {stream.above.mean:.2%} of the last {stream.above.count} answers, "
            f"more than {stream.above.objective:.2%}"
        )
