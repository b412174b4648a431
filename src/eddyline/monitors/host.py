"""Keeps the declared monitors at work: cuts batches at ticks, gathers their columns once, saves their memories.

A tick is every so many records, so it falls on the same record however the input was cut. Keeps `split`,
`stop` and I21. Refuses to know what any one monitor looks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any
from zlib import crc32

import msgspec

from eddyline.monitors.budget import Pace
from eddyline.monitors.declared import ANSWER, CONFIDENCE, OWN, SCORE, TIE, Monitor, Seen, Since, Tick
from eddyline.monitors.pausing import Pausing
from eddyline.records import Alert, Features, Measurement, Prediction, Scores, Value
from eddyline.records.errors import StoreMismatch

OTHER = "other"


class Shared(msgspec.Struct):
    """What the monitors of one watch have in common."""

    since: Since
    pace: Pace
    segments: list[str]
    """those watched by name, in the order they came"""
    pausing: Pausing = msgspec.field(default_factory=Pausing)
    waiting: list[int] = []
    """monitors that came in the middle of a tick, by their place: they begin with the next one"""


@dataclass(slots=True)
class HostState:
    """The memories of the monitors, and what they share."""

    shared: Shared
    memories: list[Any]
    unread: list[Seen] = field(default_factory=list)
    """what no column was made of yet; none between two batches"""


@dataclass(frozen=True, slots=True)
class Host:
    """The monitors of one pipeline, with the columns that any of them reads."""

    monitors: tuple[Monitor[Any], ...]
    tick: int
    max_segments: int
    columns: tuple[str, ...]
    features: tuple[str, ...]
    """those of the columns that are features, by name"""
    segmented: bool

    @classmethod
    def of(cls, monitors: Sequence[Monitor[Any]], tick: int, max_segments: int) -> Host:
        """A host for monitors that have been checked."""
        columns = dict.fromkeys(name for monitor in monitors for name in monitor.columns())
        segmented = any(monitor.segmented() for monitor in monitors)
        features = tuple(name for name in columns if name not in OWN)
        return cls(tuple(monitors), tick, max_segments, tuple(columns), features, segmented)

    def new_state(self) -> HostState:
        """Before the first record."""
        shared = Shared(self._since(), Pace(), [])
        return HostState(shared, [monitor.start() for monitor in self.monitors])

    def _since(self) -> Since:
        return Since(
            columns={name: [] for name in self.columns},
            labelled={name: [] for name in self.columns if name != TIE},
        )

    def room(self, state: HostState) -> int:
        """How many records fit until the next tick."""
        return self.tick - state.shared.since.records

    def feed(self, state: HostState, seen: Seen) -> list[tuple[int, Alert]]:
        """Shows the monitors a part that does not go beyond the next tick; alerts with their places."""
        since, pace = state.shared.since, state.shared.pace
        assert since.records + len(seen.batch) <= self.tick, "a part of a batch goes beyond a tick"
        since.records += len(seen.batch)
        state.unread.append(seen)
        found: list[tuple[int, Alert]] = []
        at_work = self._at_work(state)
        for monitor, memory in at_work:
            if monitor.fed:
                found += [(place, monitor.signed(alert)) for place, alert in monitor.feed(memory, seen, pace)]
        if since.records == self.tick:
            self.settle(state)
            pace.add(since.ats, len(since.losses))
            since.segments = self._named(state.shared, since.segments)
            since.labelled_segments = self._named(state.shared, since.labelled_segments)
            tick = Tick(since, pace, paused=state.shared.pausing.settle())
            alerts = [monitor.signed(alert) for monitor, memory in at_work for alert in monitor.look(memory, tick)]
            found += [(len(seen.batch) - 1, alert) for alert in sorted(alerts, key=_by_effect)]
            state.shared.since, state.shared.waiting = self._since(), []
            state.shared.since.at, state.shared.since.position = since.at, since.position
        return found

    def _at_work(self, state: HostState) -> list[tuple[Monitor[Any], Any]]:
        """The monitors that have seen this tick from its beginning, each with its memory."""
        pairs = list(zip(self.monitors, state.memories, strict=True))
        waiting = state.shared.waiting
        return [pair for place, pair in enumerate(pairs) if place not in waiting] if waiting else pairs

    def settle(self, state: HostState) -> None:
        """Makes columns of what was fed."""
        if state.unread:
            predictions = [prediction for seen in state.unread for prediction in seen.predictions]
            answered = [example.prediction for seen in state.unread for example in seen.judged.examples]
            errors = [error for seen in state.unread for error in seen.judged.errors]
            state.unread.clear()
            self._gather(state.shared, predictions, answered, errors)

    def _gather(self, shared: Shared, predictions: list[Prediction], answered: list[Prediction], errors: list[float]) -> None:
        since = shared.since
        if predictions:
            first = len(since.ats)
            ats = [prediction.at for prediction in predictions]
            since.ats += ats
            since.position = predictions[-1].position
            since.at = max(since.at, *ats)
            features = [prediction.features for prediction in predictions]
            without = _into(since.columns, predictions, features)
            shared.pausing.answered(self.features, predictions, features, first, without)
            if self.segmented:
                since.segments += [prediction.segment for prediction in predictions]
        if answered:
            first = len(since.losses)
            since.losses += errors
            features = [prediction.features for prediction in answered]
            without = _into(since.labelled, answered, features)
            shared.pausing.labelled(without, answered, features, first)
            if self.segmented:
                since.labelled_segments += [prediction.segment for prediction in answered]

    def _named(self, shared: Shared, segments: list[str | None]) -> list[str | None]:
        """Segments beyond those that there is room for, as `other`."""
        for segment in dict.fromkeys(segments):
            if segment is not None and segment not in shared.segments and len(shared.segments) < self.max_segments:
                shared.segments.append(segment)
        known = frozenset(shared.segments)
        return [segment if segment is None or segment in known else OTHER for segment in segments]

    def measurements(self, state: HostState) -> Iterator[Measurement]:
        """The numbers of every monitor. What an earlier one called the same carries the monitor's place in the declaration."""
        told: set[tuple[str, str | None]] = set()
        for place, (monitor, memory) in enumerate(zip(self.monitors, state.memories, strict=True), 1):
            numbers = list(monitor.measurements(memory))
            again = any((one.metric, one.segment) in told for one in numbers)
            numbers = [msgspec.structs.replace(one, metric=f"{one.metric} ({place})") if again else one for one in numbers]
            told.update((one.metric, one.segment) for one in numbers)
            yield from numbers
        yield from state.shared.pausing.measurements()

    def plain(self, state: HostState) -> tuple[bytes, list[bytes]]:
        """Everything as bytes."""
        memories = [monitor.save(memory) for monitor, memory in zip(self.monitors, state.memories, strict=True)]
        return msgspec.msgpack.encode(state.shared), memories

    def restore(self, plain: tuple[bytes, list[bytes]] | None) -> HostState:
        """The state that `plain` described."""
        if plain is None or len(plain[1]) != len(self.monitors):
            raise StoreMismatch(
                "watch: the saved state holds other monitors than the pipeline declares\n"
                "declare them again, or rebuild the measurements from the journal"
            )
        shared, memories = plain
        restored = [monitor.restore(memory) for monitor, memory in zip(self.monitors, memories, strict=True)]
        return HostState(msgspec.msgpack.decode(shared, type=Shared), restored)


