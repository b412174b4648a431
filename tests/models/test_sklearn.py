"""scikit-learn estimators as models: they answer as scikit-learn does, row by row, and are refused in words."""
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDOneClassSVM, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, PolynomialFeatures, StandardScaler
from tests.models.zoo import Rows, stream

from eddyline.models import Sklearn, adapt
from eddyline.models.sklearn import SklearnModel
from eddyline.records import Example, Features, Output, Prediction, Task
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.stages.learn import Learn

MODELS: dict[str, tuple[Callable[[], Sklearn], Task]] = {
    "hinge": (lambda: Sklearn(SGDClassifier(random_state=1), classes=[False, True]), Task.CLASSIFICATION),
    "logistic": (
        lambda: Sklearn(SGDClassifier(loss="log_loss", random_state=1), classes=[False, True]),
        Task.CLASSIFICATION,
    ),
    "bayes": (lambda: Sklearn(GaussianNB(), classes=[False, True]), Task.CLASSIFICATION),
    "network": (
        lambda: Sklearn(MLPClassifier((4,), random_state=1), classes=[False, True]),
        Task.CLASSIFICATION,
    ),
    "pipeline": (
        lambda: Sklearn(
            make_pipeline(StandardScaler(), Normalizer(), SGDClassifier(loss="log_loss", random_state=1)),
            classes=[False, True],
        ),
        Task.CLASSIFICATION,
    ),
    "regression": (lambda: Sklearn(SGDRegressor(random_state=1)), Task.REGRESSION),
    "outliers": (lambda: Sklearn(SGDOneClassSVM(random_state=1)), Task.ANOMALY),
}
EVERY = pytest.mark.parametrize("name", MODELS)


def rows() -> Rows:
    return stream("phishing")


@EVERY
def test_predicting_changes_nothing_and_a_restored_model_goes_on_as_if_never_saved(name: str) -> None:
    declare, task = MODELS[name]
    model = restored = adapt(declare())
    assert model.task is task
    assert model.predict(rows()[0][0]) == Output(None)
    for count, (x, y) in enumerate(rows()[:120]):
        if count == 60:
            restored = model.restored(model.save())
        if count >= 60:
            before = model.digest()
            assert model.predict(x) == restored.predict(x)
            assert model.digest() == before
            restored.learn(x, y)
        model.learn(x, y)
        assert model.sound(x)
    assert restored.digest() == model.digest()


def test_answers_are_scikit_learns_to_the_bit_and_plain() -> None:
    model = adapt(MODELS["logistic"][0]())
    theirs = SGDClassifier(loss="log_loss", random_state=1)
    for x, y in rows()[:80]:
        row = np.array([list(x.values())], dtype=float)
        if hasattr(theirs, "classes_"):
            output = model.predict(x)
            assert output.scores is not None
            assert type(output.value) is bool
            assert output.value == theirs.predict(row)[0]
            assert list(output.scores) == [False, True]
            assert list(output.scores.values()) == theirs.predict_proba(row)[0].tolist()
        model.learn(x, y)
        theirs.partial_fit(row, [y], classes=[False, True])


def test_a_pipeline_learns_each_step_before_it_transforms() -> None:
    model = adapt(MODELS["pipeline"][0]())
    scaler, norm, last = StandardScaler(), Normalizer(), SGDClassifier(loss="log_loss", random_state=1)
    for x, y in rows()[:50]:
        row = np.array([list(x.values())], dtype=float)
        model.learn(x, y)
        last.partial_fit(norm.transform(scaler.partial_fit(row).transform(row)), [y], classes=[False, True])
    x = rows()[50][0]
    row = np.array([list(x.values())], dtype=float)
    scores = model.predict(x).scores
    assert scores is not None
    assert list(scores.values()) == last.predict_proba(norm.transform(scaler.transform(row)))[0].tolist()


def test_the_given_estimator_stays_as_it_is() -> None:
    declared = MODELS["logistic"][0]()
    model = adapt(declared)
    model.learn({"a": 1.0}, True)
    assert not hasattr(declared.estimator, "coef_")


def test_the_first_example_fixes_the_columns_and_a_missing_extra_or_worded_one_is_named() -> None:
    model = adapt(Sklearn(SGDRegressor(random_state=1)))
    model.learn({"b": 1.0, "a": 2}, 1.0)
    assert model.predict({"a": 2, "b": 1.0}) == model.predict({"b": 1.0, "a": 2})
    with pytest.raises(ValueError, match="feature 'b' is missing"):
        model.predict({"a": 2})
    with pytest.raises(ValueError, match=r"feature 'c' was not in the first example.*features="):
        model.predict({"a": 2, "b": 1.0, "c": 3.0})
    with pytest.raises(ValueError, match="feature 'b' is 'red'; scikit-learn needs numbers"):
        model.learn({"a": 2, "b": "red"}, 1.0)


