"""The stopwatch: how long answers take, told to whoever decides as one more record in the journal.

Stages have no clock, so a policy that limits latency needs an engine to measure it. Now and then each voice is asked about
the last event once more, which changes nothing, and timed; what is above a limit is journaled, and so is its end. Decisions
stay a function of the journal. A version that never returns is not survived by this: only a process of its own would be.
"""

from __future__ import annotations

import time

from eddyline.engines.loop import Loop, Outcome
from eddyline.policies import RollBack
from eddyline.ports import Model
from eddyline.records import Features, Prediction
from eddyline.stages.commands import Command
from eddyline.stages.lines import seen_by
from eddyline.stages.voices import Seat, Voice

EVERY_SECONDS = 0.5
TRIES = 3


class Stopwatch:
    """Measures the voices of one loop, where a policy declares `latency_ms`."""

    def __init__(self, loop: Loop) -> None:
        limits = [policy.latency_ms for policy in loop.plan.decide.policies if isinstance(policy, RollBack)]
        known = [limit for limit in limits if limit is not None]
        self.limit_ms = min(known, default=None)
        self.loop = loop
        self.next_at = 0.0
        self.slow = {who for who, ms in loop.states.decide.latency_ms.items() if self.limit_ms and ms > self.limit_ms}

    def observed(self, outcome: Outcome) -> list[Command]:
        """What has to be told after a commit: who became too slow, and who no longer is."""
        now = time.monotonic()
        if self.limit_ms is None or now < self.next_at or not outcome.predictions:
            return []
        told = []
        measured = self._measured(outcome.predictions[-1])
        self.slow &= measured.keys()
        for who, ms in measured.items():
            if (ms > self.limit_ms) != (who in self.slow):
                self.slow ^= {who}
                told.append(Command(do="observe", to=who, value=ms, author="stopwatch"))
        self.next_at = time.monotonic() + EVERY_SECONDS
        return told

    def _measured(self, last: Prediction) -> dict[str, float]:
        """The time of each voice's answer in ms: the best of three, so that a busy machine is not blamed on a model."""
        loop, rollout = self.loop, self.loop.states.rollout
        voices: list[tuple[str, Voice | Seat]] = [
            (rollout.champion or loop.name, loop.voice),
            *((seat.who, seat) for seat in loop.voice.seats),
        ]
        taken = {}
        for who, voice in voices:
            features = seen_by(last, voice.name, loop.makers)
            if features is not None:
                taken[who] = min(_timed(voice.model, features) for _ in range(TRIES))
        return taken


def _timed(model: Model, features: Features) -> float:
    started = time.perf_counter()
    try:
        model.predict(features)
    except Exception:
        return 0.0  # it is counted where it was asked
    return 1000 * (time.perf_counter() - started)
