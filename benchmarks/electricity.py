"""The durable loop against bare River loops, on the electricity stream, in one process, in turn.

A peer parses, predicts, updates a metric and learns: what a River user types. It keeps nothing on disk and joins nothing.
Ours journals, serves, joins, measures, learns and commits the same rows, read from two files of JSON lines, and must reach
the same accuracy. Then the store is verified, which answers every event again.

    python -m benchmarks.electricity            all 45,312 half hours, and 10,000 with a forest
    python -m benchmarks.electricity --quick    fewer of both
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from benchmarks.stages import watched
from river import forest, linear_model, metrics, preprocessing, stream

from benchmarks import sizes
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


NAMES = sorted(set(HalfHour.__struct_fields__) - {"id", "at"})
"""Sorted, because River sums in the order of the names, and Eddyline sorts them."""
Model = Callable[[], Any]
MODELS: dict[str, Model] = {
    "StandardScaler | LogisticRegression": lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    "ARFClassifier(seed=42)": lambda: forest.ARFClassifier(seed=42),
}


def read(limit: int | None) -> list[tuple[dict[str, float], bool]]:
    """The stream as (features, truth)."""
    if not DATA.exists():
        sys.exit(f"the electricity stream is not here: {DATA}")
    with gzip.open(DATA, "rt") as file:
        read = [({k: float(v) for k, v in row.items() if k != "class"}, row["class"] == "UP") for row in csv.DictReader(file)]
    return read[:limit]


def write(folder: Path, rows: list[tuple[dict[str, float], bool]]) -> None:
    """The stream as events and labels, each truth known a second after its half hour; and as one file for the peers."""
    with (folder / "events.jsonl").open("w") as events, (folder / "labels.jsonl").open("w") as labels:
        for i, (x, y) in enumerate(rows):
            at = i * HALF_HOUR
            events.write(json.dumps({"id": f"e{i}", "at": at, **x}) + "\n")
            labels.write(json.dumps({"id": f"e{i}", "at": at + 1, "up": y}) + "\n")
    with (folder / "both.jsonl").open("w") as both, (folder / "both.csv").open("w") as table:
        writer = csv.writer(table)
        writer.writerow([*NAMES, "up"])
        for x, y in rows:
            both.write(json.dumps({**{name: x[name] for name in NAMES}, "up": y}) + "\n")
            writer.writerow([*(x[name] for name in NAMES), y])


def bare_json(folder: Path, model: Any, loads: Callable[[bytes], Any] = json.loads) -> float:
    """Accuracy of the loop a River user types, over lines of JSON."""
    accuracy = metrics.Accuracy()
    with (folder / "both.jsonl").open("rb") as lines:
        for line in lines:
            x = loads(line)
            y = x.pop("up")
            answer = model.predict_one(x)
            if answer is not None:
                accuracy.update(y, answer)
            model.learn_one(x, y)
    return float(accuracy.get())


def bare_orjson(folder: Path, model: Any) -> float:
    """The same with the fastest parser there is."""
    return bare_json(folder, model, orjson.loads)


def bare_csv(folder: Path, model: Any) -> float:
    """The same over a CSV, as River's documentation reads one."""
    accuracy = metrics.Accuracy()
    converters: dict[Any, Callable[[Any], Any]] = dict.fromkeys(NAMES, float)
    rows = stream.iter_csv(str(folder / "both.csv"), target="up", converters=converters | {"up": "True".__eq__})
    for x, y in rows:
        answer = model.predict_one(x)
        if answer is not None:
            accuracy.update(y, answer)
        model.learn_one(x, y)
    return float(accuracy.get())


PEERS = {"json": bare_json, "orjson": bare_orjson, "river_csv": bare_csv}


def declare(model: Any) -> Pipeline:
    """The pipeline over the two files."""
    return Pipeline(
        name="elec",
        events=jsonl("events.jsonl", HalfHour),
        labels=jsonl("labels.jsonl", Moved),
        model=model,
        join=Join(wait=days(1)),
        watch=Watch(metrics=(metrics.Accuracy(),)),
    )


