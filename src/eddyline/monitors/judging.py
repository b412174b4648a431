"""How wrong an answer was: the error of each example, for the truths that a task can read.

Keeps `finite`. Refuses to know who watches the errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eddyline.records import LIMIT, Example, Task

_NUMBERS = frozenset((float, int, bool))
_PLAIN = frozenset((float, int, bool, str))


@dataclass(frozen=True, slots=True)
class Judged:
    """Examples that have an error, each with it and with its number among all examples of its part of a batch."""

    examples: Sequence[Example]
    errors: Sequence[float]
    numbers: Sequence[int]


NOTHING = Judged((), (), ())


def judge(examples: list[Example], values: list[Any], numbers: Sequence[int], task: Task) -> tuple[Judged, int]:
    """The error of each example, whose answers are `values`: 1 or 0 for classes, the distance for numbers.

    And how many had no answer.
    """
    silent = values.count(None)
    if silent:
        chosen = [i for i, value in enumerate(values) if value is not None]
        examples, values, numbers = [examples[i] for i in chosen], [values[i] for i in chosen], [numbers[i] for i in chosen]
    errors: list[float]
    if task is Task.CLASSIFICATION:
        errors = [1.0 if e.truth != value else 0.0 for e, value in zip(examples, values, strict=True)]
    else:
        errors = [float(abs(e.truth - value)) for e, value in zip(examples, values, strict=True)]
    return Judged(examples, errors, numbers), silent


def all_fit(truths: list[Any], task: Task) -> bool:
    """Whether metrics of this task can read these truths: plain, finite, numbers for numbers."""
    kinds = set(map(type, truths))
    if kinds == {bool}:
        return True
    if not kinds <= (_NUMBERS if task is Task.REGRESSION else _PLAIN):
        return False
    numbers = truths if kinds <= _NUMBERS else [truth for truth in truths if type(truth) is not str]
    return bool(sum(map(abs, numbers)) <= LIMIT)
