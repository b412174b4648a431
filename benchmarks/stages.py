"""Where the time of a run goes, by watching the calls that take a batch; each second is counted once, where it was spent."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from eddyline.engines.embedded import Engine, codec
from eddyline.engines.embedded.feed import Feed
from eddyline.engines.loop import Loop
from eddyline.stages.decide import Decide
from eddyline.stages.watch import WatchStage
from eddyline.store.ledger import DiskLedger

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("feed: read, parse, check, merge", Feed, "next"),
    ("serve, join, learn", Loop, "advance"),
    ("watch", WatchStage, "notice"),
    ("watch", WatchStage, "settle"),
    ("encode and compress", codec, "outcome_parts"),
    ("look up ids", DiskLedger, "expect"),
    ("trim the cache", DiskLedger, "committed"),
    ("commit: chain, SQLite, fsync", Engine, "take"),
    ("checkpoint", Engine, "checkpoint"),
)
DECIDE: tuple[tuple[str, Any, str], ...] = (("decide", Decide, "take"), ("decide", Decide, "look"))
"""What there is beside these where somebody decides."""


class Stopwatch:
    """Adds up seconds by name, by wall and by processor; what a part calls is taken off its own."""

    def __init__(self, parts: Sequence[tuple[str, Any, str]]) -> None:
        self.wall: dict[str, float] = {name: 0.0 for name, _, _ in parts}
        self.cpu: dict[str, float] = {name: 0.0 for name, _, _ in parts}
        self._inner = [(0.0, 0.0)]

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, watched."""

        @functools.wraps(call)
        def watched(*args: Any, **options: Any) -> Any:
            begun_wall, begun_cpu = time.perf_counter(), time.process_time()
            self._inner.append((0.0, 0.0))
            try:
                return call(*args, **options)
            finally:
                wall, cpu = time.perf_counter() - begun_wall, time.process_time() - begun_cpu
                inner_wall, inner_cpu = self._inner.pop()
                self.wall[name] += wall - inner_wall
                self.cpu[name] += cpu - inner_cpu
                outer_wall, outer_cpu = self._inner[-1]
                self._inner[-1] = (outer_wall + wall, outer_cpu + cpu)

        return watched


@contextmanager
def watched(parts: Sequence[tuple[str, Any, str]] = PARTS) -> Iterator[Stopwatch]:
    """Watches every engine that runs meanwhile."""
    stopwatch = Stopwatch(parts)
    with ExitStack() as stack:
        for name, owner, method in parts:
            stack.enter_context(patch.object(owner, method, stopwatch.around(name, getattr(owner, method))))
        yield stopwatch
