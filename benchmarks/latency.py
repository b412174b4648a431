"""How long does a durable answer take, beside what the disk alone takes to make four kilobytes durable?

One thread asks for answers at a steady pace and tells a label after each; the time is that of the call, which returns when
the answer is on disk. Beside it: the same disk, the same pace, an append of 4 KiB with fsync, and with fdatasync. Then as
many calls as fit, one after another; then 64 asyncio tasks at once, which share commits.

    python -m benchmarks.latency            500 a second for 30 seconds
    python -m benchmarks.latency --quick    for 5 seconds
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.flat import Timed, declare
from benchmarks.generated import Chargeback, Clock, Generated, Payment, Shape

from benchmarks import sizes
from eddyline import Engine
from eddyline.records.schema import Schema

SECONDS = {"full": 30.0, "quick": 5.0, "tiny": 0.2}
TASKS = 64
AHEAD = 1_000_000


class Payments:
    """Payments and their labels, one after another, made before anything is timed."""

    def __init__(self, ready: int) -> None:
        lines = Generated(Payment, Shape(AHEAD)).open(Path()).read(0, ready)
        decode = Schema.of(Payment).decode
        self.ready = [decode(line.raw).value for line in lines]
        self.next = count()

    def take(self) -> tuple[Payment, Chargeback]:
        """The next payment, and what will be known of it a second later."""
        payment = self.ready[next(self.next)]
        return payment, Chargeback(id=payment.id, at=payment.at + 1_000, fraud=payment.a > 60.0)


def quantiles(seconds: list[float]) -> dict[str, float]:
    """What a list of durations shows, in milliseconds."""
    ordered = sorted(seconds)
    shown = {f"p{q:g}_ms": ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))] * 1e3 for q in (50, 90, 99, 99.9)}
    return {name: round(value, 3) for name, value in (shown | {"max_ms": ordered[-1] * 1e3}).items()}


def paced(calls: int, per_second: float, call: Callable[[], None]) -> tuple[list[float], int]:
    """How long each call took, begun at a steady pace; and how many began over a millisecond late."""
    took, late = [], 0
    begun = time.perf_counter()
    for i in range(calls):
        due = begun + i / per_second
        while (now := time.perf_counter()) < due:
            time.sleep(max(0.0, due - now - 0.0001))
        late += now - due > 0.001
        call()
        took.append(time.perf_counter() - now)
    return took, late


def disk(folder: Path, calls: int, per_second: float, sync: Callable[[int], None]) -> dict[str, float]:
    """What the disk alone takes to make an append of 4 KiB durable."""
    page = os.urandom(4096)
    file = os.open(folder / "append", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def append() -> None:
        os.write(file, page)
        sync(file)

    try:
        return quantiles(paced(calls, per_second, append)[0])
    finally:
        os.close(file)


def at_a_pace(engine: Engine, payments: Payments, calls: int, per_second: float) -> dict[str, Any]:
    """Answers at a steady pace, with a label after each."""
    told: list[float] = []
    answered: list[float] = []

    def call() -> None:
        payment, chargeback = payments.take()
        begun = time.perf_counter()
        engine.answer(payment)
        done = time.perf_counter()
        engine.tell(chargeback)
        answered.append(done - begun)
        told.append(time.perf_counter() - done)

    _, late = paced(calls, per_second, call)
    return {"per_second": per_second, "answer": quantiles(answered), "tell": quantiles(told), "began_late": late}


def back_to_back(engine: Engine, payments: Payments, seconds: float) -> float:
    """Answers a second, one after another."""
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() < begun + seconds:
        engine.answer(payments.take()[0])
        calls += 1
    return calls / (time.perf_counter() - begun)


async def together(engine: Engine, payments: Payments, seconds: float) -> float:
    """Answers a second to 64 tasks that each ask for one after another."""
    begun, calls = time.perf_counter(), 0

    async def ask() -> None:
        nonlocal calls
        while time.perf_counter() < begun + seconds:
            await engine.aanswer(payments.take()[0])
            calls += 1

    await asyncio.gather(*(ask() for _ in range(TASKS)))
    return calls / (time.perf_counter() - begun)


def measure(size: str, per_second: int) -> dict[str, Any]:
    """All of it, on one store."""
    seconds = SECONDS[size]
    calls = int(seconds * per_second)
    payments = Payments(calls + int(seconds * 20_000))
    with tempfile.TemporaryDirectory(dir=os.environ.get("EDDYLINE_BENCHMARKS")) as name:
        folder = Path(name)
        syncs = {
            "fsync_4k": disk(folder, calls // 3, per_second, os.fsync),
            "fdatasync_4k": disk(folder, calls // 3, per_second, os.fdatasync),
        }
        engine = Timed(declare(Shape(AHEAD), Clock(), name="latency"), folder / "latency.eddyline")
        with engine:
            pace = at_a_pace(engine, payments, calls, per_second)
            closed = back_to_back(engine, payments, seconds / 3)
            grouped = asyncio.run(together(engine, payments, seconds / 3))
            checkpoints = [round(s * 1e3) for s in engine.checkpoints]
    return {
        "seconds": seconds,
        **syncs,
        **pace,
        "answers_per_second_one_thread": round(closed),
        f"answers_per_second_{TASKS}_tasks": round(grouped),
        "checkpoints_ms": checkpoints,
    }


if __name__ == "__main__":
    options = sizes.parse(__doc__, per_second=500)
    print(json.dumps(measure(options.size, options.per_second)))
