"""Which metrics may measure a pipeline: River's, a class of the user's own, or a function.

Refuses to know examples, versions and days: a gauge only makes fresh metrics and says what they read. River
is imported inside the functions that need it, because importing it costs a second.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, cast

from eddyline.ports import Metric
from eddyline.records import Task
from eddyline.records.errors import DeclarationError

_TRIED = {
    Task.CLASSIFICATION: "Accuracy(), LogLoss(), MacroF1(), ROCAUC()",
    Task.REGRESSION: "MAE(), RMSE(), R2()",
    Task.ANOMALY: "RollingROCAUC(), RollingPRAUC()",
}
_ANSWERS = {
    Task.CLASSIFICATION: "classes",
    Task.REGRESSION: "numbers",
    Task.ANOMALY: "anomaly scores",
}


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """One declared metric: its name, a fresh copy whenever one is asked for, and what it reads.

    `reads_scores` says that it is given the probabilities of the classes instead of the class, as River's
    `evaluate.progressive_val_score` decides by `requires_labels`. `own` is the user's class or function
    behind it, if any.
    """

    name: str
    template: Any
    reads_scores: bool
    own: Any
    blank: bytes | None = None
    plain: bool = False
    """whether the class, called without arguments, makes just that"""
    steady: bool = False
    """whether nothing that is served can make it raise, so that it makes no difference when it is shown what"""

    @property
    def window(self) -> int | None:
        """Over how many of the newest examples it is, as River's rolling metrics are; None where it is over all."""
        size = getattr(self.template, "window_size", None)
        return size if type(size) is int else None

    def fresh(self) -> Metric:
        """A metric that has seen nothing. River's are read back from bytes: a fifth of the cost of `clone`."""
        if self.plain:
            return cast(Metric, type(self.template)())
        if self.blank is not None:
            return cast(Metric, pickle.loads(self.blank))
        return cast(Metric, copy.deepcopy(self.template))


_RANKS = ("ROCAUC", "RollingROCAUC", "RollingPRAUC")
"""River's metrics that say how well scores tell two classes apart."""


def one_class(spare: Any) -> bool:
    """Whether a metric of River's that ranks two classes was shown one of them only: its 0 then says nothing. Spoils `spare`.

    It is shown one more truth, ranked first. Above truths of the other class alone that makes 1, among its own alone still 0;
    where there were both, something between. Only the oldest truth of a full window makes way for it: where that was the only
    one of its class, and ranked wrong, it is taken for gone one example early.

    >>> from river import metrics
    >>> alone, both = metrics.RollingROCAUC(), metrics.RollingROCAUC()
    >>> for score in (0.1, 0.9): alone.update(False, score); both.update(score < 0.5, score)
    >>> alone.get(), both.get(), one_class(alone), one_class(both)
    (0.0, 0.0, True, False)
    """
    if type(spare).__name__ not in _RANKS or not type(spare).__module__.startswith("river.") or spare.get() != 0.0:
        return False
    spare.update(spare.pos_val, 1e308)
    return spare.get() in (0.0, 1.0)


class Average:
    """A metric made of a function: the plain mean of function(truth, answer).

    >>> def off_by(y_true, y_pred): return abs(y_true - y_pred)
    >>> average = Average(off_by)
    >>> average.update(3.0, 2.0); average.update(3.0, 5.0); average.get()
    1.5
    """

    def __init__(self, function: Callable[[Any, Any], float]) -> None:
        self.function = function
        self.total = 0.0
        self.count = 0

    def update(self, y_true: Any, y_pred: Any) -> None:
        """Adds one loss, which must be a finite number."""
        loss = float(self.function(y_true, y_pred))
        if not isfinite(loss):
            raise ValueError(f"{_named(self.function)}({y_true!r}, {y_pred!r}) gave {loss!r}, expected a finite number")
        self.total += loss
        self.count += 1

    def get(self) -> float:
        """The mean so far; 0 before the first."""
        return self.total / self.count if self.count else 0.0

    def __deepcopy__(self, memo: Any) -> Average:
        fresh = Average(self.function)
        fresh.total, fresh.count = self.total, self.count
        return fresh


