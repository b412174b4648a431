"""The second half of an audit: the answers given again, by the stages themselves.

The learner is folded over the examples in the order of their positions, and must have the digest of each version where it
stands. Beside it every shard is served again in the order of its places: fresh windows, a fresh ledger, and the model of the
version and rollout that the recorded answer names. What comes out must be what was recorded, byte for byte. Shards advance
together, by rollout and version, so that one learner is enough; older versions are taken from their topic.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit_book import Book
from eddyline.ports import Model
from eddyline.records import Arrival, DeadLetter, ModelVersion, Prediction
from eddyline.records.errors import Rejected, SourceError
from eddyline.stages.learn import Snapshot
from eddyline.stages.refuse import refuse_bytes
from eddyline.stages.serve import ServeState
from eddyline.stages.voices import Voice
from eddyline.store.database import content_digest

_OLDER = 4
_named = re.compile(r"^\S+@(\d+) (?:while answering|answered)")
_TAKEN = """
CREATE TABLE taken(shard INTEGER, place INTEGER, position INTEGER, revision INTEGER, event INTEGER, letter INTEGER, raw BLOB);
INSERT INTO taken SELECT p.shard, p.place, p.position, p.revision, (SELECT event FROM contents c WHERE c.id = p.id
  AND c.shard = p.shard AND c.came > c.refused), 0, p.raw FROM predictions p;
INSERT INTO taken SELECT l.shard, l.place, NULL, NULL, c.event, 1, l.raw FROM letters l JOIN contents c
  ON c.content = l.content WHERE l.stream = 'events' AND l.shard IS NOT NULL;
