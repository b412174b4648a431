"""A monitor of a feature says nothing about answers of a line that makes no such feature, and says so."""

from __future__ import annotations

import random
from typing import Any

import pytest

from eddyline.monitors.budget import one_in
from eddyline.monitors.conformal import Conformal
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi
from eddyline.monitors.unseen import Unseen
from eddyline.records import Alert, Example, Measurement, Prediction, Task
from eddyline.stages.watch import Record, Watch, WatchStage, WatchState

HOUR_US = 3_600_000_000


def stage(tick: int = 100) -> WatchStage:
    eager = one_in(300)
    monitors = (
        Psi("hires", reference=100, window=100, by_segment=True, budget=eager),
        Conformal("hires", reference=50, by_segment=True, budget=eager),
        Missing(("hires", "temp"), at_most=0.05, by_segment=True, budget=eager),
        Unseen("hires", known=tuple(range(20)), budget=eager),
    )
    return Watch(metrics=(), error=False, monitors=monitors, segment="s", tick=tick).bind(Task.REGRESSION, 1000, None, float)


def answer(number: int, line: str, features: dict[str, Any]) -> Prediction:
    segment = "ns"[number % 2]
    return Prediction(f"e-{number}", "k", number * HOUR_US, features, None, 1.0, None, line, number, 0, segment)


def promoted(many: int = 1000, *, breaks: bool = False) -> list[Record]:
    """Half-way a challenger without `hires` answers; or, where it breaks, the champion goes on without it."""
    rng = random.Random(7)
    records: list[Record] = []
    for i in range(many):
        late = i >= many // 2
        features = {"temp": rng.gauss(0, 1)} if late else {"hires": rng.randrange(20), "temp": rng.gauss(0, 1)}
        one = answer(i, "bikes.stations" if late and not breaks else "bikes", features)
        records.append(one)
        records.append(Example(one, 1.0, "label", one.at + 1))
    return records


def lived(watch: WatchStage, records: list[Record], size: int) -> tuple[WatchState, list[Alert]]:
    state = watch.new_state()
    return state, [alert for i in range(0, len(records), size) for alert in watch.step(state, records[i : i + size])]


def test_a_promoted_line_without_the_feature_raises_no_alert_and_is_shown_as_paused() -> None:
    watch = stage()
    state, alerts = lived(watch, promoted(), 64)
    assert alerts == []
    shown = [one for one in watch.measurements(state) if "paused" in one.metric]
    assert shown == [
        Measurement("feature hires paused", 500.0, 500),
        Measurement("feature hires paused", 500.0, 500, version="bikes.stations"),
    ]


def test_a_feature_that_its_own_line_lost_is_missing_and_not_paused() -> None:
    watch = stage()
    state, alerts = lived(watch, promoted(breaks=True), 64)
    assert {alert.monitor for alert in alerts} == {"missing"}
    assert {alert.subject for alert in alerts} == {"hires"}
    assert not [one for one in watch.measurements(state) if "paused" in one.metric]


@pytest.mark.parametrize("size", [7, 150, 2000])
def test_pausing_does_not_depend_on_batches_or_restarts(size: int) -> None:
    watch = stage(tick=130)
    rng = random.Random(3)
    records: list[Record] = []
    for i in range(600):  # a canary: the lines take turns, and `hires` comes late, goes and comes back
        line = rng.choice(["bikes", "bikes.stations", "bikes.r1"])
        has = (line == "bikes" and (i < 200 or i > 400)) or (line == "bikes.r1" and i > 300)
        one = answer(i, line, {"hires": rng.randrange(20), "temp": 1.0} if has else {"temp": 1.0})
        records += [one, Example(one, 1.0, "label", one.at + 1)]
    single, expected = lived(watch, records, 1)
    state, alerts = watch.new_state(), []
    for i in range(0, len(records), size):
        alerts += watch.step(state, records[i : i + size])
        state = watch.restore(watch.save(state))
    assert alerts == expected
    assert watch.save(state) == watch.save(single)
    assert any("paused" in one.metric for one in watch.measurements(state))
