"""The canonical digest: equal for equal states, different for different ones, whatever the process."""

from __future__ import annotations

import collections
import copy
import enum
import functools
import math
import os
import pickle
import random
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.models.canonical import digest


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Node:
    def __init__(self, value: Any = None, child: Any = None) -> None:
        self.value = value
        self.child = child


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left: Any, right: Any) -> None:
        self.left = left
        self.right = right

    def method(self) -> Any:
        return self.left


def stranger(x: int) -> int:
    return x


ATOMS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()), st.binary(max_size=9))
KEYS = st.one_of(st.booleans(), st.integers(), st.text(max_size=5), st.tuples(st.integers(), st.text(max_size=3)))
GRAPHS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(st.one_of(st.integers(), st.text(max_size=4)), max_size=4),
        st.builds(Node, inner, inner),
        st.builds(Slotted, inner, inner),
        st.builds(collections.deque, st.lists(inner, max_size=3)),
    ),
    max_leaves=12,
)


@given(GRAPHS)
def test_a_saved_and_restored_graph_keeps_its_digest(graph: Any) -> None:
    assert digest(pickle.loads(pickle.dumps(graph))) == digest(graph)
    assert digest(copy.deepcopy(graph)) == digest(graph)


@given(st.dictionaries(KEYS, ATOMS, min_size=2))
def test_the_order_of_a_dict_does_not_count(entries: dict[Any, Any]) -> None:
    assert digest(dict(reversed(entries.items()))) == digest(entries)
    assert digest(collections.Counter(a=1, b=2)) == digest(collections.Counter(b=2, a=1))


def test_the_order_of_an_ordered_dict_a_list_and_a_deque_counts() -> None:
    for kind in (list, tuple, collections.deque, collections.OrderedDict.fromkeys):
        assert digest(kind([1, 2])) != digest(kind([2, 1])), kind


DIFFERENT: list[Any] = [
    *(0, 0.0, -0.0, False, None, "", "0", b"0", math.nan, math.inf, 2**64, 2**200, "\ud800", 1, 1.0, True),
    *([], (), set(), frozenset(), {}, collections.deque(), collections.deque(maxlen=3), collections.Counter()),
    *(collections.defaultdict(int), collections.defaultdict(float), collections.OrderedDict(), bytearray(b"0")),
    *([1, [2]], [[1], 2], [[1, 2]], [1, 2], (1, 2), [1, 2.0], {1: 2}, {"1": 2}, {1: 2.0}, {(1,): 2}, {1, 2}),
    *(np.float64(0), np.float32(0), np.int64(0), np.array(0.0), np.zeros(2), np.zeros((2, 1)), np.zeros((1, 2))),
    *(np.zeros(2, dtype="f4"), np.array([0.0, -0.0]), np.array([[1.0, 2], [3, 4]]), np.array([None, 1])),
    *(np.asfortranarray([[1.0, 2], [3, 4]]), np.random.RandomState(1), np.random.default_rng(1)),
    *(random.Random(1), random.Random(2), Colour.RED, Colour.BLUE, Node, Slotted, stranger, math.exp, np.exp),
    *(Node(1), Node(2), Node(None, 1), Slotted(1, 2), Slotted(2, 1), functools.partial(stranger, 1)),
    *(functools.partial(stranger, 2), Slotted(1, 2).method, Slotted(2, 1).method, lambda: 1, lambda: 2),
]


def test_different_things_have_different_digests() -> None:
    seen = collections.Counter(digest(thing) for thing in DIFFERENT)
    assert [thing for thing in DIFFERENT if seen[digest(thing)] > 1] == []


def test_a_generator_that_has_drawn_is_another_state() -> None:
    for generator in (random.Random(1), np.random.RandomState(1), np.random.default_rng(1)):
        before = digest(generator)
        generator.random()
        assert digest(generator) != before
        assert digest(pickle.loads(pickle.dumps(generator))) == digest(generator)


def test_sharing_a_mutable_object_is_part_of_the_state_and_sharing_an_immutable_one_is_not() -> None:
    part = [1, 2]
    assert digest([part, part]) != digest([[1, 2], [1, 2]])
    word, pair = "".join(["wo", "rd"]), np.float64(0.5)
    assert digest([word, word, pair, pair]) == digest(["word", "".join(["wo", "rd"]), pair, np.float64(0.5)])


def test_cycles_end_and_keep_their_shape() -> None:
    one: list[Any] = [1]
    one.append(one)
    other: list[Any] = [1, [1]]
    other[1].append(other)
    node = Node()
    node.child = {"self": node}
    assert len({digest(one), digest(other), digest(node)}) == 3
    assert digest(pickle.loads(pickle.dumps(node))) == digest(node)


def test_a_chain_of_a_hundred_thousand_objects_costs_no_stack() -> None:
    chain: Any = None
    for value in range(100_000):
        chain = Node(value, chain)
    assert len(digest(chain)) == 32
    while chain is not None:  # Python itself would run out of stack when it frees the chain at once
        chain.child, chain = None, chain.child


def test_derived_attributes_are_left_out() -> None:
    assert digest(Node(1, "cache"), {Node: frozenset({"child"})}) == digest(Node(1), {Node: frozenset({"child"})})


def test_what_has_no_state_to_write_down_is_refused() -> None:
    with pytest.raises(TypeError):
        digest({"lock": threading.Lock()})


PROGRAM = """
from eddyline.models.canonical import digest
words = [f"w{i}" for i in range(50)]
print(digest({"set": set(words), "frozen": {frozenset(words): 1}, "keys": dict.fromkeys(set(words), 1.5)}))
"""


def test_the_digest_does_not_depend_on_the_hash_seed_of_the_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "31337")
    }
    assert len(told) == 1


class Thing:
    """An object with attributes, in the golden digests below."""


Thing.__module__ = "golden"  # a digest names it


def _golden() -> list[Any]:
    lone, loop, shared, numbered = Thing(), Thing(), Thing(), Thing()
    lone.x, lone.__dict__["\ud800"] = 1, 3  # type: ignore[attr-defined]
    loop.me, loop.one, loop.other, loop.both = loop, shared, shared, [shared, loop]  # type: ignore[attr-defined]
    numbered.__dict__[3], numbered.s = 4, 1  # type: ignore[index, attr-defined]
    return [
        lone,
        loop,
        numbered,
        [Thing(), Thing()],
        {True: 1, False: [2]},
        {"a": shared, "b": shared, "c": {"a": 1, "b": shared}},
        collections.defaultdict(list, {"b": 1, "a": 2}),
        {"\ud800": 1, "b": 2},
        {1: 2.0, 2.0: 1},
        {str(number): number for number in range(100)},
    ]


GOLDEN = [
    "fc21c22df9de68a2f96f33a581da27f8",
    "1f9060c8f65cf8621e2ccbaecd3cd7eb",
    "531fcae996b953b303d71488c1e73b45",
    "6067af480868286acea1a2079869bb29",
    "c949dedb6737915dcec1ce4d4526e0ec",
    "6515266fbd3a983b69aab78084954c9f",
    "233f1df4e5842f6908be44bb95ae4b82",
    "671d9c393b9197ce512a38908eca62e9",
    "c087b5d9d5cb067f8c48a5a656dc8c57",
    "3bc9abc7dfe1bef459cd6d01e4d4c250",
]


def test_digests_on_record_stay_what_they_are() -> None:
    """Every version of every store is named by one: a faster way to write the canonical form must write the same."""
    assert [digest(each) for each in _golden()] == GOLDEN
