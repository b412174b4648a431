"""Whether the stream stood still: gaps in event time between one event and the next.

Keeps `split`, I21 and I23: it reads event time and no clock, so a gap shows when the next event ends it. A stream that
has stopped altogether is the engine's to report. Refuses to know why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from operator import sub

import msgspec

from eddyline.monitors.budget import Pace
from eddyline.monitors.declared import Monitor, Seen, whole
from eddyline.records import Alert, Measurement, Prediction
from eddyline.records.errors import DeclarationError
from eddyline.records.time import show_duration, to_us

TIMES = 5
"""A learned limit is so many times the longest gap of the reference."""


class SilenceMemory(msgspec.Struct):
    """The latest event time, and the longest gaps, in microseconds."""

    last: int | None = None
    count: int = 0
    usual: int = 0
    """the longest gap in the reference"""
    longest: int = 0
    alarms: int = 0


@dataclass(frozen=True, repr=False)
class Silence(Monitor[SilenceMemory]):
    """Alerts when no event came for `longer_than`, in event time.

    Without it the limit is learned: five times the longest gap among the first `reference` events. An event that
    comes out of order ends no gap. The alert's numbers are seconds. It has no budget: a gap is a fact. Costs
    about 0.1 µs an answer.

    >>> from eddyline.monitors.judging import NOTHING
    >>> from eddyline.records.time import hours
    >>> monitor = Silence(hours(1))
    >>> memory = monitor.start()
    >>> events = [Prediction(f"p-{i}", "k", at, {}, None, True, None, "m", i, 0) for i, at in enumerate([0, 10**6, 9 * 10**9])]
    >>> [(place, a.reason) for place, a in monitor.feed(memory, Seen(events, events, NOTHING), Pace())]
    [(2, 'no event for 8999 seconds of event time, longer than 1 hour')]
    """

    longer_than: timedelta | None = None
    reference: int = 1_000
    word = "silence"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("Silence", "reference", self.reference, 10, 1_000_000)
        if self.longer_than is not None and (not isinstance(self.longer_than, timedelta) or self.longer_than <= timedelta(0)):
            raise DeclarationError(
                f"watch: Silence({self.longer_than!r}) is not a duration\nwrite Silence(longer_than=hours(1))"
            )

    def start(self) -> SilenceMemory:
        return SilenceMemory()

    def feed(self, memory: SilenceMemory, seen: Seen, pace: Pace) -> list[tuple[int, Alert]]:
        if not seen.predictions:
            return []
        ats = [prediction.at for prediction in seen.predictions]
        learned = self.longer_than is not None or memory.count >= self.reference
        if learned and memory.last is not None:
            gaps = list(map(sub, ats, [memory.last, *ats]))
            if min(gaps) >= 0 and max(gaps) <= min(memory.longest, self._limit(memory)):
                memory.last, memory.count = ats[-1], memory.count + len(ats)
                return []
        return list(self._each(memory, seen, ats))

    def _limit(self, memory: SilenceMemory) -> int:
        return to_us(self.longer_than) if self.longer_than is not None else max(1, TIMES * memory.usual)

    def _each(self, memory: SilenceMemory, seen: Seen, ats: list[int]) -> Iterator[tuple[int, Alert]]:
        for index, at in enumerate(ats):
            memory.count += 1
            if memory.last is None:
                memory.last = at
                continue
            gap = at - memory.last
            if gap <= 0:
                continue
            memory.last, memory.longest = at, max(memory.longest, gap)
            if self.longer_than is None and memory.count <= self.reference:
                memory.usual = max(memory.usual, gap)
                continue
            limit = self._limit(memory)
            if gap > limit:
                memory.alarms += 1
                position = seen.predictions[index].position
                reason = f"no event for {show_duration(gap)} of event time, longer than {show_duration(limit)}"
                alert = Alert(self.word, "events", at, position, limit / 1e6, gap / 1e6, reason)
                yield seen.place(Prediction, index), alert

    def measurements(self, memory: SilenceMemory) -> Iterator[Measurement]:
        yield Measurement("longest_silence_s", memory.longest / 1e6 if memory.count > 1 else None, memory.count)
        if memory.alarms:
            yield Measurement("silences", float(memory.alarms), memory.count)