def _into(columns: dict[str, list[Value]], predictions: Sequence[Prediction], features: Sequence[Features]) -> list[str]:
    """Adds answers to columns; gives the features that some of them do not have."""
    without = []
    for name, kept in columns.items():
        if name in OWN:
            kept += column(name, predictions)
            continue
        try:
            kept += list(map(itemgetter(name), features))
        except KeyError:
            kept += [one.get(name) for one in features]
            without.append(name)
    return without


def column(name: str, predictions: Sequence[Prediction]) -> list[Value]:
    """One column of answers that is no feature. Every answer passes here twice: what nearly all have is tried first."""
    if name == ANSWER:
        return [prediction.value for prediction in predictions]
    if name == TIE:
        return list(map(crc32, map(str.encode, [prediction.event_id for prediction in predictions])))
    several = [prediction.scores for prediction in predictions]
    try:
        if name == SCORE:
            return [scores[True] for scores in several]  # type: ignore[index]
        assert name == CONFIDENCE, f"{name} is no column"
        return [scores[prediction.value] for prediction, scores in zip(predictions, several, strict=True)]  # type: ignore[index]
    except (KeyError, TypeError):  # another class, or no scores
        pass
    if name == SCORE:
        return [_score(prediction.value, scores) for prediction, scores in zip(predictions, several, strict=True)]
    return [scores.get(one.value) if scores else None for one, scores in zip(predictions, several, strict=True)]


def _score(value: Value, scores: Scores | None) -> Value:
    if not scores:
        return value
    return scores[True] if True in scores else max(scores.values())


def _by_effect(alert: Alert) -> float:
    """Worst first; those whose effect is not known last."""
    return -alert.effect if alert.effect is not None else float("inf")