def gauges(declared: Iterable[Any] | None, task: Task, model: Any, truth: type | None) -> tuple[Gauge, ...]:
    """The declared metrics (None: the task's own) checked against task, model and type of truth.

    Raises DeclarationError with the metric's name and some that would do.

    >>> [gauge.name for gauge in gauges(None, Task.REGRESSION, None, float)]
    ['MAE', 'RMSE']
    >>> from river import metrics
    >>> gauges([metrics.R2()], Task.CLASSIFICATION, None, bool)
    Traceback (most recent call last):
        ...
    eddyline.records.errors.DeclarationError: watch: R2 cannot measure this model, which answers classes
    write Watch(metrics=(...)) with some of Accuracy(), LogLoss(), MacroF1(), ROCAUC()
    """
    estimator = _estimator(model)
    wanted = _defaults(task, estimator, truth) if declared is None else declared
    found = tuple(_gauge(metric, task, estimator, truth) for metric in wanted)
    names = [gauge.name for gauge in found]
    for name in names:
        if names.count(name) > 1:
            raise DeclarationError(f"watch: the metric {name} is declared twice\ntake one of them out of Watch(metrics=...)")
    return found


def metric_name(metric: Any) -> str:
    """What a metric is called: its class or function, with the parameters that are not the default.

    >>> from river import metrics
    >>> metric_name(metrics.F1), metric_name(metrics.FBeta(beta=2)), metric_name(metrics.F1(pos_val="yes"))
    ('F1', 'FBeta(beta=2)', "F1(pos_val='yes')")
    """
    if isinstance(metric, type) or not hasattr(metric, "update"):
        return _named(metric)
    if hasattr(metric, "window_size") and hasattr(metric, "obj"):
        return f"{type(metric).__name__}({metric_name(metric.obj)}, {metric.window_size})"
    said = []
    for name, parameter in inspect.signature(type(metric)).parameters.items():
        value = getattr(metric, name, parameter.default)
        if type(value) in (bool, int, float, str) and value != parameter.default:
            said.append(f"{name}={value!r}")
    return f"{type(metric).__name__}({', '.join(said)})" if said else type(metric).__name__


def update_of(metric: Any) -> Callable[[Any, Any], Any]:
    """What to call with each (truth, answer): the metric's update, without River's detour where there is one.

    `ClassificationMetric.update` does nothing but call its confusion matrix; that is a sixth of the time.
    """
    kind: Any = type(metric)
    if _counts_classes(kind):
        return cast(Callable[[Any, Any], Any], metric.cm.update)
    return cast(Callable[[Any, Any], Any], metric.update)


@cache
def _counts_classes(kind: Any) -> bool:
    """Whether a metric of this class does nothing with a pair but count it in its confusion matrix."""
    return getattr(getattr(kind, "update", None), "__qualname__", "") == "ClassificationMetric.update"


def tally_of(metric: Any) -> Callable[[list[tuple[Any, Any, int]]], None] | None:
    """How to show a metric (truth, answer, how often) for all at once; None where only one by one is right.

    River's metrics of classes add 1.0 to counts of a confusion matrix: adding a whole number is the same to the bit, and
    new classes enter its tables in the order in which their first pairs come.
    """
    kind: Any = type(metric)
    if not _counts_classes(kind) or type(metric.cm).__qualname__ != "ConfusionMatrix":
        return None
    table = metric.cm

    def tally(counted: list[tuple[Any, Any, int]]) -> None:
        data, rows, columns, total = table.data, table.sum_row, table.sum_col, 0
        for truth, answer, many in counted:
            data[truth][answer] += many
            rows[truth] += many
            columns[answer] += many
            total += many
            if truth == answer:
                table._total_true_positives += many
        if total:  # River's first sum is the integer 0, which adding 0.0 would make a float
            table.n_samples += total
            table.total_weight += float(total)

    return tally


def _named(thing: Any) -> str:
    return str(getattr(thing, "__name__", type(thing).__name__))


def _gauge(metric: Any, task: Task, estimator: Any, truth: type | None) -> Gauge:
    name = metric_name(metric)
    if isinstance(metric, type):
        metric = _made(metric, name)
    if not hasattr(metric, "update"):
        if not callable(metric):
            raise DeclarationError(
                f"watch: {metric!r} is not a metric\n"
                "write a River metric, a function (y_true, y_pred) -> float, "
                "or a class with update(y_true, y_pred) and get()"
            )
        return Gauge(name, Average(metric), False, metric)
    if not hasattr(metric, "get"):
        raise DeclarationError(f"watch: the metric {name} has update() but no get()\ngive it def get(self) -> float")
    if hasattr(metric, "works_with"):
        _check(metric, name, task, estimator, truth)
    gauge = Gauge(
        name,
        metric,
        reads_scores=task is Task.CLASSIFICATION and not getattr(metric, "requires_labels", True),
        own=None if type(metric).__module__.startswith("river.") else type(metric),
    )
    _check_number(gauge)
    # The user keeps the object that was declared; what happens to it later must not change the pipeline.
    template = metric.clone() if hasattr(type(metric), "clone") else gauge.fresh()
    blank = pickle.dumps(template, 5) if gauge.own is None else None
    plain = blank is not None and blank == _new(type(template))
    steady = gauge.own is None and (type(template).__name__ == "LogLoss" or tally_of(template) is not None)
    return Gauge(name, template, gauge.reads_scores, gauge.own, blank, plain, steady)


