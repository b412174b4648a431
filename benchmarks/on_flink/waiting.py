"""What predictions cost that wait for their truth, on Flink: bytes, checkpoints, and going on from their state.

One job with the whole loop, to which no truth comes. At each number of waiting predictions it is given 1,000 events a second
for a while, and then nothing: Flink says of each checkpoint how long it took, how much it wrote, and how much the state is.
At last the job goes on from a savepoint and from its last checkpoint, and truths of predictions drawn at random have to find
them. Then once more with events so close together that all lie in the hour that serve sums over, until their horizon passes.

    python -m benchmarks.on_flink.waiting            a million predictions; writes its chapter of benchmarks/flink.md
    python -m benchmarks.on_flink.waiting --quick    40,000, written nowhere
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.on_flink import show
from benchmarks.on_flink.rig import BEGAN, Counter, Rig, payments, rig
from benchmarks.on_flink.run import end, start_eddyline

from eddyline.engines.flink.rest import Rest

SIZES = (100_000, 300_000, 1_000_000)
IN_ONE_HOUR = (100_000, 300_000)
PER_SECOND = 1_000
SECONDS = 30
SETTLING_S = 90
"""Of 1,000 events a second at the largest size, before anybody looks: the files of a faster stream are large."""
QUIET_SECONDS = 6
APART_MS = 400
"""A million events in less than the week that they wait; the hour that serve sums over holds 9,000 of them."""
CLOSE_MS = 1
TRUTHS = 1_000
DAY_MS = 24 * 3_600_000
STAGES = ("serve", "join")
EVERY_CHECKPOINT = {"web.checkpoints.history": "10000"}
Then = Callable[[Rig, str, Counter, int], dict[str, Any]]


def waiting(rig: Rig, sizes: tuple[int, ...], apart_ms: int, then: Then) -> dict[str, Any]:
    """A job whose predictions wait, looked at while they become more, and then ended in one of two ways."""
    began = time.perf_counter()
    started = start_eddyline(rig, parts=("serve", "learn"))
    found: dict[str, Any] = {"apart_ms": apart_ms, "settling_s": SETTLING_S, "start_s": _since(began), "sizes": []}
    counter = Counter(rig.brokers, "bench.predictions")
    for size in sizes:
        settling_s = SETTLING_S if size == max(SIZES) else 0
        found["sizes"].append(_at(rig, started, counter, size, apart_ms, settling_s))
        print(found["sizes"][-1], file=sys.stderr, flush=True)
    found |= then(rig, started, counter, apart_ms)
    counter.consumer.close()
    return found


def _at(rig: Rig, started: str, counter: Counter, size: int, apart_ms: int, settling_s: int) -> dict[str, Any]:
    """Lets predictions wait until there are so many, the last of them at a pace, and looks at the checkpoints."""
    first, settling, paced = counter.count, PER_SECOND * settling_s, PER_SECOND * SECONDS
    filling = size - settling - paced - first
    began = time.perf_counter()
    rig.produce("bench.events", payments(filling, first, step_ms=apart_ms))
    counter.until(first + filling)
    filled = round(filling / (time.perf_counter() - began))
    rig.produce("bench.events", payments(settling, first + filling, step_ms=apart_ms), PER_SECOND)
    counter.until(size - paced)
    time.sleep(2)
    cpu, load = rig.cpu(), _now_ms()
    rig.produce("bench.events", payments(paced, size - paced, step_ms=apart_ms), PER_SECOND)
    quiet = _now_ms()
    counter.until(size)
    cpu = rig.cpu() - cpu
    time.sleep(2)
    rested = _now_ms()
    time.sleep(QUIET_SECONDS)
    done = _checkpoints(rig, started)
    loaded = [one for one in done if load + 1_000 <= one["trigger_timestamp"] < quiet]
    return {
        "waiting": size,
        "filled_per_second": filled,
        "load_cpu_s": round(cpu, 1),
        "load": _summary(loaded),
        "quiet": _summary([one for one in done if one["trigger_timestamp"] >= rested]),
        "stages": _stages(rig, started, loaded, done[-1]),
        "written_in_all": sum(one["checkpointed_size"] for one in done),
        "disk": _bytes(*(rig.flink.folder / "tmp").rglob("job_*_op_*")),
        "kept": _bytes(rig.flink.checkpoints / started),
        "resident": rig.resident(),
    }


# Checkpoints ---------------------------------------------------------------------------------------------------------


def _checkpoints(rig: Rig, started: str) -> list[dict[str, Any]]:
    """Those that were completed, the oldest first."""
    history = Rest(rig.flink.rest).get(f"/jobs/{started}/checkpoints")["history"]
    return sorted((one for one in history if one["status"] == "COMPLETED"), key=lambda one: one["trigger_timestamp"])


def _summary(checkpoints: list[dict[str, Any]]) -> dict[str, float]:
    """Of some checkpoints: what one wrote, what it holds, and how long it took."""
    assert checkpoints, "no checkpoint was completed in that time"
    took = [one["end_to_end_duration"] for one in checkpoints]
    wrote = [one["checkpointed_size"] for one in checkpoints]
    return {
        "checkpoints": len(checkpoints),
        "wrote_each": round(mean(wrote)),
        "wrote_most": max(wrote),
        "holds": checkpoints[-1]["state_size"],
        "ms": round(median(took)),
        "longest_ms": max(took),
    }


def _stages(rig: Rig, started: str, loaded: list[dict[str, Any]], last: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What each stage that remembers ids holds now, and wrote under load."""
    held = _tasks(rig, started, [last])
    return {
        stage: {
            "holds": held[stage][0]["state_size"],
            "wrote_each": round(mean(task["checkpointed_size"] for task in tasks)),
            "ms": round(median(task["end_to_end_duration"] for task in tasks)),
        }
        for stage, tasks in _tasks(rig, started, loaded).items()
    }


