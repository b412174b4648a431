"""Whether categories come that were not there before. Laws as in `shares.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eddyline.monitors.budget import WEEKLY, Budget
from eddyline.monitors.declared import Slice, names, share, told, whole
from eddyline.monitors.shares import LEAST, Shares, ShareStream, at_most, objective
from eddyline.records import Value
from eddyline.records.errors import DeclarationError

MOST = 10_000
"""Categories of one feature that are remembered: the first that came in the reference."""


@dataclass(frozen=True, repr=False)
class Unseen(Shares):
    """Alerts when a feature has categories that were not in its reference, more often than chance has it.

    The categories are those of the first `reference` answers, or those you list in `known`, for all names
    alike. None is not a category; whole numbers and truth values are. Where they are learned, new ones are
    expected as often as those seen once were (Good-Turing), with confidence 99.9 %, and at least in 1 % of
    answers. Where you list them, in `at_most` of answers. `Alert.effect` is the mean loss of unseen categories
    minus that of known ones. Costs about 0.3 µs an answer and name.

    >>> Unseen("carrier", known=("UA", "AA"))
    Unseen(('carrier',), known=('UA', 'AA'))
    """

    of: Any
    known: Sequence[Value] | None = None
    at_most: float = LEAST
    reference: int = 1_000
    by_segment: bool = False
    budget: Budget = WEEKLY
    word = "unseen"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "of", names("Unseen", self.of))
        whole("Unseen", "reference", self.reference, 100, 100_000)
        share("Unseen", "at_most", self.at_most)
        if self.known is not None:
            plain = isinstance(self.known, list | tuple) and self.known
            if not plain or not all(type(one) in (str, int, float, bool) for one in self.known):
                fault = f"watch: Unseen(known={self.known!r}), expected the categories, one or several"
                raise DeclarationError(f'{fault}\nwrite Unseen("{self.of[0]}", known=("UA", "AA"))')
            object.__setattr__(self, "known", tuple(self.known))

    def _two(self, first: str, second: str) -> None:
        raise DeclarationError(
            f'watch: Unseen("{first}", "{second}"), expected the known categories, one or several\n'
            f'write Unseen("{first}", known=("{second}",)), or Unseen(("{first}", "{second}")) for two features'
        )

    def declared(self, name: str) -> tuple[list[Value], float] | None:
        return None if self.known is None else (list(self.known), self.at_most)

    def learned(self, name: str, reference: Sequence[Value]) -> tuple[list[Value], float]:
        counts = Counter(value for value in reference if value is not None)
        once = sum(many == 1 for many in counts.values())
        known: list[Value] = [*counts]
        return known[:MOST], objective(at_most(once, len(reference)), self.at_most)

    def bad(self, known: list[Value], values: Sequence[Value]) -> list[bool]:
        there = {*known, None}
        if there.issuperset(values):
            return [False] * len(values)
        return [value not in there for value in values]

    def reason(self, one: Slice, stream: ShareStream, known: list[Value]) -> str:
        assert stream.above is not None, "an alert without a detector"
        there = {*known, None}
        new = [str(value) for value in dict.fromkeys(one.values) if value not in there]
        shown = ", ".join(new[:3]) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
        return (
            f"{told(one.name)} had an unseen category in {stream.above.mean:.2%} of the last {stream.above.count} answers, "
            f"more than {stream.above.objective:.2%}" + (f": {shown}" if shown else "")
        )
