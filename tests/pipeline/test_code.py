"""Two functions are equal when they mean the same: their code, and the values that they carry."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import linear_model

from eddyline import EpochSeconds, Event, Id, Label, Pipeline, Truth, Watch, memory, seconds
from eddyline.pipeline.code import code_digest


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


SHOP = Pipeline(name="shop", events=memory([], Visit), labels=memory([], Sale), model=linear_model.LogisticRegression())


def closed(over: Any) -> Callable[..., Any]:
    def features(visit: Visit) -> dict[str, float]:
        return {"pages": visit.pages * over}

    return features


def defaulted(value: Any) -> Callable[..., Any]:
    def features(visit: Visit, by: Any = value) -> dict[str, float]:
        return {"pages": visit.pages * by}

    return features


def scaled(visit: Visit, by: Any = 1.0) -> dict[str, float]:
    return {"pages": visit.pages * by}


def partial(by: Any) -> Callable[..., Any]:
    return functools.partial(scaled, by=by)


class Scaled:
    def __init__(self, by: Any) -> None:
        self.by = by

    def __call__(self, visit: Visit) -> dict[str, float]:
        return {"pages": visit.pages * self.by}

    def bound(self, visit: Visit) -> dict[str, float]:
        return {"pages": visit.pages * self.by}


def method(by: Any) -> Callable[..., Any]:
    return Scaled(by).bound


def wrapped(by: Any) -> Callable[..., Any]:
    @functools.wraps(scaled)
    def features(visit: Visit) -> dict[str, float]:
        return scaled(visit, by)

    return features


VALUES: list[tuple[Any, Any]] = [
    (2.0, 3.0),
    (np.array([1.0, 2.0]), np.array([1.0, 3.0])),
    ({"a": [1, 2]}, {"a": [1, 3]}),
    ({"a", "b"}, {"a", "c"}),
    (closed(1), closed(2)),
    (Scaled(1), Scaled(2)),
    (frozenset({1}), frozenset({2})),
]


@pytest.mark.parametrize("made", [closed, defaulted, partial, Scaled, method, wrapped])
@pytest.mark.parametrize(("one", "other"), VALUES)
def test_what_a_function_carries_is_part_of_what_it_means(made: Callable[[Any], Any], one: Any, other: Any) -> None:
    assert code_digest(made(one)) == code_digest(made(one)) != code_digest(made(other))


def test_a_function_that_finds_itself_is_digested() -> None:
    def count(number: int) -> int:
        return 0 if number == 0 else 1 + count(number - 1)

    assert len(code_digest(count)) == 16


def test_pipelines_are_told_apart_by_what_their_functions_carry() -> None:
    assert SHOP.replace(features=closed(2)) == SHOP.replace(features=closed(2)) != SHOP.replace(features=closed(3))


def segment_one(visit: Visit) -> str:
    return "a"


def segment_two(visit: Visit) -> str:
    return "b"


def test_segments_by_functions_of_one_name_and_other_code_are_told_apart() -> None:
    two = functools.wraps(segment_one)(segment_two)
    one, other = SHOP.replace(watch=Watch(segment=segment_one)), SHOP.replace(watch=Watch(segment=two))
    assert one.watch.describe() == other.watch.describe()
    assert one != other


def test_durations_that_differ_by_a_microsecond_are_told_apart() -> None:
    assert SHOP.replace(lateness=seconds(1234567.000001)) != SHOP.replace(lateness=seconds(1234567.000002))
