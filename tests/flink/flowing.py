"""Visits of the duel that go on coming while something else happens."""

from __future__ import annotations

import time

from tests.flink.conftest import Run
from tests.flink.duel import visits

FEW, PACE_S = 20, 0.2


class Flow:
    """Sends visits to a job, a few at a time, from where it stopped the last time."""

    def __init__(self, run: Run, seed: int) -> None:
        self.run, self.seed, self.sent = run, seed, 0

    def __call__(self, seconds: float) -> None:
        """For so long; visits are answered by what was learned from those before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.run.send(visits(self.seed, self.sent, FEW))
            self.sent += FEW
            time.sleep(PACE_S)
