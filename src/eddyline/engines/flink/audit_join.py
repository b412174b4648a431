"""The third part of an audit: predictions and labels joined again by the embedded join, and compared id by id.

Both are merged by event time, as the embedded engine reads them: labels first where times are equal, each partition in its own
order. At the end join is told the time to which event time demonstrably came: the latest horizon that something was recorded
for. So what still waits there is compared too, not left out. How many labels may wait for their event is bounded by id on Flink
and over all ids in the embedded engine; here it is not bounded.

Where the outcome of an id differs, the order of arrival was another one. Then `audit_orders` must find an order of arrival that
makes exactly this of the stage; which kind of order it took is counted, and where there is none, that is a fault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.audit_orders import Order, explained
from eddyline.engines.flink.audit_replay import unsigned
from eddyline.engines.flink.batch import milliseconds
from eddyline.records import Arrival, DeadLetter, Example, Prediction, Reason, Watermark
from eddyline.records.errors import Rejected
from eddyline.records.time import BEGINNING
from eddyline.stages.join import Joined, JoinStage, truth_bytes

_FAR = 2**62
_pack = msgspec.msgpack.Encoder().encode
_JOINED = """
CREATE TABLE made(id TEXT, what BLOB);
CREATE TABLE found(id TEXT, what BLOB);
CREATE TABLE asked AS SELECT n, id, at FROM predictions p WHERE NOT EXISTS
  (SELECT 1 FROM letters l WHERE l.stream = 'predictions' AND l.sha = p.sha);
