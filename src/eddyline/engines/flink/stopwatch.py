"""The stopwatch on Flink: how long answers take where they are given, told to the instance that decides.

Serve measures as the embedded engine does, and writes what changed behind the place of an answer, `17.3;shop.deep=12.5`: the
answer goes through join to whoever decides, in a record that there is anyway. There it becomes a command among the inputs
taken, whole and in its place (`taken.py`), so the audit plays it and measures nothing. Each instance measures for itself, and
what was said last counts. Wall time enters no stage.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from eddyline.engines.timing import EVERY_SECONDS, limit_of, measured
from eddyline.policies import Policy
from eddyline.records import Prediction
from eddyline.stages.commands import Command
from eddyline.stages.features import Maker
from eddyline.stages.voices import Voice


class Stopwatch:
    """Measures the voices of one instance of serve, where a policy declares `latency_ms`."""

    def __init__(self, policies: Iterable[Policy], makers: Mapping[str, Maker | None]) -> None:
        self.limit_ms = limit_of(policies)
        self.makers = makers
        self.next_at = 0.0
        self.said: dict[str, bool] = {}
        """by voice, whether it was said to be too slow; after a start everybody is spoken of once"""

    def due(self) -> bool:
        """Whether it is time to measure again."""
        return self.limit_ms is not None and time.monotonic() >= self.next_at

    def observed(self, champion: str, voice: Voice, last: Prediction) -> str:
        """What to write behind the place of an answer: who became too slow, and who no longer is; mostly nothing."""
        assert self.limit_ms is not None, "nobody limits how long an answer takes"
        taken = measured(champion, voice, last, self.makers)
        now = {who: ms > self.limit_ms for who, ms in taken.items()}
        told = [f"{who}={taken[who]:.3f}" for who, slow in now.items() if self.said.get(who) is not slow]
        self.said = now
        self.next_at = time.monotonic() + EVERY_SECONDS
        return "".join(f";{one}" for one in told)


def split_place(header: str) -> tuple[str, list[Command]]:
    """The place in a header, and what was measured, as commands.

    >>> place, commands = split_place("17.3;shop.deep=12.5")
    >>> place, [(one.do, one.to, one.value) for one in commands]
    ('17.3', [('observe', 'shop.deep', 12.5)])
    >>> split_place("17.3")
    ('17.3', [])
    """
    place, *said = header.split(";")
    pairs = (one.rpartition("=") for one in said)
    return place, [Command(do="observe", to=who, value=float(ms), author="stopwatch") for who, _, ms in pairs]
