"""Integers that a Python program can hold and nobody can write down: refused where they would be recorded, never fatal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from river import naive_bayes

from eddyline import (
    Distinct,
    Engine,
    EpochSeconds,
    Event,
    Id,
    Key,
    Label,
    Last,
    Max,
    Mean,
    Min,
    Pipeline,
    Sum,
    Truth,
    hours,
    memory,
)
from eddyline.engines.embedded import replay
from eddyline.views.letters import letters

BIG = 10**30


class Reading(Event):
    """An event with a whole number."""

    id: Id
    meter: Key
    at: EpochSeconds
    count: int


class Class(Label):
    """A truth that is a whole number."""

    id: Id
    at: EpochSeconds
    kind: Truth[int]


def parity(reading: Reading, before: int | None) -> dict[str, float]:
    """Small features of numbers that may be large."""
    return {"odd": float(reading.count % 2), "changed": float(before != reading.count)}


def _meters(readings: list[Reading], classes: list[Class]) -> Pipeline:
    return Pipeline(
        name="meters",
        events=memory(readings, Reading),
        labels=memory(classes, Class),
        aggregates={"before": Last("count", over=hours(1))},
        features=parity,
        model=naive_bayes.GaussianNB(),
    )


def _reading(number: int, count: int) -> Reading:
    return Reading(id=number, meter="m", at=60 * number, count=count)


def _reasons(pipeline: Pipeline, path: Path) -> list[tuple[str, str, str | None]]:
    with Engine(pipeline, path) as engine:
        replay(engine, Path())
        return [(letter.stream, letter.reason, letter.event_id) for letter in letters(engine.store)]


@pytest.mark.parametrize("big", [2**63, -(2**63) - 1, BIG, 10**90])
@pytest.mark.parametrize("kind", [Last, Distinct, Sum, Mean, Min, Max])
def test_an_integer_that_no_aggregate_can_keep_refuses_its_event_and_no_other(tmp_path: Path, kind: Any, big: int) -> None:
    readings = [_reading(0, 1), _reading(1, big), _reading(2, 3), _reading(3, 4)]
    pipeline = _meters(readings, []).replace(aggregates={"before": kind("count", over=hours(1))})
    assert _reasons(pipeline, tmp_path / "meters.eddyline") == [("events", "out_of_range", "1")]


@pytest.mark.parametrize("whole", [2**63 - 1, -(2**63)])
@pytest.mark.parametrize("kind", [Last, Distinct, Sum, Mean, Min, Max])
def test_the_largest_integers_of_64_bits_are_kept(tmp_path: Path, kind: Any, whole: int) -> None:
    pipeline = _meters([_reading(0, whole), _reading(1, whole), _reading(2, 1)], [])
    pipeline = pipeline.replace(aggregates={"before": kind("count", over=hours(1))})
    assert _reasons(pipeline, tmp_path / "meters.eddyline") == []
    assert _reasons(pipeline, tmp_path / "meters.eddyline") == []  # opened again, from the checkpoint


def test_a_number_that_nobody_keeps_may_be_as_large_as_it_likes(tmp_path: Path) -> None:
    pipeline = _meters([_reading(0, BIG)], []).replace(aggregates={}, features=lambda reading: {"odd": reading.count % 2})
    assert _reasons(pipeline, tmp_path / "meters.eddyline") == []


def test_a_truth_that_is_too_large_to_record_is_a_dead_letter(tmp_path: Path) -> None:
    classes = [Class(id=0, at=30, kind=BIG), Class(id=0, at=31, kind=7)]
    pipeline = _meters([_reading(0, 1), _reading(1, 2)], classes)
    assert _reasons(pipeline, tmp_path / "meters.eddyline") == [("labels", "out_of_range", "0")]
    with Engine(pipeline, tmp_path / "meters.eddyline") as engine:
        assert engine.loop.states.learn.position == 1
