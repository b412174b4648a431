"""What monitors promise about false alarms holds in simulation, and a clear change is found soon.

Each test says how many runs it makes. Times to an alarm are cut off at a horizon, which only makes their mean smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eddyline.monitors.above import Above, e_bh
from eddyline.monitors.bins import Bins
from eddyline.monitors.budget import Pace, one_in, per_week
from eddyline.monitors.conformal import Conformal, Evidence
from eddyline.monitors.declared import Monitor, Seen
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.judging import Judged
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi, chance_line, psi
from eddyline.monitors.ranges import Ranges
from eddyline.monitors.unseen import Unseen
from eddyline.records import Alert, Example, Prediction, Task
from eddyline.stages.watch import Watch

LINE = 1_000.0
Draw = Callable[[np.random.Generator, int], Any]


def streaky(rng: np.random.Generator, many: int) -> Any:
    """Errors of which each has the mean 0.1 given the past, and whose spread follows what came before."""
    calm = np.repeat(rng.random(many // 20 + 1) < 0.5, 20)[:many]
    return np.where(calm, 0.1, (rng.random(many) < 0.1).astype(float))


ERRORS: dict[str, Draw] = {
    "rare": lambda rng, many: (rng.random(many) < 0.1).astype(float),
    "continuous": lambda rng, many: 0.2 * rng.random(many),
    "in spells": streaky,
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("cusum", [False, True])
def test_an_error_at_its_objective_gives_no_alarm_before_the_promised_number_on_average(kind: str, cusum: bool) -> None:
    rng = np.random.default_rng(11)
    times = []
    for _ in range(150):
        above, seen = Above(0.1, cusum), 0
        for _ in range(20):
            place = above.feed(ERRORS[kind](rng, 500).tolist(), LINE)
            seen += 500 if place is None else place + 1
            if place is not None:
                break
        times.append(seen)
    assert np.mean(times) >= LINE, np.mean(times)


@pytest.mark.parametrize(("cusum", "soon"), [(False, 260), (True, 350)])
def test_an_error_of_twice_its_objective_is_found_soon(cusum: bool, soon: int) -> None:
    rng = np.random.default_rng(12)
    delays = []
    for _ in range(200):
        above = Above(0.1, cusum)
        above.feed((rng.random(1000) < 0.08).astype(float).tolist(), float("inf"))
        place = above.feed((rng.random(20_000) < 0.2).astype(float).tolist(), 10_000.0)
        delays.append(20_000 if place is None else place)
    assert np.median(delays) < soon, np.median(delays)


def test_segments_and_the_whole_share_one_budget() -> None:
    rng = np.random.default_rng(13)
    monitor = ErrorAbove(0.1, by_segment=True, budget=one_in(LINE))
    answered = [Prediction(f"e-{i}", "k", i, {}, None, True, None, "m", i, 0, f"s-{i % 7}") for i in range(500)]
    examples = [Example(one, True, "label", one.at) for one in answered]
    times = []
    for _ in range(150):
        memory, seen = monitor.start(), 0
        for _ in range(20):
            losses = (rng.random(500) < 0.1).astype(float).tolist()
            alerts = monitor.feed(memory, Seen(examples, (), Judged(examples, losses, range(500))), Pace())
            seen += alerts[0][0] + 1 if alerts else 500
            if alerts:
                break
        times.append(seen)
    assert np.mean(times) >= LINE, np.mean(times)


VALUES: dict[str, Draw] = {
    "smooth": lambda rng, many: rng.integers(0, 16, many),
    "mostly zero": lambda rng, many: rng.integers(0, 4, many) * (rng.random(many) < 0.2),
    "constant": lambda rng, many: np.zeros(many, dtype=np.int64),
}


def ties(rng: np.random.Generator, many: int) -> Any:
    return rng.integers(0, 2**32, many)


@pytest.mark.parametrize("kind", VALUES)
def test_exchangeable_values_give_no_alarm_before_the_promised_number_on_average(kind: str) -> None:
    rng = np.random.default_rng(14)
    times = []
    for _ in range(150):
        evidence, seen = Evidence.of(16), 0
        while evidence.mean < LINE and seen < 10_000:
            evidence.add(VALUES[kind](rng, 50), ties(rng, 50))
            seen += 50
        times.append(seen)
    assert np.mean(times) >= LINE, np.mean(times)


def test_five_features_looked_at_together_keep_one_budget() -> None:
    rng = np.random.default_rng(15)
    times = []
    for _ in range(80):
        family, seen = {name: Evidence.of(16) for name in "abcde"}, 0
        while not e_bh({name: one.mean for name, one in family.items()}, 5 * LINE) and seen < 10_000:
            same = rng.integers(0, 16, 50)
            for one in family.values():  # the worst case: one feature five times over
                one.add(same, ties(rng, 50))
            seen += 50
        times.append(seen)
    assert np.mean(times) >= LINE, np.mean(times)


@pytest.mark.parametrize(("shift", "spread", "soon"), [(1.0, 1.0, 50), (0.5, 1.0, 120), (0.0, 3.0, 100)])
def test_a_shift_of_level_or_spread_is_found_soon(shift: float, spread: float, soon: int) -> None:
    rng = np.random.default_rng(16)
    delays = []
    for _ in range(60):
        bins, evidence = Bins.of(rng.standard_normal(500).tolist(), 16), Evidence.of(16)
        evidence.add(bins.place(rng.standard_normal(2000).tolist())[0], ties(rng, 2000))
        seen = 0
        while evidence.mean < 10_000 and seen < 5_000:
            evidence.add(bins.place((shift + spread * rng.standard_normal(10)).tolist())[0], ties(rng, 10))
            seen += 10
        delays.append(seen)
    assert np.median(delays) < soon, np.median(delays)


@pytest.mark.parametrize(("reference", "window"), [(1000, 100), (100, 100), (1000, 1000)])
def test_the_line_of_psi_fires_as_rarely_as_promised_where_the_folk_rule_cries_wolf(reference: int, window: int) -> None:
    rng = np.random.default_rng(17)
    found = []
    for _ in range(1_500):
        first = rng.standard_normal(reference).tolist()
        bins = Bins.of(first, 10)
        found.append(psi(bins.counted(first).tolist(), bins.counted(rng.standard_normal(window).tolist()).tolist()))
    for chance, slack in ((0.05, 0.0), (0.01, 0.005)):
        assert np.mean(np.array(found) > chance_line(window, reference, 10, chance)) <= chance + slack
    if window == 100:
        assert np.mean(np.array(found) > 0.1) > 0.33


def alerts_of(monitor: Monitor[Any], features: list[dict[str, Any]]) -> list[Alert]:
    stage = Watch(metrics=(), error=False, monitors=(monitor,), tick=100).bind(Task.CLASSIFICATION, 1000, None, bool)
    answers = [Prediction(f"e-{i}", "k", i, f, None, True, None, "m", i, 0) for i, f in enumerate(features)]
    return list(stage.step(stage.new_state(), answers))


def drawn(rng: np.random.Generator, kind: str, many: int) -> list[dict[str, Any]]:
    if kind == "number":
        return [{"x": x} for x in rng.standard_normal(many).tolist()]
    if kind == "category":
        return [{"x": f"c-{int(x)}"} for x in rng.geometric(0.2, many)]
    return [{"x": None if gone else 1.0} for gone in rng.random(many) < 0.05]


@pytest.mark.parametrize(
    ("monitor", "kind"),
    [
        (Psi("x", window=100, budget=one_in(2_000)), "number"),
        (Psi("x", window=100, budget=one_in(2_000)), "category"),
        (Conformal("x", budget=one_in(2_000)), "number"),
        (Conformal("x", budget=one_in(2_000)), "category"),
        (Missing("x", budget=one_in(2_000)), "missing"),
        (Unseen("x", budget=one_in(2_000)), "category"),
        (Ranges("x", budget=one_in(2_000)), "number"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_stream_without_drift_raises_no_more_alerts_than_the_budget(monitor: Monitor[Any], kind: str) -> None:
    rng = np.random.default_rng(18)
    events = 0
    alerts = 0
    for _ in range(30):
        alerts += len(alerts_of(monitor, drawn(rng, kind, 10_000)))
        events += 10_000
    assert alerts <= events / 2_000, alerts


def test_a_budget_by_the_week_is_kept_at_the_rate_that_the_stream_has() -> None:
    rng = np.random.default_rng(19)
    week_us = 7 * 86_400_000_000
    stage = Watch(metrics=(), error=False, monitors=(Conformal("x", budget=per_week(1)),), tick=100)
    alerts, weeks = 0, 0
    for _ in range(15):
        bound = stage.bind(Task.CLASSIFICATION, 1000, None, bool)
        answers = [
            Prediction(f"e-{i}", "k", i * week_us // 1000, {"x": x}, None, True, None, "m", i, 0)
            for i, x in enumerate(rng.standard_normal(10_000).tolist())
        ]
        alerts += len(bound.step(bound.new_state(), answers))
        weeks += 10
    assert alerts <= weeks, (alerts, weeks)
