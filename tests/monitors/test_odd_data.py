"""Data as it comes: wrong dates, fields that nobody fills, constants that change, probabilities that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eddyline.monitors.anomalies import Anomalies
from eddyline.monitors.budget import Pace, one_in, per_week
from eddyline.monitors.conformal import Conformal
from eddyline.monitors.declared import Monitor
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.estimate import Estimated
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi
from eddyline.monitors.unseen import Unseen
from eddyline.records import Alert, Example, Prediction, Scores, Task
from eddyline.stages.watch import Watch, WatchStage, WatchState

WEEK_US = 7 * 86_400_000_000
A_WEEK = 5_000
"""answers"""
START = 1_700_000_000_000_000


def watching(*monitors: Monitor[Any]) -> tuple[WatchStage, WatchState]:
    stage = Watch(metrics=(), error=False, monitors=monitors, tick=200).bind(Task.CLASSIFICATION, 1000, None, bool)
    return stage, stage.new_state()


def answer(number: int, at: int, x: Any = 1.0, scores: Scores | None = None) -> Prediction:
    return Prediction(f"e-{number}", "k", at, {"x": x}, None, True, scores, "m", 0, 0)


def shown(monitor: Monitor[Any], values: list[Any]) -> list[Alert]:
    """The alerts of a monitor of `x`."""
    stage, state = watching(monitor)
    return stage.step(state, [answer(i, START + i, x) for i, x in enumerate(values)])


@pytest.mark.parametrize("wrong", [0, 4 * 10**15], ids=["a null read as 1970", "a year typed wrong"])
@pytest.mark.parametrize("place", [0, 700], ids=["first of all", "later"])
def test_a_wrong_date_does_not_spend_a_budget_by_the_week(wrong: int, place: int) -> None:
    rng = np.random.default_rng(21)
    stage, state = watching(ErrorAbove(0.1), Conformal("x"), Missing("x", at_most=0.05))
    alerts: list[Alert] = []
    for i in range(6 * A_WEEK):
        at = wrong if i == place else START + i * WEEK_US // A_WEEK
        one = answer(i, at, None if rng.random() < 0.05 else float(rng.normal()))
        alerts += stage.step(state, [one, Example(one, bool(rng.random() > 0.1), "label", one.at)])
    assert len(alerts) <= 3 * 6, alerts


def test_truths_on_their_way_do_not_make_a_week_look_poor_in_them() -> None:
    pace, ticks = Pace(), 50
    for tick in range(3 * ticks):
        pace.add([tick * WEEK_US // ticks] * 100, labelled=100 if tick >= ticks else 0)
        if tick in (ticks + 1, 3 * ticks - 1):
            assert pace.per_week(labelled=True) == pytest.approx(100 * ticks)
        if tick == ticks - 1:
            assert pace.per_week(labelled=True) is None
    assert pace.per_week(labelled=False) == pytest.approx(100 * ticks)
    assert per_week(1).arl(pace.per_week(labelled=True)) == pytest.approx(100 * ticks)


@pytest.mark.parametrize(
    ("monitor", "value"),
    [(Missing("x", budget=one_in(500)), lambda i: None), (Unseen("x", budget=one_in(500)), lambda i: f"user-{i}")],
    ids=["a field that nobody fills", "an id as a category"],
)
def test_what_was_so_throughout_the_reference_raises_nothing(monitor: Monitor[Any], value: Callable[[int], Any]) -> None:
    assert shown(monitor, [value(i) for i in range(10_000)]) == []


@pytest.mark.parametrize("after", [0.0, 1.0, 1.0e100], ids=["lower", "to one", "huge"])
@pytest.mark.parametrize("monitor", [Psi("x"), Conformal("x")], ids=["psi", "conformal"])
def test_a_constant_that_changes_in_a_third_of_answers_is_found(monitor: Monitor[Any], after: float) -> None:
    steady = [0.5] * 3_000
    assert shown(monitor, steady * 2) == []
    assert shown(monitor, steady + [after if i % 3 == 0 else 0.5 for i in range(3_000)]) != []


def test_events_without_a_number_are_not_strange_and_numbers_that_come_later_are_learned() -> None:
    stage, state = watching(Anomalies(every=1, reference=250))
    rng = np.random.default_rng(22)
    texts = [answer(i, START + i, "UA") for i in range(1_000)]
    numbers = [answer(i, START + i, x) for i, x in enumerate(rng.normal(size=1_000).tolist(), 1_000)]
    assert stage.step(state, texts + numbers) == []
    counts = {one.metric: one.count for one in stage.measurements(state)}
    assert counts["strange share"] > 500


@pytest.mark.parametrize(
    "scores",
    [{True: 1e60, False: -1e60}, {True: -0.5, False: 1.5}, {"other": -3.0}, {}],
    ids=["huge", "negative", "of another class", "none"],
)
def test_an_estimate_stays_a_share_whatever_a_model_calls_a_probability(scores: Scores) -> None:
    stage, state = watching(Estimated(window=100))
    for i in range(1_000):
        one = answer(i, START + i, 1.0, scores)
        assert stage.step(state, [one, Example(one, i % 2 == 0, "label", one.at)]) == []
    found = [one.value for one in stage.measurements(state) if one.metric.endswith("(advisory, CBPE)")]
    assert all(value is None or 0.0 <= value <= 1.0 for value in found), found


@pytest.mark.parametrize(
    "monitor", [Psi("x", reference=100, window=100), Conformal("x", reference=100)], ids=["psi", "conformal"]
)
def test_values_that_come_after_a_reference_with_gaps_are_all_counted(monitor: Monitor[Any]) -> None:
    rng, (stage, state) = np.random.default_rng(8), watching(monitor)
    values = [None if i % 3 == 0 else float(rng.normal()) for i in range(400)]
    stage.step(state, [answer(i, START + i, x) for i, x in enumerate(values)])
    (seen,) = [one.count for one in stage.measurements(state) if one.metric in ("psi of x", "evidence of change in x")]
    assert seen == sum(value is not None for value in values) - 100
