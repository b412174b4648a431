"""The two streams that the drill is held on, cut into slices: events in order, what became known of them, and the truth.

Knows how each worked case prepares its data; knows no fault and no policy.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

from eddyline.pipeline.loading import imported

EXAMPLES = Path(__file__).parents[1]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """One of the two: its name, where its data lies, which field is the truth, and the zone of times without an offset."""

    name: str
    events: str
    labels: str
    truth: str
    zone: str = "UTC"

    @property
    def folder(self) -> Path:
        """The worked case."""
        return EXAMPLES / self.name

    def prepare(self) -> ModuleType:
        """The case's own preparation; its `main` writes the two streams, or says what is missing and ends with code 3."""
        return imported(self.folder / "prepare.py")

    def ready(self) -> None:
        """Writes the two streams, unless they are there."""
        with redirect_stdout(sys.stderr):  # what the drill itself prints may be for a program
            self.prepare().main()


STREAMS = {
    "urls": Stream("urls", "addresses.jsonl", "verdicts.jsonl", "phishing"),
    "flights": Stream("flights", "departures.jsonl", "arrivals.jsonl", "late", "America/New_York"),
}


@dataclass(frozen=True)
class Slice:
    """A part of a stream: events and labels as they come, and by event what is true.

    A fault takes a slice and gives another one: with other events, other labels, or another truth. `place` is the event at
    which it strikes, `ats` are the event times in µs.
    """

    stream: Stream
    events: list[Record]
    labels: list[Record]
    truth: dict[str, bool]
    ats: list[int]
    place: int
    during: int
    """how many events a passing fault lasts"""
    number: dict[str, int] = field(repr=False)

    @property
    def struck_at(self) -> int:
        """Event time (µs) at which the fault strikes."""
        return self.ats[self.place]

    @property
    def over_at(self) -> int:
        """Event time (µs) at which a passing fault is over."""
        return self.ats[self.place + self.during]

    @property
    def before(self) -> int:
        """How many records come before the fault: a label that is known when an event happens comes before it."""
        return self.records_until(self.struck_at)

    def records_until(self, at: int) -> int:
        """How many records come before an event at this time."""
        known = sum(moment(label["at"], self.stream.zone) <= at for label in self.labels)
        return bisect_left(self.ats, at) + known

    def since(self, at: int) -> int:
        """How many events after the fault struck an event time is."""
        return bisect_left(self.ats, at) - self.place

    def write(self, base: Path) -> None:
        """The two files that the pipelines read."""
        for name, records in (("events.jsonl", self.events), ("labels.jsonl", self.labels)):
            with (base / name).open("w") as out:
                out.writelines(json.dumps(record, separators=(",", ":")) + "\n" for record in records)


def cut(stream: Stream, start: int, before: int, after: int, during: int) -> Slice:
    """The slice in which a fault strikes at event number `start + before` of the stream."""
    return sliced(stream, _lines(stream, stream.events), _labels(stream), start, before, after, during)


def sliced(
    stream: Stream, events: Iterable[str], labels: dict[str, Record], start: int, before: int, after: int, during: int
) -> Slice:
    """The same from records in memory: `events` as lines, `labels` by id in the order in which they came."""
    chosen = [json.loads(line) for line in islice(events, start, start + before + after)]
    number = {event["id"]: place for place, event in enumerate(chosen)}
    known = [label for name, label in labels.items() if name in number]
    truth = {label["id"]: bool(label[stream.truth]) for label in known}
    ats = [moment(event["at"], stream.zone) for event in chosen]
    return Slice(stream, chosen, known, truth, ats, before, during, number)


def moment(text: str, zone: str) -> int:
    """Event time in µs."""
    read = datetime.fromisoformat(text)
    aware = read if read.tzinfo is not None else read.replace(tzinfo=ZoneInfo(zone))
    return round(aware.timestamp() * 1e6)


def count(stream: Stream) -> int:
    """How many events a stream has."""
    return sum(1 for _ in _lines(stream, stream.events))


def _lines(stream: Stream, name: str) -> Iterator[str]:
    with (stream.folder / "data" / name).open() as file:
        yield from file


@lru_cache(2)
def _labels(stream: Stream) -> dict[str, Record]:
    records: Iterator[Record] = map(json.loads, _lines(stream, stream.labels))
    return {record["id"]: record for record in records}
