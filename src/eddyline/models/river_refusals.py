"""Which River estimators can be a model here, and which are refused while the pipeline file is being read.

A model has to answer one event with one class, number or score; to answer the same in every run (law
*rebuild*); and to keep its whole state in itself (law *stop*). What fails that is refused here with what to
write instead. It knows no event, no store and no stage.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from typing import Any

from river import (
    active,
    bandit,
    base,
    compose,
    feature_extraction,
    neighbors,
    proba,
    reco,
    rules,
    stats,
    time_series,
)

from eddyline.models import river_bytes
from eddyline.models.attributes import Attributes
from eddyline.records import Task
from eddyline.records.errors import DeclarationError

SEEDS = ("seed", "random_state")
_USE = "use a classifier, a regressor or an anomaly detector, alone or at the end of a pipeline"

_KINDS: tuple[tuple[type, str], ...] = (
    (
        base.MultiLabelClassifier,
        "answers several labels at once; use one classifier for each label, in a pipeline each",
    ),
    (
        base.MultiTargetRegressor,
        "answers several numbers at once; use one regressor for each, in a pipeline each",
    ),
    (
        reco.base.Ranker,
        "ranks items for users; use a regressor on features of both, such as facto.FMRegressor(seed=42)",
    ),
    (time_series.base.Forecaster, "forecasts a horizon; use a regressor on lagged features"),
    (
        active.base.ActiveLearningClassifier,
        "answers a class and whether to ask for the label; use the classifier in it",
    ),
    (
        base.SupervisedAnomalyDetector,
        "needs the truth to score; use HalfSpaceTrees(seed=42), LODA or OneClassSVM",
    ),
    (base.Clusterer, f"answers clusters; {_USE}"),
    (bandit.base.Policy, f"chooses arms; {_USE}"),
)
_UNREPEATABLE: dict[type, str] = {
    rules.AMRules: "keeps memory addresses as keys of its rules\n  use tree.HoeffdingTreeRegressor()",
    feature_extraction.RandomTreesEmbedding: (
        "keeps memory addresses of its leaves, and a restored copy raises KeyError\n"
        "  use feature_extraction.RBFSampler(seed=42)"
    ),
    neighbors.SWINN: (
        "keeps part of its state in its class, shared by all models of the process\n"
        "  write engine=neighbors.LazySearch(window_size=1000)"
    ),
    stats.KolmogorovSmirnov: "draws from the global random generator\n  use another statistic",
}


def task_of(estimator: Any) -> Task:
    """What a River estimator answers, or a DeclarationError that says what to use instead."""
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise DeclarationError(f"model: {estimator.__name__} is a class\n  write {estimator.__name__}()")
    last = last_step(estimator)
    if last is not estimator:
        name = f"{type(last).__name__} at the end of the pipeline"
    for kind, reason in _KINDS:
        if isinstance(last, kind):
            raise DeclarationError(f"model: {name} {reason}")
    if isinstance(last, base.AnomalyFilter):
        if isinstance(last_step(last.anomaly_detector), base.SupervisedAnomalyDetector):
            raise DeclarationError(f"model: {name} needs the truth to score; give it HalfSpaceTrees(seed=42)")
        return Task.ANOMALY
    if isinstance(last, base.Classifier):
        return Task.CLASSIFICATION
    if isinstance(last, base.Regressor):
        return Task.REGRESSION
    if isinstance(last, base.AnomalyDetector):
        return Task.ANOMALY
    if isinstance(last, base.Transformer):
        raise DeclarationError(
            f"model: {name} transforms features and answers nothing\n"
            f"  write {type(last).__name__}(...) | linear_model.LogisticRegression()"
        )
    raise DeclarationError(f"model: {name} answers neither a class nor a number nor a score\n  {_USE}")


def last_step(estimator: Any) -> Any:
    """The estimator that answers: the end of a pipeline, of a pipeline in it, and so on."""
    while hasattr(estimator, "steps") and estimator.steps:
        estimator = next(reversed(estimator.steps.values()))
    return estimator


def require_repeatable(estimator: Any) -> None:
    """Refuses whatever would answer differently in another run: no seed, or state outside of the model."""
    for part in parts(estimator):
        reason = _UNREPEATABLE.get(type(part))
        if reason:
            raise DeclarationError(f"model: {type(part).__name__} {reason}")
        if type(part) is compose.Pipeline:
            _require_applied(part)
    for part, name in _unseeded(estimator):
        raise DeclarationError(
            f"model: {type(part).__name__} answers differently in every run without a seed\n"
            f"  write {type(part).__name__}({name}=42)"
        )


def require_saveable(estimator: Any) -> None:
    """Refuses what cannot be saved: a lambda, a function defined inside another, an open file."""
    try:
        river_bytes.dumps(estimator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DeclarationError(
            f"model: {type(estimator).__name__} cannot be saved: {error}\n"
            "  a function in a model must be written with `def` at the top of a file"
        ) from error


def parts(root: Any) -> Iterator[Any]:
    """Every River object inside an estimator, itself first: steps, wrapped models, members, statistics.

    >>> from river import linear_model, preprocessing
    >>> scaled = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> [type(part).__name__ for part in parts(scaled)][:3]
    ['Pipeline', 'StandardScaler', 'LogisticRegression']
    """
    seen: set[int] = set()
    pending = [root]
    attributes_of = Attributes()
    while pending:
        obj = pending.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        if isinstance(obj, base.Base):
            yield obj
            attributes = attributes_of(obj) or getattr(obj, "__dict__", {})
            pending.extend(reversed(list(attributes.values())))
        elif isinstance(obj, dict):
            pending.extend(reversed(list(obj.values())))
        elif isinstance(obj, (list, tuple, set, frozenset)):
            pending.extend(reversed(list(obj)))


def _require_applied(pipeline: compose.Pipeline) -> None:
    """Refuses steps that River's pipelines do not apply: supervised transformers that are no `Transformer`."""
    for step in pipeline.steps.values():
        if isinstance(step, base.SupervisedTransformer) and not isinstance(step, base.Transformer):
            raise DeclarationError(
                f"model: River's Pipeline does not apply {type(step).__name__} when it learns, only when it predicts\n"
                "  leave it out, or choose the features in `features`"
            )


def _unseeded(estimator: Any) -> Iterator[tuple[Any, str]]:
    for part in declared(estimator, set()):
        if isinstance(part, proba.base.Distribution):
            continue  # draws only when asked for a sample, and no estimator asks
        for name in SEEDS:
            if name in parameters(part) and getattr(part, name, 0) is None:
                yield part, name


def declared(obj: Any, seen: set[int]) -> Iterator[Any]:
    """What the user wrote down: the estimator and, through its parameters, every River object given to it."""
    if id(obj) in seen:
        return
    seen.add(id(obj))
    if isinstance(obj, base.Base):
        yield obj
        held = [getattr(obj, name, None) for name in parameters(obj)]
        held += [getattr(obj, name, None) for name in ("steps", "transformers", "models", "data")]
        for value in held:
            yield from declared(value, seen)
    elif isinstance(obj, dict):
        for value in list(obj.values()):
            yield from declared(value, seen)
    elif isinstance(obj, (list, tuple)):
        for value in obj:
            yield from declared(value, seen)


def parameters(obj: Any) -> tuple[str, ...]:
    """The names of what an object was made with."""
    try:
        return tuple(inspect.signature(type(obj).__init__).parameters)[1:]
    except (
        TypeError,
        ValueError,
    ):  # a class of the extension module has no signature to read, and no parameter
        return ()
