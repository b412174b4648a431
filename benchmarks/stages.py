"""Where the time of a run goes, by watching the calls that take a batch; each second is counted once, where it was spent."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from eddyline.engines.embedded import Engine, codec
from eddyline.engines.embedded.feed import Feed
from eddyline.engines.loop import Loop
from eddyline.stages.watch import WatchStage
from eddyline.store.ledger import DiskLedger

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("feed: read, parse, check, merge", Feed, "next"),
    ("serve, join, learn", Loop, "advance"),
    ("watch", WatchStage, "step"),
    ("encode and compress", codec, "outcome_parts"),
    ("look up ids", DiskLedger, "expect"),
    ("trim the cache", DiskLedger, "committed"),
    ("commit: chain, SQLite, fsync", Engine, "take"),
    ("checkpoint", Engine, "checkpoint"),
)


class Stopwatch:
    """Adds up wall seconds by name; what a part calls is taken off its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {name: 0.0 for name, _, _ in PARTS}
        self._inner = [0.0]

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, watched."""

        @functools.wraps(call)
        def watched(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            self._inner.append(0.0)
            try:
                return call(*args, **options)
            finally:
                took = time.perf_counter() - started
                self.seconds[name] += took - self._inner.pop()
                self._inner[-1] += took

        return watched


@contextmanager
def watched() -> Iterator[Stopwatch]:
    """Watches every engine that runs meanwhile."""
    stopwatch = Stopwatch()
    with ExitStack() as stack:
        for name, owner, method in PARTS:
            stack.enter_context(patch.object(owner, method, stopwatch.around(name, getattr(owner, method))))
        yield stopwatch
