"""Drift is River's ADWIN, and says how far the mean moved."""

from __future__ import annotations

import random

import pytest
from river import drift as river_drift

from eddyline.monitors.drift import Change, Drift


def shifting(seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(level, 1.0) for level in (0, 0, 3, -2, -2, 5) for _ in range(400)]


def river_detections(numbers: list[float]) -> list[int]:
    detector = river_drift.ADWIN()
    found = []
    for index, number in enumerate(numbers):
        detector.update(number)
        if detector.drift_detected:
            found.append(index)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_detections_are_rivers_on_the_same_sequence(seed: int) -> None:
    numbers = shifting(seed)
    found = [change.place for change in Drift().feed(numbers)]
    assert found == river_detections(numbers)
    assert len(found) >= 3


@pytest.mark.parametrize("seed", range(5))
def test_batches_and_restores_change_no_detection(seed: int) -> None:
    numbers = shifting(seed)
    rng = random.Random(seed)
    drift, found, start = Drift(), [], 0
    while start < len(numbers):
        end = start + rng.randint(1, 100)
        found += [change._replace(place=change.place + start) for change in drift.feed(numbers[start:end])]
        drift, start = Drift.of(drift.plain()), end
    assert found == Drift().feed(numbers)


def test_a_change_says_the_mean_before_and_after() -> None:
    (change,) = Drift().feed([2.0] * 320 + [10.0] * 40)
    assert change.before == pytest.approx(2.0, abs=0.2)
    assert change.after > change.before + 0.5


def test_the_means_are_those_of_the_two_parts_of_the_window() -> None:
    numbers = shifting(0)
    changes: list[Change] = Drift().feed(numbers)
    assert len(changes) >= 3
    start = 0
    for change in changes:
        end = change.place + 1
        detector = river_drift.ADWIN()
        for number in numbers[start:end]:
            detector.update(number)
        cut = end - int(detector.width)
        assert change.before == pytest.approx(sum(numbers[start:cut]) / (cut - start))
        assert change.after == pytest.approx(sum(numbers[cut:end]) / (end - cut))
        start = end


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(AssertionError, match="not finite"):
        Drift().feed([0.0, float("nan")])
