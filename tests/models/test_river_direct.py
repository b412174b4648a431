"""The direct arithmetic of scalers and linear models is River's own, to the bit, whatever comes, compiled or not."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model, optim, preprocessing

from eddyline.models import compiled, deep, river_direct
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


@contextlib.contextmanager
def form(name: str) -> Iterator[None]:
    """Has one form of the arithmetic run. Where nothing is compiled, the tests of the compiled form say so and skip."""
    if name == "compiled" and compiled.direct is river_direct:
        pytest.skip("the arithmetic is not compiled here: pip install --editable . compiles it where there is a C compiler")
    chosen = compiled.direct
    compiled.direct = chosen if name == "compiled" else river_direct
    try:
        yield
    finally:
        compiled.direct = chosen


FORMS = pytest.mark.parametrize("which", ["compiled", "python"])


@FORMS
@pytest.mark.parametrize("name", LINEAR)
@given(rows=ROWS)
def test_every_answer_and_every_state_is_rivers_to_the_bit(
    name: str, rows: list[tuple[dict[str, Any], bool]], which: str
) -> None:
    with form(which):
        as_river(name, rows)


def as_river(name: str, rows: list[tuple[dict[str, Any], bool]]) -> None:
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
            rivers = {truth: float(share) for truth, share in asked.predict_proba_one(dict(x)).items()}
            assert repr(output.scores) == repr(rivers)  # River says 0 and 1 where the sum is far out, and we 0.0 and 1.0
        else:
            assert repr(output.value) == repr(asked.predict_one(dict(x)))


@pytest.mark.parametrize(
    ("name", "direct"), [(name, name not in ("penalty", "sparse", "adam")) for name in LINEAR], ids=list(LINEAR)
)
def test_what_differs_from_the_plain_case_is_left_to_river(name: str, direct: bool) -> None:
    assert (linear_learn(LINEAR[name]()) is not None) is direct


@FORMS
@pytest.mark.parametrize("wrong", ["text", None], ids=["text", "nothing"])
def test_what_is_no_number_is_refused_in_rivers_words(wrong: object, which: str) -> None:
    estimator = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    with pytest.raises(TypeError) as rivers:
        estimator.learn_one({"a": wrong}, True)
    with form(which), pytest.raises(TypeError) as ours:
        RiverModel(preprocessing.StandardScaler() | linear_model.LogisticRegression()).learn({"a": wrong}, True)  # type: ignore[dict-item]
    assert str(ours.value) == str(rivers.value)


@FORMS
def test_numbers_of_numpy_in_a_scaler_stay_what_they_are(which: str) -> None:
    fitted = preprocessing.StandardScaler()
    fitted.learn_one({"a": np.float32(0.1)})
    estimator = fitted | linear_model.LogisticRegression()
    with form(which):
        model = RiverModel(estimator)
        model.learn({"a": 0.3}, True)
    own = deep.copied(estimator)
    own.learn_one({"a": 0.3}, True)
    assert model.digest() == digest(own, DERIVED)


def test_a_compiled_form_of_another_text_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "river_direct.py"
    changed.write_bytes(Path(river_direct.__file__).read_bytes() + b"\n")
    monkeypatch.setattr(river_direct, "__file__", str(changed))
    assert compiled.chosen() is river_direct


def test_the_form_that_runs_is_made_of_the_text_that_stands_here(monkeypatch: pytest.MonkeyPatch) -> None:
    text = hashlib.blake2b(Path(river_direct.__file__).read_bytes(), digest_size=16).hexdigest()
    assert getattr(compiled.direct, "SOURCE", text) == text
    monkeypatch.setenv("EDDYLINE_PYTHON_ONLY", "1")
    assert compiled.chosen() is river_direct
