"""Watch measures what River would, on answers as served, whatever the batches and restarts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly, datasets, drift, evaluate, linear_model, metrics, naive_bayes, preprocessing, utils

from eddyline.monitors import quality
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi
from eddyline.monitors.unseen import Unseen
from eddyline.records import Alert, EpochSeconds, Event, Example, Id, Known, Measurement, Prediction, Task, Unlabelled
from eddyline.records.errors import DeclarationError
from eddyline.records.time import DAY_US
from eddyline.stages.watch import Record, Watch, WatchStage, WatchState

CLASSIFICATION, REGRESSION, ANOMALY = Task.CLASSIFICATION, Task.REGRESSION, Task.ANOMALY
HOUR_US = 3_600_000_000


def answer(number: int, value: Any, *, at: int = 0, **named: Any) -> Prediction:
    given = {"scores": None, "features": {}, "position": number, "model": "m", "segment": None, **named}
    return Prediction(event_id=f"e-{number}", key="k", at=at, aggregates=None, value=value, revision=0, **given)


def told(prediction: Prediction, truth: Any, *, after: int = HOUR_US, revision: int = 0) -> Example:
    return Example(prediction, truth, "label", prediction.at + after, revision)


def bound(task: Task = CLASSIFICATION, truth: type | None = bool, every: int = 1000, **declared: Any) -> WatchStage:
    return Watch(**declared).bind(task, every, None, truth)


def number(stage: WatchStage, state: WatchState, metric: str, **which: Any) -> Measurement:
    span = {"version": None, "day": None, "segment": None, **which}
    found = [
        one
        for one in stage.measurements(state)
        if one.metric == metric and all(getattr(one, name) == value for name, value in span.items())
    ]
    assert len(found) == 1, (metric, which, [one.metric for one in stage.measurements(state)])
    return found[0]


def names(stage: WatchStage, state: WatchState) -> set[str]:
    return {one.metric for one in stage.measurements(state)}


# the numbers are River's


def served(dataset: Iterable[Any], model: Any) -> Iterator[Record]:
    """What a plain River loop answers, as records."""
    for i, (x, y) in enumerate(dataset):
        scores = None if isinstance(y, int | float) and type(y) is not bool else model.predict_proba_one(x)
        prediction = answer(i, model.predict_one(x), at=i * HOUR_US, scores=scores)
        yield prediction
        yield told(prediction, y)
        model.learn_one(x, y)


def binary() -> Any:
    return preprocessing.StandardScaler() | linear_model.LogisticRegression()


def regressor() -> Any:
    return preprocessing.StandardScaler() | linear_model.LinearRegression(intercept_lr=0.1)


PARITY = [
    (CLASSIFICATION, bool, datasets.Phishing, binary, metrics.Accuracy),
    (CLASSIFICATION, bool, datasets.Phishing, binary, metrics.LogLoss),
    (CLASSIFICATION, bool, datasets.Phishing, binary, metrics.F1),
    (CLASSIFICATION, bool, datasets.Phishing, binary, metrics.MacroF1),
    (CLASSIFICATION, bool, datasets.Phishing, binary, metrics.ROCAUC),
    (CLASSIFICATION, bool, datasets.Phishing, binary, metrics.RollingROCAUC),
    (CLASSIFICATION, str, datasets.ImageSegments, naive_bayes.GaussianNB, metrics.CrossEntropy),
    (CLASSIFICATION, str, datasets.ImageSegments, naive_bayes.GaussianNB, metrics.Accuracy),
    (CLASSIFICATION, str, datasets.ImageSegments, naive_bayes.GaussianNB, metrics.CohenKappa),
    (REGRESSION, float, datasets.TrumpApproval, regressor, metrics.MAE),
    (REGRESSION, float, datasets.TrumpApproval, regressor, metrics.RMSE),
    (REGRESSION, float, datasets.TrumpApproval, regressor, metrics.R2),
]


@pytest.mark.parametrize(
    ("task", "truth", "dataset", "model", "metric"),
    PARITY,
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_overall_metric_is_rivers_to_the_last_digit(task: Task, truth: type, dataset: Any, model: Any, metric: Any) -> None:
    river = evaluate.progressive_val_score(dataset(), model(), metric())
    stage = Watch(metrics=(metric,)).bind(task, 100, model(), truth)
    records = list(served(dataset(), model()))
    state = stage.new_state()
    run(stage, state, records, 64)
    assert number(stage, state, metric.__name__).value == float(river.get())


def test_an_answer_of_none_or_of_no_classes_is_skipped_as_river_does_and_counted() -> None:
    stage = bound(metrics=(metrics.Accuracy, metrics.LogLoss))
    state = stage.new_state()
    silent = told(answer(0, None, scores={}), True)
    spoken = told(answer(1, True, scores={True: 0.75, False: 0.25}), True)
    classes_only = told(answer(2, False), True)
    stage.step(state, [silent, spoken, classes_only])
    assert number(stage, state, "Accuracy").count == 2
    assert number(stage, state, "LogLoss").count == 1
    assert number(stage, state, "Accuracy unanswered").count == 1
    assert number(stage, state, "LogLoss unanswered").count == 2
    assert number(stage, state, "Accuracy", version="m@0").value == 0.5


def test_a_rolling_metric_of_rivers_works() -> None:
    stage = bound(metrics=(utils.Rolling(metrics.Accuracy, window_size=2),))
    state = stage.new_state()
    stage.step(state, [told(answer(i, True), i > 1) for i in range(4)])
    assert number(stage, state, "Rolling(Accuracy, 2)").value == 1.0


def test_an_anomaly_score_is_measured_by_its_rank() -> None:
    stage = Watch().bind(ANOMALY, 100, anomaly.HalfSpaceTrees(seed=1), bool)
    state = stage.new_state()
    stage.step(state, [told(answer(i, 100.0 + i), i >= 5) for i in range(10)])
    assert number(stage, state, "RollingROCAUC").value == 1.0
    assert "error skipped" not in names(stage, state)


# versions, days, segments


def test_a_version_is_the_latest_registered_one_not_newer_than_the_one_that_answered() -> None:
    stage = bound(metrics=(metrics.Accuracy,), every=100)
    state = stage.new_state()
    positions = [0, 99, 100, 250, 299, 300]
    stage.step(state, [told(answer(p, True), p != 299) for p in positions])
    found = {m.version: (m.value, m.count) for m in stage.measurements(state) if m.version}
    assert found == {"m@0": (1.0, 2), "m@100": (1.0, 1), "m@200": (0.5, 2), "m@300": (1.0, 1)}


def test_event_days_and_label_days_are_two_different_series() -> None:
    stage = bound(metrics=(metrics.Accuracy,))
    state = stage.new_state()
    right = told(answer(0, True, at=0), True, after=DAY_US)
    wrong = told(answer(1, True, at=DAY_US), False, after=0)
    stage.step(state, [right, wrong])
    by_event = {m.day: m.value for m in stage.measurements(state) if m.metric == "Accuracy" and m.day}
    by_label = {m.day: m.value for m in stage.measurements(state) if m.metric == "Accuracy by label day"}
    assert by_event == {"1970-01-01": 1.0, "1970-01-02": 0.0}
    assert by_label == {"1970-01-02": 0.5}


def test_segments_beyond_the_cap_are_counted_as_other() -> None:
    stage = bound(metrics=(metrics.Accuracy,), segment="carrier", max_segments=2)
    state = stage.new_state()
    segments = ["UA", "AA", "DL", "UA", "B6", None]
    run(stage, state, [told(answer(i, True, segment=name), True) for i, name in enumerate(segments)], 2)
    found = {m.segment: m.count for m in stage.measurements(state) if m.segment}
    assert found == {"UA": 2, "AA": 1, "other": 2}


def test_a_group_untouched_for_long_is_closed_with_its_number_and_late_examples_are_counted() -> None:
    stage = bound(metrics=(metrics.Accuracy,), every=1)
    state = stage.new_state()
    run(stage, state, [told(answer(i, True), True) for i in range(quality.LIVE + 3)], 100)
    assert len(state.quality.versions.live) == quality.LIVE
    stage.step(state, [told(answer(0, True), False)])
    assert number(stage, state, "Accuracy", version="m@0") == Measurement("Accuracy", 1.0, 1, version="m@0")
    assert number(stage, state, "version late").count == 1
    assert number(stage, state, "Accuracy").count == quality.LIVE + 4


def test_reading_measurements_changes_no_saved_byte() -> None:
    stage = bound(metrics=(metrics.ROCAUC, metrics.F1, metrics.MacroF1))
    state = stage.new_state()
    stage.step(state, [told(answer(i, True, scores={True: 0.9, False: 0.1}), True) for i in range(5)])
    before = stage.save(state)
    assert stage.measurements(state) == stage.measurements(state)
    assert stage.save(state) == before


# revisions, coverage, delay


def test_a_revision_is_counted_and_not_measured() -> None:
    stage = bound(metrics=(metrics.Accuracy,))
    state = stage.new_state()
    prediction = answer(0, True)
    stage.step(state, [prediction, told(prediction, True), told(prediction, False, revision=1)])
    stage.step(state, [told(prediction, True, revision=2)])
    assert number(stage, state, "Accuracy").value == 1.0
    assert number(stage, state, "labelled").count == 1
    assert number(stage, state, "revised").count == 2


def test_answers_are_counted_by_what_became_of_their_truth_and_by_the_day_of_their_event() -> None:
    stage = bound()
    state = stage.new_state()
    given = [answer(i, True, at=DAY_US * (i // 4)) for i in range(8)]
    fates: list[Record] = [
        told(given[0], True),
        Example(given[1], False, "absence", 9 * DAY_US),
        Unlabelled(given[4], 9 * DAY_US),
        told(given[5], True),
    ]
    stage.step(state, [*given, *fates])
    words = ("answered", "labelled", "absent", "expired", "coverage")
    assert [number(stage, state, word).value for word in words] == [8.0, 2.0, 1.0, 1.0, 3 / 8]
    assert [number(stage, state, word, day="1970-01-01").value for word in words] == [4.0, 1.0, 1.0, 0.0, 0.5]
    assert [number(stage, state, word, day="1970-01-02").value for word in words] == [
        4.0,
        1.0,
        0.0,
        1.0,
        0.25,
    ]


def test_the_label_delay_is_that_of_told_truths_in_seconds() -> None:
    stage = bound()
    state = stage.new_state()
    seconds = list(range(1, 1001))
    stage.step(state, [told(answer(s, True), True, after=s * 1_000_000) for s in seconds])
    stage.step(state, [Example(answer(0, True), False, "absence", 7 * DAY_US)])
    for name, exact in (("p50", 500), ("p90", 900), ("p99", 990)):
        assert number(stage, state, f"label_delay_{name}_s").value == pytest.approx(exact, rel=0.01)
    assert number(stage, state, "label_delay_mean_s") == Measurement("label_delay_mean_s", 500.5, 1000)
    assert number(stage, state, "label_delay_max_s").value == 1000.0


@pytest.mark.parametrize("truth", ["much", None, float("nan"), float("inf"), 1e101])
def test_a_truth_that_is_no_number_enters_no_metric_of_a_regression(truth: Any) -> None:
    stage = bound(REGRESSION, float)
    state = stage.new_state()
    stage.step(state, [told(answer(0, 1.0), truth), told(answer(1, 1.0), 3.0)])
    assert number(stage, state, "MAE") == Measurement("MAE", 2.0, 1)
    assert number(stage, state, "unfit").count == 1
    assert number(stage, state, "labelled").count == 2


# drift


def river_detections(numbers: Sequence[float]) -> list[int]:
    detector = drift.ADWIN()
    found = []
    for i, one in enumerate(numbers):
        detector.update(one)
        if detector.drift_detected:
            found.append(i)
    return found


def test_drift_of_the_error_is_rivers_and_names_the_example_that_caused_it() -> None:
    rng = random.Random(7)
    wrong = [rng.random() < (0.05 if i < 1000 else 0.6) for i in range(2000)]
    stage = bound()
    state = stage.new_state()
    alerts = run(stage, state, [told(answer(i, True, at=i), not bad) for i, bad in enumerate(wrong)], 77)
    assert [alert.position for alert in alerts] == river_detections([float(bad) for bad in wrong])
    first = alerts[0]
    assert (first.monitor, first.subject, first.at) == ("error_drift", "error", first.position + HOUR_US)
    assert first.before < 0.1 < first.after
    assert first.reason.startswith("the mean error went from 0.0")


def test_the_error_of_a_regression_is_the_distance_in_its_own_unit() -> None:
    rng = random.Random(7)
    values = [rng.gauss(0, 1 if i < 500 else 9) for i in range(1000)]
    stage = bound(REGRESSION, float)
    alerts = run(stage, stage.new_state(), [told(answer(i, v), 0.0) for i, v in enumerate(values)], 10)
    assert [alert.position for alert in alerts] == river_detections([abs(v) for v in values])
    assert alerts


def test_drift_of_a_feature_needs_no_labels_and_skips_what_is_no_number() -> None:
    rng = random.Random(3)
    amounts: list[Any] = [rng.gauss(10 if i < 600 else 20, 1) for i in range(1200)]
    amounts[10:13] = ["ten", None, "11"]
    stage = bound(drift=("amount",))
    state = stage.new_state()
    features = [{"amount": amount} for amount in amounts] + [{}]
    alerts = run(stage, state, [answer(i, True, features=f) for i, f in enumerate(features)], 50)
    kept = [i for i, amount in enumerate(amounts) if isinstance(amount, float)]
    assert [a.position for a in alerts] == [kept[k] for k in river_detections([amounts[i] for i in kept])]
    assert alerts[0].subject == "amount"
    assert alerts[0].reason == "the mean of feature 'amount' went from 9.91288 to 13.5387"
    assert number(stage, state, "amount skipped").count == 4


def test_without_drift_there_is_no_alert() -> None:
    rng = random.Random(1)
    stage = bound(drift=("x",))
    records = [told(answer(i, True, features={"x": rng.gauss(0, 1)}), rng.random() < 0.9) for i in range(5000)]
    assert run(stage, stage.new_state(), [r for e in records for r in (e.prediction, e)], 500) == []


# the laws: split, stop, finite


class Streak:
    """Alerts at every third wrong answer in a row."""

    def __init__(self) -> None:
        self.wrong = 0

    def update(self, record: Record) -> Alert | None:
        if not isinstance(record, Example):
            return None
        self.wrong = 0 if record.prediction.value == record.truth else self.wrong + 1
        if self.wrong % 3 != 2:
            return None
        return Alert("Streak", "error", record.at, record.prediction.position, 0.0, 1.0, "3 wrong")

    def get(self) -> float:
        return float(self.wrong)


def cost(y_true: Any, y_pred: Any) -> float:
    return 5.0 if y_true != y_pred else 0.0


def run(stage: WatchStage, state: WatchState, records: Sequence[Record], size: int) -> list[Alert]:
    return [alert for i in range(0, len(records), size) for alert in stage.step(state, records[i : i + size])]


def cut(records: Sequence[Record], rng: random.Random) -> Iterator[Sequence[Record]]:
    """The records in parts of 1 to 60."""
    start = 0
    while start < len(records):
        end = start + rng.randint(1, 60)
        yield records[start:end]
        start = end


def stream(seed: int, many: int) -> list[Record]:
    """Everything at once: disorder, absences, revisions, silence, many days and versions, drift."""
    rng = random.Random(seed)
    records: list[Record] = []
    waiting: list[Prediction] = []
    for i in range(many):
        silent = rng.random() < 0.05
        p = rng.random()
        prediction = answer(
            i,
            None if silent else rng.choice(["a", "b"]),
            at=rng.randrange(40) * DAY_US + rng.randrange(DAY_US),
            scores=None if silent else {"a": p, "b": 1 - p},
            features={"x": rng.choice([rng.gauss(0 if i < many / 2 else 4, 1), None, 3, True])},
            position=rng.randrange(0, many, 3),
            model=rng.choice(["m", "n"]),
            segment=rng.choice([None, *"pqrs"]),
        )
        records.append(prediction)
        waiting.append(prediction)
        while waiting and rng.random() < 0.6:
            past = waiting.pop(rng.randrange(len(waiting)))
            known: Known = rng.choice(("label", "label", "absence"))
            at = past.at + rng.randrange(-5, 10 * DAY_US)
            truth = rng.choice(["a", "b", past.value or "a"])
            if rng.random() < 0.1:
                records.append(Unlabelled(past, at))
            else:
                records.append(Example(past, truth, known, at, revision=int(rng.random() < 0.05)))
    return records


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> WatchStage:
    """A stage with everything declared, and too little room: groups close and are forgotten all the time."""
    monkeypatch.setattr(quality, "LIVE", 6)
    monkeypatch.setattr(quality, "CLOSED", 4)
    return bound(
        truth=str,
        every=10,
        metrics=(metrics.Accuracy, metrics.CrossEntropy, metrics.MacroF1, cost),
        segment="s",
        max_segments=3,
        drift=("x",),
        monitors=(Streak,),
    )


@pytest.mark.parametrize("seed", range(4))
def test_one_batch_of_n_gives_the_bytes_and_alerts_of_n_batches_of_one(crowded: WatchStage, seed: int) -> None:
    records = stream(seed, 300)
    whole, single = crowded.new_state(), crowded.new_state()
    alerts = crowded.step(whole, records)
    assert alerts == run(crowded, single, records, 1)
    assert crowded.save(whole) == crowded.save(single)
    assert crowded.measurements(whole) == crowded.measurements(single)
    assert {alert.monitor for alert in alerts} >= {"Streak", "feature_drift"}


@pytest.mark.parametrize("seed", range(4))
def test_stopping_and_restoring_anywhere_changes_no_byte(crowded: WatchStage, seed: int) -> None:
    records = stream(seed, 300)
    rng = random.Random(seed)
    straight, stopped = crowded.new_state(), crowded.new_state()
    expected = run(crowded, straight, records, 25)
    alerts: list[Alert] = []
    for part in cut(records, rng):
        alerts += crowded.step(stopped, part)
        saved = crowded.save(stopped)
        stopped = crowded.restore(saved)
        assert crowded.save(stopped) == saved
    assert alerts == expected
    assert crowded.save(stopped) == crowded.save(straight)
    assert crowded.measurements(stopped) == crowded.measurements(straight)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_any_batches_give_the_same_bytes_under_the_default_declaration(seed: int, sizes: list[int]) -> None:
    stage = bound(truth=str, every=7, segment="s")
    records = stream(seed, 60)
    whole, parts, start = stage.new_state(), stage.new_state(), 0
    stage.step(whole, records)
    for i in range(len(records)):
        end = start + sizes[i % len(sizes)]
        stage.step(parts, records[start:end])
        start = end
    assert stage.save(whole) == stage.save(parts)


@pytest.mark.parametrize("steady", [True, False], ids=["metrics that cannot raise", "one that may"])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_only_noticed_and_settled_later_gives_the_same_alerts_and_bytes(
    monkeypatch: pytest.MonkeyPatch, steady: bool, seed: int
) -> None:
    monkeypatch.setattr(quality, "LIVE", 6)
    monkeypatch.setattr(quality, "CLOSED", 4)
    declared = (metrics.Accuracy, metrics.MacroF1) if steady else (metrics.Accuracy, cost)
    monitors = (Psi("x"), Missing("x"), ErrorAbove(0.2), Unseen("x"), Streak)
    stage = bound(truth=str, every=10, metrics=declared, segment="s", max_segments=3, monitors=monitors, tick=50)
    records, rng = stream(seed, 300), random.Random(seed)
    at_once, later = stage.new_state(), stage.new_state()
    expected = run(stage, at_once, records, 17)
    alerts: list[Alert] = []
    for part in cut(records, rng):
        alerts += stage.notice(later, part)
        if rng.random() < 0.2:
            stage.settle(later)
    assert steady or not later.quality.unread
    stage.settle(later)
    assert alerts == expected
    assert stage.save(later) == stage.save(at_once)
    assert stage.measurements(later) == stage.measurements(at_once)


def test_a_probability_that_is_not_finite_is_our_bug() -> None:
    stage = bound()
    with pytest.raises(AssertionError, match="not finite"):
        stage.step(stage.new_state(), [told(answer(0, True, scores={True: float("nan")}), True)])


# the user's own


class Worst:
    """The largest distance so far."""

    def __init__(self) -> None:
        self.worst = 0.0

    def update(self, y_true: float, y_pred: float) -> None:
        self.worst = max(self.worst, abs(y_true - y_pred))

    def get(self) -> float:
        return self.worst


@pytest.mark.parametrize("declared", [Worst, Worst()])
def test_a_class_or_an_object_of_the_users_is_a_metric(declared: Any) -> None:
    stage = bound(REGRESSION, float, metrics=declared)
    state = stage.new_state()
    stage.step(state, [told(answer(0, 1.0), 4.0), told(answer(1, 1.0), 2.0)])
    assert number(stage, stage.restore(stage.save(state)), "Worst").value == 3.0


def test_a_function_is_a_metric_and_is_averaged() -> None:
    stage = bound(metrics=[cost])
    state = stage.new_state()
    stage.step(state, [told(answer(i, True), i > 0) for i in range(4)])
    assert number(stage, stage.restore(stage.save(state)), "cost").value == 1.25


def test_a_metric_that_raises_is_left_out_counted_and_told_once() -> None:
    def picky(y_true: float, y_pred: float) -> float:
        return 1 / (y_true - y_pred)

    stage = bound(REGRESSION, float, metrics=(picky, metrics.MAE), error=False)
    state = stage.new_state()
    alerts = run(stage, state, [told(answer(i, 1.0), float(i)) for i in (0, 1, 2, 1)], 4)
    assert [alert.subject for alert in alerts] == ["picky"]
    assert "ZeroDivisionError" in alerts[0].reason
    assert "'e-1'" in alerts[0].reason
    assert number(stage, state, "picky").count == 2
    assert number(stage, state, "picky failed").count == 2
    assert number(stage, state, "MAE").count == 4


def test_a_monitor_of_the_users_alerts_at_the_record_that_caused_it() -> None:
    stage = bound(monitors=(Streak,))
    state = stage.new_state()
    truths = [True, False, False, True, False, False]
    alerts = stage.step(state, [told(answer(i, True), truth) for i, truth in enumerate(truths)])
    assert [alert.position for alert in alerts] == [2, 5]
    assert number(stage, state, "Streak").value == 2.0


NOT_A_NUMBER = Alert("mine", "error", 0, 0, float("nan"), 1.0, "worse")
NO_RECORD = Alert("mine", "error", 0, 0, 0.0, 1.0, "worse", segment=object())  # type: ignore[arg-type]


@pytest.mark.parametrize("answered", [7, [7], NOT_A_NUMBER, NO_RECORD], ids=["7", "several 7", "not a number", "no record"])
def test_a_monitor_that_raises_or_answers_nonsense_is_told_once_and_the_loop_goes_on(answered: Any) -> None:
    class Broken:
        def update(self, record: Record) -> Any:
            return answered

    stage = bound(monitors=(Broken,))
    state = stage.new_state()
    alerts = run(stage, state, [told(answer(i, True), True) for i in range(3)], 2)
    assert [(alert.monitor, alert.subject) for alert in alerts] == [("watch", "Broken")]
    assert number(stage, state, "Broken failed").count == 3
    assert number(stage, state, "Accuracy").count == 3


@pytest.mark.parametrize("said", ["nine", None, float("inf"), ZeroDivisionError()], ids=str)
def test_a_number_of_the_users_own_that_is_none_hides_no_other(said: Any) -> None:
    class Shy:
        def update(self, *_: Any) -> None: ...

        def get(self) -> Any:
            if isinstance(said, Exception):
                raise said
            return said

    stage = bound(monitors=(Shy,))
    state = stage.new_state()
    run(stage, state, [told(answer(i, True), True) for i in range(3)], 2)
    assert number(stage, state, "Shy") == Measurement("Shy", None, 3)
    assert number(stage, state, "Accuracy").count == 3


# the declaration


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"drift": "amount"}, r'write drift=\("amount",\)'),
        ({"drift": (1,)}, "not the name of a feature"),
        ({"monitors": Streak}, r"write monitors=\(Streak,\)"),
        ({"segment": 7}, "neither a field nor a function"),
        ({"max_segments": 0}, "from 1 to 500"),
        ({"max_segments": True}, "from 1 to 500"),
        ({"metrics": 7}, "are not metrics"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_with_what_to_write(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        Watch(**declared)


def test_a_monitor_without_update_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"int has no update\(record\)"):
        bound(monitors=(int,))


def test_a_monitor_that_needs_arguments_is_refused_as_a_class_and_taken_as_an_object() -> None:
    class Limit:
        def __init__(self, most: float) -> None:
            self.most = most

        def update(self, record: Record) -> None:
            return None

    with pytest.raises(DeclarationError, match="without arguments"):
        bound(monitors=(Limit,))
    stage = bound(monitors=(Limit(3.0),))
    assert stage.new_state().monitors[0].monitor.most == 3.0


def test_a_monitor_whose_state_cannot_be_saved_is_refused_when_the_pipeline_is_built() -> None:
    class Lambda:
        def __init__(self) -> None:
            self.rule = lambda: 1

        def update(self, record: Record) -> None:
            return None

    with pytest.raises(DeclarationError, match="cannot be saved"):
        bound(monitors=(Lambda,))


def test_metrics_added_together_as_river_does_are_taken_one_by_one() -> None:
    stage = bound(metrics=metrics.Accuracy() + metrics.LogLoss())
    assert [gauge.name for gauge in stage.quality.gauges] == ["Accuracy", "LogLoss"]


class Departure:
    __struct_fields__ = ("id", "carrier")

    def __init__(self, carrier: Any) -> None:
        self.carrier = carrier


def test_a_segment_is_a_field_or_a_function_as_text() -> None:
    by_field = Watch(segment="carrier").segment_of(Departure)
    by_function = Watch(segment=lambda event: event.carrier).segment_of(Departure)
    assert by_field is not None
    assert by_function is not None
    assert [by_field(Departure(c)) for c in ("UA", 7, None)] == ["UA", "7", None]
    assert by_function(Departure(7)) == "7"
    assert Watch().segment_of(Departure) is None


def test_a_segment_that_is_no_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'carrier'"):
        Watch(segment="carier").segment_of(Departure)


def test_equal_declarations_describe_themselves_equally() -> None:
    def declared() -> Watch:
        return Watch(metrics=[metrics.F1(), cost], segment="carrier", drift=["x"], monitors=[Streak])

    assert (
        declared().describe() == declared().describe() == "F1, cost; by carrier, at most 100; drift of x and the error; Streak"
    )


def test_a_segment_of_the_users_own_called_other_is_not_that_of_the_rest() -> None:
    class Flight(Event):
        id: Id
        at: EpochSeconds
        carrier: str | None

    name = Watch(segment="carrier").segment_of(Flight)
    assert name is not None
    assert [name(Flight(id="f", at=0, carrier=given)) for given in ("other", "UA", None)] == ["'other'", "UA", None]
    assert [name(Flight(id="f", at=0, carrier=given)) for given in ("", "x" * 1_000)] == ["''", "x" * 200 + "…"]
