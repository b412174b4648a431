"""The feed: two sources read side by side and merged by event time, a batch at a time.

The earlier of the next records goes first; a label known at the moment an event happens comes before that event, as in
River's delayed evaluation. Each source keeps its own order; where it has several parts, as a topic has partitions, each
part keeps its own. Where one has nothing for now, the others go on without it. For files, the order depends on nothing but
the positions, so that stopping and resuming changes nothing; for what arrives live it is the order of the journal. What a
source refuses comes in its place.

A record dated far ahead of those behind it holds nobody back: it goes with the earliest of the next `WITHIN` records of its
source, where it is ahead of that by more than `join.wait` (a label: the truths behind it would all be late because of it) or
by more than `ahead` (an event: serve will refuse it).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from operator import itemgetter, sub
from pathlib import Path
from typing import NamedTuple

import msgspec

from eddyline.engines.embedded.codec import InputCodec
from eddyline.engines.loop import Record
from eddyline.pipeline import Pipeline
from eddyline.ports import Marked, Parted, PartedReader, Source, SourceConfig
from eddyline.records.errors import Rejected
from eddyline.records.time import BEGINNING, END, to_us
from eddyline.store.blocks import Fault, Input, Kind

_pack = msgspec.msgpack.Encoder().encode
READ = 2_000
WITHIN = 1_000
"""How many records behind a record are looked at before it is handed out. A constant, so that the order is always the same."""

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
    """One source, or one part of one, read ahead. `dry` when it had nothing more the last time it was asked."""

    def __init__(
        self, source: Source, codec: InputCodec, kind: Kind, fault: Kind, position: int, slack_us: int, part: int = -1
    ) -> None:
        self.source = source
        self.slack_us = slack_us
        self.codec = codec
        self.kind = int(kind)
        self.fault = int(fault)
        self.part = part
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
            read, kind, part, ahead = self.codec.reader(self.kind), self.kind, self.part, self.ahead
            for line in lines:
                if line.fault is None:
                    given = Input(kind, line.raw, line.position, part, line.trace)
                    try:
                        arrival = read(line.raw)
                        ahead.append((arrival.at, given, arrival))
                        continue
                    except Rejected as rejected:
                        record: Record = self.codec.refused(given, rejected)
                else:
                    raw = _pack(Fault(line.fault, line.raw, line.size, line.sha256, line.detail))
                    given = Input(self.fault, raw, line.position, part, line.trace)
                    record = self.codec.decode(given)
                ahead.append((BEGINNING, given, record))
            self.read_to = lines[-1].position

    @property
    def known(self) -> int:
        """How many entries can be placed: those behind which enough was read, or all where there is no more."""
        return len(self.ahead) if self.dry else max(0, len(self.ahead) - WITHIN)

    def keys(self) -> list[int]:
        """The times by which the entries that can be placed are merged: their own, but of those far ahead the next one's."""
        times = list(map(_at, self.ahead))
        keys = times[: self.known]
        if not keys:
            return keys
        if BEGINNING in times:  # what was refused has no time
            times = [END if at == BEGINNING else at for at in times]
        behind = list(accumulate(reversed(times), min))[::-1]
        if max(map(sub, keys, behind)) > self.slack_us:
            for number, at in enumerate(keys):
                if at - behind[number] > self.slack_us:
                    earliest = min(times[number : number + WITHIN + 1])
                    keys[number] = at if at - earliest <= self.slack_us else earliest
        return keys

    def take(self, count: int) -> list[Entry]:
        """The first entries, which are no longer ahead."""
        taken, self.ahead = self.ahead[:count], self.ahead[count:]
        return taken


class Group:
    """All parts of one of the two streams: one side for a file, one a partition for a topic.

    Positions are kept by name: `events` for a file, `events/0`, `events/1`, ... for partitions, and beside these what they
    belong to, so that a topic that was deleted and made again is noticed: for a file `events#`, the mark of what was read.
    """

    def __init__(
        self,
        word: str,
        config: SourceConfig,
        codec: InputCodec,
        base: Path,
        positions: dict[str, int],
        slack_us: int,
        *,
        growing: bool,
    ) -> None:
        kind, fault = (Kind.EVENT, Kind.EVENT_FAULT) if word == "events" else (Kind.LABEL, Kind.LABEL_FAULT)
        self.reader: PartedReader | None = None
        self.noted: dict[str, int] = {}
        self.marked = -1
        """the position whose mark is noted"""
        if not isinstance(config, Parted):
            self.names = [word]
            source, position = config.open(base, follow=growing), positions.get(word, 0)
            if isinstance(source, Marked) and f"{word}#" in positions:
                source.require(position, positions[f"{word}#"])
            self.sides = [Side(source, codec, kind, fault, position, slack_us)]
            return
        known, identity = _known_parts(word, positions)
        self.reader = config.open_parts(known, identity, follow=growing)
        starts = self.reader.starts
        self.names = [f"{word}/{part}" for part in self.reader.parts]
        self.sides = [
            Side(source, codec, kind, fault, starts[part], slack_us, part) for part, source in self.reader.parts.items()
        ]
        self.noted = {f"{word}@{self.reader.identity}": len(self.sides)}

    def positions(self) -> dict[str, int]:
        """How far each part was handed out."""
        side = self.sides[0] if self.sides else None
        if self.reader is None and side is not None and side.position != self.marked:
            mark = side.source.mark(side.position) if isinstance(side.source, Marked) else None
            self.noted = {} if mark is None else {f"{self.names[0]}#": mark}
            self.marked = side.position
        return {name: side.position for name, side in zip(self.names, self.sides, strict=True)} | self.noted

    def committed(self) -> None:
        """Tells the source how far we are, where it wants to know."""
        if self.reader is not None:
            self.reader.committed({side.part: side.position for side in self.sides})


