"""Serve on Flink beside the same user code as plain PyFlink, on one cluster, in turn: events per processor second.

The processor seconds are those of the whole tree: JobManager, TaskManager, and every Python they start; the broker and the
producer are not counted. Each job reads from Kafka and writes to Kafka exactly once, with a checkpoint a second. It is warmed
up first, and then given all events at once.

    python -m benchmarks.on_flink.run            writes benchmarks/flink.md
    python -m benchmarks.on_flink.run --quick    fewer events, one round
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.on_flink.rig import Counter, Rig, rig

from eddyline.cluster import jars
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import environment, job
from eddyline.engines.flink.jar import jar
from eddyline.engines.flink.rest import Rest
from eddyline.pipeline.loading import load

HERE = Path(__file__).parent
WARM = {"eddyline": 20_000, "thread": 5_000, "process": 1_000}
EVENTS = {"eddyline": 300_000, "thread": 60_000, "process": 6_000}


def start_eddyline(rig: Rig, **settings: Any) -> str:
    """Submits serve alone."""
    loaded, connection = load(str(HERE / "pipeline.py")), Connection(rig.brokers)
    job.JobTopics.of(loaded.pipeline).ensure(connection, settings.get("parallelism", 1))
    chosen = job.Settings(**{"parts": ("serve",), **settings})
    document = job.specification(loaded, connection, chosen, environment.ready())
    rest = Rest(rig.flink.rest)
    made = rest.upload(jar(environment.ready(), jars.ready("flink-kafka")))
    started = rest.run(made, job.MAIN, [job.argument(document)])
    rest.wait_until_running(started)
    return started


def start_plain(rig: Rig, mode: str) -> str:
    """Submits the plain job in a mode, as PyFlink does it."""
    python = environment.ready()
    for topic in ("bench.events", "bench.predictions"):
        rig.topic(topic, 1)
    name = f"plain-{next(rig.names)}"
    arguments = [mode, rig.brokers, "bench.events", "bench.predictions", name]
    client = [str(rig.flink.wheel / "bin" / "flink"), "run", "-d", "-m", rig.flink.rest.removeprefix("http://")]
    subprocess.run(
        [*client, "-pyclientexec", str(python), "-pyexec", str(python), "-py", str(HERE / "plain.py"), *arguments],
        env=rig.flink.environment(),
        check=True,
        capture_output=True,
    )
    rest = Rest(rig.flink.rest)
    started: str = rest.jobs()[0]["jid"]
    rest.wait_until_running(started)
    return started


def throughput(rig: Rig, kind: str, start: Callable[[], str], share: float) -> dict[str, float]:
    """Events per processor second and per second of one job, after it is warm."""
    started = start()
    warm, events = WARM[kind], int(EVENTS[kind] * share)
    counter = Counter(rig.brokers, "bench.predictions")
    rig.produce("bench.events", warm, 0)
    counter.until(warm)
    time.sleep(2)
    cpu, wall = rig.cpu(), time.perf_counter()
    rig.produce("bench.events", events, warm)
    counter.until(warm + events)
    cpu, wall = rig.cpu() - cpu, time.perf_counter() - wall
    rest = Rest(rig.flink.rest)
    rest.cancel(started)
    while rest.state(started) != "CANCELED":
        time.sleep(0.2)
    counter.consumer.close()
    rig.drop("bench.")
    return {"per_cpu_second": events / cpu, "per_second": events / wall}


def measure(rounds: int, share: float) -> dict[str, Any]:
    """Rounds of all three in turn."""
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
                print(kind, found[kind][-1], file=sys.stderr, flush=True)
    ratios = {
        kind: median(ours["per_cpu_second"] / theirs["per_cpu_second"] for ours, theirs in zip(found["eddyline"], found[kind], strict=True))
        for kind in ("thread", "process")
    }
    return {"rounds": found, "ratio": ratios}


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    print(json.dumps(measure(1 if quick else 3, 0.3 if quick else 1.0), indent=1))
