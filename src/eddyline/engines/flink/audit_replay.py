"""The second half of an audit: the answers given again, by the stage itself.

Every shard is served again in the order of its places: fresh windows, a fresh ledger, the voices of the rollout that the
recorded answer names, and the models of the versions that it says were asked, from their topic; `audit_learn` shows that these
are what the examples make. What comes out must be what was recorded, byte for byte. Shards advance together, by rollout and
version, so that few models are in memory.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.audit_per_key import KeyedModels
from eddyline.ports import Model
from eddyline.records import Arrival, DeadLetter, Prediction
from eddyline.records.errors import Rejected, SourceError
from eddyline.stages.bouts import Party, Roll, party
from eddyline.stages.features import Maker
from eddyline.stages.rollouts import champion_of
from eddyline.stages.serve import ServeState
from eddyline.stages.voices import Seat, Voice

_OLDER = 4
_LINE = re.compile(r" \(\S+\.py, line \d+\)")
_named = re.compile(r"^(\S+)@(\d+) (?:while answering|answered)")
_TAKEN = """
CREATE TABLE taken(shard INTEGER, place INTEGER, revision INTEGER, event INTEGER, letter INTEGER, raw BLOB);
INSERT INTO taken SELECT p.shard, p.place, p.revision, (SELECT event FROM contents c WHERE c.id = p.id
  AND c.shard = p.shard AND c.came > c.refused), 0, p.raw FROM predictions p;
INSERT INTO taken SELECT l.shard, l.place, l.revision, c.event, 1, l.raw FROM letters l JOIN contents c
  ON c.content = l.content WHERE l.stream = 'events' AND l.shard IS NOT NULL;
CREATE INDEX taken_place ON taken(shard, place);
"""
_NEXT = """SELECT t.place, t.revision, t.event, t.letter, t.raw, e.raw FROM taken t JOIN events e ON e.n = t.event
  WHERE t.shard = ? ORDER BY t.place"""


class Taken(NamedTuple):
    """One record that a shard took: an event, and the answer or dead letter that came of it."""

    place: int
    revision: int
    event: int
    letter: int
    raw: bytes
    event_raw: bytes


class Models:
    """The versions that answer, made from their topic when they are asked for."""

    def __init__(self, book: Book) -> None:
        self.book = book
        plan = book.pipeline.plan()
        self.blanks = {name: line.model for name, line in plan.lines.items()}
        self.makers = {name: line.maker for name, line in plan.lines.items()}
        self.room = _OLDER + 2 * len(self.blanks)
        self.made: dict[Party, Model] = {}
        self.keyed: KeyedModels | None = None
        """the own line's, where there is one for each key"""

    def at(self, line: str, position: int, *, live: bool = False) -> Model | None:
        """The model of a line at a position; None when it cannot be had. `live`: the line answered, not a version by name."""
        if self.keyed is not None and live and line == self.book.pipeline.name:
            return self.keyed.asked(position)  # type: ignore[no-any-return]
        if position == 0 and line in self.blanks:
            return self.blanks[line]
        model = self.made.pop((line, position), None) or self._restored(line, position)
        if model is not None:
            while len(self.made) >= self.room:
                del self.made[next(iter(self.made))]
            self.made[line, position] = model
        return model

    def maker(self, line: str) -> Maker | None:
        """How the features of a line are made; a line that entered sees as the declared line that it is like."""
        return self.makers[self._like(line)]

    def _restored(self, line: str, position: int) -> Model | None:
        raw = self.book.one("SELECT raw FROM versions WHERE model = ? AND position = ?", line, position)
        if raw is None:
            return None
        try:
            return self.blanks[self._like(line)].restored(self.book.version(raw)[1])
        except SourceError:
            return None

    def _like(self, line: str) -> str:
        if line in self.blanks:
            return line
        raw = self.book.one("SELECT raw FROM versions WHERE model = ?", line)
        return (None if raw is None else wire.peek_version(raw).like) or self.book.pipeline.name


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
        self.replay, self.shard = replay, shard
        self.state: ServeState = replay.serve.new_state()
        self.ledger = Given(replay.read)
        self.rows: Iterator[Taken] = (Taken(*row) for row in replay.book.rows(_NEXT, shard))
        self.revision = 0
        self.parties: dict[str, Party] = {}
        self.next: Taken | None = None
        self.step()

    def step(self) -> None:
        """Goes on to the next record, and to the rollout and the versions that answer it."""
        self.next = next(self.rows, None)
        if self.next is None:
            return
        rollout, self.revision = self.replay.book.rollout(self.next.revision), self.next.revision
        if rollout is None:
            self.parties = {}
            return
        roll = Roll(rollout, self.replay.book.pipeline.name)
        if self.next.letter:
            named = _named.match(wire.decode_dead(self.next.raw).detail)
            parties = {who: (line, max(0, position)) for who, (line, position) in roll.parties.items()}
            self.parties = {**parties, **self.parties} if self.parties.keys() == parties.keys() else parties
            if named is not None:
                self.parties[roll.champion] = named[1], int(named[2])
        else:
            self.parties = asked(
                [roll.champion, *(place.who for place in rollout.places)], wire.decode_prediction(self.next.raw)
            )

    def voice(self) -> Voice | str:
        """Who answers the next record; in words why nobody can."""
        models, rollout = self.replay.models, self.replay.book.rollout(self.revision)
        if rollout is None:
            return f"answered in rollout {self.revision}, which was never recorded"
        voices: list[Voice | Seat] = []
        for place in (None, *rollout.places):
            who = champion_of(rollout, self.replay.book.pipeline.name) if place is None else place.who
            if who not in self.parties:
                return f"answered in rollout {self.revision}, and does not say what {who} said"
            line, position = self.parties[who]
            model = models.at(line, position, live="@" not in who)
            if model is None:
                return f"answered by {line}@{position}, which cannot be made again"
            maker = models.maker(line)
            if place is None:
                voices.append(Voice(model, line, position, self.revision, maker, salt=rollout.salt))
            else:
                voices.append(Seat(model, line, position, place.mode, place.share, place.who, maker))
        voice, *seats = voices
        assert type(voice) is Voice
        voice.seats = tuple(seats)  # type: ignore[arg-type]
        return voice

    @property
    def rank(self) -> tuple[int, int, int]:
        """By rollout, version and shard: the order in which one learner serves all shards."""
        return self.revision, max((position for _, position in self.parties.values()), default=0), self.shard


