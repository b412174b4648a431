"""The settings of a small Flink: memory for a laptop, state in RocksDB, faults noticed in seconds.

Each value that differs from Flink's own default says why. Memory is given part by part, because the JVMs are started without
Flink's scripts, which would compute it.
"""

from __future__ import annotations

from pathlib import Path

from eddyline.cluster import ports
from eddyline.records.errors import EddylineError

JOBMANAGER_JVM = ("-Xms64m", "-Xmx448m", "-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
"""700 MB in all."""

TASKMANAGER_JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:MaxDirectMemorySize=320m",
    "-XX:MaxMetaspaceSize=256m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
)
"""Heap: framework and task. Direct: framework off-heap, task off-heap and network. 1.5 GB with managed memory and overhead;
Python's own memory in thread mode comes on top. One thread collects a heap this small in milliseconds: G1's would only cost."""

_MEMORY = {
    "jobmanager.memory.heap.size": "448m",
    "jobmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.task.heap.size": "384m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.off-heap.size": "128m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.managed.size": "256m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "128m",
    "taskmanager.memory.jvm-overhead.max": "128m",
}

_STATE = {
    "state.backend.type": "rocksdb",
    "execution.checkpointing.incremental": "true",
    "execution.checkpointing.num-retained": "2",
    # What a JobManager leaves behind when it dies or a job is cancelled is the only way back without high availability.
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
}

_FAULTS = {
    # A dead process is noticed after about two missed beats, a frozen one after ten seconds.
    "heartbeat.interval": "2000",
    "heartbeat.timeout": "10000",
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "200 ms",
    "restart-strategy.exponential-delay.max-backoff": "5 s",
    "restart-strategy.exponential-delay.backoff-multiplier": "1.5",
    "restart-strategy.exponential-delay.reset-backoff-threshold": "30 s",
    # A job that fails again and again for its own reasons ends as failed, in about four minutes.
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": "50",
}


PROMETHEUS = {
    "metrics.reporters": "prom",
    "metrics.reporter.prom.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
}
"""Settings that make every process answer a scrape. Flink's reporter cannot be told an address: it listens on all of them."""


def flink_settings(folder: Path, *, python: Path, rest_port: int, slots: int) -> dict[str, str]:
    """The settings of a cluster whose state, logs and temporary files live in `folder`; it binds to 127.0.0.1 only."""
    return {
        "jobmanager.rpc.address": ports.HOST,
        "jobmanager.bind-host": ports.HOST,
        "jobmanager.rpc.port": str(ports.any_free()),
        "taskmanager.host": ports.HOST,
        "taskmanager.bind-host": ports.HOST,
        "rest.address": ports.HOST,
        "rest.bind-address": ports.HOST,
        "rest.port": str(rest_port),
        "rest.bind-port": str(rest_port),
        "taskmanager.numberOfTaskSlots": str(slots),
        "taskmanager.cpu.cores": f"{slots}.0",
        **_MEMORY,
        **_STATE,
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (folder / "savepoints").as_uri(),
        **_FAULTS,
        "io.tmp.dirs": str(folder / "tmp"),
        "python.executable": str(python),
        "python.client.executable": str(python),
    }


def module_options(wheel: Path) -> list[str]:
    """What Flink's JVMs must be allowed to open in Java 17, as the wheel's own settings say it."""
    own = wheel / "conf" / "config.yaml"
    for line in own.read_text("utf-8").splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "all" and value.startswith("--add-"):
            return value.split()
    raise EddylineError(f"flink: {own} has no line `all: --add-exports=...`; this apache-flink is not one that Eddyline knows")
