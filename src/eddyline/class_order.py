"""Metrics of classes are read in one order of their classes, so that they say the same number in every process.

River's confusion matrix hands out its classes as a set stands, and what sums over them (MacroF1, CohenKappa, MutualInfo and
others) has another last digit in another order. For texts that order is drawn anew with every process's PYTHONHASHSEED. Only
reading is put in order: what a metric remembers, and how it learns, stay River's. Knows River by the name of its class alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

_SAME_EVERYWHERE = frozenset((bool, int, float))
"""Types whose hashes know no seed: a set of them is walked as River walks it, to its last digit."""


def read(metric: Any) -> Any:
    """What `get()` of a metric says while its confusion matrices, also those of metrics it holds, walk classes in one order.

    Where all classes are numbers or bools that is River's own order; texts are sorted; all else is sorted by the type's name
    and by how it is written. Meant for a copy: some of River's metrics write zeros into themselves when they are read.

    >>> from river import metrics
    >>> metric = metrics.MacroF1()
    >>> for truth, answer in ("gnu", "gnu"), ("ant", "bat"), ("bat", "bat"): metric.update(truth, answer)
    >>> read(metric)
    0.5555555555555555
    """
    matrices = list(_matrices(metric))
    for matrix in matrices:
        matrix.__class__ = _walked_in_order(matrix.__class__)
    try:
        return metric.get()
    finally:
        for matrix in matrices:
            matrix.__class__ = matrix.__class__.__base__


def _matrices(metric: Any) -> Iterator[Any]:
    """Every confusion matrix that a metric has, or a thing in one of its attributes; each once."""
    held = [metric, *_attributes(metric).values()]
    held += [_attributes(one)["cm"] for one in held if "cm" in _attributes(one)]
    yield from {id(one): one for one in held if _is_matrix(one.__class__)}.values()


def _attributes(thing: Any) -> dict[str, Any]:
    return getattr(thing, "__dict__", {})


@cache
def _is_matrix(kind: Any) -> bool:
    return any((each.__module__, each.__name__) == ("river.metrics.confusion", "ConfusionMatrix") for each in kind.__mro__)


@cache
def _walked_in_order(kind: Any) -> Any:
    """The same class of confusion matrix, with its classes in one order."""

    def classes(matrix: Any) -> list[Any]:
        found: list[Any] = super(ordered, matrix).classes
        kinds = set(map(type, found))
        if kinds <= _SAME_EVERYWHERE:
            return found
        return sorted(found, key=None if kinds == {str} else _written)

    ordered: Any = type(kind.__name__, (kind,), {"classes": property(classes)})
    return ordered


def _written(one: Any) -> tuple[str, str]:
    return type(one).__name__, repr(one)
