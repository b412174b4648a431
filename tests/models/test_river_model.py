"""The River adapter at its edges: what it refuses, what it answers, when it calls itself unsound, what it
saves.
"""
# mypy: disable-error-code="arg-type,override"

from __future__ import annotations

import copy
import math
from typing import Any

import msgspec
import pytest
from river import (
    anomaly,
    base,
    cluster,
    compose,
    drift,
    ensemble,
    feature_extraction,
    feature_selection,
    forest,
    imblearn,
    linear_model,
    multioutput,
    neighbors,
    optim,
    preprocessing,
    reco,
    rules,
    stats,
    time_series,
    tree,
)
from tests.models.zoo import LINEAR, LOGISTIC, ZOO, doubled, scaled, stream

from eddyline.models.canonical import digest
from eddyline.models.river import RiverModel
from eddyline.models.river_sound import BOUNDED
from eddyline.models.river_steps import flat_steps
from eddyline.records import LIMIT, Output, Task
from eddyline.records.errors import DeclarationError, StoreMismatch


class Doubler(base.Transformer):
    """A transformer that is not River's, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def transform_one(self, x: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        return doubled(x)


class Labels(base.Classifier):
    """A classifier that answers the last label, and knows no probabilities."""

    def __init__(self) -> None:
        self.last: Any = None

    def learn_one(self, x: dict[str, Any], y: Any) -> None:
        self.last = y

    def predict_one(self, x: dict[str, Any], **kwargs: Any) -> Any:
        return self.last


REFUSED: list[tuple[Any, str]] = [
    (LOGISTIC, r"write LogisticRegression\(\)"),
    (forest.ARFClassifier(), r"ARFClassifier answers differently in every run without a seed\n  write .*\(seed=42\)"),
    (scaled(ensemble.BaggingClassifier(LOGISTIC())), r"write BaggingClassifier\(seed=42\)"),
    (ensemble.BaggingClassifier(tree.HoeffdingAdaptiveTreeClassifier(), seed=1), "HoeffdingAdaptiveTreeClassifier"),
    (LOGISTIC(initializer=optim.initializers.Normal()), r"write Normal\(seed=42\)"),
    (preprocessing.FeatureHasher() | LINEAR(), "FeatureHasher"),
    ((preprocessing.FeatureHasher() + preprocessing.StandardScaler()) | LINEAR(), "FeatureHasher"),
    (ensemble.EWARegressor([LINEAR(), forest.ARFRegressor()]), "ARFRegressor"),
    (drift.DriftRetrainingClassifier(LOGISTIC(), drift.KSWIN()), "KSWIN"),
    (neighbors.KNNClassifier(), r"engine=neighbors\.LazySearch"),
    (neighbors.KNNClassifier(engine=neighbors.LazySearch(9), cleanup_every=5), "leave cleanup_every out"),
    (rules.AMRules(), "memory addresses"),
    (feature_extraction.RandomTreesEmbedding(seed=1) | LOGISTIC(), "memory addresses"),
    (feature_selection.SelectKBest(stats.PearsonCorr()) | LOGISTIC(), "does not apply SelectKBest when it learns"),
    (compose.FuncTransformer(lambda x: x) | LOGISTIC(), "cannot be saved"),
    (preprocessing.StandardScaler(), r"write StandardScaler\(\.\.\.\) \| "),
    (cluster.KMeans(seed=1), "KMeans answers clusters"),
    (scaled(cluster.KMeans(seed=1)), "KMeans at the end of the pipeline answers clusters"),
    (anomaly.GaussianScorer(), "needs the truth to score"),
    (anomaly.QuantileFilter(anomaly.GaussianScorer(), q=0.9), "needs the truth to score"),
    (reco.Baseline(), "ranks items"),
    (time_series.SNARIMAX(p=1, d=0, q=0), "forecasts"),
    (multioutput.ClassifierChain(LOGISTIC()), "several labels"),
    (multioutput.RegressorChain(LINEAR()), "several numbers"),
    (drift.ADWIN(), "neither a class nor a number nor a score"),
    (stats.Mean(), "neither a class nor a number nor a score"),
    (
        ensemble.ADWINBaggingClassifier(compose.Select("a") | LOGISTIC(), seed=1),
        r"put it in front: Select\(\.\.\.\) \| ADWINBaggingClassifier",
    ),
]


@pytest.mark.parametrize(("estimator", "words"), REFUSED)
def test_what_cannot_be_a_model_is_refused_with_what_to_write_instead(estimator: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        RiverModel(estimator)


@pytest.mark.parametrize("name", ZOO)
def test_the_given_estimator_stays_as_it_is(name: str) -> None:
    make, rows = ZOO[name]
    given = make()
    before = digest(given)
    model = RiverModel(given)
    for x, y in stream(rows)[:20]:
        model.predict(x)
        model.learn(x, y)
    assert digest(given) == before


def test_a_fitted_estimator_goes_on_from_where_it_is() -> None:
    estimator = scaled(LOGISTIC())
    data = stream("phishing")
    for x, y in data[:50]:
        estimator.learn_one(x, y)
    assert RiverModel(estimator).predict(data[50][0]).scores == estimator.predict_proba_one(data[50][0])


def test_a_model_that_has_seen_nothing_answers_none_where_river_does() -> None:
    x = stream("segments")[0][0]
    assert RiverModel(scaled(linear_model.SoftmaxRegression())).predict(x) == Output(None)
    assert RiverModel(forest.ARFClassifier(seed=1)).predict(x) == Output(None)
    assert RiverModel(LOGISTIC()).predict(x) == Output(False, {False: 0.5, True: 0.5})


@pytest.mark.parametrize("name", ZOO)
def test_answers_are_plain_python_values(name: str) -> None:
    make, rows = ZOO[name]
    model = RiverModel(make())
    for x, y in stream(rows)[:60]:
        output = model.predict(x)
        assert type(output.value) in (bool, int, float, str, type(None))
        assert model.task is not Task.REGRESSION or type(output.value) is float or output.value is None
        for kind, score in (output.scores or {}).items():
            assert (type(kind), type(score)) in [(bool, float), (str, float)]
        model.learn(x, y)


def test_scores_that_were_answered_do_not_change_with_later_learning() -> None:
    for name in ("hoeffding tree", "prior", "arf", "boosting", "neighbours"):
        make, rows = ZOO[name]
        model = RiverModel(make())
        data = stream(rows)
        for x, y in data[:100]:
            model.learn(x, y)
        output = model.predict(data[100][0])
        kept = copy.deepcopy(output)
        for x, y in data[100:130]:
            model.learn(x, y)
        assert output == kept, name


def test_a_class_without_probabilities_answers_without_scores() -> None:
    for estimator in (Labels(), imblearn.RandomSampler(Labels(), {"red": 1.0}, seed=1)):
        model = RiverModel(estimator)
        for _ in range(20):
            model.learn({"a": 1.0}, "red")
        assert model.predict({"a": 1.0}) == Output("red")
        assert model.predict({"a": 2.0}) == Output("red")


def test_an_estimator_that_is_not_rivers_is_asked_on_a_copy_and_says_so() -> None:
    model = RiverModel(Doubler() | scaled(LOGISTIC()))
    x = stream("phishing")[0][0]
    given, before = dict(x), model.digest()
    model.predict(x)
    assert x == given
    assert model.digest() == before
    assert model.recipe()["predicts_on_a_copy"] == ["Doubler"]
    model.learn(x, True)
    assert x == given


def test_a_state_of_another_river_is_refused_and_says_how_to_go_on() -> None:
    model = RiverModel(scaled(LOGISTIC()))
    state = msgspec.msgpack.decode(model.save())
    state[0] = "0.1.0"
    with pytest.raises(StoreMismatch, match=r"saved by River 0\.1\.0.*\n.*rebuild from the examples log"):
        model.restored(msgspec.msgpack.encode(state))


def test_a_recipe_is_plain_data_and_names_every_seed_and_library() -> None:
    recipe = RiverModel(scaled(ensemble.BaggingClassifier(forest.ARFClassifier(seed=7), seed=8, n_models=2))).recipe()
    assert msgspec.json.decode(msgspec.json.encode(recipe)) == recipe
    assert recipe["seeds"] == {
        "BaggingClassifier.seed": 8,
        "ARFClassifier.seed": 7,
        **{key: 7 for key in recipe["seeds"] if key.startswith("ARFClassifier.seed#")},
    }
    assert set(recipe["libraries"]) == {"river", "numpy", "python"}
    assert recipe == RiverModel(scaled(ensemble.BaggingClassifier(forest.ARFClassifier(seed=7), seed=8, n_models=2))).recipe()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("huge", [1e308, math.inf, math.nan])
@pytest.mark.parametrize("name", ["logistic alone", "softmax", "linear"])
def test_a_model_that_learned_too_large_a_number_says_it_is_unsound(name: str, huge: float) -> None:
    make, rows = ZOO[name]
    model = RiverModel(make())
    data = stream(rows)
    for x, y in data[:30]:
        model.learn(x, y)
        assert model.sound(x)
    poison = {**data[30][0], next(iter(data[30][0])): huge}
    for truth in {y for _, y in data[:30]}:
        model.learn(poison, truth)
        if not model.sound(poison):
            break
    else:
        pytest.fail("learned with every truth, and still sound")


UNCHECKED = [name for name, (make, _) in ZOO.items() if type(flat_steps(make())[-1]) in BOUNDED]
LIMITS = [LIMIT, -LIMIT, 1e-300, 0.0, LIMIT / 3, -1e-200, 1e50, 5e-324]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", UNCHECKED)
def test_where_no_check_is_made_the_largest_numbers_leave_only_finite_ones(name: str) -> None:
    make, rows = ZOO[name]
    model = RiverModel(make())
    data = stream(rows)
    for count, (x, y) in enumerate(data[:300]):
        extreme = {
            key: value if isinstance(value, str) else LIMITS[(count * 7 + place * 3 + count // 5) % len(LIMITS)]
            for place, (key, value) in enumerate(x.items())
        }
        model.learn(extreme, y)
        assert model.sound(extreme)
    require_finite(model._estimator)


def require_finite(root: Any) -> None:
    """Walks the whole state; fails on a number that is not finite, but for extremes that were not met yet."""
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        path, obj = pending.pop()
        if isinstance(obj, float):
            assert math.isfinite(obj) or path.endswith(("min", "max")), (path, obj)
        if id(obj) in seen or isinstance(obj, (float, int, str, bytes, type(None), type)):
            continue
        seen.add(id(obj))
        if isinstance(obj, dict):
            pending.extend((f"{path}[{key!r}]", value) for key, value in obj.items())
        elif isinstance(obj, (list, tuple, set, frozenset)):
            pending.extend((path, value) for value in obj)
        elif hasattr(obj, "__dict__"):
            pending.extend((f"{path}.{key}", value) for key, value in vars(obj).items())
