"""The direct arithmetic of scalers and linear models is River's own, to the bit, whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model, optim, preprocessing

from eddyline.models import deep
from eddyline.models.canonical import digest
from eddyline.models.river import RiverModel
from eddyline.models.river_direct import linear_learn
from eddyline.models.river_still import DERIVED

NUMBERS = st.one_of(
    st.floats(-1e6, 1e6), st.floats(-1e100, 1e100), st.integers(-5, 5), st.booleans(), st.sampled_from([0.0, -0.0, 1e-300])
)
ROWS = st.lists(st.tuples(st.dictionaries(st.sampled_from("abcdef"), NUMBERS, max_size=6), st.booleans()), max_size=40)
"""Rows whose names come and go, in any order."""

LINEAR: dict[str, Callable[[], Any]] = {
    "logistic": linear_model.LogisticRegression,
    "fast": lambda: linear_model.LogisticRegression(optim.SGD(2.0), intercept_lr=0.3),
    "slowing down": lambda: linear_model.LogisticRegression(optim.SGD(optim.schedulers.InverseScaling(0.1))),
    "slowing intercept": lambda: linear_model.LogisticRegression(intercept_lr=optim.schedulers.InverseScaling(0.1)),
    "weighted": lambda: linear_model.LogisticRegression(loss=optim.losses.Log(weight_pos=5.0)),
    "hinge": lambda: linear_model.LogisticRegression(loss=optim.losses.Hinge()),
    "drawn weights": lambda: linear_model.LogisticRegression(initializer=optim.initializers.Normal(sigma=1.0, seed=7)),
    "clipped": lambda: linear_model.LinearRegression(clip_gradient=0.5, intercept_init=3.0),
    "squared": linear_model.LinearRegression,
    "absolute": lambda: linear_model.LinearRegression(loss=optim.losses.Absolute()),
    "penalty": lambda: linear_model.LogisticRegression(l2=0.1),
    "sparse": lambda: linear_model.LogisticRegression(l1=0.1),
    "adam": lambda: linear_model.LogisticRegression(optim.Adam(0.1)),
}


def as_river_does(estimator: Any, x: dict[str, Any], y: bool) -> str:
    """Learns as River's own pipeline does; the error's name where it cannot."""
    try:
        estimator.learn_one(x, y)
    except (ArithmeticError, TypeError) as error:
        return type(error).__name__
    return ""


def as_we_do(model: RiverModel, x: dict[str, Any], y: bool) -> str:
    try:
        model.learn(x, y)
    except (ArithmeticError, TypeError) as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize("name", LINEAR)
@given(rows=ROWS)
def test_every_answer_and_every_state_is_rivers_to_the_bit(name: str, rows: list[tuple[dict[str, Any], bool]]) -> None:
    estimator = preprocessing.StandardScaler() | LINEAR[name]()
    model = RiverModel(preprocessing.StandardScaler() | LINEAR[name]())
    for number, (x, y) in enumerate(rows):
        failed = as_river_does(estimator, dict(x), y)
        assert as_we_do(model, dict(x), y) == failed
        if failed:
            return
        if number % 7 == 3:
            model = model.restored(model.save())
        assert model.digest() == digest(estimator, DERIVED)
        before = model.digest()
        output = model.predict(x)
        assert model.digest() == before
        asked = deep.copied(estimator)  # River's scaler makes entries while it answers
        if output.scores is not None:
            assert repr(output.scores) == repr(asked.predict_proba_one(dict(x)))
        else:
            assert repr(output.value) == repr(asked.predict_one(dict(x)))


@pytest.mark.parametrize(
    ("name", "direct"), [(name, name not in ("penalty", "sparse", "adam")) for name in LINEAR], ids=list(LINEAR)
)
def test_what_differs_from_the_plain_case_is_left_to_river(name: str, direct: bool) -> None:
    assert (linear_learn(LINEAR[name]()) is not None) is direct
