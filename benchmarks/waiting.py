"""Five million predictions wait for a truth that does not come: in how much memory, and what if it comes after all?

Three processes one after another, as in life. The first answers five million events that wait thirty days; its memory at
the largest is read from the kernel. The second opens that store: how long does it take? The third is told truths about
events drawn at random from all of them, so that each was answered long ago: what does one cost?

    python -m benchmarks.waiting            5 million events
    python -m benchmarks.waiting --quick    200 thousand
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.flat import Timed, declare, store_size
from benchmarks.generated import Chargeback, Clock, Shape, event_id

from benchmarks import machine, sizes
from eddyline import Engine, replay
from eddyline.ports import Line, Source

EVENTS = {"full": 5_000_000, "quick": 200_000, "tiny": 10_000}
TOLD = {"full": 20_000, "quick": 10_000, "tiny": 200}
PER_HOUR = 7_200
LIMIT_MIB = 1024


@dataclass(frozen=True)
class Nothing:
    """Labels that have not come yet."""

    type: type = Chargeback

    def describe(self) -> str:
        """The source in words."""
        return "none yet"

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """A source that never has anything."""
        return Truths(Shape(0), 0)


@dataclass(frozen=True)
class AtRandom:
    """Truths about events drawn from all of them, each event once."""

    shape: Shape
    many: int
    type: type = field(default=Chargeback)

    def describe(self) -> str:
        """The source in words."""
        return f"{self.many:,} drawn"

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The truths in the order they were drawn, known a second after the last event."""
        return Truths(self.shape, self.many)


class Truths:
    """Reads truths by number."""

    name = "truths"

    def __init__(self, shape: Shape, many: int) -> None:
        self.many = many
        self.at = int(shape.events * shape.step_ms) + 1_000
        self.events = np.random.default_rng(11).choice(shape.events, many, replace=False).tolist() if many else []

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` truths after `position`."""
        numbers = range(position, min(position + limit, self.many))
        return [
            Line(b'{"id":"%b","at":%d,"fraud":false}' % (event_id(self.events[i]).encode(), self.at), i + 1) for i in numbers
        ]

    def size(self) -> int | None:
        """How many truths there are."""
        return self.many


def answer(path: Path, shape: Shape, told: int) -> dict[str, Any]:
    """Answers all events."""
    spent = Clock()
    pipeline = declare(shape, spent, name="waiting", wait_days=30).replace(labels=Nothing())
    wall, cpu = time.perf_counter(), time.process_time()
    engine = Timed(pipeline, path)
    with engine:
        replay(engine, path.parent)
        wall, cpu = time.perf_counter() - wall - spent.wall, time.process_time() - cpu - spent.cpu
        checkpoints = engine.checkpoints
    return {
        "us_per_event": round(wall / shape.events * 1e6, 2),
        "cpu_us_per_event": round(cpu / shape.events * 1e6, 2),
        "peak_rss_mib": machine.memory_mib()["peak"],
        "limit_mib": LIMIT_MIB,
        "checkpoints": len(checkpoints),
        "longest_checkpoint_ms": round(max(checkpoints) * 1e3),
        "store_bytes_per_event": round(store_size(path) / shape.events),
    }


def reopen(path: Path, shape: Shape, told: int) -> dict[str, Any]:
    """Opens the store, and closes it."""
    pipeline = declare(shape, Clock(), name="waiting", wait_days=30).replace(labels=Nothing())
    started = time.perf_counter()
    with Engine(pipeline, path):
        return {"open_seconds": round(time.perf_counter() - started, 2), "open_rss_mib": machine.memory_mib()["now"]}


def tell(path: Path, shape: Shape, told: int) -> dict[str, Any]:
    """Tells the truths."""
    pipeline = declare(shape, Clock(), name="waiting", wait_days=30).replace(labels=AtRandom(shape, told))
    engine = Timed(pipeline, path)
    with engine:
        wall, cpu = time.perf_counter(), time.process_time()
        progress = replay(engine, path.parent)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert progress.examples == told, f"{progress.examples} of {told} truths became examples"
        last = engine.checkpoints[-1]
    return {
        "labels": told,
        "us_per_label": round((wall - last) / told * 1e6, 1),
        "cpu_us_per_label": round(cpu / told * 1e6, 1),
        "checkpoint_after_labels_ms": round(last * 1e3),
        "told_peak_rss_mib": machine.memory_mib()["peak"],
    }


STEPS = {"answer": answer, "reopen": reopen, "tell": tell}


def measure(size: str) -> dict[str, Any]:
    """The three processes, one after another, on one store."""
    found: dict[str, Any] = {"events": EVENTS[size]}
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            command = [sys.executable, "-m", "benchmarks.waiting", "--step", step, "--store", f"{folder}/waiting.eddyline"]
            if size != "full":
                command.append(f"--{size}")
            done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True)
            found |= json.loads(done.stdout)
    return found


if __name__ == "__main__":
    options = sizes.parse(__doc__, texts=("step", "store"))
    if options.step:
        shape = Shape(EVENTS[options.size], per_hour=PER_HOUR)
        print(json.dumps(STEPS[options.step](Path(options.store), shape, TOLD[options.size])))
    else:
        print(json.dumps(measure(options.size)))