CREATE INDEX taken_place ON taken(shard, place);
"""
_NEXT = """SELECT t.place, t.position, t.revision, t.event, t.letter, t.raw, e.raw FROM taken t JOIN events e ON e.n = t.event
  WHERE t.shard = ? ORDER BY t.place"""


class Taken(NamedTuple):
    """One record that a shard took: an event, and the answer or dead letter that came of it."""

    place: int
    position: int | None
    revision: int | None
    event: int
    letter: int
    raw: bytes
    event_raw: bytes


class Learner:
    """The model over the examples so far, and the versions it was checked against."""

    def __init__(self, book: Book, differs: Callable[[str], None]) -> None:
        plan = book.pipeline.plan()
        self.book, self.differs, self.learn = book, differs, plan.learn
        self.blank = book.pipeline.plan().model
        self.state = plan.learn.new_state(plan.model)
        recipe = {"pipeline": book.pipeline.digest, **plan.model.recipe()}
        self.recipe = content_digest(json.dumps(recipe, sort_keys=True, default=repr))
        self.examples = book.rows("SELECT raw FROM examples WHERE position > 0 ORDER BY position")
        self.older: dict[int, Model] = {}
        self.versions = 0
        self.ended = False

    def at(self, position: int) -> Model | None:
        """The model at a position; None when it cannot be had, which is said as a fault."""
        while self.state.position < position and not self.ended:
            self.next()
        if self.state.position == position:
            return self.state.model
        if position > self.state.position:
            return None
        if position not in self.older:
            while len(self.older) >= _OLDER:
                del self.older[next(iter(self.older))]
            made = self._made(position)
            if made is None:
                return None
            self.older[position] = made
        return self.older[position]

    def _made(self, position: int) -> Model | None:
        """An older version, from the state that was published and compared with the fold."""
        if position == 0:
            return self.blank
        raw = self.book.one("SELECT raw FROM versions WHERE position = ?", position)
        if raw is None:
            return None
        try:
            return self.blank.restored(wire.decode_version(raw)[1])
        except SourceError:
            return None

    def next(self) -> None:
        """Learns one more example, and compares the versions of the position it reaches."""
        row = next(self.examples, None)
        if row is None:
            self.ended = True
            return
        example, position = wire.decode_example(row[0])
        state, extras = self.state, list[Snapshot | DeadLetter]()
        named = example.prediction
        if named.position > state.position:
            said = f"event {named.event_id!r} was answered by {named.version} and learned as position {position}"
            self.book.faults.add(f"{said}, before that version")
            self.ended = True
        elif self.learn.one(state, example, extras) != position:
            self.differs(f"the example of event {named.event_id!r} is position {position}, and learning it again gives another")
            self.ended = True
        else:
            self._compare()

    def finish(self) -> None:
        """Learns what no answer asked for, so that the last versions are compared too."""
        while not self.ended:
            self.next()
        last = self.state.position
        for (position,) in self.book.rows("SELECT position FROM versions WHERE position > ? OR position < 1", last):
            self.book.faults.add(f"version {self.book.pipeline.name}@{position} was published; the examples end at {last}")

    def _compare(self) -> None:
        position = self.state.position
        for (raw,) in self.book.rows("SELECT raw FROM versions WHERE position = ?", position):
            self.versions += 1
            try:
                version, body = wire.decode_version(raw)
            except SourceError as error:
                self.book.faults.add(str(error).splitlines()[0])
                continue
            self._name(version)
            if self.state.model.digest() != version.digest:
                self.differs(f"{version.name}: the fold over the examples has another digest than was recorded")
            if self.blank.restored(body).digest() != version.digest:
                self.differs(f"{version.name}: its recorded state has another digest than was recorded")

    def _name(self, version: ModelVersion) -> None:
        if version.model != self.book.pipeline.name or version.recipe != self.recipe:
            self.book.faults.add(f"{version.name}: made by recipe {version.recipe}, expected {self.recipe}: another pipeline")


class Given:
    """The ledger of one shard: which events it answered, read again when they are asked for."""

    def __init__(self, read: Callable[[int], Arrival]) -> None:
        self.read = read
        self.slots: dict[str, int] = {}
        self.coming = 0

    def find(self, event_id: str) -> int | None:
        """The number of the event in the book, when it was answered."""
        return self.slots.get(event_id)

    def arrival(self, slot: int) -> Arrival:
        """The event that was answered."""
        return self.read(slot)

    def add(self, prediction: Prediction, arrival: Arrival) -> None:
        """Takes one answer."""
        self.slots[prediction.event_id] = self.coming


class Served:
    """One shard, served again."""

    def __init__(self, replay: Replay, shard: int) -> None:
        self.shard = shard
        self.state: ServeState = replay.serve.new_state()
        self.ledger = Given(replay.read)
        self.rows: Iterator[Taken] = (Taken(*row) for row in replay.book.rows(_NEXT, shard))
        self.position, self.revision = 0, 0
        self.next: Taken | None = None
        self.step()

    def step(self) -> None:
        """Goes on to the next record, and to the version that answers it."""
        self.next = next(self.rows, None)
        if self.next is None:
            return
        if self.next.position is not None and self.next.revision is not None:
            self.position, self.revision = self.next.position, self.next.revision
        elif (named := _named.match(wire.decode_dead(self.next.raw).detail)) is not None:
            self.position = int(named[1])

    @property
    def rank(self) -> tuple[int, int, int]:
        """By rollout, version and shard: the order in which one learner serves all shards."""
        return self.revision, self.position, self.shard


class Replay:
    """All shards and the learner beside them. `differences` counts what came out otherwise."""

    def __init__(self, book: Book, *, comparable: bool, on_progress: Callable[[int], None]) -> None:
        self.book, self.comparable, self.on_progress = book, comparable, on_progress
        self.serve = book.pipeline.plan().serve
        self.decode = book.pipeline.event_schema.decode
        self.learner = Learner(book, self.differs)
        self.differences = 0
        self.answered = 0
        self.repeats = 0
        book.db.executescript(_TAKEN)

    def run(self) -> None:
        """Serves every shard to its end, then learns to the end."""
        shards = [Served(self, shard) for (shard,) in self.book.rows("SELECT DISTINCT shard FROM taken")]
        heap = [(served.rank, served) for served in shards if served.next is not None]
        heapq.heapify(heap)
        while heap:
            rank, served = heapq.heappop(heap)
            while served.next is not None and served.rank == rank:
                self._again(served, served.next)
                served.step()
            if served.next is not None:
                heapq.heappush(heap, (served.rank, served))
            else:
                self._repeats(served)
        self.learner.finish()

    def differs(self, fault: str) -> None:
        """Something computed again is not what was recorded; a fault only where this machine computes as the writer did."""
        self.differences += 1
        if self.comparable:
            self.book.faults.add(fault)

    def read(self, event: int) -> Arrival:
        """An event as it came."""
        return self.decode(self.book.one("SELECT raw FROM events WHERE n = ?", event))

    def _again(self, served: Served, taken: Taken) -> None:
        self.answered += 1
        if self.answered % 1000 == 0:
            self.on_progress(self.answered)
        name = self.book.pipeline.name
        where = f"place {served.shard}.{taken.place}"
        model = self.learner.at(served.position)
        if model is None:
            if not taken.letter:
                self.book.faults.add(f"{where}: answered by {name}@{served.position}, which cannot be made again")
            return
        served.ledger.coming = taken.event
        try:
            arrival = self.decode(taken.event_raw)
        except Rejected as rejected:
            letter = refuse_bytes("events", rejected.reason, rejected.detail, taken.event_raw)
            if not taken.letter or unsigned(letter) != unsigned(wire.decode_dead(taken.raw)):
                self.differs(f"{where}: an event that cannot be read ({rejected}) has another dead letter")
            return
        voice = Voice(model, name, served.position, served.revision)
        answer = self.serve.answer(served.state, served.ledger, voice, arrival)  # type: ignore[arg-type]
        self._compare(where, arrival, answer, taken)

    def _compare(self, where: str, arrival: Arrival, answer: Prediction | DeadLetter | None, taken: Taken) -> None:
        if type(answer) is Prediction:
            if not taken.letter and wire.encode_prediction(answer) == taken.raw:
                return
            if taken.letter:
                letter = wire.decode_dead(taken.raw)
                self.differs(f"event {arrival.id!r}, {where}: refused ({letter.reason}), again answered {answer.value!r}")
                return
            was = wire.decode_prediction(taken.raw)
            self.differs(f"event {arrival.id!r}, {where}, by {was.version}: {_difference(was, answer)}")
        elif type(answer) is DeadLetter:
            if not taken.letter:
                self.differs(f"event {arrival.id!r}, {where}: answered, again refused ({answer.reason}: {answer.detail})")
            elif unsigned(answer, named=True) != unsigned(wire.decode_dead(taken.raw), named=True):
                said = wire.decode_dead(taken.raw)
                self.differs(f"event {arrival.id!r}, {where}: refused ({said.reason}: {said.detail}), again ({answer.reason})")
        else:
            self.differs(f"event {arrival.id!r}, {where}: recorded once more, again taken for a repeat")

    def _repeats(self, served: Served) -> None:
        """What came again after it was answered gives nothing, whenever it comes."""
        again = "SELECT event, came - refused - 1 FROM contents WHERE shard = ? AND came - refused > 1"
        for event, times in self.book.rows(again, served.shard):
            self.repeats += times
            arrival = self.read(event)
            voice = Voice(self.learner.blank, self.book.pipeline.name, 0, 0)
            if self.serve.answer(served.state, served.ledger, voice, arrival) is not None:  # type: ignore[arg-type]
                self.differs(f"event {arrival.id!r} came {times + 1} times, and again it is no repeat")


def unsigned(letter: DeadLetter, *, named: bool = False) -> tuple[object, ...]:
    """A dead letter without its origin; and without the id where the record could not be read, which engines make out
    differently.
    """
    d = letter
    return d.stream, d.reason, d.detail, d.event_id if named else None, d.raw, d.size, d.sha256


def _difference(was: Prediction, again: Prediction) -> str:
    """The first field that differs, in words."""
    for name in ("aggregates", "features", "segment", "value", "scores", "key", "at"):
        one, two = getattr(was, name), getattr(again, name)
        if one != two:
            return f"{name} recorded {one!r}, again {two!r}"
    return "the same in other bytes"
