"""How predicting with a River estimator leaves its state alone: the law *still*, step by step.

Some River steps write while they predict: a scaler makes an entry for a name it has never learned, a forest
builds itself on the first question, a random projection draws new weights. Each class of River 0.26 was asked
about unseen names, unseen categories, missing names and before its first example
(tests/models/test_river_laws.py asks again). What writes is called here in one of three ways that give
River's answer and keep the state: take back the new entries; ask a copy where there is something unseen; or
always ask a copy, which is right and slow. Classes that are not River's are not known here, and are asked on
a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from river import (
    base,
    compose,
    ensemble,
    facto,
    feature_extraction,
    feature_selection,
    forest,
    linear_model,
    preprocessing,
)
from river import proba as river_proba

from eddyline.models import river_bytes
from eddyline.models.canonical import Derived
from eddyline.models.river_direct import is_scaler, scaled
from eddyline.models.river_refusals import parts

Call = Callable[[Any], Any]

DERIVED: Derived = {
    compose.Pipeline: frozenset({"_plan", "_inference_transformers", "_last_step_cached", "_last_step_params"}),
    linear_model.BayesianLinearRegression: frozenset({"_m_arr", "_m_dirty"}),
    river_proba.Gaussian: frozenset({"_rng"}),
}
"""Attributes that are no state: plans and a posterior mean that follow from the rest, made on first use, and
the generator of a distribution that is never sampled (without a seed, it would make equal trees look
different)."""

TABLES: dict[type, tuple[str, ...]] = {
    preprocessing.StandardScaler: ("vars", "means"),
    preprocessing.AdaptiveStandardScaler: ("vars", "means"),
    preprocessing.MinMaxScaler: ("min", "max"),
    preprocessing.MaxAbsScaler: ("abs_max",),
    preprocessing.RobustScaler: ("median", "iqr"),
    preprocessing.OrdinalEncoder: ("values",),
    feature_extraction.Agg: ("_groups",),
    feature_extraction.TargetAgg: ("_groups",),
    linear_model.AdPredictor: ("means", "variances"),
    ensemble.AdaBoostClassifier: ("wrong_weight", "correct_weight"),
    ensemble.ADWINBoostingClassifier: ("wrong_weight", "correct_weight"),
    ensemble.BOLEClassifier: ("wrong_weight", "correct_weight"),
}
"""Predicting only appends default entries to these dicts: they are taken off their ends again."""

DRAWS: dict[type, tuple[str, Callable[[str], Any]]] = {
    feature_extraction.RBFSampler: ("weights", lambda name: name),
    feature_selection.PoissonInclusion: ("included", lambda name: name),
    preprocessing.GaussianRandomProjector: ("_projection_matrix", lambda name: (0, name)),
    preprocessing.SparseRandomProjector: ("_projection_matrix", lambda name: name),
}
"""Predicting draws random numbers for names that are not in this table: a copy draws them then."""

LAZY: frozenset[type] = frozenset(
    {
        forest.ARFClassifier,
        forest.ARFRegressor,
        forest.OXTRegressor,
        ensemble.SRPClassifier,
        ensemble.SRPRegressor,
    }
)
"""Predicting builds the members while there are none: a copy builds them then."""

ALWAYS: frozenset[type] = frozenset(
    {
        compose.Grouper,
        preprocessing.LDA,
        facto.FMClassifier,
        facto.FMRegressor,
        facto.FFMClassifier,
        facto.FFMRegressor,
        facto.FwFMClassifier,
        facto.FwFMRegressor,
        facto.HOFMClassifier,
        facto.HOFMRegressor,
    }
)
"""Predicting writes in more than one way: a copy is asked every time."""


def still_call(step: Any, method: str) -> Call:
    """`step.method(x)` as a call that changes nothing of `step` and answers the same."""
    call: Call = getattr(step, method)
    if copied(step):
        return _on_a_copy(step, method)
    kind = type(step)
    if method == "transform_one" and is_scaler(step):
        return scaled(step)
    if kind in TABLES:
        return _taken_back(step, call, TABLES[kind])
    if kind in DRAWS:
        return _on_a_copy_if(lambda x: _undrawn(step, x), step, call, method)
    if kind in LAZY:
        return _on_a_copy_if(lambda x: not len(step), step, call, method)
    return call


def copied(step: Any) -> bool:
    """Whether every prediction of this step is asked of a copy: right, and as slow as copying it.

    That is so for classes that are not River's, and for an ensemble or wrapper of something that writes on
    predict.

    >>> from river import ensemble, linear_model, preprocessing
    >>> copied(preprocessing.StandardScaler())
    False
    >>> scaled = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> copied(ensemble.BaggingClassifier(scaled, seed=1))
    True
    """
    return type(step) in ALWAYS or foreign(step) or any(_writes(part) for part in parts(step) if part is not step)


def _writes(part: Any) -> bool:
    kind = type(part)
    return kind in TABLES or kind in DRAWS or kind in LAZY or kind in ALWAYS or foreign(part)


def foreign(part: Any) -> bool:
    """Whether an estimator's class is not River's own, so that nothing is known about what it writes."""
    return isinstance(part, base.Estimator) and not type(part).__module__.startswith("river.")


def _on_a_copy(step: Any, method: str) -> Call:
    def ask(x: Any) -> Any:
        return getattr(river_bytes.copied(step), method)(x)

    return ask


def _on_a_copy_if(unseen: Callable[[Any], bool], step: Any, call: Call, method: str) -> Call:
    def ask(x: Any) -> Any:
        return getattr(river_bytes.copied(step), method)(x) if unseen(x) else call(x)

    return ask


def _undrawn(step: Any, x: dict[str, Any]) -> bool:
    attribute, key = DRAWS[type(step)]
    table = getattr(step, attribute)
    return not all(key(name) in table for name in x)


def _taken_back(step: Any, call: Call, names: tuple[str, ...]) -> Call:
    """Calls, and takes new entries off the ends of the dicts, which keep the order of arrival.

    A River step keeps its dicts for life, so they are looked up once.
    """
    one, *others = [getattr(step, name) for name in names]
    if not others:
        return _taken_back_from_one(call, one)
    (two,) = others

    def ask(x: Any) -> Any:
        ones, twos = len(one), len(two)
        try:
            return call(x)
        finally:
            if len(one) != ones:
                _shorten(one, ones)
            if len(two) != twos:
                _shorten(two, twos)

    return ask


def _taken_back_from_one(call: Call, table: dict[Any, Any]) -> Call:
    def ask(x: Any) -> Any:
        size = len(table)
        try:
            return call(x)
        finally:
            if len(table) != size:
                _shorten(table, size)

    return ask


def _shorten(table: dict[Any, Any], size: int) -> None:
    while len(table) > size:
        table.popitem()
