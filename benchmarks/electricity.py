"""The durable loop against a bare River loop, on the electricity stream, in one process, in turn.

The peer parses, predicts, updates a metric and learns: what a River user types. It keeps nothing on disk and joins nothing.
Ours journals, serves, joins, measures, learns and commits the same rows, read from two files of JSON lines.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from river import forest, linear_model, metrics, preprocessing

from eddyline import Engine, EpochSeconds, Event, Id, Join, Label, Pipeline, Truth, Watch, days, jsonl
from eddyline.engines.embedded import replay
from eddyline.store.database import Store
from eddyline.views.verify import verify

DATA = Path(__file__).parents[2] / "shared" / "data" / "elec2" / "elec2.csv.gz"
HALF_HOUR = 1800


class HalfHour(Event):
    id: Id
    at: EpochSeconds
    date: float
    day: float
    period: float
    nswprice: float
    nswdemand: float
    vicprice: float
    vicdemand: float
    transfer: float


class Moved(Label):
    id: Id
    at: EpochSeconds
    up: Truth[bool]


Model = Callable[[], Any]
MODELS: dict[str, Model] = {
    "StandardScaler | LogisticRegression": lambda: (
        preprocessing.StandardScaler() | linear_model.LogisticRegression()
    ),
    "ARFClassifier(seed=42)": lambda: forest.ARFClassifier(seed=42),
}


def rows(limit: int | None) -> list[tuple[dict[str, float], bool]]:
    """The stream as (features, truth)."""
    if not DATA.exists():
        sys.exit(f"the electricity stream is not here: {DATA}")
    with gzip.open(DATA, "rt") as file:
        read = [
            ({k: float(v) for k, v in row.items() if k != "class"}, row["class"] == "UP")
            for row in csv.DictReader(file)
        ]
    return read[:limit]


def write(folder: Path, stream: list[tuple[dict[str, float], bool]]) -> None:
    """Both files: each truth is known a second after its half hour."""
    with (folder / "events.jsonl").open("w") as events, (folder / "labels.jsonl").open("w") as labels:
        for i, (x, y) in enumerate(stream):
            at = i * HALF_HOUR
            events.write(json.dumps({"id": f"e{i}", "at": at, **x}) + "\n")
            labels.write(json.dumps({"id": f"e{i}", "at": at + 1, "up": y}) + "\n")


def bare(lines: list[bytes], model: Any) -> tuple[float, float]:
    """Seconds and accuracy of the loop a River user types."""
    accuracy = metrics.Accuracy()
    started = time.perf_counter()
    for line in lines:
        x = json.loads(line)
        y = x.pop("up")
        answer = model.predict_one(x)
        if answer is not None:
            accuracy.update(y, answer)
        model.learn_one(x, y)
    return time.perf_counter() - started, accuracy.get()


def durable(folder: Path, model: Any, number: int) -> tuple[float, float, float]:
    """Seconds and accuracy of the whole loop, and the seconds that verifying it took."""
    pipeline = Pipeline(
        name="elec",
        events=jsonl("events.jsonl", HalfHour),
        labels=jsonl("labels.jsonl", Moved),
        model=model,
        join=Join(wait=days(1)),
        watch=Watch(metrics=(metrics.Accuracy(),)),
    )
    path = folder / f"run-{number}.eddyline"
    started = time.perf_counter()
    with Engine(pipeline, path) as engine:
        replay(engine, folder)
        seconds = time.perf_counter() - started
        found = engine.plan.watch.measurements(engine.loop.states.watch)
    accuracy = next(
        m.value for m in found if m.metric == "Accuracy" and (m.version, m.day, m.segment) == (None,) * 3
    )
    store = Store.read(path)
    started = time.perf_counter()
    verdict = verify(store, pipeline)
    verifying = time.perf_counter() - started
    store.close()
    assert verdict.sound, verdict.faults
    assert accuracy is not None
    return seconds, accuracy, verifying


def measure(name: str, rounds: int, limit: int | None) -> dict[str, Any]:
    """Rounds of the two in turn; the median of the ratios of each round."""
    stream = rows(limit)
    lines = [json.dumps({**dict(sorted(x.items())), "up": y}).encode() for x, y in stream]
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        write(folder, stream)
        found = []
        for number in range(rounds):
            peer, theirs = bare(lines, MODELS[name]())
            ours, mine, verifying = durable(folder, MODELS[name](), number)
            assert mine == theirs, f"accuracy {mine} against River's {theirs}"
            found.append((peer, ours, verifying))
    events = len(stream)
    return {
        "model": name,
        "events": events,
        "rounds": rounds,
        "bare_us_per_event": round(median(p for p, _, _ in found) / events * 1e6, 2),
        "durable_us_per_event": round(median(o for _, o, _ in found) / events * 1e6, 2),
        "throughput_ratio": round(median(p / o for p, o, _ in found), 3),
        "throughput_ratios": [round(p / o, 3) for p, o, _ in found],
        "verify_speed_up": round(median(o / v for _, o, v in found), 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure("StandardScaler | LogisticRegression", 5, None)))
    print(json.dumps(measure("ARFClassifier(seed=42)", 3, 5_000)))
