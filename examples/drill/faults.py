"""The faults of the drill: what goes wrong with a stream, from one event on. Each is a function from slice to slice.

Nothing is random: who is hit is told by a checksum of the id. Knows no policy.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from examples.drill.streams import Record, Slice, Stream, moment


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: its name, in a sentence, what becomes of a slice, and which act answers it.

    `rolls_out`: an operator puts a version in force by mistake.
    """

    name: str
    sentence: str
    change: Callable[[Slice], Slice]
    answered_by: str = ""
    rolls_out: bool = False


def none(given: Slice) -> Slice:
    """Nothing is wrong."""
    return given


def flipped(given: Slice) -> Slice:
    """Every label that comes while the fault lasts is the opposite: somebody exports the wrong column for a while."""
    return _labels(given, lambda label, at: given.struck_at <= at < given.over_at)


def sprinkled(given: Slice) -> Slice:
    """One label in a hundred is the opposite, from the fault on: a careless labeller."""
    return _labels(given, lambda label, at: at >= given.struck_at and zlib.crc32(label["id"].encode()) % 100 == 0)


def _labels(given: Slice, hit: Callable[[Record, int], bool]) -> Slice:
    word, zone = given.stream.truth, given.stream.zone
    labels = [{**label, word: not label[word]} if hit(label, moment(label["at"], zone)) else label for label in given.labels]
    return dataclasses.replace(given, labels=labels)


def broken(given: Slice) -> Slice:
    """A field of the event arrives otherwise while the fault lasts: addresses lose their `https://`, miles become metres."""
    change = {"urls": _without_scheme, "flights": _in_metres}[given.stream.name]
    end = given.place + given.during
    events = [change(event) if given.place <= number < end else event for number, event in enumerate(given.events)]
    return dataclasses.replace(given, events=events)


def _without_scheme(event: Record) -> Record:
    return {**event, "url": event["url"].partition("://")[2]}


def _in_metres(event: Record) -> Record:
    return {**event, "distance": event["distance"] * 1609.344}


def drifted(given: Slice) -> Slice:
    """What a label means is another thing for a part of the events, from the fault on: this is the truth from there.

    Addresses under .com: phishing is now what was not, and the other way round. Departures from Newark: late is now more
    than 0 minutes, and no longer more than 15.
    """
    later = {event["id"] for event in given.events[given.place :] if _of_the_part(given.stream, event)}
    now: dict[str, bool] = _strict(given.stream) if given.stream.name == "flights" else {}
    word = given.stream.truth
    truth = {name: now.get(name, not true) if name in later else true for name, true in given.truth.items()}
    labels = [{**label, word: truth[label["id"]]} for label in given.labels]
    return dataclasses.replace(given, labels=labels, truth=truth)


def _of_the_part(stream: Stream, event: Record) -> bool:
    if stream.name == "flights":
        return bool(event["origin"] == "EWR")
    host = event["url"].lower().partition("://")[2].partition("/")[0].partition(":")[0]
    return str(host).endswith(".com")


@lru_cache(1)
def _strict(stream: Stream) -> dict[str, bool]:
    """For each flight that arrived, whether it was late at all."""
    prepare: Any = stream.prepare()
    usual, prepare.LATE_MINUTES = prepare.LATE_MINUTES, 0
    try:
        _, arrivals = prepare.streams(prepare.rows(prepare.package_data()), {})
    finally:
        prepare.LATE_MINUTES = usual
    return {record["id"]: record["late"] for _, record in arrivals}


FAULTS = (
    Fault("bad version", "an operator rolls out a version of long ago", none, "roll_back", rolls_out=True),
    Fault("labels flipped", "all labels are the opposite for 1 % of the stream", flipped, "freeze"),
    Fault("labels sprinkled", "1 % of the labels are the opposite, for good", sprinkled, "freeze"),
    Fault("broken feature", "a field arrives otherwise for 1 % of the stream", broken, "freeze"),
    Fault("concept drift", "labels mean another thing for a part, for good", drifted, "promote"),
)
NO_FAULT = Fault("no fault", "nothing is wrong", none)