class Feed:
    """The events and labels of a pipeline as batches, from the positions that a store committed.

    `growing` sources are followed: a last line without its newline is awaited instead of read. `committed` is to be called
    after the commit of a batch, `close` at the end.
    """

    def __init__(
        self, pipeline: Pipeline, codec: InputCodec, base: Path, positions: dict[str, int], *, growing: bool = False
    ) -> None:
        slack_us = to_us(pipeline.join.wait)
        self.groups = [Group("labels", pipeline.labels, codec, base, positions, slack_us, growing=growing)]
        try:
            slack_us = to_us(pipeline.ahead)
            self.groups.append(Group("events", pipeline.events, codec, base, positions, slack_us, growing=growing))
        except BaseException:
            self.close()
            raise
        self.sides = [side for group in self.groups for side in group.sides]
        self.ready: list[Entry] = []

    def next(self, size: int) -> Batch | None:
        """Up to `size` inputs in event time, or None when no source has anything for now."""
        while len(self.ready) < size:
            merged = self._merge()
            if not merged:
                break
            self.ready += merged
        taken, self.ready = self.ready[:size], self.ready[size:]
        if not taken:
            return None
        inputs = list(map(_given, taken))
        self._advance(inputs)
        positions = {name: position for group in self.groups for name, position in group.positions().items()}
        return Batch(inputs, list(map(_record, taken)), positions)

    def _advance(self, inputs: list[Input]) -> None:
        """Notes how far each side was handed out: the last input of each tells."""
        left = {(kind, side.part): side for side in self.sides for kind in (side.kind, side.fault)}
        for given in reversed(inputs):
            side = left.pop((given.kind, given.part), None)
            if side is None:
                continue
            side.position = given.position
            left.pop((side.fault if given.kind == side.kind else side.kind, side.part), None)
            if not left:
                return

    def _merge(self) -> list[Entry]:
        """The next entries whose order is certain: none that is still unread could come before them."""
        sides = self.sides
        for side in sides:
            side.fill()
        if not all(_ascending(side.ahead) for side in sides):
            return _merge_heads(sides)
        counts = [_certain(sides, rank) for rank in range(len(sides))]
        together = [entry for side, count in zip(sides, counts, strict=True) for entry in side.take(count)]
        return sorted(together, key=_at)

    def progress(self) -> tuple[int, int] | None:
        """How much of how much was handed out, in the sources' own units; None where an end is not known."""
        sizes = [side.source.size() for side in self.sides]
        if any(size is None for size in sizes):
            return None
        return sum(side.position for side in self.sides), sum(size for size in sizes if size is not None)

    def lag(self) -> int | None:
        """How many records are there and not handed out yet, where the sources count records; None for files."""
        if any(group.reader is None for group in self.groups):
            return None
        known = self.progress()
        return None if known is None else max(0, known[1] - known[0])

    def committed(self) -> None:
        """Says that everything handed out so far was committed."""
        for group in self.groups:
            group.committed()

    def close(self) -> None:
        """Lets go of the sources that hold something."""
        for group in self.groups:
            if group.reader is not None:
                group.reader.close()

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches until both sources have nothing more."""
        while (batch := self.next(size)) is not None:
            yield batch


def _ascending(entries: list[Entry]) -> bool:
    times = list(map(_at, entries))
    return times == sorted(times)


def _certain(sides: list[Side], rank: int) -> int:
    """How many entries of a side no unread entry of another can precede; at one instant the earlier side goes first."""
    side = sides[rank]
    certain = side.known
    for place, other in enumerate(sides):
        if place != rank and not other.dry:
            cut = bisect_left if place < rank else bisect_right
            certain = min(certain, cut(side.ahead, other.ahead[other.known - 1][0], key=_at))
    return certain


def _merge_heads(sides: list[Side]) -> list[Entry]:
    """The same order for sources that are not in time order themselves: head against head, until one is used up."""
    merged: list[Entry] = []
    taken = [0] * len(sides)
    keys = [side.keys() for side in sides]
    while all(side.dry or count < len(known) for side, count, known in zip(sides, taken, keys, strict=True)):
        heads = [
            (known[count], rank) for rank, (known, count) in enumerate(zip(keys, taken, strict=True)) if count < len(known)
        ]
        if not heads:
            break
        rank = min(heads)[1]
        merged.append(sides[rank].ahead[taken[rank]])
        taken[rank] += 1
    for side, count in zip(sides, taken, strict=True):
        side.take(count)
    return merged


def _known_parts(word: str, positions: dict[str, int]) -> tuple[dict[int, int], str | None]:
    """The positions of a source's parts, and what they belong to, out of what a store committed."""
    known = {int(name.removeprefix(f"{word}/")): at for name, at in positions.items() if name.startswith(f"{word}/")}
    identity = next((name.removeprefix(f"{word}@") for name in positions if name.startswith(f"{word}@")), None)
    return known, identity
