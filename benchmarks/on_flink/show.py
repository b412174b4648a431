"""The results as a page: when, on what machine, by which command, and what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.on_flink import show_waiting

from benchmarks import machine

_NAMES = {
    "eddyline": "Eddyline: serve, exactly once, each id answered once",
    "thread": "plain PyFlink, thread mode",
    "process": "plain PyFlink, process mode",
}


def write(folder: Path, name: str, measured: dict[str, Any]) -> None:
    """Writes `flink.json` and `flink.md`; what the other benchmark of the two found stays in them."""
    about = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC}", "load": machine.load(), "machine": machine.describe()}
    file = folder / "flink.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    found[name] = {"about": about, **measured}
    file.write_text(json.dumps(found, indent=1) + "\n")
    (folder / "flink.md").write_text(page(found))


def page(found: dict[str, Any]) -> str:
    """The page: a chapter for each benchmark that was run."""
    chapters = [f"{_written(name, found[name])}{make(found[name])}" for name, make in _CHAPTERS.items() if name in found]
    return "\n".join(["# On Flink\n", *chapters])


def _written(name: str, measured: dict[str, Any]) -> str:
    about = measured["about"]
    said = f"Written by `python -m benchmarks.on_flink.{name}`, {about['at']}, load {about['load']} at the end;"
    return f"{_HEADS[name]}{said}\n{_machine(about['machine'])}.\n{_part(measured)}{_busy(about['load'])}"


def _run(measured: dict[str, Any]) -> str:
    """Beside plain PyFlink, latency, and two workers."""
    rows = []
    for kind, name in _NAMES.items():
        rounds = measured["rounds"][kind]
        cpu, wall = (round(median(r[column] for r in rounds)) for column in ("per_cpu_second", "per_second"))
        compiling = median(r["compiling"] for r in rounds)
        ratio = "" if kind == "eddyline" else f"{measured['ratio'][kind]} ×"
        rows.append(f"| {name} | {cpu:,} | {wall:,} | {compiling:.0%} | {ratio} |")
    slow, curve = measured["latency"], measured["curve"]
    shown = "\n".join(
        f"| {name} | {slow[key]['p50']} | {slow[key]['p99']} | {slow[key]['max']} | {slow[key]['count']:,} |"
        for name, key in (
            ("event to answer, written", "written_ms"),
            ("event to answer, committed", "committed_ms"),
            ("label to the first answer of a model that learned it", "label_to_model_ms"),
        )
    )
    grown = "\n".join(f"| {p} | {row['per_second']:,} | {row['per_cpu_second']:,} |" for p, row in curve.items())
    return f"""
## Beside plain PyFlink

Serve with one aggregate (a sum over an hour by card) and `StandardScaler | LogisticRegression`, events of 270 bytes, Kafka to
Kafka, exactly once, a checkpoint a second, RocksDB, one slot; medians of {len(measured["rounds"]["eddyline"])} round(s),
each warmed up first; what the JVMs' compilers still took is in the table, and counts. Processor seconds are those of the
JobManager, the TaskManager and every Python; the ratio is Eddyline's events per processor second over the other's in the same
round. Asked were 4 × and 30 ×. The plain job keeps the hour in keyed state and does the same sums; it does not remember ids.
Events are made before the clock starts, for each alike.

| | events per processor second | events a second | compiling | Eddyline is |
|---|---:|---:|---:|---:|
{chr(10).join(rows)}

## Latency at 1,000 events a second

The whole loop in one job, topic to topic, by the clock of one process, from `produce` to `consume`, in milliseconds. Who reads
committed messages waits for the checkpoint, here one a second.

| | p50 | p99 | max | count |
|---|---:|---:|---:|---:|
{shown}

## One worker and two

Serve at a parallelism of 1 and of 2, a TaskManager each. The machine has two cores, which the broker, the producer and the
JobManager share with them: that is the limit, and no more can be said here.

| parallelism | events a second | events per processor second |
|---:|---:|---:|
{grown}
"""


def _machine(found: dict[str, Any]) -> str:
    return f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB, {found['system']}, Python {found['python']}"


def _part(measured: dict[str, Any]) -> str:
    if "rounds" not in measured:
        return ""
    rounds, share = len(measured["rounds"]["eddyline"]), measured["share"]
    if (rounds, share) == (3, 1.0):
        return ""
    return f"\nNot the whole benchmark: {rounds} of 3 rounds, with {share:g} of the events. `make bench-flink` takes all.\n"


def _busy(load: float) -> str:
    if load <= 2:
        return ""
    said = (
        "The load was above the number of cores, with the jobs' own threads in it: bytes and ratios of processor seconds hold,"
    )
    return f"\n{said} times and events a second may be late.\n"


_CHAPTERS: dict[str, Callable[[dict[str, Any]], str]] = {"run": _run, "waiting": show_waiting.chapter}
_HEADS = {"run": "", "waiting": "## Predictions that wait\n\n"}
