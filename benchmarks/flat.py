"""Does an event cost the same after three million others as after ten thousand, in the same memory?

One `replay` of a generated stream: eight numbers, one of ten thousand keys, a sum over an hour, a label an hour later for
nine events of ten, silence for the rest, which expires after three hours: as many wait at ten thousand events as at three
million. From each size on it says what one of the next events (with its share of labels) cost, a tenth as many as came
before, and at least twelve thousand, in wall and processor time, without the making of the records; beside it the bare River
loop over some of the same records at the same moment, because machines get slower and faster by themselves. No checkpoint falls
into the slice behind ten thousand, one or more into those from a million on: half a microsecond an event.

    python -m benchmarks.flat             3 million events
    python -m benchmarks.flat --quick     300 thousand
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.generated import Chargeback, Clock, Generated, Payment, Shape, features
from river import linear_model, metrics, preprocessing

from benchmarks import machine, sizes
from eddyline import Engine, Join, Pipeline, Sum, days, hours, replay
from eddyline.engines.embedded import Progress
from eddyline.engines.loop import Outcome

SIZES = {
    "full": (10_000, 100_000, 300_000, 1_000_000, 2_000_000, 3_000_000),
    "quick": (10_000, 100_000, 300_000),
    "tiny": (16_000, 32_000),
}
NEXT, AT_LEAST = 0.1, 12_000
"""How many events its cost is taken over, as a share of a size; a multiple of the 2,000 that are read together."""
WAIT_DAYS = 3 / 24
"""So that from six thousand events on as many wait as ever will."""
PEER_EVENTS = 5_000


class Timed(Engine):
    """An engine that remembers how long its checkpoints and its longest batch took."""

    def __init__(self, pipeline: Pipeline, path: Path) -> None:
        self.checkpoints: list[float] = []
        self.longest = 0.0
        super().__init__(pipeline, path)

    def checkpoint(self) -> None:
        """Checkpoints, and remembers how long that took."""
        started = time.perf_counter()
        super().checkpoint()
        self.checkpoints.append(time.perf_counter() - started)

    def take(self, *given: Any, **options: Any) -> Outcome:
        """Takes a batch, and remembers how long the longest took beside a checkpoint within."""
        started, before = time.perf_counter(), len(self.checkpoints)
        outcome = super().take(*given, **options)
        if len(self.checkpoints) == before:
            self.longest = max(self.longest, time.perf_counter() - started)
        return outcome


def declare(shape: Shape, spent: Clock, name: str = "flat", wait_days: float = 1) -> Pipeline:
    """The pipeline over a generated stream."""
    return Pipeline(
        name=name,
        events=Generated(Payment, shape, spent),
        labels=Generated(Chargeback, shape, spent),
        aggregates={"spent_1h": Sum("a", over=hours(1))},
        features=features,
        model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        join=Join(wait=days(wait_days)),
    )


@dataclass
class Sampler:
    """Looks at a run at each size: what the slice before it cost, and how large everything is."""

    engine: Timed
    spent: Clock
    marks: list[int]
    rows: list[dict[str, Any]] = field(default_factory=list)
    begun: tuple[int, float, float] | None = None
    peer: Clock = field(default_factory=Clock)

    def look(self, progress: Progress) -> None:
        """Is told after each batch."""
        size = self.marks[0] if self.marks else None
        if size is None:
            return
        now = (
            progress.predictions,
            time.perf_counter() - self.spent.wall - self.peer.wall,
            time.process_time() - self.spent.cpu - self.peer.cpu,
        )
        if self.begun is None:
            if progress.predictions >= size:
                self.begun = now
            return
        if progress.predictions >= end_of(size):
            self.marks.pop(0)
            self.rows.append(self.row(size, now))
            self.begun = None

    def row(self, size: int, now: tuple[int, float, float]) -> dict[str, Any]:
        """What is shown of one size."""
        assert self.begun is not None
        events, wall, cpu = (b - a for a, b in zip(self.begun, now, strict=True))
        bare = self.bare()
        return {
            "events": size,
            "us_per_event": round(wall / events * 1e6, 2),
            "cpu_us_per_event": round(cpu / events * 1e6, 2),
            "bare_cpu_us_per_event": round(bare, 2),
            "cpu_times_bare": round(cpu / events * 1e6 / bare, 2),
            "rss_mib": machine.memory_mib()["now"],
            "store_bytes_per_event": round(store_size(self.engine.path) / now[0]),
            "checkpoints": len(self.engine.checkpoints),
            "longest_checkpoint_ms": round(max(self.engine.checkpoints, default=0.0) * 1e3),
            "longest_batch_ms": round(self.engine.longest * 1e3),
        }

    def bare(self) -> float:
        """Processor microseconds an event of the loop a River user types, here and now; it is no part of the run."""
        wall, cpu = time.perf_counter(), time.process_time()
        lines = [line.raw for line in Generated(Payment, Shape(PEER_EVENTS)).open(Path()).read(0, PEER_EVENTS)]
        model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
        accuracy = metrics.Accuracy()
        gc.collect(0)
        started = time.process_time()
        for line in lines:
            x = json.loads(line)
            del x["id"], x["card"], x["at"]
            truth = x["a"] > 50.0
            accuracy.update(truth, model.predict_one(x))
            model.learn_one(x, truth)
        took = time.process_time() - started
        self.peer.wall += time.perf_counter() - wall
        self.peer.cpu += time.process_time() - cpu
        return took / PEER_EVENTS * 1e6


def end_of(size: int) -> int:
    """Up to where the cost of a size is taken."""
    return size + max(round(size * NEXT), AT_LEAST)


def store_size(path: Path) -> int:
    """Bytes of a store with the log beside it."""
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))


def measure(marks: list[int], per_hour: int, shuffle: int) -> dict[str, Any]:
    """One run over all sizes; afterwards, how long opening the store takes."""
    shape, spent = Shape(end_of(marks[-1]) + AT_LEAST, per_hour=per_hour, shuffle=shuffle), Clock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flat.eddyline"
        pipeline = declare(shape, spent, wait_days=WAIT_DAYS)
        engine = Timed(pipeline, path)
        with engine:
            sampler = Sampler(engine, spent, marks)
            replay(engine, Path(folder), on_progress=sampler.look)
            states = engine.loop.states
            found = {"learned": states.learn.position, "checkpoints_ms": [round(s * 1e3) for s in engine.checkpoints]}
        started = time.perf_counter()
        Engine(pipeline, path).close()
        opening = time.perf_counter() - started
        last = store_size(path)
    first = sampler.rows[0]["cpu_times_bare"]
    return {
        "events_per_hour": per_hour,
        "sizes": sampler.rows,
        "cost_last_over_first": round(sampler.rows[-1]["cpu_times_bare"] / first, 2),
        "peak_rss_mib": machine.memory_mib()["peak"],
        "store_bytes": last,
        "open_seconds": round(opening, 2),
        **found,
    }


if __name__ == "__main__":
    options = sizes.parse(__doc__, per_hour=2_000, shuffle=1_024, until=3_000_000)
    marks = [mark for mark in SIZES[options.size] if mark <= options.until]
    print(json.dumps(measure(marks, options.per_hour, options.shuffle)))
