"""What can measure a pipeline is decided when it is built, in the user's words."""

from __future__ import annotations

from typing import Any

import pytest
from river import anomaly, compose, linear_model, metrics, preprocessing, utils

from eddyline.monitors.metrics import gauges, metric_name, tally_of
from eddyline.monitors.saving import to_bytes
from eddyline.records import Task
from eddyline.records.errors import DeclarationError

CLASSIFICATION, REGRESSION, ANOMALY = Task.CLASSIFICATION, Task.REGRESSION, Task.ANOMALY


def names(declared: Any, task: Task, model: Any = None, truth: type | None = None) -> list[str]:
    return [gauge.name for gauge in gauges(declared, task, model, truth)]


@pytest.mark.parametrize(
    ("task", "truth", "expected"),
    [
        (CLASSIFICATION, bool, ["Accuracy", "LogLoss"]),
        (CLASSIFICATION, str, ["Accuracy", "CrossEntropy"]),
        (CLASSIFICATION, None, ["Accuracy", "CrossEntropy"]),
        (REGRESSION, float, ["MAE", "RMSE"]),
        (ANOMALY, bool, ["RollingROCAUC"]),
        (ANOMALY, str, []),
    ],
)
def test_each_task_has_metrics_of_its_own(task: Task, truth: type | None, expected: list[str]) -> None:
    assert names(None, task, truth=truth) == expected


def test_a_classifier_without_probabilities_is_measured_by_accuracy_alone() -> None:
    class Constant(linear_model.LogisticRegression):
        from river.base import Classifier

        predict_proba_one = Classifier.predict_proba_one

    assert names(None, CLASSIFICATION, compose.Pipeline(preprocessing.StandardScaler(), Constant())) == ["Accuracy"]
    with pytest.raises(DeclarationError, match="ROCAUC needs probabilities; Constant gives only classes"):
        names([metrics.ROCAUC()], CLASSIFICATION, Constant())


@pytest.mark.parametrize(
    ("metric", "task", "model"),
    [
        (metrics.R2(), CLASSIFICATION, linear_model.LogisticRegression()),
        (metrics.Accuracy(), REGRESSION, linear_model.LinearRegression()),
        (metrics.Accuracy(), REGRESSION, None),
        (metrics.Accuracy(), ANOMALY, anomaly.HalfSpaceTrees(seed=1)),
        (metrics.Silhouette(), CLASSIFICATION, None),
    ],
)
def test_a_metric_of_another_task_is_refused_by_name_with_some_that_fit(metric: Any, task: Task, model: Any) -> None:
    with pytest.raises(DeclarationError, match=rf"{type(metric).__name__} cannot measure.*\nwrite Watch\(metrics="):
        names([metric], task, model)


@pytest.mark.parametrize(
    ("metric", "mend"),
    [(metrics.LogLoss(), "CrossEntropy"), (metrics.F1(), "pos_val"), (metrics.ROCAUC(), "CrossEntropy")],
)
def test_a_metric_that_looks_for_true_is_refused_where_truths_are_text(metric: Any, mend: str) -> None:
    with pytest.raises(DeclarationError, match=mend):
        names([metric], CLASSIFICATION, truth=str)


def test_a_positive_value_in_text_is_accepted() -> None:
    assert names([metrics.F1(pos_val="spam")], CLASSIFICATION, truth=str) == ["F1(pos_val='spam')"]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ([metrics.ClassificationReport()], "is a table"),
        ([metrics.ConfusionMatrix()], "is a table"),
        ([metrics.Accuracy(), metrics.Accuracy()], "declared twice"),
        ([metrics.FBeta], "cannot be made without arguments"),
        ([metrics.base.Metrics([metrics.Accuracy(), metrics.F1()])], "one by one"),
        ([7], "is not a metric"),
        ([type("Halfway", (), {"update": lambda self, y_true, y_pred: None})], "no get()"),
    ],
)
def test_what_is_not_a_metric_is_refused(declared: list[Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        names(declared, CLASSIFICATION)


def test_the_same_metric_with_other_parameters_is_another_metric() -> None:
    assert names([metrics.FBeta(beta=1), metrics.FBeta(beta=2)], CLASSIFICATION) == [
        "FBeta(beta=1)",
        "FBeta(beta=2)",
    ]


def test_a_rolling_metric_is_named_by_what_rolls() -> None:
    assert metric_name(utils.Rolling(metrics.Accuracy, window_size=50)) == "Rolling(Accuracy, 50)"


def test_a_declared_metric_starts_empty_and_stays_the_users() -> None:
    used = metrics.Accuracy()
    used.update(True, True)
    (gauge,) = gauges([used], CLASSIFICATION, None, bool)
    fresh = gauge.fresh()
    fresh.update(True, False)
    assert (fresh.get(), used.get(), gauge.fresh().get()) == (0.0, 1.0, 0.0)


def test_counting_nothing_at_once_leaves_a_metric_as_it_was_to_the_byte() -> None:
    metric = metrics.Accuracy()
    before, tally = to_bytes(metric, ()), tally_of(metric)
    assert tally is not None
    tally([])
    assert to_bytes(metric, ()) == before
