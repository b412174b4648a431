"""The same model on the same stream measures what River's `evaluate.progressive_val_score` measures, to the last digit.

River's delay of n means: the truth about event i is known before event i + n is asked. In event time that is a label at
i + n; where a label and an event have one time, the label comes first, here as there. Without a delay it comes between
its event and the next.

River is given features in the order of their names, because sums depend on it; we put them in that order ourselves,
however they arrive.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

import msgspec
import pytest
from river import datasets, evaluate, linear_model, metrics, multiclass, naive_bayes, optim, preprocessing, tree

from eddyline import Engine, Event, Id, Join, Label, Pipeline, Truth, Watch, jsonl, memory
from eddyline.connectors.from_jsonl import JsonlFile
from eddyline.connectors.from_memory import MemoryList
from eddyline.engines.embedded import replay
from eddyline.models.canonical import digest
from eddyline.models.river_order import put_in_order
from eddyline.models.river_still import DERIVED
from eddyline.records.types import EpochSeconds
from eddyline.views.summary import quality

ELEC2 = Path(__file__).parents[2].parent / "shared" / "data" / "elec2" / "elec2.csv.gz"
DELAYS = [None, 1, 10, 100, 500]
Rows = list[tuple[dict[str, Any], Any]]


class Row(Event):
    id: Id
    at: EpochSeconds
    x: dict[str, float | int | str]


class IsTrue(Label):
    id: Id
    at: EpochSeconds
    y: Truth[bool]


class IsClass(Label):
    id: Id
    at: EpochSeconds
    y: Truth[str]


class IsNumber(Label):
    id: Id
    at: EpochSeconds
    y: Truth[float]


class Task(NamedTuple):
    """A model, its metrics, and how the truth of its stream is written."""

    label: type[Label]
    model: Callable[[], Any]
    metrics: Callable[[], list[Any]]


def scaled(model: Any) -> Any:
    return preprocessing.StandardScaler() | model


def binary_metrics() -> list[Any]:
    return [metrics.Accuracy(), metrics.F1(), metrics.LogLoss(), metrics.ROCAUC()]


class InOrder(metrics.ConfusionMatrix):
    """River's in a process that walks texts in sorted order: its last digits depend on that order, and ours do not."""

    @property
    def classes(self) -> list[Any]:
        return sorted(super().classes)


matrix: Any = InOrder  # untyped, like River's


def class_metrics() -> list[Any]:
    return [metrics.Accuracy(), metrics.MacroF1(), metrics.CohenKappa(), metrics.CrossEntropy()]


def number_metrics() -> list[Any]:
    return [metrics.MAE(), metrics.RMSE()]


LOGISTIC = Task(IsTrue, lambda: scaled(linear_model.LogisticRegression()), binary_metrics)
TREE = Task(IsTrue, lambda: tree.HoeffdingTreeClassifier(grace_period=50), binary_metrics)
SOFTMAX = Task(IsClass, lambda: scaled(linear_model.SoftmaxRegression()), class_metrics)
BAYES = Task(IsClass, naive_bayes.GaussianNB, class_metrics)
ONE_VS_REST = Task(IsClass, lambda: scaled(multiclass.OneVsRestClassifier(linear_model.LogisticRegression())), class_metrics)
LINEAR = Task(IsNumber, lambda: scaled(linear_model.LinearRegression(intercept_lr=0.1)), number_metrics)
TREE_OF_NUMBERS = Task(IsNumber, lambda: tree.HoeffdingTreeRegressor(grace_period=50), number_metrics)

TASKS = {
    "Phishing logistic": (LOGISTIC, "Phishing"),
    "Phishing tree": (TREE, "Phishing"),
    "Bananas logistic": (LOGISTIC, "Bananas"),
    "Bananas tree": (TREE, "Bananas"),
    "ImageSegments softmax": (SOFTMAX, "ImageSegments"),
    "ImageSegments bayes": (BAYES, "ImageSegments"),
    "ImageSegments one-vs-rest": (ONE_VS_REST, "ImageSegments"),
    "TrumpApproval linear": (LINEAR, "TrumpApproval"),
    "TrumpApproval tree": (TREE_OF_NUMBERS, "TrumpApproval"),
    "ChickWeights linear": (LINEAR, "ChickWeights"),
    "ChickWeights tree": (TREE_OF_NUMBERS, "ChickWeights"),
}


@lru_cache
def rows(name: str) -> Rows:
    """A stream of River's with its features in the order of their names."""
    return [(dict(sorted(x.items())), y) for x, y in getattr(datasets, name)()]