def _tasks(rig: Rig, started: str, checkpoints: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What Flink says of these checkpoints, of each stage that remembers ids."""
    rest = Rest(rig.flink.rest)
    names = {vertex["id"]: vertex["name"].partition(" ")[0] for vertex in rest.get(f"/jobs/{started}")["vertices"]}
    found: dict[str, list[dict[str, Any]]] = {stage: [] for stage in STAGES}
    for one in checkpoints:
        for vertex, task in rest.get(f"/jobs/{started}/checkpoints/details/{one['id']}")["tasks"].items():
            if names[vertex] in found:
                found[names[vertex]].append(task)
    return found


# Going on ------------------------------------------------------------------------------------------------------------


def go_on(rig: Rig, started: str, counter: Counter, apart_ms: int) -> dict[str, Any]:
    """From a savepoint, then from the last checkpoint; truths of what waited before find it."""
    rest, before, began = Rest(rig.flink.rest), counter.count, time.perf_counter()
    path = rest.stop(started, drain=False)
    stopped = {"stop_s": _since(began), "bytes": _bytes(Path(path.removeprefix("file:")))}
    again, savepoint = _resumed(rig, path, counter, apart_ms)
    time.sleep(3)
    first = _checkpoints(rig, again)[0]
    savepoint |= stopped | {"first_ms": first["end_to_end_duration"], "first_wrote": first["checkpointed_size"]}
    rest.cancel(again)
    last = rest.checkpoint(again)
    assert last is not None
    again, checkpoint = _resumed(rig, last, counter, apart_ms)
    found = {"waiting": before, "savepoint": savepoint, "checkpoint": checkpoint, "truths_s": _tell(rig, before, apart_ms)}
    end(rig, again)
    return {"restored": found}


def expire(rig: Rig, started: str, counter: Counter, apart_ms: int) -> dict[str, Any]:
    """Lets the horizon of all of them pass at once: each becomes an example, and leaves a mark of its id."""
    before, held, later = counter.count, _held(rig, started), 8 * DAY_MS // apart_ms
    examples, began = Counter(rig.brokers, "bench.examples"), time.perf_counter()
    rig.produce("bench.events", payments(100, before + later, step_ms=apart_ms))
    examples.until(before, 120)
    examples.consumer.close()
    found = {"many": before, "seconds": _since(began), "held": held}
    time.sleep(3)
    found["holds"] = _held(rig, started)
    end(rig, started)
    return {"expired": found}


def _held(rig: Rig, started: str) -> dict[str, int]:
    return {stage: tasks[-1]["state_size"] for stage, tasks in _tasks(rig, started, _checkpoints(rig, started)[-1:]).items()}


def _resumed(rig: Rig, path: str, counter: Counter, apart_ms: int) -> tuple[str, dict[str, float]]:
    """A job that goes on from there, with an event that has come meanwhile."""
    rig.produce("bench.events", payments(1, counter.count, step_ms=apart_ms))
    began = time.perf_counter()
    again = start_eddyline(rig, path, parts=("serve", "learn"))
    running = _since(began)
    counter.until(counter.count + 1)
    return again, {"running_s": running, "answer_s": _since(began)}


def _tell(rig: Rig, before: int, apart_ms: int) -> float:
    """Seconds until truths of predictions drawn at random are examples: each of them has to be there."""
    drawn = random.Random(3).sample(range(before), min(TRUTHS, before))
    examples, began = Counter(rig.brokers, "bench.examples"), time.perf_counter()
    rig.produce("bench.labels", _truths(drawn, apart_ms))
    examples.until(len(drawn), 120)
    examples.consumer.close()
    return _since(began)


def _truths(drawn: list[int], apart_ms: int) -> Iterator[tuple[str, bytes]]:
    for number in sorted(drawn):
        name = f"payment-{number:08}"
        yield name, json.dumps({"id": name, "at": BEGAN + number * apart_ms + 1, "fraud": number % 7 == 0}).encode()


# Helpers -------------------------------------------------------------------------------------------------------------


def _bytes(*folders: Path) -> int:
    """What lies in these folders, and below."""
    found = 0
    for file in (file for folder in folders for file in folder.rglob("*")):
        with suppress(FileNotFoundError):  # merged into another meanwhile
            found += file.stat().st_size if file.is_file() else 0
    return found


def _now_ms() -> int:
    return round(time.time() * 1e3)


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), settings=EVERY_CHECKPOINT) as made:
        measured = waiting(made, (40_000,) if quick else SIZES, APART_MS, go_on)
        measured["in_one_hour"] = waiting(made, (40_000,) if quick else IN_ONE_HOUR, CLOSE_MS, expire)
    print(json.dumps(measured, indent=1))
    if not quick:
        show.write(Path(__file__).parents[1], "waiting", measured)
