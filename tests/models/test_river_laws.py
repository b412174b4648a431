"""The laws *still*, *stop* and *rebuild* for River models of every family, and that they answer as River
does.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from river import base, compose
from tests.models import zoo

from eddyline.models.canonical import digest
from eddyline.models.river import RiverModel
from eddyline.models.river_order import put_in_order
from eddyline.models.river_refusals import parts
from eddyline.models.river_still import DERIVED
from eddyline.records import Features, Task
from eddyline.records.errors import DeclarationError

EVERY = pytest.mark.parametrize("name", zoo.ZOO)
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
ROOT = Path(__file__).parents[2]


def learned(name: str, examples: int) -> tuple[RiverModel, zoo.Rows]:
    make, rows = zoo.ZOO[name]
    model = RiverModel(make())
    data = zoo.stream(rows)
    for x, y in data[:examples]:
        model.learn(x, y)
    return model, data


def strange(x: Features) -> Iterator[Features]:
    """Features a model has not seen: a new number, a new word, larger numbers, a name less, none at all."""
    names = list(x)
    yield {**x, "unseen": 3.5}
    yield {**x, "unseen word": "never"}
    yield {name: value * 1.7 + 3 if isinstance(value, (int, float)) else f"{value} new word" for name, value in x.items()}
    yield {**x, names[0]: "never"}
    yield {name: x[name] for name in names[1:]}
    yield {}


@EVERY
def test_predicting_changes_nothing_even_for_what_was_never_seen(name: str) -> None:
    fresh, data = learned(name, 0)
    before = fresh.digest()
    answers(fresh, data[0][0])
    assert fresh.digest() == before

    model, data = learned(name, 130)
    before, saved = model.digest(), model.save()
    for x, _ in data[130:150]:
        model.predict(x)
    for x in strange(data[150][0]):
        given = dict(x)
        answers(model, x)
        assert x == given
        assert model.digest() == before, x
    assert model.restored(saved).digest() == before


def answers(model: RiverModel, x: Features) -> Any:
    """The answer, or the kind of exception: River's steps may refuse a word, and must not change even then."""
    try:
        return model.predict(x)
    except (TypeError, ValueError, KeyError, ZeroDivisionError, AttributeError) as error:
        return type(error)


@EVERY
def test_answers_and_states_are_rivers_own_to_the_bit(name: str) -> None:
    make, rows = zoo.ZOO[name]
    theirs, ours = make(), RiverModel(make())
    put_in_order(theirs)
    for count, (x, y) in enumerate(zoo.stream(rows)[:160]):
        if count % 11 == 0:
            output = ours.predict(x)
            value, scores = as_river(theirs, ours.task, dict(x))
            assert same(output.value, value)
            if output.scores is not None:
                assert list(output.scores) == list(scores)
                assert all(same(output.scores[key], float(scores[key])) for key in scores)
        ours.learn(x, y)
        if ours.task is Task.ANOMALY:
            theirs.learn_one(dict(x))
        else:
            theirs.learn_one(dict(x), y)
    assert ours.digest() == digest(theirs, DERIVED)


def as_river(model: Any, task: Task, x: Features) -> tuple[Any, Any]:
    """What River answers, asked of copies because it may write while it predicts."""
    if task is Task.ANOMALY:
        return copy.deepcopy(model).score_one(x), None
    value = copy.deepcopy(model).predict_one(dict(x))
    if task is Task.REGRESSION:
        return value, None
    try:
        return value, copy.deepcopy(model).predict_proba_one(dict(x))
    except NotImplementedError:
        return value, None


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or (one != one and other != other))
    return bool(one == other)


def test_two_processes_with_other_hash_seeds_and_a_restore_become_the_same_model() -> None:
    running = [start(seed) for seed in ("1", "2024")]
    told = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    one, other = ([json.loads(line) for line in out.splitlines()] for out, _ in told)
    assert [life["name"] for life in one] == list(zoo.ZOO)
    assert one == other
    for life in one:
        assert life["digest"] == life["restored"], life["name"]


def start(hash_seed: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(zoo.__file__))],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


ELSEWHERE = {
    "anomaly.LocalOutlierFactor": "a window of neighbours, like KNNClassifier",
    "anomaly.ThresholdFilter": "like QuantileFilter",
    "compose.Prefixer": "stateless",
    "compose.Suffixer": "stateless",
    "compose.TargetTransformRegressor": "like TargetStandardScaler",
    "compose.TransformerProduct": "stateless around its transformers",
    "dummy.StatisticRegressor": "a statistic",
    "ensemble.ADWINBaggingClassifier": "like LeveragingBaggingClassifier",
    "ensemble.BaggingRegressor": "like BaggingClassifier",
    "ensemble.StackingClassifier": "members and a linear model",
    "ensemble.VotingClassifier": "members",
    "misc.ZstdClassifier": "needs Python 3.14",
}


ROOMS = [
    *("active", "anomaly", "cluster", "compose", "drift", "dummy", "ensemble", "facto", "feature_extraction"),
    *("feature_selection", "forest", "imblearn", "linear_model", "misc", "model_selection", "multiclass"),
    *("multioutput", "naive_bayes", "neighbors", "preprocessing", "reco", "rules", "time_series", "tree"),
]


def test_every_estimator_of_river_is_in_the_zoo_or_refused_or_like_one_that_is() -> None:
    kept = {type(part) for make, _ in zoo.ZOO.values() for part in parts(make())}
    missing = []
    for name, kind in river_estimators():
        if kind in kept or name in ELSEWHERE or kind is compose.FuncTransformer:
            continue
        if not refused(kind):
            missing.append(name)
    assert missing == []


def river_estimators() -> Iterator[tuple[str, type]]:
    for room in ROOMS:
        for name, kind in inspect.getmembers(importlib.import_module(f"river.{room}"), inspect.isclass):
            if issubclass(kind, base.Estimator) and not inspect.isabstract(kind):
                yield f"{room}.{name}", kind


def refused(kind: type) -> bool:
    try:
        estimator = kind(**next(iter(kind._unit_test_params())))  # type: ignore[attr-defined]
        RiverModel(estimator | zoo.LOGISTIC() if issubclass(kind, base.Transformer) else estimator)
    except DeclarationError:
        return True
    except TypeError:
        return False
    return False
