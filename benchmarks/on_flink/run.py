"""Serve on Flink beside the same user code as plain PyFlink, on one cluster, in turn; then latency, and two workers.

The processor seconds are those of the whole tree: JobManager, TaskManagers, and every Python they start; the broker and the
producer are not counted. Each job reads from Kafka and writes to Kafka exactly once, with a checkpoint a second. It is warmed
up until its JVM has compiled most of what it runs, and then given all events at once; what compiling still took is told.

    python -m benchmarks.on_flink.run                            writes its chapters of benchmarks/flink.md
    python -m benchmarks.on_flink.run --rounds 1 --share 0.5     the same of fewer rounds and events, and the page says so
    python -m benchmarks.on_flink.run --quick                    fewer events, one round, written nowhere
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.on_flink import latency, show
from benchmarks.on_flink.rig import Counter, Rig, payments, rig

from eddyline.cluster import jars
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import environment, job
from eddyline.engines.flink.jar import jar
from eddyline.engines.flink.rest import Rest
from eddyline.pipeline.loading import load

HERE = Path(__file__).parent
WARM = {"eddyline": 600_000, "thread": 200_000, "process": 6_000}
ROUNDS = 3
EVENTS = {"eddyline": 300_000, "thread": 60_000, "process": 6_000}


def start_eddyline(rig: Rig, savepoint: str | None = None, **settings: Any) -> str:
    """Submits serve alone, or what the settings say, and waits until it runs; from a state where one is given."""
    loaded, connection = load(str(HERE / "pipeline.py")), Connection(rig.brokers)
    job.JobTopics.of(loaded.pipeline).ensure(connection, settings.get("parallelism", 1))
    chosen = job.Settings(**{"parts": ("serve",), **settings})
    document = job.specification(loaded, connection, chosen, environment.ready())
    rest = Rest(rig.flink.rest)
    made = rest.upload(jar(environment.ready(), jars.ready("flink-kafka")))
    started = rest.run(made, job.MAIN, [job.argument(document)], savepoint)
    rest.wait_until_running(started)
    return started


def start_plain(rig: Rig, mode: str) -> str:
    """Submits the plain job in a mode, as PyFlink does it."""
    python = environment.ready()
    for topic in ("bench.events", "bench.predictions"):
        rig.topic(topic, 1)
    arguments = [mode, rig.brokers, "bench.events", "bench.predictions", f"bench.plain-{next(rig.names)}"]
    script = Path(shutil.copy(HERE / "plain.py.txt", rig.flink.folder / "plain.py"))
    client = [str(rig.flink.wheel / "bin" / "flink"), "run", "-d", "-m", rig.flink.rest.removeprefix("http://")]
    subprocess.run(
        [*client, "-pyclientexec", str(python), "-pyexec", str(python), "-py", str(script), *arguments],
        env=rig.flink.environment(),
        check=True,
        capture_output=True,
    )
    rest = Rest(rig.flink.rest)
    started: str = rest.jobs()[0]["jid"]
    rest.wait_until_running(started)
    return started


def end(rig: Rig, started: str) -> None:
    """Cancels a job and deletes its topics."""
    rest = Rest(rig.flink.rest)
    rest.cancel(started)
    while rest.state(started) != "CANCELED":
        time.sleep(0.2)
    rig.drop("bench.")


def throughput(rig: Rig, kind: str, start: Callable[[], str], share: float) -> dict[str, float]:
    """Events per processor second and per second of one job, after it is warm."""
    started = start()
    warm, events = int(WARM[kind] * share), int(EVENTS[kind] * share)
    counter = Counter(rig.brokers, "bench.predictions")
    rig.produce("bench.events", payments(warm, 0))
    counter.until(warm)
    ahead = list(payments(events, warm))  # made before: else a fast job would wait for the producer, and be timed waiting
    time.sleep(2)
    cpu, compiling, wall = rig.cpu(), rig.compiling(), time.perf_counter()
    rig.produce("bench.events", ahead)
    counter.until(warm + events)
    cpu, compiling, wall = rig.cpu() - cpu, rig.compiling() - compiling, time.perf_counter() - wall
    counter.consumer.close()
    end(rig, started)
    found: dict[str, float] = {
        "per_cpu_second": round(events / cpu),
        "per_second": round(events / wall),
        "compiling": round(compiling / cpu, 3),
    }
    print(kind, found, file=sys.stderr, flush=True)
    return found


def beside_plain(rounds: int, share: float) -> dict[str, Any]:
    """Rounds of all three in turn, on one TaskManager."""
    kinds: dict[str, Callable[[Rig], str]] = {
        "eddyline": start_eddyline,
        "thread": lambda rig: start_plain(rig, "thread"),
        "process": lambda rig: start_plain(rig, "process"),
    }
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder)) as made:
        for _ in range(rounds):
            for kind, start in kinds.items():
                found[kind].append(throughput(made, kind, lambda start=start: start(made), share))  # type: ignore[misc]
        whole = start_eddyline(made, parts=("serve", "learn"))
        slow = latency.measure(made, max(5, int(30 * share)))
        end(made, whole)
    pairs = {kind: zip(found["eddyline"], found[kind], strict=True) for kind in ("thread", "process")}
    ratios = {
        kind: round(median(ours["per_cpu_second"] / theirs["per_cpu_second"] for ours, theirs in pair), 2)
        for kind, pair in pairs.items()
    }
    return {"rounds": found, "ratio": ratios, "latency": slow}


def two_workers(share: float) -> dict[str, Any]:
    """Serve at a parallelism of 1 and of 2, on two TaskManagers."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), taskmanagers=2) as made:
        return {
            str(parallelism): throughput(made, "eddyline", lambda p=parallelism: start_eddyline(made, parallelism=p), share)  # type: ignore[misc]
            for parallelism in (1, 2)
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--share", type=float, default=1.0)
    asked = parser.parse_args()
    rounds, share = (1, 0.2) if asked.quick else (asked.rounds, asked.share)
    measured = {"share": share} | beside_plain(rounds, share) | {"curve": two_workers(share)}
    print(json.dumps(measured, indent=1))
    if not asked.quick:
        show.write(HERE.parent, "run", measured)
