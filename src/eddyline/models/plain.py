"""Answers as plain Python values, whatever a library returned: what travels must not carry numpy's types."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from eddyline.records import Scores, Value

_PLAIN = frozenset({bool, int, float, str, type(None)})


def plain_value(value: Any) -> Value:
    """A class, number or score as a plain Python value.

    >>> plain_value(np.float64(0.5)), plain_value(np.str_("red")), plain_value(True)
    (0.5, 'red', True)
    """
    if type(value) in _PLAIN:
        plain: Value = value
        return plain
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
        item: Value = value.item()
        return item
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"the model answered {type(value).__name__}; expected a class, a number or None")


def plain_scores(scores: Mapping[Any, Any] | None) -> Scores:
    """Probabilities by class as a plain dict of its own, so that learning on cannot change what was answered.

    >>> plain_scores({np.str_("red"): np.float64(0.25), "blue": 0.75})
    {'red': 0.25, 'blue': 0.75}
    """
    if not scores:
        return {}
    return {name if type(name) in _PLAIN else plain_value(name): float(score) for name, score in scores.items()}


def finite(answer: Any) -> bool:
    """Whether a number, or every number of a dict of scores, is finite. No answer at all is not unsound.

    >>> finite({True: 0.2, False: float("nan")}), finite(1.0), finite(None), finite("red")
    (False, True, True, True)
    """
    if isinstance(answer, dict):
        return all(isfinite(value) for value in answer.values())
    if answer is None or isinstance(answer, str):
        return True
    return isfinite(answer)
