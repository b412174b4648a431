"""What is saved of a River estimator is its state: no generator of a distribution that nobody samples."""

from __future__ import annotations

import random
from typing import Any

import pytest
from river import forest, naive_bayes, proba, tree
from tests.models.test_deep import Link, unlink

from eddyline.models import deep, river_bytes
from eddyline.models.canonical import digest
from eddyline.models.river import RiverModel
from eddyline.models.river_still import DERIVED

TREES: dict[str, Any] = {
    "forest": forest.ARFClassifier(n_models=3, seed=1),
    "tree": tree.HoeffdingAdaptiveTreeClassifier(grace_period=50, seed=1),
    "bayes": naive_bayes.GaussianNB(),
}


def rows(count: int, seed: int) -> list[tuple[dict[str, Any], bool]]:
    """Numbers of which the sign of the first two's product is the truth."""
    rng = random.Random(seed)
    drawn: list[dict[str, Any]] = [{name: rng.gauss(0.0, 1.0) for name in "abcd"} for _ in range(count)]
    return [(x, x["a"] * x["b"] > 0.0) for x in drawn]


@pytest.mark.parametrize("estimator", TREES.values(), ids=list(TREES))
def test_a_restored_model_goes_on_to_the_bit_and_takes_a_fraction_of_the_bytes(estimator: Any) -> None:
    model, in_river = RiverModel(estimator), estimator.clone()
    for features, truth in rows(2_000, seed=1):
        model.learn(features, truth)
        in_river.learn_one(dict(features), truth)
    again = model.restored(model.save())
    for features, truth in rows(500, seed=2):
        assert again.predict(features) == model.predict(features)
        again.learn(features, truth)
        model.learn(features, truth)
        in_river.learn_one(dict(features), truth)
    assert again.digest() == model.digest()
    assert len(model.save()) * 5 < len(deep.dumps(in_river))


def test_what_an_older_release_saved_is_read() -> None:
    gaussian = proba.Gaussian()
    gaussian.update(3.0)
    again = river_bytes.loads(deep.dumps(gaussian))
    assert digest(again, DERIVED) == digest(gaussian, DERIVED)


def test_a_distribution_with_a_seed_keeps_its_generator() -> None:
    gaussian = proba.Gaussian(seed=7)
    gaussian.update(1.0)
    gaussian.update(4.0)
    gaussian.sample()
    again = river_bytes.copied(gaussian)
    assert [again.sample() for _ in range(3)] == [gaussian.sample() for _ in range(3)]


def test_a_graph_too_deep_for_pickle_leaves_them_out_too() -> None:
    chain = None
    for value in range(3_000):
        chain = Link(float(value), chain)
    graph = {"chain": chain, "leaves": [proba.Gaussian() for _ in range(500)]}
    assert len(river_bytes.dumps(graph)) * 5 < len(deep.dumps(graph))
    again = river_bytes.copied(graph)
    assert digest(again, DERIVED) == digest(graph, DERIVED)
    unlink(chain)
    unlink(again["chain"])