def durable(folder: Path, path: Path, model: Any) -> None:
    """The whole loop, which is in a store afterwards."""
    with Engine(declare(model), path) as engine:
        replay(engine, folder)


def reached(path: Path, model: Any) -> float:
    """The accuracy that a store tells. It tells one for each version and day, too, so that reading is not timed."""
    with Engine(declare(model), path) as engine:
        found = engine.plan.watch.measurements(engine.loop.states.watch)
        accuracy = next(m.value for m in found if m.metric == "Accuracy" and (m.version, m.day, m.segment) == (None,) * 3)
    assert accuracy is not None
    return accuracy


def proven(path: Path, model: Any) -> None:
    """Verifies the store."""
    store = Store.read(path)
    try:
        verdict = verify(store, declare(model))
    finally:
        store.close()
    assert verdict.sound, verdict.faults


@dataclass
class Took:
    """Seconds by name, a list of rounds each: wall and processor."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def call(self, name: str, run: Callable[..., Any], *given: Any) -> Any:
        """Runs something and notes what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = run(*given)
        self.cpu.setdefault(name, []).append(time.process_time() - cpu)
        self.wall.setdefault(name, []).append(time.perf_counter() - wall)
        return result

    def us(self, seconds: dict[str, list[float]], name: str, events: int) -> float:
        """The median of the rounds, in microseconds an event."""
        return round(median(seconds[name]) / events * 1e6, 2)

    def ratio(self, seconds: dict[str, list[float]], upper: str, lower: str) -> float:
        """The median of the ratios of each round."""
        return round(median(a / b for a, b in zip(seconds[upper], seconds[lower], strict=True)), 3)


def measure(name: str, rounds: int, limit: int | None) -> dict[str, Any]:
    """Rounds of all in turn; then one run to see where the time goes."""
    rows = read(limit)
    took, model = Took(), MODELS[name]
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        write(folder, rows)
        for number in range(rounds):
            path = folder / f"run-{number}.eddyline"
            took.call("durable", durable, folder, path, model())
            mine = reached(path, model())
            for peer, run in PEERS.items():
                theirs = took.call(peer, run, folder, model())
                assert mine == theirs, f"accuracy {mine} against {theirs} of River's loop over {peer}"
            took.call("verify", proven, path, model())
        with watched() as stopwatch:
            durable(folder, folder / "watched.eddyline", model())
    events = len(rows)
    return {
        "model": name,
        "events": events,
        "rounds": rounds,
        "accuracy": round(mine, 6),
        "us_per_event": {each: took.us(took.wall, each, events) for each in took.wall},
        "cpu_us_per_event": {each: took.us(took.cpu, each, events) for each in took.cpu},
        "throughput_of_bare": {peer: took.ratio(took.wall, peer, "durable") for peer in PEERS},
        "throughput_of_bare_by_cpu": {peer: took.ratio(took.cpu, peer, "durable") for peer in PEERS},
        "verify_times_faster": took.ratio(took.wall, "durable", "verify"),
        "verify_times_faster_by_cpu": took.ratio(took.cpu, "durable", "verify"),
        "stages_us_per_event": {part: round(s / events * 1e6, 2) for part, s in stopwatch.wall.items()},
        "stages_cpu_us_per_event": {part: round(s / events * 1e6, 2) for part, s in stopwatch.cpu.items()},
    }


SIZES: dict[str, list[tuple[str, int, int | None]]] = {
    "full": [("StandardScaler | LogisticRegression", 7, None), ("ARFClassifier(seed=42)", 3, 10_000)],
    "quick": [("StandardScaler | LogisticRegression", 3, 20_000), ("ARFClassifier(seed=42)", 1, 2_000)],
    "tiny": [("StandardScaler | LogisticRegression", 1, 500)],
}

if __name__ == "__main__":
    options = sizes.parse(__doc__)
    print(json.dumps([measure(*each) for each in SIZES[options.size]]))
