"""Whether the error is above its objective, over all and by segment, with a promise about false alarms.

Keeps `split` (each example is folded in its place), I21 and I23. Refuses to know what is done about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from eddyline.monitors.above import Above, Statistic
from eddyline.monitors.budget import WEEKLY, Budget, Pace
from eddyline.monitors.declared import FEW, Monitor, Seen
from eddyline.records import Alert, Example, Measurement, Task
from eddyline.records.errors import DeclarationError

QUIET = 1_000
"""Examples after an alert in which the same detector rests: the error is known to be high."""
SEGMENTS = 100
OTHER = "other"


class Detector(msgspec.Struct):
    """One detector, with all the losses it was shown."""

    above: Above
    quiet: int = 0
    count: int = 0
    total: float = 0.0
    alarms: int = 0


class ErrorAboveMemory(msgspec.Struct):
    """Over all, and by segment."""

    all: Detector
    segments: dict[str, Detector] = {}


@dataclass(frozen=True, repr=False)
class ErrorAbove(Monitor[ErrorAboveMemory]):
    """Alerts when the mean error is above its objective.

    `objective` is the share of wrong answers for classes. For numbers it is the mean of |truth - answer| in
    their own unit, and `clip` the largest error that counts, in the same unit: say it before you look at data.
    The promise needs no assumption on how errors depend on each other: as long as the expected error, given
    the past, is at most the objective, a false alarm comes on average no oftener than `budget` says. Choose it
    where an objective is known; where none is, `Watch` follows the error by ADWIN anyway.

    It takes truths in the order in which they come to be known. Where silence means good (`Join(absent=False)`), only the bad
    ones have a truth before `wait` passed, so in the first `wait` of a stream, and after a gap in it, the mean is far too high
    and it alerts: there `RollBack(error_above=...)`, which counts in the order of events, is the one to act on.

    `by_segment` watches the first 100 segments too (the rest as `other`), within the same budget: segments
    share the examples among them, so together they cost as much as one. `statistic="cusum"` raises fewer false
    alarms than promised, and finds later. An error of twice the objective is found within about 20 / objective
    examples. Costs 0.1 to 1 µs an example; wrong answers cost most; by segment about 1 µs more.

    >>> ErrorAbove(0.08)
    ErrorAbove(objective=0.08)
    >>> from eddyline.monitors.judging import Judged
    >>> from eddyline.records import Prediction
    >>> monitor = ErrorAbove(0.1)
    >>> memory = monitor.start()
    >>> p = Prediction("p-1", "k", 0, {}, None, True, None, "fraud", 7, 0)
    >>> wrong = [Example(p, False, "label", 60)] * 50
    >>> seen = Seen(wrong, (), Judged(wrong, [1.0] * 50, range(50)))
    >>> [(place, alert.reason) for place, alert in monitor.feed(memory, seen, Pace())]
    [(6, 'the mean error is 1 over the last 7 examples, above its objective of 0.1')]
    """

    objective: float
    clip: float | None = None
    by_segment: bool = False
    statistic: Statistic = "shiryaev-roberts"
    budget: Budget = WEEKLY
    word = "error_above"

    def __post_init__(self) -> None:
        super().__post_init__()
        numbers = [self.objective] if self.clip is None else [self.objective, self.clip]
        if any(isinstance(n, bool) or not isinstance(n, int | float) or not 0 < n < 1e100 for n in numbers):
            raise DeclarationError(
                f"watch: ErrorAbove(objective={self.objective!r}, clip={self.clip!r}), expected numbers above 0"
            )
        if self.objective >= (1.0 if self.clip is None else self.clip):
            what = "the share of wrong answers, below 1" if self.clip is None else "less than the largest error that counts"
            mend = (
                f"ErrorAbove({self.objective!r}, clip={10 * self.objective!r}) for numbers"
                if self.clip is None
                else "a larger clip"
            )
            raise DeclarationError(f"watch: ErrorAbove(objective={self.objective!r}), expected {what}\nwrite {mend}")
        if self.statistic not in ("shiryaev-roberts", "cusum"):
            raise DeclarationError(f'watch: ErrorAbove(statistic={self.statistic!r})\nwrite statistic="cusum", or leave it out')

    def check(self, task: Task) -> None:
        if task is Task.ANOMALY:
            raise DeclarationError("watch: an anomaly score has no error, so ErrorAbove cannot watch it\ntake it out")
        if task is Task.REGRESSION and self.clip is None:
            mend = f"write ErrorAbove({self.objective!r}, clip={10 * self.objective!r})"
            raise DeclarationError(f"watch: ErrorAbove of a number needs the largest error that counts\n{mend}")
        if task is Task.CLASSIFICATION and self.clip is not None:
            raise DeclarationError("watch: ErrorAbove(clip=...) is for numbers, and this model answers classes\ntake clip out")

    def start(self) -> ErrorAboveMemory:
        return ErrorAboveMemory(self._detector())

    def _detector(self) -> Detector:
        return Detector(Above(self.objective / (self.clip or 1.0), self.statistic == "cusum"))

    def feed(self, memory: ErrorAboveMemory, seen: Seen, pace: Pace) -> list[tuple[int, Alert]]:
        judged = seen.judged
        if not judged.examples:
            return []
        losses = judged.errors
        if self.clip is not None:
            clip = self.clip
            losses = [loss / clip if loss < clip else 1.0 for loss in losses]
        # Segments partition the examples: the sum of their evidence grows as one detector's, and that of all doubles it.
        line = self.budget.arl(pace.per_week(labelled=True)) * (2 if self.by_segment else 1)
        part = _Part(seen, losses, line, memory.all.count, memory.all.total)
        found = self._one(memory.all, None, range(len(losses)), part)
        if self.by_segment:
            members: dict[str, list[int]] = {}
            for i, example in enumerate(judged.examples):
                segment = example.prediction.segment
                if segment is not None:
                    members.setdefault(self._known(memory, segment), []).append(i)
            for segment, chosen in members.items():
                found += self._one(memory.segments[segment], segment, chosen, part)
            found.sort(key=lambda item: item[0])
        return found

    def _known(self, memory: ErrorAboveMemory, segment: str) -> str:
        """The segment, or `other` where there is no room for it."""
        segments = memory.segments
        if segment not in segments:
            if sum(name != OTHER for name in segments) >= SEGMENTS:
                segment = OTHER
            segments.setdefault(segment, self._detector())
        return segment

    def _one(self, detector: Detector, segment: str | None, chosen: Sequence[int], part: _Part) -> list[tuple[int, Alert]]:
        """Shows a detector its examples: those of the part with the numbers `chosen`."""
        losses = part.losses if segment is None else [part.losses[i] for i in chosen]
        found, start, many = [], 0, len(losses)
        while start < many:
            rest = min(detector.quiet, many - start)
            detector.quiet -= rest
            detector.count, detector.total = _counted(detector.count, detector.total, losses[start : start + rest])
            start += rest
            left = losses[start:] if start else losses
            place = detector.above.feed(left, part.line) if left else None
            taken = left if place is None else left[: place + 1]
            detector.count, detector.total = _counted(detector.count, detector.total, taken)
            if place is None:
                break
            start += place + 1
            cause, judged = chosen[start - 1], part.seen.judged
            alert = self._alert(detector, segment, judged.examples[cause], part.until(cause))
            found.append((part.seen.place(Example, judged.numbers[cause]), alert))
            detector.above.restart()
            detector.quiet, detector.alarms = QUIET, detector.alarms + 1
        return found

    def _alert(self, detector: Detector, segment: str | None, cause: Example, everyone: tuple[int, float]) -> Alert:
        unit, above = self.clip or 1.0, detector.above
        others, total = detector.count - above.count, detector.total - above.total
        if segment is not None:
            # The condition is the segment: with it against without it.
            others, total = everyone[0] - detector.count, everyone[1] - detector.total
        effect = unit * (above.mean - total / others) if others >= FEW else None
        where = "" if segment is None else f" of segment {segment!r}"
        reason = (
            f"the mean error{where} is {unit * above.mean:.4g} over the last {above.count} examples, "
            f"above its objective of {self.objective:g}"
        )
        at, position = cause.at, cause.prediction.position
        return Alert(self.word, "error", at, position, self.objective, unit * above.mean, reason, segment, effect)

    def measurements(self, memory: ErrorAboveMemory) -> Iterator[Measurement]:
        everyone = [(None, memory.all), *memory.segments.items()]
        for segment, detector in everyone:
            value = self.clip or 1.0
            mean = value * detector.total / detector.count if detector.count else None
            yield Measurement("error against its objective", mean, detector.count, segment=segment)
            yield Measurement("error evidence", detector.above.evidence, detector.count, segment=segment)
            if detector.alarms:
                yield Measurement("error above its objective", float(detector.alarms), detector.count, segment=segment)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a batch with its losses in [0, 1], and what all examples before it came to."""

    seen: Seen
    losses: Sequence[float]
    line: float
    count: int
    total: float

    def until(self, cause: int) -> tuple[int, float]:
        """How many examples there were, and their loss, up to this one of the part."""
        return _counted(self.count, self.total, self.losses[: cause + 1])


def _counted(count: int, total: float, losses: Sequence[float]) -> tuple[int, float]:
    for loss in losses:
        if loss:
            total += loss
    return count + len(losses), total
