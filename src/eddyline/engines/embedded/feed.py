"""The feed: two sources read side by side and merged by event time, a batch at a time.

A label known at the moment an event happens comes before that event, as in River's delayed evaluation. What a source
refuses comes in its place. Where a source has nothing for now, the other goes on alone. Positions are those of the last
record that was handed out, so that reading resumes exactly there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from eddyline.engines.embedded.codec import InputCodec
from eddyline.engines.loop import Record
from eddyline.pipeline import Pipeline
from eddyline.ports import Source
from eddyline.records.errors import Rejected
from eddyline.records.time import BEGINNING
from eddyline.store.blocks import Fault, Input, Kind

_pack = msgspec.msgpack.Encoder().encode
READ = 2_000


class Batch(NamedTuple):
    """Inputs with their records, and how far each source was read with them."""

    inputs: list[Input]
    records: list[Record]
    positions: dict[str, int]


class Side:
    """One source, read ahead."""

    def __init__(self, word: str, source: Source, codec: InputCodec, position: int) -> None:
        self.word = word
        self.source = source
        self.codec = codec
        self.kind = Kind.EVENT if word == "events" else Kind.LABEL
        self.fault = Kind.EVENT_FAULT if word == "events" else Kind.LABEL_FAULT
        self.read_to = position
        self.position = position
        self.ahead: deque[tuple[int, Input, Record]] = deque()

    def fill(self) -> bool:
        """Reads ahead when there is nothing left; whether there is something now."""
        if self.ahead:
            return True
        lines = self.source.read(self.read_to, READ)
        if not lines:
            return False
        decode, kind, ahead = self.codec.decode, int(self.kind), self.ahead
        read = self.codec.event if self.kind is Kind.EVENT else self.codec.label
        for line in lines:
            if line.fault is None:
                given = Input(kind, line.raw, line.position)
                try:
                    arrival = read(line.raw)
                    ahead.append((arrival.at, given, arrival))
                    continue
                except Rejected:
                    record = decode(given)
            else:
                raw = _pack(Fault(line.fault, line.raw, line.size, line.sha256))
                given = Input(int(self.fault), raw, line.position)
                record = decode(given)
            ahead.append((BEGINNING, given, record))
        self.read_to = lines[-1].position
        return True


class Feed:
    """The events and labels of a pipeline as batches, from the positions that a store committed."""

    def __init__(
        self,
        pipeline: Pipeline,
        codec: InputCodec,
        base: Path,
        positions: dict[str, int],
        *,
        growing: bool = False,
    ) -> None:
        self.events = Side(
            "events", pipeline.events.open(base, follow=growing), codec, positions.get("events", 0)
        )
        self.labels = Side(
            "labels", pipeline.labels.open(base, follow=growing), codec, positions.get("labels", 0)
        )

    def next(self, size: int) -> Batch | None:
        """Up to `size` inputs in event time, or None when neither source has anything for now."""
        inputs: list[Input] = []
        records: list[Record] = []
        events, labels = self.events, self.labels
        while (room := size - len(inputs)) > 0:
            have_events, have_labels = events.fill(), labels.fill()
            if have_events and have_labels:
                _merge(events.ahead, labels.ahead, inputs, records, room)
            elif have_events or have_labels:
                _take(events if have_events else labels, inputs, records, room)
            else:
                break
        if not inputs:
            return None
        events.position = _last(inputs, events)
        labels.position = _last(inputs, labels)
        return Batch(inputs, records, {"events": events.position, "labels": labels.position})

    def progress(self) -> tuple[int, int] | None:
        """How much of how much was handed out, in the sources' own units; None where an end is not known."""
        sizes = [side.source.size() for side in (self.events, self.labels)]
        if any(size is None for size in sizes):
            return None
        return self.events.position + self.labels.position, sum(size for size in sizes if size is not None)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches until both sources have nothing more."""
        while (batch := self.next(size)) is not None:
            yield batch


Ahead = deque[tuple[int, Input, Record]]


def _merge(events: Ahead, labels: Ahead, inputs: list[Input], records: list[Record], room: int) -> None:
    """Takes up to `room` from both in event time, until one of them has nothing left; labels first where equal."""
    next_event, next_label = events.popleft, labels.popleft
    event, label = events[0][0], labels[0][0]
    for _ in range(room):
        if label <= event:
            _, given, record = next_label()
            inputs.append(given)
            records.append(record)
            if not labels:
                return
            label = labels[0][0]
        else:
            _, given, record = next_event()
            inputs.append(given)
            records.append(record)
            if not events:
                return
            event = events[0][0]


def _take(side: Side, inputs: list[Input], records: list[Record], room: int) -> None:
    """Takes up to `room` from one side, while the other has nothing for now."""
    for _ in range(min(room, len(side.ahead))):
        _, given, record = side.ahead.popleft()
        inputs.append(given)
        records.append(record)


def _last(inputs: list[Input], side: Side) -> int:
    """The position of the last of these inputs that came from this side."""
    for given in reversed(inputs):
        if given.kind == side.kind or given.kind == side.fault:
            return given.position
    return side.position
