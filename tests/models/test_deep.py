"""Graphs of any depth can be saved, and keep their sharing, cycles and digests."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from river import tree

from eddyline.models import deep
from eddyline.models.canonical import digest
from eddyline.models.river import RiverModel


class Link:
    def __init__(self, value: float, child: Link | None) -> None:
        self.value = value
        self.child = child
        self.root: Any = None


class Slim:
    __slots__ = ("child", "value")

    def __init__(self, value: float, child: Slim | None) -> None:
        self.value = value
        self.child = child


def unlink(chain: Any) -> None:
    """Frees a chain link by link: Python would run out of stack freeing it at once."""
    while chain is not None:
        chain.child, chain = None, chain.child


@pytest.mark.parametrize("kind", [Link, Slim])
def test_a_chain_of_fifty_thousand_objects_is_saved_and_restored(kind: Any) -> None:
    chain = None
    for value in range(50_000):
        chain = kind(float(value), chain)
    with pytest.raises(RecursionError):
        pickle.dumps(chain)
    again = deep.loads(deep.dumps(chain))
    assert digest(again) == digest(chain)
    unlink(chain)
    unlink(again)


def test_sharing_and_cycles_survive_in_a_deep_graph() -> None:
    shared = [1.0, 2.0]
    chain: Link | None = None
    for value in range(3_000):
        chain = Link(value, chain)
        chain.root = shared
    assert chain is not None
    graph = {"chain": chain, "shared": shared, "random": random.Random(1)}
    shared.append(graph)  # type: ignore[arg-type]
    again = deep.copied(graph)
    assert again["shared"] is again["chain"].root is again["chain"].child.root
    assert again["shared"][2] is again
    assert again["random"].random() == random.Random(1).random()
    assert digest(again) != digest(graph)  # the generator has drawn
    unlink(chain)
    unlink(again["chain"])


@pytest.mark.parametrize("splitter", [None, tree.splitter.EBSTSplitter()])
def test_a_regression_tree_that_saw_a_trend_can_be_saved_and_goes_on_as_if_it_never_was(splitter: Any) -> None:
    model = RiverModel(tree.HoeffdingTreeRegressor(grace_period=100_000, splitter=splitter))
    draw = random.Random(1)
    for count in range(1_500):
        model.learn({"other": draw.random(), "time": float(count)}, draw.random())
    with pytest.raises(RecursionError):
        pickle.dumps(model._estimator)
    restored = model.restored(model.save())
    assert restored.digest() == model.digest()
    for one in (model, restored):
        one.learn({"other": 0.5, "time": 1_500.0}, 0.5)
    assert restored.digest() == model.digest()
