"""What the monitors of missing, unseen and outlying values share: a share of bad values that must not grow.

Keeps `split` (it looks at ticks), I21 and I23. Refuses to know which values are bad.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import msgspec

from eddyline.monitors.above import Above, e_bh
from eddyline.monitors.budget import Budget
from eddyline.monitors.declared import Losses, Monitor, Slice, Tick, measured
from eddyline.records import Alert, Measurement, Value

LEAST = 0.01
"""The smallest share of bad values that is worth an alert, unless the declaration says another."""

NEARLY_ALL = 0.999
"""What is bad in so large a share of a reference cannot become worse: a field that nobody fills, an id as a category."""


class ShareStream(msgspec.Struct):
    """What is known of the values of one stream, and the evidence that bad ones became more."""

    reference: list[Value] = []
    known: list[Value] = []
    """what the kind of monitor keeps of its reference: the texts, or the least and the largest"""
    above: Above | None = None
    losses: Losses = msgspec.field(default_factory=Losses)
    bad: int = 0
    count: int = 0


class ShareMemory(msgspec.Struct):
    """By name and segment."""

    streams: dict[tuple[str, str | None], ShareStream] = {}
    line: float = 0.0


class Shares(Monitor[ShareMemory]):
    """A monitor of the share of bad values by feature and segment. Its kinds say what is bad.

    The evidence is `Above`'s, an e-detector for "the share is above the objective", by e-BH over all names
    and segments at each tick. The objective is the declared one, or what the reference allows with confidence
    99.9 %, and at least `at_least`. Where (nearly) all of the reference was bad, it says nothing and raises nothing.
    After an alert the reference is learned anew.
    """

    of: Any
    reference: int
    by_segment: bool
    budget: Budget
    word = "bad"
    """the kind's name in alerts and metrics"""

    def columns(self) -> tuple[str, ...]:
        return tuple(self.of)

    def segmented(self) -> bool:
        return self.by_segment

    def start(self) -> ShareMemory:
        return ShareMemory()

    @abstractmethod
    def learned(self, name: str, reference: Sequence[Value]) -> tuple[list[Value], float]:
        """What is to be known of a feature from its reference, and the objective."""

    def declared(self, name: str) -> tuple[list[Value], float] | None:
        """The same where the user said it; then there is no reference."""
        return None

    @abstractmethod
    def bad(self, known: list[Value], values: Sequence[Value]) -> list[bool]:
        """Which values are bad."""

    @abstractmethod
    def reason(self, one: Slice, stream: ShareStream, known: list[Value]) -> str:
        """An alert's sentence."""

    def look(self, memory: ShareMemory, tick: Tick) -> list[Alert]:
        recent = {}
        for one in tick.slices(self.of, self.by_segment):
            stream = memory.streams.setdefault((one.name, one.segment), ShareStream())
            self._take(stream, one)
            recent[one.name, one.segment] = one
        arl = self.budget.arl(tick.pace.per_week(labelled=False))
        memory.line = arl * len(self.of) * (2 if self.by_segment else 1)
        evidence = {key: stream.above.evidence for key, stream in memory.streams.items() if stream.above is not None}
        alerts = []
        for key in e_bh(evidence, memory.line):
            if key in recent:
                stream = memory.streams[key]
                assert stream.above is not None, "evidence without a detector"
                before, after = stream.above.objective, stream.above.mean
                reason = self.reason(recent[key], stream, stream.known)
                alerts.append(tick.alert(self.word, recent[key], before, after, reason, stream.losses.effect()))
                memory.streams[key] = ShareStream(bad=stream.bad, count=stream.count)
        return alerts

    def _take(self, stream: ShareStream, one: Slice) -> None:
        values = one.values
        if stream.above is None:
            said = self.declared(one.name)
            if said is None:
                room = self.reference - len(stream.reference)
                stream.reference += values[:room]
                values = values[room:]
                if len(stream.reference) < self.reference:
                    return
                said, stream.reference = self.learned(one.name, stream.reference), []
            stream.known, stream.above = said[0], Above(said[1])
        bad = self.bad(stream.known, values)
        stream.count += len(bad)
        if any(bad):
            stream.bad += sum(bad)
        if stream.above.objective < 1.0:
            stream.above.feed(bad, float("inf"))
            stream.above.settle()
        if one.labelled:
            stream.losses.add(self.bad(stream.known, one.labelled), one.losses)

    def measurements(self, memory: ShareMemory) -> Iterator[Measurement]:
        for (name, segment), stream in memory.streams.items():
            share = stream.bad / stream.count if stream.count else None
            yield Measurement(f"{self.word} share of {measured(name)}", share, stream.count, segment=segment)


def at_most(hits: int, of: int) -> float:
    """The largest share that would show at most so many hits among so many with a chance of 0.1 %.

    The upper end of the interval of Clopper and Pearson (Biometrika 26, 1934).

    >>> round(at_most(0, 1000), 4), round(at_most(20, 1000), 4)
    (0.0069, 0.0377)
    """
    special: Any = import_module("scipy.special")  # untyped; River brings it
    return float(special.betaincinv(hits + 1, of - hits, 0.999)) if hits < of else 1.0


def objective(bound: float, at_least: float) -> float:
    """The share that may be bad. 1 where a reference was bad throughout: then no share is too large, and nothing is watched.

    >>> objective(0.004, 0.01), objective(0.9, 0.01), objective(at_most(999, 1000), 0.01)
    (0.01, 0.9, 1.0)
    """
    return max(bound, at_least) if bound < NEARLY_ALL else 1.0
