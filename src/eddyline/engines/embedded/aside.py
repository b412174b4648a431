"""A thread beside the engine that reads its store: started, looked after and ended in one way, whoever is told.

What goes wrong in it is kept until `check` raises it where it can be seen. Knows nothing of what is told, and to whom.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Self

from eddyline.store.database import Store


class Aside(ABC):
    """Works beside an engine until it is closed. Use it as a context manager, within the engine's."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.fault: BaseException | None = None
        self._closing_at: float | None = None
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"eddyline-{name}", daemon=True)

    @abstractmethod
    def work(self, store: Store) -> None:
        """Does what there is to do, until `_closing_at` is set and nothing is left."""

    @abstractmethod
    def ended(self, fault: BaseException | None) -> None:
        """Told how it ended, in its thread."""

    def wake(self) -> None:
        """Says that something was committed."""
        self._wake.set()

    def check(self) -> None:
        """Raises what made the work impossible, if anything did."""
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        """Does what is left, for a few seconds at most, and stops; the next run goes on from there."""
        self._closing_at = time.monotonic()
        self._wake.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        try:
            with closing(Store.read(self.path)) as store:
                self.work(store)
        except BaseException as fault:
            self.fault = fault  # `check` raises it where it can be seen
        finally:
            self.ended(self.fault)
