"""The learners and who decides, played again: the recorded inputs in their recorded order, through the same code.

What comes out must be what was recorded: the position of each example on each line, each version's digest, each rollout and
each decision, byte for byte, at the same place. And nothing may have been left out: each example, and where somebody decides
each answer, was taken once. Where the job took up another declaration on its way, deciding is played
from the last change on, with what decide remembered there; before it, `audit_followed` follows the record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NoReturn, Protocol

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.audit_followed import Followed, turns_in
from eddyline.engines.flink.declared import memory_in, taken_up
from eddyline.engines.flink.learn import recipe_of
from eddyline.engines.flink.learners import Came, Learners, Record
from eddyline.records import DeadLetter, Decision, Declared, Example, ModelVersion, Prediction, Unlabelled
from eddyline.records.errors import SourceError
from eddyline.stages.commands import Command, version_of
from eddyline.stages.decide import FAILURES

_PLAYED = """
CREATE TABLE played(stream TEXT, n INTEGER, PRIMARY KEY (stream, n)) WITHOUT ROWID;
CREATE INDEX example_sha ON examples(sha);
"""
_LETTERS = "SELECT COUNT(*) FROM letters WHERE stream = 'examples' AND sha = ?"
_LEFT = """SELECT id FROM predictions p WHERE n NOT IN (SELECT n FROM played WHERE stream = 'predictions') AND NOT EXISTS
  (SELECT 1 FROM letters l WHERE l.stream = 'predictions' AND l.sha = p.sha)"""


class BrokenError(Exception):
    """The recorded inputs cannot be played on; why was said."""


class Listener(Protocol):
    """Somebody who hears what was taken, as it is played again."""

    def hears(self, record: Record, learners: Learners) -> None:
        """A record, before it is taken."""
        ...

    def heard(self, record: Record, came: Came, learners: Learners) -> None:
        """The same record, and what it came to."""
        ...

    def turned(self, declared: Declared, learners: Learners) -> None:
        """The declaration from which on decisions are made again, with learners as they go on under it."""
        ...


class LearnReplay:
    """One instance's learning and deciding, from the topics. `listener` hears each record.

    With `compare=False` versions are not compared with those that were published, which costs most where they are large.
    """

    def __init__(
        self, book: Book, differs: Callable[[str], None], listener: Listener | None = None, *, compare: bool = True
    ) -> None:
        self.book, self.differs, self.listener, self.compares = book, differs, listener, compare
        self.learners = Learners(book.pipeline)
        turns = turns_in(book)
        self.last = turns[-1] if turns else None
        """the declaration that holds at the end, where it is not the first"""
        self.digest = turns[0].was_digest if turns else book.pipeline.digest
        """which declaration holds where it is played"""
        self.digests = [*(turn.was_digest for turn in turns[:1]), *(turn.digest for turn in turns)] or [self.digest]
        """those that held one after the other; versions are named by one of them"""
        self.followed = Followed(book, self.learners) if turns else None
        self.before = 0
        """how many decisions were followed, and not made again"""
        self.changed_by = 0
        """the number of the decision that records the last change of declaration"""
        self.pieces: list[bytes] = []
        self.versions = 0
        self.again: list[Decision] = []
        """what was decided again, in order"""
        self.rollouts: set[int] = set()
        book.db.executescript(_PLAYED)

    @property
    def position(self) -> int:
        """Where the pipeline's own line stands."""
        return self.learners.states[self.learners.own].position

    @property
    def decisions(self) -> int:
        """How many decisions there are: followed up to the last change of declaration, and made again after it."""
        return self.before + len(self.again)

    def run(self) -> None:
        """Plays everything, and says what is left."""
        if self.play():
            self._finish()

    def play(self) -> bool:
        """Plays what was taken, so also of a job that goes on; False where it cannot be played to the end."""
        try:
            for message in self._messages():
                self.learners.at = message.at
                for one in message.inputs:
                    self._take(one)
        except BrokenError:
            return False
        return True

    def _messages(self) -> Iterator[taken.Taken]:
        for (raw,) in self.book.rows("SELECT raw FROM inputs ORDER BY first"):
            message = taken.decode(raw)
            if message.first != self.learners.taken:
                said = f"input {message.first} was taken after {self.learners.taken} others"
                self._broken(f"{said}: the order in which inputs were taken is not whole")
            yield message

    def _broken(self, fault: str) -> NoReturn:
        self.book.faults.add(fault)
        raise BrokenError

    # One input -------------------------------------------------------------------------------------------------------

    def _take(self, one: taken.One) -> None:
        if isinstance(one, taken.Remembered | taken.Turned):
            self.learners.taken += 1
            self._turn(one)
            return
        before = self.learners.positions()
        if type(one) is taken.Truth:
            self._truth(one, before)
            return
        record, start = self._record(one)
        came = self._taken(record, start)
        self._came(came, before)
        self._refused(came)

    def _turn(self, one: taken.Remembered | taken.Turned) -> None:
        """Another declaration. From the last one on decisions are made again."""
        if isinstance(one, taken.Remembered):
            self.pieces.append(one.piece)
            return
        declared, pieces, self.pieces = one.declared, self.pieces, []
        if declared.was_digest != self.digest:
            self._broken(f"declaration {declared.digest} follows {declared.was_digest}, and {self.digest} held")
        self.digest = declared.digest
        if self.last is None or declared.number != self.last.number:
            return
        pipeline, memory = self.book.pipeline, memory_in(pieces, declared)
        if memory is None:
            self._broken(f"what decide remembered when {declared.digest} was taken up is not what was written")
        if declared.digest != pipeline.digest:
            self._broken(
                f"the job goes on as {declared.digest} since {declared.author} changed it, and this file means "
                f"{pipeline.digest}: give the file that runs"
            )
        assert self.followed is not None, "what came before the last change is followed"
        self.before = self.followed.ends(self.learners.decide.restore(memory), self.rollouts)
        self.followed = None
        before = self.learners.positions()
        came = taken_up(self.learners, pipeline, memory, declared)
        self.changed_by = came.decisions[-1].number
        self._came(came, before)
        if self.listener is not None:
            self.listener.turned(declared, self.learners)

    def _taken(self, record: Record, start: bytes = b"", told: tuple[int, Collection[str]] = (-1, ())) -> Came:
        if self.followed is not None:
            return self.followed.take(record, start, told)
        if self.listener is None:
            return self.learners.take(record, start)
        self.listener.hears(record, self.learners)
        came = self.learners.take(record, start)
        self.listener.heard(record, came, self.learners)
        return came

    def _record(self, one: taken.One) -> tuple[Record, bytes]:
        """What was taken, from the topic that holds it, and the state that a line enters with."""
        if type(one) is taken.Answer:
            return self._answer(one.place), b""
        if type(one) is taken.Expiry:
            return self._expired(one.event_id), b""
        if type(one) is taken.Failure:
            return self._failure(one), b""
        if type(one) is taken.Warned:
            return one.alert, b""
        assert type(one) is taken.Asked
        return one.command, self._start(one.command)

    def _answer(self, place: str) -> Prediction:
        shard, _, number = place.partition(".")
        found = self.book.row("SELECT n, raw FROM predictions WHERE shard = ? AND place = ?", shard, number)
        if found is None:
            self._broken(f"the answer at place {place} was taken by decide, and there is no such answer")
        self._played("predictions", found[0], f"the answer at place {place}")
        return wire.decode_prediction(found[1])

    def _expired(self, event_id: str) -> Unlabelled:
        found = self.book.row("SELECT n, raw FROM predictions WHERE id = ?", event_id)
        if found is None:
            self._broken(f"event {event_id!r} is said to have no truth, and was never answered")
        if self.book.one("SELECT 1 FROM examples WHERE id = ?", event_id) is not None:
            self._broken(f"event {event_id!r} is said to have no truth, and has an example")
        self._played("expired", found[0], f"the missing truth of event {event_id!r}")
        return Unlabelled(wire.decode_prediction(found[1]), self.learners.at)

    def _failure(self, one: taken.Failure) -> DeadLetter:
        shard, _, rest = one.place.partition(".")
        number = rest.partition(".")[0]
        found = self.book.row(
            "SELECT n, raw FROM letters WHERE shard = ? AND place = ? AND reason = ?", shard, number, one.reason
        )
        if found is None:
            self._broken(f"the failure ({one.reason}) at place {one.place} was taken by decide, and is no dead letter")
        self._played("letters", found[0], f"the failure at place {one.place}")
        return wire.decode_dead(found[1])

    def _start(self, command: Command) -> bytes:
        """The state that a line entered with, which was published under its own name."""
        entry = command.entry
        if entry is None or command.do != "enter":
            return b""
        learners, followed = self.learners, self.followed
        if followed is not None:
            if followed.decision_of(command) is None:
                return b""
        elif learners.decide.problem(learners.deciding, command, learners.positions()) is not None:
            return b""  # it was refused, and nobody entered
        position, query = version_of(entry.start)[1], "SELECT raw FROM versions WHERE model = ? AND position = ?"
        raw, known = self.book.one(query, entry.name, position), self.book.one(query, *version_of(entry.start))
        if raw is None and entry.after is not None:
            raw = known  # it went on from there before it was published
        if raw is None:
            self._broken(f"{entry.name} entered as {entry.start}, and {entry.name}@{position} was never published")
        state = self._state(raw)
        blank = self.learners.blanks.get(entry.like)
        if blank is not None and known is not None:
            here, there = (blank.restored(one).digest() for one in (state, self._state(known)))
            if here != there:
                self.differs(f"{entry.name} entered as {entry.start}, and is another model")
        return state

    def _state(self, raw: bytes) -> bytes:
        try:
            return self.book.version(raw)[1]
        except SourceError as error:
            self.book.faults.add(str(error).splitlines()[0])
            raise BrokenError from error

    def _played(self, stream: str, n: int, what: str) -> None:
        if not self.book.db.execute("INSERT OR IGNORE INTO played VALUES (?, ?)", (stream, n)).rowcount:
            self._broken(f"{what} was taken twice")

    # What it came to -------------------------------------------------------------------------------------------------

    def _truth(self, one: taken.Truth, before: dict[str, int]) -> None:
        found = self.book.row("SELECT n, raw, sha FROM examples WHERE id = ? AND revision = ?", one.event_id, one.revision)
        if found is None:
            self._broken(f"revision {one.revision} of event {one.event_id!r} was learned, and there is no such example")
        n, raw, sha = found
        self._played("examples", n, f"revision {one.revision} of event {one.event_id!r}")
        example, position = wire.decode_example(raw)
        told = example.prediction
        for said in (told, *(told.others or ())):
            if said.model in before and said.position > before[said.model]:
                self._broken(f"event {one.event_id!r} was answered by {said.version} and learned before that version")
        refused = position < 0 and self.book.one(_LETTERS, sha)
        also = wire.decode_also(raw)
        came = self._taken(example, told=(0 if refused else position, also))
        if wire.encode_example(example, came.position, came.also) != raw:
            self.differs(
                f"the example of event {one.event_id!r} is position {position} (and {also or None}), and learning it again "
                f"gives {came.position} (and {came.also})"
            )
            raise BrokenError
        self._letters(example, sha, came)
        self._refused(came)
        self._came(came, before)

    def _letters(self, example: Example, sha: str, came: Came) -> None:
        """A truth that could not be learned is a dead letter; one that was held back, or only recorded, is none."""
        if came.position >= 0:
            return
        letters = self.book.one(_LETTERS, sha)
        if letters != sum(letter.stream == "examples" for letter in came.letters):
            said = f"revision {example.revision} of event {example.prediction.event_id!r} was not learned"
            self.book.faults.add(f"{said} and has {letters} dead letters, expected {len(came.letters)}")

    def _refused(self, came: Came) -> None:
        """A command that was refused, and a hold that was let go of, are dead letters."""
        for letter in came.letters:
            known = "SELECT 1 FROM letters WHERE stream = 'commands' AND sha = ?"
            if letter.stream == "commands" and self.book.one(known, letter.sha256) is None:
                self.book.faults.add(f"a command about {letter.event_id} was refused, and is not in the dead letters")

    def _came(self, came: Came, before: dict[str, int]) -> None:
        """Compares what was decided, and the versions of the positions that were reached."""
        for rollout in came.rollouts:
            self.rollouts.add(rollout.revision)
            recorded = self.book.rollouts.get(rollout.revision)
            if recorded is not None and recorded != rollout:
                said = f"rollout {rollout.revision} put {recorded.champion} in force"
                self.differs(f"{said}, and deciding again gives {rollout.champion}, or other places beside it")
        for decision in came.decisions:
            if self.followed is not None:
                continue  # it is the recorded one
            self.again.append(decision)
            raw = self.book.one("SELECT raw FROM decisions WHERE number = ?", decision.number)
            if raw is None:
                self.differs(f"decision {decision.number} ({decision.action} {decision.subject}) was not recorded")
            elif raw != wire.encode_decision(decision):
                self.differs(f"decision {decision.number} was recorded otherwise: {_difference(raw, decision)}")
        for name, state in self.learners.states.items():
            if state.position != before.get(name):
                self._compare(name, state.position, state.model.digest)
        for snapshot in came.snapshots:
            now = self.learners.states.get(snapshot.name)
            if now is None or now.position != snapshot.position:  # its line ended at once, or it learned what was held for it
                self._compare(snapshot.name, snapshot.position, partial(str, snapshot.digest))

    def _compare(self, line: str, position: int, digest: Callable[[], str]) -> None:
        if not self.compares:
            return
        blank = self.learners.blanks[line]
        rows = self.book.rows("SELECT n, raw FROM versions WHERE model = ? AND position = ?", line, position)
        for n, raw in rows:
            self.versions += 1
            self.book.db.execute("INSERT INTO played VALUES ('versions', ?)", (n,))
            try:
                version, body = self.book.version(raw)
            except SourceError as error:
                self.book.faults.add(str(error).splitlines()[0])
                continue
            self._name(version, [recipe_of(digest, blank) for digest in self.digests])
            elsewhere = self.book.per_key and line == self.learners.own  # `audit_per_key` folds it
            if not elsewhere and digest() != version.digest:
                self.differs(f"{version.name}: the fold over the examples has another digest than was recorded")
            if blank.restored(body).digest() != version.digest:
                self.differs(f"{version.name}: its recorded state has another digest than was recorded")

    def _name(self, version: ModelVersion, recipes: Sequence[str]) -> None:
        if version.recipe not in recipes:
            expected = " or ".join(recipes)
            self.book.faults.add(f"{version.name}: made by recipe {version.recipe}, expected {expected}: another pipeline")

    # What is left ----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Nothing that was recorded may be unknown to the one who learns and decides."""
        add, rows, last = self.book.faults.add, self.book.rows, self.position
        unplayed = "n NOT IN (SELECT n FROM played WHERE stream = ?)"
        for event_id, revision in rows(f"SELECT id, revision FROM examples WHERE {unplayed}", "examples"):
            add(f"revision {revision} of event {event_id!r} is an example, and was never taken to be learned")
        for model, position in rows(f"SELECT model, position FROM versions WHERE {unplayed} AND position > 0", "versions"):
            add(f"version {model}@{position} was published; the examples end at {self.learners.own}@{last}")
        for revision in self.book.rollouts.keys() - self.rollouts:
            add(f"rollout {revision} was recorded, and deciding again gives no such rollout")
        for (number,) in rows("SELECT number FROM decisions WHERE number < 1 OR number > ?", self.decisions):
            add(f"decision {number} was recorded, and deciding again ends at {self.decisions}")
        if self.book.count("decisions") > self.decisions:
            add(f"{self.book.count('decisions')} decisions were recorded, expected {self.decisions}: one was recorded twice")
        if self.learners.watched:
            for (event_id,) in rows(_LEFT):
                add(f"event {event_id!r} was answered, and decide never heard of it")
            failed = f"SELECT id, reason FROM letters WHERE stream = 'events' AND reason IN (?, ?) AND {unplayed}"
            for event_id, reason in rows(failed, *FAILURES, "letters"):
                add(f"event {event_id!r} was refused ({reason}), and decide never heard of it")


def _difference(raw: bytes, again: msgspec.Struct) -> str:
    """The first field in which a recorded decision differs, in words."""
    was = wire.decode_decision(raw)
    for name in again.__struct_fields__:
        one, two = getattr(was, name), getattr(again, name)
        if one != two:
            return f"{name} recorded {one!r}, again {two!r}"
    return "the same in other bytes"