class Replay:
    """All shards. `differences` counts what came out otherwise, here and where learning is played again."""

    def __init__(self, book: Book, *, comparable: bool, on_progress: Callable[[int], None]) -> None:
        self.book, self.comparable, self.on_progress = book, comparable, on_progress
        self.serve = book.pipeline.plan().serve
        self.door = book.doors["events"]
        self.decode = self.door.decode
        self.models = Models(book)
        self.differences = 0
        self.answered = 0
        self.repeats = 0
        book.db.executescript(_TAKEN)

    def run(self) -> None:
        """Serves every shard to its end."""
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
        where = f"place {served.shard}.{taken.place}"
        voice = served.voice()
        served.ledger.coming = taken.event
        try:
            arrival = self.decode(taken.event_raw)
        except Rejected as rejected:
            letter = self.door.letter(rejected, taken.event_raw)
            if not taken.letter or unsigned(letter) != unsigned(wire.decode_dead(taken.raw)):
                self.differs(f"{where}: an event that cannot be read ({rejected}) has another dead letter")
            return
        if isinstance(voice, str):
            self.book.faults.add(f"{where}: {voice}")
            return
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
            own = self.book.pipeline.name
            voice = Voice(self.models.blanks[own], own, 0, 0)
            if self.serve.answer(served.state, served.ledger, voice, arrival) is not None:  # type: ignore[arg-type]
                self.differs(f"event {arrival.id!r} came {times + 1} times, and again it is no repeat")


def asked(names: Sequence[str], prediction: Prediction) -> dict[str, Party]:
    """Which version spoke for whom: the champion, then the seats in their order; none where the words fit no such order.

    `names` begins with the champion. Where a challenger answered, the champion's words stand in its place.

    >>> from eddyline.records import Said
    >>> said = Prediction("a", "k", 0, {}, None, True, None, "m", 3, 0, None, [Said("m.deep", 5, True, None)])
    >>> asked(["m", "m.deep"], said), asked(["m.deep", "m"], said)
    ({'m': ('m', 3), 'm.deep': ('m.deep', 5)}, {'m.deep': ('m.deep', 5), 'm': ('m', 3)})
    """
    wanted = [party(name) for name in names]
    heard = [(one.model, one.position) for one in (prediction, *(prediction.others or ()))]
    if len(heard) != len(wanted):
        return {}
    for answering in range(len(heard)):
        ordered = [heard[answering], *heard[1:]]
        if answering:
            ordered[answering] = heard[0]
        fitting = zip(ordered, wanted, strict=True)
        if all(line == model and pinned in (-1, position) for (model, position), (line, pinned) in fitting):
            return dict(zip(names, ordered, strict=True))
    return {}


def unsigned(letter: DeadLetter, *, named: bool = False) -> tuple[object, ...]:
    """A dead letter without its origin and the line of the user's file, which a comment moves; and without the id where the
    record could not be read, which engines make out differently.
    """
    d = letter
    return d.stream, d.reason, _LINE.sub("", d.detail), d.event_id if named else None, d.raw, d.size, d.sha256


def _difference(was: Prediction, again: Prediction) -> str:
    """The first field that differs, in words."""
    for name in ("aggregates", "features", "segment", "value", "scores", "key", "at", "model", "position", "others"):
        one, two = getattr(was, name), getattr(again, name)
        if one != two:
            return f"{name} recorded {one!r}, again {two!r}"
    return "the same in other bytes"
