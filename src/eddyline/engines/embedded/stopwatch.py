"""The stopwatch: how long answers take, told to whoever decides as one more record in the journal.

Stages have no clock, so a policy that limits latency needs an engine to measure it. Now and then each voice is asked about
the last event once more, which changes nothing, and timed; what is above a limit is journaled, and so is its end. Decisions
stay a function of the journal. A version that never returns is not survived by this; `watchdog.py` says which it is.
"""

from __future__ import annotations

import time

from eddyline.engines.loop import Loop, Outcome
from eddyline.engines.timing import EVERY_SECONDS, limit_of, measured
from eddyline.stages.commands import Command


class Stopwatch:
    """Measures the voices of one loop, where a policy declares `latency_ms`."""

    def __init__(self, loop: Loop) -> None:
        self.limit_ms = limit_of(loop.plan.decide.policies)
        self.loop = loop
        self.next_at = 0.0
        self.slow = {who for who, ms in loop.states.decide.latency_ms.items() if self.limit_ms and ms > self.limit_ms}

    def observed(self, outcome: Outcome) -> list[Command]:
        """What has to be told after a commit: who became too slow, and who no longer is."""
        now = time.monotonic()
        if self.limit_ms is None or now < self.next_at or not outcome.predictions:
            return []
        loop, told = self.loop, []
        champion = loop.states.rollout.champion or loop.name
        taken = measured(champion, loop.voice, outcome.predictions[-1], loop.makers)
        self.slow &= taken.keys()
        for who, ms in taken.items():
            if (ms > self.limit_ms) != (who in self.slow):
                self.slow ^= {who}
                told.append(Command(do="observe", to=who, value=ms, author="stopwatch"))
        self.next_at = time.monotonic() + EVERY_SECONDS
        return told