@lru_cache
def electricity() -> Rows:
    """The electricity market of New South Wales; the test says so when the data are not there."""
    if not ELEC2.exists():
        pytest.skip(f"electricity: no {ELEC2.name} in {'/'.join(ELEC2.parts[-4:-1])}, so it was not compared")
    with gzip.open(ELEC2, "rt") as file:
        table = list(csv.DictReader(file))
    return [({name: float(row[name]) for name in sorted(row) if name != "class"}, row["class"] == "UP") for row in table]


def by_river(task: Task, stream: Rows, delay: int | None) -> tuple[dict[str, float], str]:
    """What River measures, metric by metric, and the digest of the model that learned the stream."""
    measured = {}
    for metric in task.metrics():
        if task.label is IsClass and hasattr(metric, "cm"):
            metric.cm = matrix()
        evaluate.progressive_val_score(cast(Any, stream), task.model(), metric, delay=delay)
        measured[type(metric).__name__] = metric.get()
    # A model of its own: some of River's write into themselves while they predict. Sets are walked in one order here.
    model = task.model()
    put_in_order(model)
    for x, y in stream:
        model.learn_one(x, y)
    return measured, digest(model, DERIVED)


def records(task: Task, stream: Rows, delay: int | None, random: Random | None) -> tuple[list[Any], list[Any]]:
    """The stream as events and labels; with `random`, the features of each event in another order."""
    events, labels = [], []
    for i, (x, y) in enumerate(stream):
        names = list(x) if random is None else random.sample(list(x), len(x))
        events.append(Row(id=i, at=i, x={name: x[name] for name in names}))
        labels.append(task.label(id=i, at=i + 0.5 if delay is None else i + delay, y=y))
    return events, labels


def by_eddyline(
    folder: Path, task: Task, events: MemoryList | JsonlFile, labels: MemoryList | JsonlFile
) -> tuple[dict[str, float | None], str]:
    """What Eddyline measures, and the digest of the model it ends with."""
    pipeline = Pipeline(
        name="parity",
        events=events,
        labels=labels,
        model=task.model(),
        join=Join(),
        watch=Watch(metrics=task.metrics(), error=False),
    )
    with Engine(pipeline, folder / "parity.eddyline") as engine:
        replay(engine, folder)
        assert engine.loop.states.learn.position == engine.store.slots
        return {one.metric: one.value for one in quality(engine)}, engine.loop.states.learn.model.digest()


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("name", TASKS)
def test_metrics_and_model_are_rivers_to_the_last_digit(name: str, delay: int | None, tmp_path: Path) -> None:
    task, stream = TASKS[name][0], rows(TASKS[name][1])
    events, labels = records(task, stream, delay, Random(1))
    ours = by_eddyline(tmp_path, task, memory(events, Row), memory(labels, task.label))
    assert ours == by_river(task, stream, delay)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("task", [LOGISTIC, TREE], ids=["logistic", "tree"])
def test_electricity_is_rivers_to_the_last_digit(task: Task, delay: int | None, tmp_path: Path) -> None:
    stream = list(itertools.islice(electricity(), 10_000))
    events, labels = records(task, stream, delay, None)
    ours = by_eddyline(tmp_path, task, memory(events, Row), memory(labels, task.label))
    assert ours == by_river(task, stream, delay)


def test_all_of_electricity_has_the_published_figures(tmp_path: Path) -> None:
    task = Task(
        IsTrue,
        lambda: scaled(linear_model.LogisticRegression(optim.SGD(0.005))),
        lambda: [metrics.Accuracy(), metrics.F1()],
    )
    events, labels = records(task, electricity(), None, None)
    measured, _ = by_eddyline(tmp_path, task, memory(events, Row), memory(labels, IsTrue))
    assert {name: round(value or 0.0, 6) for name, value in measured.items()} == {"Accuracy": 0.822144, "F1": 0.777086}


def test_a_file_of_lines_gives_what_a_list_in_memory_gives(tmp_path: Path) -> None:
    stream = rows("ImageSegments")
    events, labels = records(SOFTMAX, stream, 100, Random(2))
    for name, given in (("events", events), ("labels", labels)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, given)))
    ours = by_eddyline(tmp_path, SOFTMAX, jsonl("events.jsonl", Row), jsonl("labels.jsonl", IsClass))
    assert ours == by_river(SOFTMAX, stream, 100)


def test_the_order_of_the_features_in_an_event_changes_none_of_our_bits(tmp_path: Path) -> None:
    stream = rows("Phishing")
    found = []
    for seed in range(3):
        events, labels = records(LOGISTIC, stream, 10, Random(seed))
        folder = tmp_path / str(seed)
        folder.mkdir()
        found.append(by_eddyline(folder, LOGISTIC, memory(events, Row), memory(labels, IsTrue)))
    assert found[0] == found[1] == found[2]
