"""Objects are read and given back without a dict of their own, and whatever may know better is asked in the ordinary way."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest
from river import tree

from eddyline.models import deep, river_bytes
from eddyline.models.attributes import Attributes, give
from eddyline.models.canonical import digest


class Leaf:
    def __init__(self, depth: int, counts: dict[str, float]) -> None:
        self.depth, self.counts = depth, counts


class Defaulted(Leaf):
    depth = 7


class Slotted(Leaf):
    __slots__ = ("more",)


class Hooked(Leaf):
    def __getattr__(self, name: str) -> int:
        if name.startswith("__"):
            raise AttributeError(name)
        return 3


class Says(Leaf):
    def __getstate__(self) -> dict[str, Any]:
        return {"depth": self.depth, "counts": {}}


class Shadowed(Leaf):
    @property
    def depth(self) -> int:
        return 3

    @depth.setter
    def depth(self, value: int) -> None:
        self.__dict__["depth"] = value


def has_dict(obj: object) -> bool:
    """Whether somebody asked for its `__dict__` once."""
    return [type(one) for one in gc.get_referents(obj)] == [dict, type]


def test_nothing_gets_a_dict_by_being_read_written_or_named() -> None:
    leaves = [Leaf(depth, {"a": 1.0}) for depth in range(4)]
    first, *others = leaves
    read = Attributes()
    assert read(first) == {"depth": 0, "counts": {"a": 1.0}}
    assert [read(leaf) for leaf in others] == [{"depth": leaf.depth, "counts": leaf.counts} for leaf in others]
    again = deep.loads(deep.dumps(leaves))
    assert digest(again) == digest(leaves)
    assert [has_dict(leaf) for leaf in others] == [False] * 3
    assert [has_dict(leaf) for leaf in again[1:]] == [False] * 3
    _ = others[0].__dict__
    assert has_dict(others[0]), "or this test could not fail"


@pytest.mark.parametrize("kind", [Defaulted, Slotted, Hooked, Says, Shadowed])
def test_a_class_that_may_know_better_is_asked(kind: type[Leaf]) -> None:
    assert Attributes()(kind(1, {})) is None
    one = kind(1, {"a": 2.0})
    assert digest(deep.loads(deep.dumps(one))) == digest(pickle.loads(pickle.dumps(one)))


def test_an_object_with_other_attributes_than_the_first_keeps_its_own() -> None:
    first, fewer, more, other = (Leaf(depth, {}) for depth in range(4))
    del fewer.counts
    more.extra = 5  # type: ignore[attr-defined]
    del other.counts
    other.named = 6  # type: ignore[attr-defined]
    read = Attributes()
    read(first)
    assert [read(each) for each in (fewer, more, other)] == [None] * 3
    again = deep.loads(deep.dumps([first, fewer, more, other]))
    assert [vars(each) for each in again] == [vars(each) for each in (first, fewer, more, other)]


def test_one_attribute_alone_is_not_taken_for_the_dict() -> None:
    class One:
        def __init__(self) -> None:
            self.of = {"of": 1}

    assert Attributes()(One()) is None


def test_a_forest_stays_in_rows_after_it_was_saved_named_and_restored() -> None:
    grown = tree.HoeffdingTreeClassifier(grace_period=20)
    for number in range(400):
        grown.learn_one({"a": float(number % 7), "b": float(number % 5)}, number % 3 == 0)
    river_bytes.dumps(grown)
    digest(grown)
    for each in (grown, river_bytes.copied(grown)):
        found = {kind: [has_dict(one) for one in _reached(each) if type(one).__name__ == kind] for kind in ("Gaussian", "Var")}
        assert all(len(dicts) > 3 and sum(dicts) <= 1 for dicts in found.values()), found


def test_give_sets_one_by_one() -> None:
    leaf = object.__new__(Leaf)
    give(leaf, {"depth": 1, "counts": {}})
    assert not has_dict(leaf)
    assert (leaf.depth, leaf.counts) == (1, {})


def _reached(root: object) -> list[object]:
    seen: dict[int, object] = {}
    pending = [root]
    while pending:
        obj = pending.pop()
        if id(obj) not in seen and not isinstance(obj, type):
            seen[id(obj)] = obj
            pending += gc.get_referents(obj)
    return list(seen.values())
