"""The dead letters: what was refused and why, and the same bytes driven through the engine once more.

Driving again is journaled like any other input, so it is part of the past afterwards. Keeps `whole` and
`twice`: what was answered or learned meanwhile is left alone, and what would be refused again is left where it
is, so that one record has one letter however often it is driven.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.records import Arrival, DeadLetter
from eddyline.store import blocks
from eddyline.store.blocks import Input, Kind
from eddyline.store.database import Store
from eddyline.views.refused_again import refused_again

BATCH = 1_000


class Pile(msgspec.Struct, frozen=True):
    """Letters of one stream and one reason: how many, and what the newest of them says."""

    stream: str
    reason: str
    count: int
    newest: str


class Redriven(msgspec.Struct):
    """What came of driving letters again.

    `accepted` went through the engine. The others did not: `refused` would be refused once more, `settled` were
    answered or known meanwhile, `unreadable` are refused for their bytes alone, `cut` are kept only in part, `repeated` are the
    same bytes once more, `derived` never came from outside (an example that could not be learned, a command).
    """

    accepted: int = 0
    refused: int = 0
    settled: int = 0
    unreadable: int = 0
    cut: int = 0
    repeated: int = 0
    derived: int = 0


def letters(store: Store, *, stream: str | None = None, reason: str | None = None) -> Iterator[DeadLetter]:
    """The dead letters in order, all or of a stream or reason; one block of them in memory at a time."""
    numbers = [seq for (seq,) in store.db.execute("SELECT seq FROM blocks WHERE deads > 0 ORDER BY seq")]
    for seq in numbers:
        (packed,) = store.db.execute("SELECT dead FROM blocks WHERE seq=?", (seq,)).fetchone()
        for letter in blocks.decode_dead(packed):
            if (stream is None or letter.stream == stream) and (reason is None or letter.reason == reason):
                yield letter


def piles(found: Iterable[DeadLetter]) -> list[Pile]:
    """Letters counted by stream and reason, the largest pile first."""
    counts: dict[tuple[str, str], int] = {}
    newest: dict[tuple[str, str], str] = {}
    for letter in found:
        key = letter.stream, letter.reason
        counts[key] = counts.get(key, 0) + 1
        newest[key] = letter.detail
    order = sorted(counts, key=lambda key: (-counts[key], key))
    return [Pile(*key, counts[key], newest[key]) for key in order]


def redrive(engine: Engine, found: Iterable[DeadLetter]) -> Redriven:
    """Takes refused events and labels as new inputs, from the bytes that were kept.

    Choose it when the reason is gone: the event of a label came after all, or the model that failed has
    learned since. Where the reason is the declaration (`features`, a zone, a limit), mending it makes
    another pipeline: that takes the streams anew into a store of its own. A letter stays in the dead
    letters for the record; doing this twice accepts nothing twice.
    """
    result, seen = Redriven(), set[tuple[str, bytes]]()
    inputs: list[Input] = []
    records: list[Arrival] = []
    for letter in found:
        given = _again(letter, seen, result)
        if given is None:
            continue
        record = engine.codec.decode(given)
        if not isinstance(record, Arrival):
            result.unreadable += 1
        elif record.truth is None and engine.ledger.find(record.id) is not None:
            result.settled += 1
        elif _refused(engine, record, inputs, records, result):
            result.refused += 1
        else:
            inputs.append(given)
            records.append(record)
            if len(inputs) == BATCH:
                _take(engine, inputs, records, result)
    if inputs:
        _take(engine, inputs, records, result)
    return result


def _refused(engine: Engine, record: Arrival, inputs: list[Input], records: list[Arrival], result: Redriven) -> bool:
    """Whether a record would be refused again, also after those that are to be taken before it."""
    if not refused_again(engine, record):
        return False
    if not inputs:
        return True
    _take(engine, inputs, records, result)
    return refused_again(engine, record)


def _again(letter: DeadLetter, seen: set[tuple[str, bytes]], result: Redriven) -> Input | None:
    """The letter as an input, or None and why not."""
    if letter.stream not in ("events", "labels"):
        result.derived += 1
    elif letter.size != len(letter.raw):
        result.cut += 1
    elif (letter.stream, letter.raw) in seen:
        result.repeated += 1
    else:
        seen.add((letter.stream, letter.raw))
        return Input(Kind.EVENT if letter.stream == "events" else Kind.LABEL, letter.raw)
    return None


def _take(engine: Engine, inputs: list[Input], records: list[Arrival], result: Redriven) -> None:
    join = engine.loop.states.join
    known = join.repeated
    outcome = engine.take(inputs, records)
    refused = {(letter.stream, letter.event_id) for letter in outcome.dead}
    again = sum(("events" if one.truth is None else "labels", one.id) in refused for one in records)
    settled = join.repeated - known
    result.refused += again
    result.settled += settled
    result.accepted += len(records) - again - settled
    inputs.clear()
    records.clear()
