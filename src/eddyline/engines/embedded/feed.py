"""The feed: two sources read side by side and merged by event time, a batch at a time.

The earlier of the two next records goes first; a label known at the moment an event happens comes before that event, as
in River's delayed evaluation. Each source keeps its own order. Where a source has nothing for now, the other goes on
alone. The order depends on nothing but the two positions, so that stopping and resuming changes nothing. What a source
refuses comes in its place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
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
READ = 4_000

Entry = tuple[int, Input, Record]
_at = itemgetter(0)
_given = itemgetter(1)
_record = itemgetter(2)


class Batch(NamedTuple):
    """Inputs with their records, and how far each source was read with them."""

    inputs: list[Input]
    records: list[Record]
    positions: dict[str, int]


class Side:
    """One source, read ahead. `dry` when it had nothing more the last time it was asked."""

    def __init__(self, source: Source, codec: InputCodec, kind: Kind, fault: Kind, position: int) -> None:
        self.source = source
        self.codec = codec
        self.kind = int(kind)
        self.fault = int(fault)
        self.read_to = position
        self.position = position
        self.ahead: list[Entry] = []
        self.dry = False

    def fill(self) -> None:
        """Reads ahead until there is enough, or nothing more for now."""
        self.dry = False
        while len(self.ahead) < READ and not self.dry:
            lines = self.source.read(self.read_to, READ)
            if not lines:
                self.dry = True
                return
            read, kind, ahead = self.codec.reader(self.kind), self.kind, self.ahead
            for line in lines:
                if line.fault is None:
                    given = Input(kind, line.raw, line.position)
                    try:
                        arrival = read(line.raw)
                        ahead.append((arrival.at, given, arrival))
                        continue
                    except Rejected as rejected:
                        record: Record = self.codec.refused(given, rejected)
                else:
                    raw = _pack(Fault(line.fault, line.raw, line.size, line.sha256))
                    given = Input(self.fault, raw, line.position)
                    record = self.codec.decode(given)
                ahead.append((BEGINNING, given, record))
            self.read_to = lines[-1].position

    def take(self, count: int) -> list[Entry]:
        """The first entries, which are no longer ahead."""
        taken, self.ahead = self.ahead[:count], self.ahead[count:]
        return taken


class Feed:
    """The events and labels of a pipeline as batches, from the positions that a store committed.

    `growing` files are followed: a last line without its newline is awaited instead of read.
    """

    def __init__(
        self, pipeline: Pipeline, codec: InputCodec, base: Path, positions: dict[str, int], *, growing: bool = False
    ) -> None:
        events = pipeline.events.open(base, follow=growing)
        labels = pipeline.labels.open(base, follow=growing)
        self.events = Side(events, codec, Kind.EVENT, Kind.EVENT_FAULT, positions.get("events", 0))
        self.labels = Side(labels, codec, Kind.LABEL, Kind.LABEL_FAULT, positions.get("labels", 0))
        self.ready: list[Entry] = []

    def next(self, size: int) -> Batch | None:
        """Up to `size` inputs in event time, or None when neither source has anything for now."""
        while len(self.ready) < size:
            merged = self._merge()
            if not merged:
                break
            self.ready += merged
        taken, self.ready = self.ready[:size], self.ready[size:]
        if not taken:
            return None
        inputs = list(map(_given, taken))
        for side in (self.events, self.labels):
            side.position = next((i.position for i in reversed(inputs) if i.kind in (side.kind, side.fault)), side.position)
        positions = {"events": self.events.position, "labels": self.labels.position}
        return Batch(inputs, list(map(_record, taken)), positions)

    def _merge(self) -> list[Entry]:
        """The next entries whose order is certain: none that is still unread could come before them."""
        events, labels = self.events, self.labels
        events.fill()
        labels.fill()
        if not (_ascending(events.ahead) and _ascending(labels.ahead)):
            return _merge_heads(events, labels)
        certain_events = len(events.ahead) if labels.dry else bisect_left(events.ahead, labels.ahead[-1][0], key=_at)
        certain_labels = len(labels.ahead) if events.dry else bisect_right(labels.ahead, events.ahead[-1][0], key=_at)
        return sorted(labels.take(certain_labels) + events.take(certain_events), key=_at)

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


def _ascending(entries: list[Entry]) -> bool:
    times = list(map(_at, entries))
    return times == sorted(times)


def _merge_heads(events: Side, labels: Side) -> list[Entry]:
    """The same order for sources that are not in time order themselves: head against head, until one is used up."""
    merged: list[Entry] = []
    e = l = 0  # noqa: E741 - beside e for events
    while True:
        if e < len(events.ahead) and l < len(labels.ahead):
            first_label = labels.ahead[l][0] <= events.ahead[e][0]
        elif e < len(events.ahead) and labels.dry:
            first_label = False
        elif l < len(labels.ahead) and events.dry:
            first_label = True
        else:
            break
        if first_label:
            merged.append(labels.ahead[l])
            l += 1  # noqa: E741
        else:
            merged.append(events.ahead[e])
            e += 1
    events.take(e)
    labels.take(l)
    return merged
