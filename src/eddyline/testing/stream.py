"""Made-up streams: when each record happened, when it arrives, how often, and what is between.

Time here is a number in the records and nothing else. Arrival decides the order, event time decides the meaning; a
stream is legal when no record arrives after event time has passed it. Draws no random numbers of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

from eddyline.records import Event, Label

Record = TypeVar("Record")


class Arriving(NamedTuple):
    """A record and when it arrives. At one moment labels come first, as when two sources are merged."""

    arrives: int
    is_event: bool
    number: int
    record: Event | Label


class Stream:
    """Events and labels in the order in which they arrive, whatever the order in which they are added.

    `event` and `label` say when a record arrives; a user's own classes carry when it happened. The result is a list.

    >>> from eddyline.testing import Case, Verdict
    >>> stream = Stream()
    >>> stream.event(Case(id="a", at=0), arrives=3)
    >>> stream.label(Verdict(id="a", at=2, truth="yes"), arrives=2)
    >>> stream.event(Case(id="b", at=1), arrives=1)
    >>> [record.id for record in stream.records()]
    ['b', 'a', 'a']
    >>> len(stream.redelivered(0, 2))
    5
    """

    def __init__(self) -> None:
        self._arriving: list[Arriving] = []

    def event(self, event: Event, *, arrives: int) -> None:
        """Adds an event that arrives then."""
        self._arriving.append(Arriving(arrives, True, len(self._arriving), event))

    def label(self, label: Label, *, arrives: int) -> None:
        """Adds a label that arrives then."""
        self._arriving.append(Arriving(arrives, False, len(self._arriving), label))

    def records(self) -> list[Event | Label]:
        """The records as they arrive; what arrives together, labels first, else in the order it was added."""
        return [one.record for one in sorted(self._arriving, key=lambda one: one[:3])]

    def redelivered(self, start: int, stop: int) -> list[Event | Label]:
        """The records as they arrive, with those from `start` to `stop` twice: as a producer does after its own crash."""
        records = self.records()
        return [*records[:stop], *records[start:stop], *records[stop:]]


def duplicated(records: Sequence[Record], random: Random, share: float) -> list[Record]:
    """The records with about this share of them once more, anywhere behind the first."""
    out = list(records)
    for place in range(len(records), 0, -1):
        if random.random() < share:
            out.insert(random.randint(place, len(out)), records[place - 1])
    return out


def cut(records: Sequence[Record], places: Sequence[int]) -> list[list[Record]]:
    """The records in batches that end at these places; empty batches are left out.

    >>> cut("abcdef", [4, 1, 1])
    [['a'], ['b', 'c', 'd'], ['e', 'f']]
    """
    ends = [*sorted({place for place in places if 0 < place < len(records)}), len(records)]
    starts = [0, *ends[:-1]]
    return [list(records[start:end]) for start, end in zip(starts, ends, strict=True) if start < end]
