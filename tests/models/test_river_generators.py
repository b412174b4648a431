"""Distributions that nobody samples share one generator while a model learns; nothing else of River is touched."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from river import forest, naive_bayes, proba, tree

from eddyline.models.river import RiverModel
from eddyline.models.river_generators import SHARED, sparing
from eddyline.models.river_refusals import parts

MAKERS: dict[str, Callable[[], Any]] = {
    "tree": lambda: tree.HoeffdingTreeClassifier(grace_period=50),
    "forest": lambda: forest.ARFClassifier(n_models=3, seed=1, grace_period=50),
    "naive Bayes": naive_bayes.GaussianNB,
}


def examples(many: int) -> Iterator[tuple[dict[str, Any], bool]]:
    dice = random.Random(3)
    for _ in range(many):
        x: dict[str, Any] = {name: dice.random() for name in ("a", "b", "c")}
        yield x, x["a"] + dice.gauss(0, 0.2) > 0.5


def gaussians(estimator: Any) -> list[proba.Gaussian]:
    return [part for part in parts(estimator) if isinstance(part, proba.Gaussian)]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_model_learns_what_it_would_and_no_gaussian_has_a_generator_of_its_own(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, estimator = RiverModel(MAKERS[kind]()), MAKERS[kind]()
    monkeypatch.setattr("eddyline.models.river.sparing", lambda learn: learn)
    as_before = RiverModel(MAKERS[kind]())
    for x, y in examples(500):
        assert model.predict(x).scores == (estimator.predict_proba_one(x) or None)
        for learn in (model.learn, as_before.learn, estimator.learn_one):
            learn(x, y)
    assert model.digest() == as_before.digest()
    own = {id(each._rng) for each in gaussians(estimator)}
    assert len(own) == len(gaussians(estimator)) > 3
    assert {id(each._rng) for each in gaussians(model._estimator)} == {id(SHARED)}


def test_a_distribution_with_a_seed_keeps_its_generator() -> None:
    made: list[proba.Gaussian] = []
    sparing(lambda x, y: made.append(proba.Gaussian(seed=7)))({}, True)
    assert made[0]._rng is not SHARED
    made[0].update(1.0)
    made[0].update(2.0)
    other = proba.Gaussian(seed=7)
    other.update(1.0)
    other.update(2.0)
    assert made[0].sample() == other.sample()


def test_outside_of_learning_river_is_as_it_was_after_a_failure_too() -> None:
    def fail(x: Any, y: Any) -> None:
        assert proba.Gaussian()._rng is SHARED
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        sparing(fail)({}, True)
    assert vars(proba.base)["random"] is random
    assert proba.Gaussian()._rng is not SHARED
