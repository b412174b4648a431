"""Sets inside River's estimators that are walked, in an order that is the same in every process: the law
*rebuild*.

`compose.Select` keeps its names in a set, some classifiers their classes, and both hand on, or sum up, in the
order of that set. For text that order changes with PYTHONHASHSEED, and with it the last bits of every sum
behind it. In our copy of an estimator these sets are walked in sorted order. It knows no pipeline and no
algorithm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from river import compose, drift, dummy, ensemble, forest, multiclass, neighbors, tree

from eddyline.models.river_refusals import parts
from eddyline.records.errors import DeclarationError

_WALKED = ("classes", "_classes", "keys")
_WALKERS = (
    compose.Select,
    tree.HoeffdingAdaptiveTreeClassifier,
    forest.AMFClassifier,
    neighbors.KNNClassifier,
    dummy.NoChangeClassifier,
)
_CLONERS = (
    drift.DriftRetrainingClassifier,
    ensemble.ADWINBaggingClassifier,
    ensemble.ADWINBoostingClassifier,
    ensemble.LeveragingBaggingClassifier,
    ensemble.SRPClassifier,
    ensemble.SRPRegressor,
    multiclass.OneVsOneClassifier,
    multiclass.OneVsRestClassifier,
    multiclass.OutputCodeClassifier,
)
"""They make new members while they learn, which come with sets of their own."""


class SortedSet(set[Any]):
    """A set that is walked in sorted order.

    >>> list(SortedSet({"c", "a", "b"}))
    ['a', 'b', 'c']
    """

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=lambda item: (type(item).__name__, item)))


def put_in_order(estimator: Any) -> None:
    """Replaces the walked sets in an estimator of ours by sorted ones.

    >>> choice = compose.Select("b", "a")
    >>> put_in_order(choice)
    >>> choice.transform_one({"a": 1, "b": 2})
    {'a': 1, 'b': 2}
    """
    for part in parts(estimator):
        for name in _WALKED:
            if type(getattr(part, name, None)) is set:
                setattr(part, name, SortedSet(getattr(part, name)))


def require_order(estimator: Any) -> None:
    """Refuses what would bring unordered sets back while it learns."""
    # By type, not isinstance: River's isinstance takes a pipeline for its last step.
    for part in parts(estimator):
        if issubclass(type(part), neighbors.KNNClassifier) and part.cleanup_every:
            raise DeclarationError(
                "model: KNNClassifier(cleanup_every=...) orders its classes differently in every process\n"
                "  leave cleanup_every out"
            )
        if issubclass(type(part), _CLONERS):
            for inner in parts(part):
                if inner is not part and issubclass(type(inner), _WALKERS):
                    raise DeclarationError(_hidden(type(inner).__name__, type(part).__name__))


def _hidden(inner: str, outer: str) -> str:
    mend = f"put it in front: Select(...) | {outer}(...)" if inner == "Select" else "use HoeffdingTreeClassifier() in it"
    return f"model: {inner} inside {outer} answers differently in every process\n  {mend}"