def _new(kind: Any) -> bytes | None:
    """What a metric of River's is that was made without arguments; None where it needs some."""
    try:
        return pickle.dumps(kind(), 5)
    except TypeError:
        return None


def _made(kind: type, name: str) -> Any:
    try:
        return kind()
    except TypeError as error:
        raise DeclarationError(
            f"watch: the metric {name} cannot be made without arguments ({error})\nwrite Watch(metrics=({name}(...),))"
        ) from error


def _check_number(gauge: Gauge) -> None:
    try:
        value = gauge.fresh().get()
    except NotImplementedError as error:
        raise DeclarationError(
            f"watch: {gauge.name} is a table, not a number\nwatch measures numbers; write Accuracy() or MacroF1()"
        ) from error
    if not hasattr(value, "__float__"):
        raise DeclarationError(
            f"watch: the metric {gauge.name} gives {value!r}, expected a number\n"
            "where several metrics were added together, write them one by one: (Accuracy(), F1())"
        )


def _check(metric: Any, name: str, task: Task, estimator: Any, truth: type | None) -> None:
    """Whether a metric of River's fits, as River asks it, and whether it would be silently wrong."""
    # River's supervised anomaly detectors are no AnomalyDetector to it, yet their scores are scores.
    ours = estimator is None or task is Task.ANOMALY
    if not metric.works_with(_stand_in(task) if ours else estimator):
        raise DeclarationError(
            f"watch: {name} cannot measure this model, which answers {_ANSWERS[task]}\n"
            f"write Watch(metrics=(...)) with some of {_TRIED[task]}"
        )
    if task is not Task.CLASSIFICATION:
        return
    if not getattr(metric, "requires_labels", True) and not _has_scores(estimator):
        raise DeclarationError(
            f"watch: the metric {name} needs probabilities; {type(estimator).__name__} gives only classes\n"
            "write Accuracy() or MacroF1()"
        )
    from river import metrics

    if truth is str and isinstance(metric, metrics.base.BinaryMetric):
        reads_true = not metric.requires_labels or metric.pos_val is True
        if reads_true:
            mend = "CrossEntropy()" if not metric.requires_labels else f"{type(metric).__name__}(pos_val='...') or MacroF1()"
            raise DeclarationError(f"watch: the metric {name} looks for the class True, and the truths are text\nwrite {mend}")


def _defaults(task: Task, estimator: Any, truth: type | None) -> list[Any]:
    from river import metrics as river_metrics

    metrics: Any = river_metrics  # untyped in River
    if task is Task.REGRESSION:
        return [metrics.MAE(), metrics.RMSE()]
    if task is Task.ANOMALY:
        # ROCAUC's thresholds lie in [0, 1], and anomaly scores need not: the rolling one ranks them.
        return [metrics.RollingROCAUC()] if truth is bool else []
    if not _has_scores(estimator):
        return [metrics.Accuracy()]
    return [metrics.Accuracy(), metrics.LogLoss() if truth is bool else metrics.CrossEntropy()]


def _estimator(model: Any) -> Any:
    """The River estimator that the model is or stands for, or None."""
    from river import base

    for candidate in (model, getattr(model, "estimator", None)):
        if isinstance(candidate, base.Estimator):
            return candidate
    return None


def _stand_in(task: Task) -> Any:
    """An estimator of River's of this task, to ask a metric whether it would work with one like it."""
    from river import anomaly as river_anomaly
    from river import dummy as river_dummy
    from river import stats

    anomaly: Any = river_anomaly  # untyped in River
    dummy: Any = river_dummy

    if task is Task.CLASSIFICATION:
        return dummy.PriorClassifier()
    if task is Task.REGRESSION:
        return dummy.StatisticRegressor(stats.Mean())
    return anomaly.HalfSpaceTrees(seed=1)


def _has_scores(estimator: Any) -> bool:
    """Whether a classifier of River's overrides `predict_proba_one`; True for a model that is not River's."""
    from river import base, compose

    if isinstance(estimator, compose.Pipeline):
        estimator = list(estimator.steps.values())[-1]
    if not isinstance(estimator, base.Classifier):
        return True
    return type(estimator).predict_proba_one is not base.Classifier.predict_proba_one