def test_declared_features_choose_their_columns_and_ignore_the_others() -> None:
    model = adapt(Sklearn(SGDRegressor(random_state=1), features=["b"]))
    model.learn({"a": 5.0, "b": 1.0}, 1.0)
    assert model.predict({"a": 9.0, "b": 1.0}) == model.predict({"b": 1.0})


REFUSED: list[tuple[Any, str]] = [
    (Sklearn(SGDClassifier(), classes=[0, 1]), r"without a seed\n  write SGDClassifier\(random_state=42\)"),
    (Sklearn(make_pipeline(StandardScaler(), SGDRegressor())), r"write SGDRegressor\(random_state=42\)"),
    (Sklearn(SGDClassifier(random_state=1)), r"has to know its classes.*\n.*classes=\[False, True\]"),
    (Sklearn(LogisticRegression()), "has no partial_fit\n  use SGDClassifier"),
    (Sklearn(make_pipeline(PolynomialFeatures(), SGDRegressor(random_state=1))), "PolynomialFeatures cannot learn"),
    (Sklearn(MiniBatchKMeans(random_state=1)), "neither a classifier nor a regressor"),
    (SGDRegressor(random_state=1), r"write Sklearn\(SGDRegressor\(\.\.\.\)\)"),
]


@pytest.mark.parametrize(("declared", "words"), REFUSED)
def test_what_cannot_be_a_model_is_refused_with_what_to_write_instead(declared: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        adapt(declared)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_that_learned_too_large_a_number_says_it_is_unsound() -> None:
    model = adapt(Sklearn(GaussianNB(), classes=[False, True]))
    for x, y in rows()[:20]:
        model.learn(x, y)
    assert model.sound(x)
    model.learn({**x, "https": 1e308}, True)
    model.learn({**x, "https": -1e308}, True)
    assert not model.sound(x)


def test_a_model_that_cannot_answer_yet_says_nothing_learns_on_and_answers_when_it_can() -> None:
    """GaussianNB divides by a variance that is 0 until each class has shown two values of each feature."""
    model = SklearnModel(Sklearn(GaussianNB(), classes=[False, True]))
    learn = Learn(snapshot_every=10, publish=None, learn_revisions=False)
    state, said = learn.new_state(model), []
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for number, truth in enumerate([False, False, True, True, False, True]):
            features: Features = {"a": float(number % 3), "b": number + 5.0 * truth}
            said.append(state.model.predict(features).value)
            told = Prediction(str(number), "", 0, features, None, said[-1], None, "m", state.position, 0)
            assert learn.one(state, Example(told, truth, "label", 0), []) == number + 1
    assert said == [None, None, None, None, False, True]


def test_learning_that_takes_a_models_answers_away_is_undone() -> None:
    model = SklearnModel(Sklearn(GaussianNB(), classes=[False, True]))
    for number in range(20):
        model.learn({"a": float(number % 5)}, number % 2 == 0)
    assert model.sound({"a": 1.0})
    model._last.var_[:] = 0.0  # finite, and nothing can be divided by it
    assert not model.sound({"a": 1.0})
    again = model.restored(model.save())
    assert (again.digest(), again.sound({"a": 1.0})) == (model.digest(), False)


@pytest.mark.parametrize("classes", [["a", 1], [True, True], [1, True], [1.0, 1]])
def test_classes_that_scikit_learn_would_mix_up_are_refused(classes: list[Any]) -> None:
    with pytest.raises(DeclarationError, match="write each class once, all booleans, all text or all numbers"):
        Sklearn(GaussianNB(), classes=classes)


def test_a_state_of_another_scikit_learn_is_refused_and_says_how_to_go_on() -> None:
    model = adapt(MODELS["hinge"][0]())
    state = msgspec.msgpack.decode(model.save())
    state[0] = "0.1.0"
    with pytest.raises(StoreMismatch, match=r"saved by scikit-learn 0\.1\.0.*\n.*rebuild from the examples log"):
        model.restored(msgspec.msgpack.encode(state))


def test_a_recipe_is_plain_data() -> None:
    recipe = adapt(MODELS["pipeline"][0]()).recipe()
    assert msgspec.json.decode(msgspec.json.encode(recipe)) == recipe
    assert recipe["seeds"] == {"sgdclassifier__random_state": 1}


def test_importing_the_room_imports_neither_scikit_learn_nor_rivers_estimators() -> None:
    program = "import sys, eddyline.models; print([m for m in sys.modules if m in ('sklearn', 'river.tree')])"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == "[]"
