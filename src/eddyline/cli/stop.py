"""Stopping on request: the first Ctrl-C or SIGTERM asks, the second insists.

The commands that run for long look at what `stopping` gives between two commits, so that everything
acknowledged is durable and the next run goes on from there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ASKS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """A function that says whether somebody asked to stop; inside, one signal asks and no longer kills.

    >>> with stopping() as stop:
    ...     before = stop()
    ...     signal.raise_signal(signal.SIGTERM)
    ...     print(before, stop())
    False True
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        for ask_number, handler in before.items():
            signal.signal(ask_number, handler)

    before = {number: signal.getsignal(number) for number in ASKS}
    for number in ASKS:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