CREATE INDEX asked_id ON asked(id);
"""
_MERGED = """SELECT sees AS t, 0 AS kind, n, id, at, raw FROM labels WHERE id IS NOT NULL
  UNION ALL SELECT at, 1, n, id, at, NULL FROM asked ORDER BY t, kind, n"""
_MADE, _FOUND = (f"SELECT id, what, COUNT(*) FROM {table} GROUP BY id, what" for table in ("made", "found"))
_DIFFERENT = f"""SELECT DISTINCT id FROM (SELECT * FROM ({_MADE} EXCEPT {_FOUND})
  UNION ALL SELECT * FROM ({_FOUND} EXCEPT {_MADE})) ORDER BY id"""


@dataclass(slots=True)
class Joins:
    """How the joins compare: ids that are equal but for the order of arrival, by what that order took."""

    labels: int = 0
    until: int = BEGINNING
    waiting: int = 0
    disordered: int = 0
    overtaken: int = 0


class Waiting:
    """The ledger that join asks: when each event happened, what settled it, and what waits longest."""

    def __init__(self, wait_us: int) -> None:
        self.wait_us = wait_us
        self.slots: dict[str, int] = {}
        self.at: list[int] = []
        self.ids: list[str] = []
        self.marks: list[int] = []
        self.line: list[tuple[int, int]] = []

    def answered(self, event_id: str, at: int) -> None:
        """An event that was answered, which waits for its truth from here on."""
        slot = self.slots[event_id] = len(self.at)
        self.at.append(at)
        self.ids.append(event_id)
        self.marks.append(0)
        heappush(self.line, (at, slot))

    def find(self, event_id: str) -> int | None:
        """The slot of an event that was answered."""
        return self.slots.get(event_id)

    def prediction(self, slot: int) -> Prediction:
        """Whose it is and when it happened, which is all that join asks."""
        return Prediction(self.ids[slot], "", self.at[slot], {}, None, None, None, "", 0, 0)

    def settle(self, slot: int, mark: int) -> int:
        """Marks what waits; gives the mark it had."""
        settled = self.marks[slot]
        self.marks[slot] = settled or mark
        return settled

    def next_at(self) -> int:
        """When the oldest event happened that still waits."""
        while self.line and self.marks[self.line[0][1]]:
            heappop(self.line)
        return self.line[0][0] if self.line else _FAR

    def due(self, watermark: int) -> list[int]:
        """What waits and has reached its horizon, by deadline."""
        slots = []
        while self.next_at() + self.wait_us <= watermark:
            slots.append(heappop(self.line)[1])
        return slots


def check_join(book: Book) -> Joins:
    """Joins again, compares, and explains each difference by an order of arrival or calls it a fault."""
    stage = replace(book.pipeline.plan().join, early=_FAR)
    book.db.executescript(_JOINED)
    joins = Joins(labels=book.count("labels"))
    _check_unreadable(book)
    _found(book)
    joins.until = _until(book, stage)
    _made(book, stage, joins.until)
    book.db.executescript("CREATE INDEX made_id ON made(id); CREATE INDEX found_id ON found(id);")
    for (event_id,) in list(book.rows(_DIFFERENT)):
        _explain(book, stage, joins, event_id)
    return joins


def outcome(joined: Joined) -> bytes | None:
    """What was found out about an id, as bytes to compare; None for a truth that never came, which no topic has."""
    if type(joined) is Example:
        return _pack(["example", truth_bytes(joined.truth), joined.known, joined.at, joined.revision])
    return _pack(["letter", *unsigned(joined, named=True)]) if type(joined) is DeadLetter else None


def _found(book: Book) -> None:
    """What the run recorded about each id."""
    examples = book.rows("SELECT id, truth, known, at, revision FROM examples")
    book.db.executemany(
        "INSERT INTO found VALUES (?, ?)", ((event_id, _pack(["example", *rest])) for event_id, *rest in examples)
    )
    letters = book.rows(
        "SELECT id, raw FROM letters WHERE stream = 'labels' AND sha NOT IN (SELECT sha FROM labels WHERE id IS NULL)"
    )
    book.db.executemany(
        "INSERT INTO found VALUES (?, ?)", ((event_id, outcome(wire.decode_dead(raw))) for event_id, raw in letters)
    )


def _made(book: Book, stage: JoinStage, until: int) -> None:
    """What the embedded join makes of the same records."""
    ledger, state = Waiting(stage.wait_us), stage.new_state()
    lateness = max(stage.lateness_us, book.pipeline.plan().serve.lateness_us)
    decode, out = book.pipeline.label_schema.decode, list[Joined]()
    frontier = BEGINNING
    for _, kind, _, event_id, at, raw in book.rows(_MERGED):
        if kind == 0:
            stage.label(state, ledger, decode(raw), out)  # type: ignore[arg-type]
        else:
            ledger.answered(event_id, at)
            stage.answered(state, ledger, ledger.prediction(-1), out)  # type: ignore[arg-type]
            frontier = max(frontier, at)
            # Event time goes on with the answers, but no further than it did when this was recorded.
            now = min(frontier - lateness, until)
            if now >= stage.next_due(state, ledger):  # type: ignore[arg-type]
                out += stage.step(state, ledger, [Watermark(now)])  # type: ignore[arg-type]
        if len(out) > 1000:
            _write(book, out)
    out += stage.step(state, ledger, [Watermark(until)])  # type: ignore[arg-type]
    _write(book, out)


def _write(book: Book, out: list[Joined]) -> None:
    rows = ((_id_of(one), made) for one in out if (made := outcome(one)) is not None)
    book.db.executemany("INSERT INTO made VALUES (?, ?)", rows)
    out.clear()


def _id_of(joined: Joined) -> str | None:
    return joined.event_id if type(joined) is DeadLetter else joined.prediction.event_id  # type: ignore[union-attr]


def _until(book: Book, stage: JoinStage) -> int:
    """How far event time came for sure: to the latest horizon at which something was recorded."""
    wait, seen = stage.wait_us, BEGINNING
    seen = max(seen, book.one("SELECT MAX(at) FROM examples WHERE known = 'absence'") or BEGINNING)
    unmatched = "SELECT MAX(b.at) FROM letters l JOIN labels b ON b.sha = l.sha WHERE l.stream = 'labels' AND l.reason = ?"
    found = book.one(unmatched, Reason.LABEL_UNMATCHED.value)
    if found is not None:
        seen = max(seen, found + wait)
    behind = """SELECT MAX(a.at) FROM letters l JOIN labels b ON b.id = l.id JOIN asked a ON a.id = l.id
      WHERE l.stream = 'labels' AND l.reason = ? AND ABS(a.at - b.at) <= ?
      AND (l.sha = b.sha OR l.sha NOT IN (SELECT sha FROM labels))"""
    found = book.one(behind, Reason.LABEL_LATE.value, wait)
    if found is not None:
        seen = max(seen, found + wait)
    return seen if seen == BEGINNING else milliseconds(seen) * 1000


def _explain(book: Book, stage: JoinStage, joins: Joins, event_id: str | None) -> None:
    asked = book.one("SELECT at FROM asked WHERE id = ?", event_id)
    decode = book.pipeline.label_schema.decode
    labels: list[tuple[Arrival, bool]] = [
        (decode(raw), bool(punctual))
        for raw, punctual in book.rows("SELECT raw, punctual FROM labels WHERE id = ? ORDER BY n", event_id)
    ]
    found = Counter(what for (what,) in book.rows("SELECT what FROM found WHERE id = ?", event_id))
    order = explained(stage, event_id or "", asked, labels, found, joins.until, outcome)
    if order is Order.IN_TIME:
        joins.waiting += 1
    elif order is Order.DISORDERED:
        joins.disordered += 1
    elif order is Order.OVERTAKEN:
        joins.overtaken += 1
    else:
        made = [msgspec.msgpack.decode(what) for (what,) in book.rows("SELECT what FROM made WHERE id = ?", event_id)]
        recorded = [msgspec.msgpack.decode(what) for what in found.elements()]
        book.faults.add(
            f"event {event_id!r}: recorded {_shown(recorded)}, joined again {_shown(made)}; "
            "no order in which its labels could arrive makes what was recorded"
        )


def _shown(outcomes: list[list[Any]]) -> str:
    words = []
    for kind, *rest in outcomes:
        if kind == "example":
            truth, known, at, revision = rest
            said = msgspec.msgpack.decode(truth)
            words.append(f"truth {said!r} by {known} at {at}, revision {revision}")
        else:
            words.append(f"a dead letter ({rest[1]}: {rest[2]})")
    return "; ".join(words) or "nothing"


def _check_unreadable(book: Book) -> None:
    """A label that cannot be read is a dead letter each time it comes; every letter about a label has that label."""
    counts = """SELECT b.sha, COUNT(*), b.origin, b.raw,
      (SELECT COUNT(*) FROM letters l WHERE l.stream = 'labels' AND l.sha = b.sha),
      (SELECT raw FROM letters l WHERE l.stream = 'labels' AND l.sha = b.sha) FROM labels b WHERE b.id IS NULL GROUP BY b.sha"""
    for _, came, origin, raw, refused, letter in book.rows(counts):
        if came != refused:
            book.faults.add(f"the label at {origin} cannot be read; it came {came} times and has {refused} dead letters")
            continue
        try:
            book.doors["labels"].decode(raw)
        except Rejected as rejected:
            again = book.doors["labels"].letter(rejected, raw)
            if unsigned(again) != unsigned(wire.decode_dead(letter)):
                book.faults.add(f"the label at {origin} has another dead letter than it gets again: {rejected}")
