"""The monitors that come with Eddyline: batches, stops and replays change nothing, and what they find is said rightly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import metrics

from eddyline.monitors import quality
from eddyline.monitors.anomalies import Anomalies
from eddyline.monitors.budget import one_in, per_week
from eddyline.monitors.conformal import Conformal
from eddyline.monitors.declared import SCORE, Monitor
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.estimate import Estimated
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi
from eddyline.monitors.ranges import Ranges
from eddyline.monitors.silence import Silence
from eddyline.monitors.unseen import Unseen
from eddyline.records import Alert, Example, Measurement, Prediction, Said, Task, Unlabelled
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.records.time import hours
from eddyline.stages.watch import Record, Watch, WatchStage, WatchState

HOUR_US = 3_600_000_000


def bound(*monitors: Monitor[Any], task: Task = Task.CLASSIFICATION, **declared: Any) -> WatchStage:
    declared = {"metrics": (), "error": False, "tick": 100, **declared}
    return Watch(monitors=monitors, **declared).bind(task, 1000, None, bool)


def answer(number: int, *, p: float = 0.9, at: int | None = None, segment: str | None = None, **features: Any) -> Prediction:
    scores = {False: 1 - p, True: p}
    at = number * HOUR_US if at is None else at
    return Prediction(f"e-{number}", "k", at, features, None, p > 0.5, scores, "m", number, 0, segment)


def run(stage: WatchStage, state: WatchState, records: Sequence[Record], size: int = 64) -> list[Alert]:
    return [alert for i in range(0, len(records), size) for alert in stage.step(state, records[i : i + size])]


def value(stage: WatchStage, state: WatchState, metric: str, segment: str | None = None) -> Measurement:
    found = [one for one in stage.measurements(state) if one.metric == metric and one.segment == segment]
    assert len(found) == 1, (metric, [one.metric for one in stage.measurements(state)])
    return found[0]


def everything(tick: int = 50) -> WatchStage:
    """All monitors at once, eager: references so short that each alerts, learns anew and alerts again."""
    eager = one_in(300)
    return bound(
        ErrorAbove(0.2, by_segment=True, budget=eager),
        ErrorAbove(0.2, statistic="cusum", budget=eager, name="late"),
        Psi(("x", "kind", SCORE), reference=100, window=100, by_segment=True, budget=one_in(2000)),
        Conformal(("x", "kind", SCORE), reference=50, by_segment=True, budget=eager),
        Missing(("x",), reference=100, by_segment=True, budget=eager),
        Unseen("kind", reference=100, budget=eager),
        Ranges("x", reference=100, budget=eager),
        Ranges({"x": (-3, 3)}, budget=eager, name="fixed"),
        Silence(reference=20, name="usual"),
        Silence(hours(2)),
        Anomalies(every=1, reference=250, budget=eager),
        Estimated(window=60),
        segment="s",
        max_segments=3,
        tick=tick,
    )


def contested(seed: int, many: int) -> list[Record]:
    """Examples of which some were answered by several lines, whose versions move at their own pace."""
    rng = random.Random(seed)
    records: list[Record] = []
    for i in range(many):
        lines = rng.sample(["m.deep", "m.wide", "m.r1"], rng.randint(0, 3))
        others = [Said(line, rng.randrange(i + 1), rng.choice([True, False, None]), None) for line in lines] or None
        prediction = Prediction(f"e-{i}", "k", i, {}, None, rng.choice([True, None]), None, "m", i, 0, None, others)
        records.append(Example(prediction, rng.random() < 0.5, "label", i))
    return records


def stormy(seed: int, many: int) -> list[Record]:
    """A stream that changes half-way, with everything missing, late, revised, strange or out of order at times."""
    rng = random.Random(seed)
    records: list[Record] = []
    waiting: list[Prediction] = []
    now = 0
    for i in range(many):
        late = i > many / 2
        now += rng.choice([0, 1, HOUR_US, HOUR_US, -HOUR_US, 9 * HOUR_US if rng.random() < 0.02 else HOUR_US])
        x: Any = rng.gauss(2 if late else 0, 2 if late else 1)
        prediction = answer(
            i,
            p=rng.random() ** (3 if late else 1),
            at=now,
            segment=rng.choice([None, *"pqrst"]),
            x=rng.choice([x, x, x, x, None if late or rng.random() < 0.1 else x, 3, True, "odd"]),
            kind=rng.choice("abc" + ("def" if late else "")),
        )
        records.append(prediction)
        waiting.append(prediction)
        while waiting and rng.random() < 0.6:
            past = waiting.pop(rng.randrange(len(waiting)))
            if rng.random() < 0.1:
                records.append(Unlabelled(past, past.at + 9))
            else:
                truth = (
                    (past.value if rng.random() < (0.5 if late else 0.9) else not past.value) if rng.random() < 0.97 else None
                )
                records.append(Example(past, truth, "label", past.at + 5, revision=int(rng.random() < 0.05)))
    return records


# the laws


@pytest.mark.parametrize("seed", range(3))
def test_one_batch_of_n_gives_the_bytes_and_alerts_of_n_batches_of_one(seed: int) -> None:
    stage, records = everything(), stormy(seed, 1200)
    whole, single = stage.new_state(), stage.new_state()
    alerts = stage.step(whole, records)
    assert alerts == run(stage, single, records, 1)
    assert stage.save(whole) == stage.save(single)
    assert stage.measurements(whole) == stage.measurements(single)
    kinds = {alert.monitor for alert in alerts}
    assert kinds >= {"error_above", "psi", "conformal", "missing", "unseen", "range", "silence", "anomaly"}


@pytest.mark.parametrize("seed", range(3))
def test_stopping_and_restoring_anywhere_changes_no_byte(seed: int) -> None:
    stage, records = everything(), stormy(seed, 900)
    rng = random.Random(seed)
    straight, stopped = stage.new_state(), stage.new_state()
    expected = run(stage, straight, records, 70)
    alerts: list[Alert] = []
    start = 0
    while start < len(records):
        end = start + rng.randint(1, 90)
        alerts += stage.step(stopped, records[start:end])
        saved = stage.save(stopped)
        stopped, start = stage.restore(saved), end
        assert stage.save(stopped) == saved
    assert alerts == expected
    assert stage.save(stopped) == stage.save(straight)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 80), min_size=1, max_size=20), st.integers(10, 70))
def test_any_batches_give_the_same_bytes(seed: int, sizes: list[int], tick: int) -> None:
    stage, records = everything(tick), stormy(seed, 150)
    whole, parts, start, turn = stage.new_state(), stage.new_state(), 0, 0
    stage.step(whole, records)
    while start < len(records):
        end = start + sizes[turn % len(sizes)]
        stage.step(parts, records[start:end])
        start, turn = end, turn + 1
    assert stage.save(whole) == stage.save(parts)


def test_reading_measurements_changes_no_saved_byte() -> None:
    stage = everything()
    state = stage.new_state()
    run(stage, state, stormy(1, 700))
    before = stage.save(state)
    numbers = stage.measurements(state)
    assert numbers == stage.measurements(state)
    assert stage.save(state) == before
    assert len({(one.metric, one.version, one.day, one.segment) for one in numbers}) == len(numbers)


def test_memory_is_bounded_whatever_the_number_of_segments_and_categories() -> None:
    stage = everything()
    state = stage.new_state()
    sizes = []
    for start in (0, 3000, 6000):
        records: list[Record] = []
        for i in range(start, start + 3000):
            prediction = answer(i, segment=f"s-{i}", x=float(i % 7), kind=f"k-{i}")
            records += [prediction, Example(prediction, True, "label", prediction.at)]
        run(stage, state, records, 500)
        sizes.append(len(stage.save(state)))
    assert sizes[2] < sizes[0] * 1.2


def test_a_state_of_other_monitors_is_refused() -> None:
    saved = bound(Missing("x")).save(bound(Missing("x")).new_state())
    with pytest.raises(StoreMismatch, match="other monitors"):
        bound(Missing("x"), Psi("x")).restore(saved)


# effects and ranks


def test_alerts_of_one_tick_are_ranked_by_their_effect_on_labelled_loss() -> None:
    stage = bound(
        Missing("harmless", at_most=0.05, name="first"),
        Missing("unlabelled", at_most=0.05, name="second"),
        Missing("costly", at_most=0.05),
        tick=1000,
    )
    rng = random.Random(4)
    records: list[Record] = []
    for i in range(500):
        gone = rng.random() < 0.5
        costly = None if gone else 1.0
        prediction = answer(i, costly=costly, harmless=rng.choice([None, 1.0]), unlabelled=None)
        records += [prediction, Example(prediction, not gone, "label", prediction.at)]
    alerts = run(stage, stage.new_state(), records, 1000)
    assert [alert.subject for alert in alerts] == ["costly", "harmless", "unlabelled"]
    assert alerts[0].effect == 1.0
    assert abs(alerts[1].effect or 0.0) < 0.2
    assert alerts[2].effect is None  # it is missing everywhere, so there is nothing to compare with


def test_the_effect_of_a_shift_is_the_loss_in_the_bins_that_gained_minus_that_in_the_others() -> None:
    rare = one_in(100_000)
    stage = bound(Psi("x", reference=500, window=500), Conformal("x", reference=300, budget=rare), tick=1000)
    rng = random.Random(5)
    records: list[Record] = []
    for i in range(3000):
        x = rng.gauss(0 if i < 2000 else 1.5, 1)
        prediction = answer(i, x=x)
        records += [prediction, Example(prediction, x < 1.0, "label", prediction.at)]
    alerts = run(stage, stage.new_state(), records, 1000)
    found = {alert.monitor: alert.effect for alert in alerts}
    assert found.keys() == {"psi", "conformal"}
    assert all(effect is not None and 0.3 < effect < 0.9 for effect in found.values())


# the single monitors


def test_unseen_categories_are_named() -> None:
    stage = bound(Unseen("kind", reference=200))
    kinds = random.Random(1).choices("abc", k=500) + ["new"] * 100
    (alert,) = run(stage, stage.new_state(), [answer(i, kind=kind) for i, kind in enumerate(kinds)])[:1]
    assert (alert.monitor, alert.subject, alert.position) == ("unseen", "kind", 599)
    assert alert.reason.endswith(": new")
    assert alert.after == 1.0


def test_a_declared_range_needs_no_reference_and_a_learned_one_is_that_of_the_reference() -> None:
    values = [random.Random(2).uniform(0, 10) for _ in range(400)] + [11.0] * 100
    records = [answer(i, x=x) for i, x in enumerate(values)]
    for monitor in (Ranges({"x": (0, 10)}), Ranges("x", reference=200)):
        stage = bound(monitor)
        alerts = run(stage, stage.new_state(), records)
        assert [alert.position for alert in alerts] == [499]
        assert alerts[0].after == 1.0


def test_missing_values_are_compared_with_what_was_usual() -> None:
    rng = random.Random(3)
    values = [None if rng.random() < 0.3 else 1.0 for _ in range(3000)] + [
        None if rng.random() < 0.6 else 1.0 for _ in range(500)
    ]
    stage = bound(Missing("x"))
    state = stage.new_state()
    alerts = run(stage, state, [answer(i, x=x) for i, x in enumerate(values)])
    assert [3000 < alert.position < 3200 for alert in alerts] == [True]
    assert alerts[0].before == pytest.approx(0.34, abs=0.04)
    assert alerts[0].after == pytest.approx(0.6, abs=0.1)


def test_a_gap_is_found_when_the_next_event_ends_it_and_disorder_is_no_gap() -> None:
    ats = [*range(0, 50 * HOUR_US, HOUR_US), 20 * HOUR_US, 60 * HOUR_US, 61 * HOUR_US]
    stage = bound(Silence(hours(3)))
    state = stage.new_state()
    alerts = run(stage, state, [answer(i, at=at) for i, at in enumerate(ats)])
    assert [(alert.position, alert.after) for alert in alerts] == [(51, 11 * 3600.0)]
    assert value(stage, state, "longest_silence_s").value == 11 * 3600.0


def test_strange_events_are_found_though_each_feature_alone_looks_as_before() -> None:
    rng = random.Random(6)
    records: list[Record] = []
    for i in range(2500):
        a = rng.random()
        b = a if i < 2000 else 1 - a
        records.append(answer(i, a=a, b=b, c=0.0))
    stage = bound(Anomalies(every=1, reference=500, budget=one_in(10_000)), Conformal(("a", "b"), budget=one_in(10_000)))
    state = stage.new_state()
    alerts = run(stage, state, records)
    assert {alert.monitor for alert in alerts} == {"anomaly"}
    assert 2000 <= alerts[0].position < 2300


def test_estimates_are_named_advisory_and_calibrated_by_labels() -> None:
    rng = random.Random(7)
    stage = bound(Estimated(window=1000))
    state = stage.new_state()
    records: list[Record] = []
    for i in range(6000):
        p = rng.random()
        prediction = answer(i, p=p)
        # The model is over-confident: the truth follows it with half of what it says.
        true = rng.random() < 0.5 + (p - 0.5) * 0.5
        records.append(prediction)
        if i < 4000:
            records.append(Example(prediction, true, "label", prediction.at))
    run(stage, state, records)
    names = {one.metric for one in stage.measurements(state)}
    assert {"Accuracy (advisory, CBPE)", "Precision (advisory, CBPE)", "Recall (advisory, CBPE)"} <= names
    assert value(stage, state, "Accuracy (advisory, CBPE)").value == pytest.approx(0.625, abs=0.02)
    assert value(stage, state, "Precision (advisory, CBPE)").value == pytest.approx(0.625, abs=0.03)


def test_an_error_of_a_number_is_clipped_and_told_in_its_own_unit() -> None:
    stage = bound(ErrorAbove(10.0, clip=50.0), task=Task.REGRESSION)
    rng = random.Random(8)
    records: list[Record] = []
    for i in range(2000):
        prediction = Prediction(f"e-{i}", "k", i, {}, None, 0.0, None, "m", i, 0)
        records.append(Example(prediction, rng.uniform(0, 16 if i < 1000 else 60), "label", i))
    alerts = run(stage, stage.new_state(), records)
    assert 1000 < alerts[0].position < 1150
    assert alerts[0].before == 10.0
    assert 20.0 < alerts[0].after < 40.0


def test_a_segment_that_fails_is_named_with_its_effect() -> None:
    rng = random.Random(9)
    stage = bound(ErrorAbove(0.2, by_segment=True, budget=one_in(10_000)), segment="s")
    records: list[Record] = []
    for i in range(4000):
        segment = rng.choice("abcdefghij")
        wrong = rng.random() < (0.9 if segment == "c" and i > 2000 else 0.1)
        prediction = answer(i, segment=segment)
        records.append(Example(prediction, not wrong, "label", prediction.at))
    alerts = run(stage, stage.new_state(), records)
    assert [alert.segment for alert in alerts] == ["c"]
    assert alerts[0].effect is not None
    assert 0.1 < alerts[0].effect < 0.9


# challengers


def test_what_challengers_said_is_measured_by_version_and_line_and_what_they_could_not_say_is_left_out() -> None:
    stage = Watch(metrics=(metrics.Accuracy, metrics.LogLoss)).bind(Task.CLASSIFICATION, 100, None, bool)
    state = stage.new_state()

    def shown(number: int, others: list[Said] | None, truth: bool) -> Example:
        scores = {True: 0.75, False: 0.25}
        prediction = Prediction(f"e-{number}", "k", 0, {}, None, True, scores, "fraud", number, 0, None, others)
        return Example(prediction, truth, "label", 60)

    right = Said("fraud.deep", 250, True, {True: 0.5, False: 0.5})
    wrong = Said("fraud.deep", 301, False, {True: 0.5, False: 0.5})
    mute = Said("fraud.deep", 302, None, None, fault="model_failed")
    stage.step(state, [shown(0, None, True), shown(1, [right], True), shown(2, [wrong], True), shown(3, [mute], False)])
    found = {m.version: (m.value, m.count) for m in stage.measurements(state) if m.metric == "Accuracy" and m.version}
    assert found == {
        "fraud@0": (0.75, 4),
        "fraud.deep@200": (1.0, 1),
        "fraud.deep@300": (0.0, 1),
        "fraud": (2 / 3, 3),
        "fraud.deep": (0.5, 2),
    }
    losses = {m.version: m.count for m in stage.measurements(state) if m.metric == "LogLoss" and m.version}
    assert losses == {"fraud@0": 4, "fraud.deep@200": 1, "fraud.deep@300": 1}
    assert stage.save(stage.restore(stage.save(state))) == stage.save(state)


@pytest.mark.parametrize("seed", range(3))
def test_challengers_in_one_batch_of_n_give_the_bytes_of_n_batches_of_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "LIVE", 6)
    monkeypatch.setattr(quality, "CLOSED", 4)
    stage = Watch(metrics=(metrics.Accuracy,)).bind(Task.CLASSIFICATION, 10, None, bool)
    records = contested(seed, 200)
    whole, single = stage.new_state(), stage.new_state()
    run(stage, whole, records, 200)
    run(stage, single, records, 1)
    assert stage.save(whole) == stage.save(single)


# the declaration


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Psi(()), "names no feature"),
        (lambda: Psi("x", reference=10), "from 100"),
        (lambda: Psi("x", size=-1), "a number such as"),
        (lambda: ErrorAbove(1.5), "clip=15.0"),
        (lambda: ErrorAbove(0.1, statistic="glr"), "cusum"),  # type: ignore[arg-type]
        (lambda: Ranges({"x": (2, 1)}), "the least and the largest"),
        (lambda: Silence(3), "not a duration"),  # type: ignore[arg-type]
        (lambda: Missing("x", at_most=3), "a share between"),
        (lambda: per_week(0), "write budget=per_week"),
        (lambda: bound(ErrorAbove(0.1), task=Task.REGRESSION), "the largest error that counts"),
        (lambda: bound(ErrorAbove(0.1), task=Task.ANOMALY), "no error"),
        (lambda: bound(ErrorAbove(0.1, clip=1.0)), "answers classes"),
        (lambda: bound(Estimated(), task=Task.REGRESSION), "classes with probabilities"),
        (lambda: bound(Missing("x", by_segment=True)), 'write Watch\\(segment="carrier"'),
        (lambda: bound(tick=1), "from 10 to 100000"),
        (lambda: bound(Psi("x"), Psi("y")), 'name one of them: Psi\\(..., name="psi-2"\\)'),
        (lambda: bound(Missing("x", name="psi"), Psi("y")), "are called 'psi', and so are those of Missing"),
        (lambda: bound(Psi("x", name="error_drift")), "so are those of Watch itself"),
        (lambda: bound(Psi("x", name="Too Loud")), 'write Psi\\(..., name="strict"\\)'),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_with_what_to_write(declare: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declare()


def test_equal_declarations_describe_themselves_equally_with_what_is_not_the_default() -> None:
    said = Watch(monitors=(ErrorAbove(0.08), Psi("x", budget=per_week(0.5))), tick=500).describe()
    assert said == (
        "the task's metrics; drift of the error; ErrorAbove(objective=0.08); "
        "Psi(('x',), budget=per_week(0.5)); a tick is 500 records"
    )


def test_two_monitors_of_one_kind_alert_under_names_of_their_own() -> None:
    stage = bound(ErrorAbove(0.1, budget=one_in(300)), ErrorAbove(0.5, budget=one_in(300), name="grave"))
    wrong = [Example(answer(i), False, "label", i * HOUR_US + 60) for i in range(200)]
    alerts = run(stage, stage.new_state(), wrong)
    assert [(alert.monitor, alert.before) for alert in alerts] == [("error_above", 0.1), ("grave", 0.5)]
