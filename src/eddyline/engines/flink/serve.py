"""Serve on Flink: answers events of its shards with the version it was told last.

The windows and the event time of a shard are its own, so that what an event is answered does not depend on who else is
served beside it, nor on how many instances there are. Which ids were answered is remembered by the operator: a digest of
the event, enough to tell whether the same comes again. Each answer carries its place among the records that its shard took
(header `place`, "shard.number"), so that the order can be found again in the topics; a refusal tells the rollout with it. Who
answers is in `voicing.py`; where there is one model per key they live, and learn, here (`per_key.py`).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import (
    DEAD,
    EXAMPLE,
    NEVER,
    PREDICTION,
    ROLLOUT,
    VERSION,
    Given,
    Out,
    Saved,
    Taken,
    pack,
    read_batch,
    saved,
)
from eddyline.engines.flink.per_key import Bridges, ShelfSaved, Shelves, learned_where_served
from eddyline.engines.flink.reading import Door
from eddyline.engines.flink.stopwatch import Stopwatch
from eddyline.engines.flink.voicing import Voices
from eddyline.pipeline import Pipeline
from eddyline.records import Arrival, DeadLetter, Prediction, Reason
from eddyline.records.errors import Rejected
from eddyline.records.schema import Schema
from eddyline.stages.aggregates import AggregatesState
from eddyline.stages.refuse import refuse_bytes
from eddyline.stages.serve import ServeState
from eddyline.stages.voices import Voice

_PASSED_OVER = "whoever answers goes on as before; only the job writes this topic"
_DELETED = "a message without a value (a tombstone): it deletes one from the topic; whoever answers goes on as before"
Answer = tuple[int, int, str, Arrival, Prediction, str]
"""The place that is kept for it among what is given, its shard, its id as the operator knows it, its event, and its headers."""
_TO_BE_WRITTEN: Given = (PREDICTION, "", "", NEVER, b"", "")
TOGETHER = 100
"""How many events are read, answered and written together."""
BASE = -VERSION
"""What a checkpoint calls a version that nobody asks for, and from which others are made."""


class Same:
    """What is left of an event that was answered: enough to tell whether another one is the same."""

    __slots__ = ("digest", "schema")

    def __init__(self, digest: bytes, schema: Schema) -> None:
        self.digest, self.schema = digest, schema

    def __eq__(self, other: Any) -> bool:
        return self.digest == digest_of(self.schema.identity(self.schema.arrival(other)))

    __hash__ = None  # type: ignore[assignment]


class Answered:
    """The ledger that serve asks: of the ids of one batch, as the operator handed them over, each in its shard.

    Of an id that was answered before the batch it has the digest; of one that was answered in it, the event.
    """

    __slots__ = ("known", "schema", "shards", "slots")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.shards: dict[int, dict[str, bytes | Arrival]] = {}
        self.known: dict[str, bytes | Arrival] = {}
        """those of the shard whose event is answered"""
        self.slots: list[str] = []

    def of(self, shard: int) -> dict[str, bytes | Arrival]:
        """What is known in a shard, about which it is asked from here on."""
        known = self.shards.get(shard)
        if known is None:
            known = self.shards[shard] = {}
        self.known = known
        return known

    def find(self, event_id: str) -> int | None:
        """A number for an id that was answered before in this shard, else None."""
        if event_id not in self.known:
            return None
        self.slots.append(event_id)
        return len(self.slots) - 1

    def arrival(self, slot: int) -> Arrival:
        """The event that was answered, or what is left of it."""
        event_id = self.slots[slot]
        known = self.known[event_id]
        return known if isinstance(known, Arrival) else Arrival(event_id, "", 0, Same(known, self.schema))

    def add(self, prediction: Prediction, arrival: Arrival) -> None:
        """Takes one answer."""
        self.known[prediction.event_id] = arrival

    def clear(self) -> None:
        """Before the next batch."""
        self.shards.clear()
        self.slots.clear()


class ServeSaved(msgspec.Struct, frozen=True, array_like=True):
    """One shard's memory."""

    frontier: int
    repeated: int
    windows: dict[int, bytes]
    taken: int
    shelf: ShelfSaved | None = None
    """the models of its keys, where there is one for each"""


class ServeHost:
    """Serve's side of the operator."""

    def __init__(self, pipeline: Pipeline, kept: Saved, *, speaks: bool = True, over: Bridges | None = None) -> None:
        plan = pipeline.plan()
        self.serve, self.speaks = plan.serve, speaks
        self.refused: list[DeadLetter] = []
        self.door = Door(pipeline, "events")
        self.decode = self.door.decode
        self.taken: dict[int, int] = {}
        self.shelves = Shelves(plan, over) if learned_where_served(pipeline) else None
        self.shards = {shard: self._restored(shard, raw) for shard, raw in kept.shards.items()}
        self.changed: set[int] = set()
        self.ledger = Answered(pipeline.event_schema)
        self.voices = Voices(pipeline, plan)
        self.stopwatch = Stopwatch(plan.decide.policies, self.voices.makers)
        told = [msgspec.msgpack.decode(raw, type=tuple[int, bytes]) for raw in kept.told]
        rollouts = [wire.decode_rollout(body) for kind, body in told if kind == ROLLOUT]
        versions, bases = ([body for kind, body in told if kind == wanted] for wanted in (VERSION, BASE))
        self.voices.again(versions, bases, rollouts)

    # Answers ---------------------------------------------------------------------------------------------------------

    def step(self, batch: bytes, watermark: int) -> bytes:
        """Answers events in order."""
        voice, out, rows = self.voices.now(), Out(), read_batch(batch)
        self.ledger.clear()
        for start in range(0, len(rows), TOGETHER):
            self._answer(voice, rows[start : start + TOGETHER], out)
        if self.stopwatch.due():
            self._timed(out.given)
        return out.packed()

    def _answer(self, voice: Voice, rows: list[Taken], out: Out) -> None:
        """Some events of a batch: all are read, then each is answered in its turn, then all answers are written.

        Doing one thing many times keeps what it takes in the processor's caches, which all things in turn do not.
        """
        given, ledger, answer_one, live = out.given, self.ledger, self.serve.answer, self.voices.live
        shards, taken, changed = self.shards, self.taken, self.changed
        answers: list[Answer] = []
        for (_, shard, _, event_id, _, body, trace, known), arrival in zip(rows, self._read(rows), strict=True):
            if arrival is None:
                self._learn(shard, body, trace, out)
                continue
            state = shards.get(shard)
            if state is None:
                state = shards[shard] = self.serve.new_state()
            changed.add(shard)
            taken[shard] = place = taken.get(shard, 0) + 1
            headers = f"{trace}|{shard}.{place}"
            if isinstance(arrival, Rejected):
                letter = self.door.letter(arrival, body, event_id=event_id or None)
                given.append((DEAD, "", event_id, NEVER, wire.encode_dead(letter), f"{headers}.{voice.revision}"))
                continue
            of_shard = ledger.of(shard)
            if known is not None:
                of_shard[arrival.id] = known
            if self.shelves is not None:
                self.shelves.speak(voice, live, shard, arrival.key)
            answer = answer_one(state, ledger, voice, arrival)  # type: ignore[arg-type]
            if type(answer) is Prediction:
                answers.append((len(given), shard, event_id, arrival, answer, headers))
                given.append(_TO_BE_WRITTEN)
            elif type(answer) is DeadLetter:
                given.append((DEAD, "", arrival.id, NEVER, wire.encode_dead(answer), f"{headers}.{voice.revision}"))
        self._write(answers, out)

    def _read(self, rows: list[Taken]) -> list[Arrival | Rejected | None]:
        """The events, or why one cannot be read; None for an example that came back."""
        read: list[Arrival | Rejected | None] = []
        decode = self.decode
        for row in rows:
            try:
                read.append(decode(row[5]) if row[0] != EXAMPLE else None)
            except Rejected as rejected:
                read.append(rejected)
        return read

    def _write(self, answers: list[Answer], out: Out) -> None:
        """Puts answers where their places were kept, and what to remember of their events."""
        given, encode, identity = out.given, wire.encode_prediction, self.ledger.schema.identity
        for number, _, _, _, answer, headers in answers:
            given[number] = PREDICTION, answer.key, answer.event_id, answer.at, encode(answer), headers
        out.remembered += [(shard, event_id, digest_of(identity(arrival))) for _, shard, event_id, arrival, _, _ in answers]

    def _timed(self, given: list[Given]) -> None:
        """Writes how long voices took behind the place of the last answer, where whoever decides has to hear of it."""
        for number in range(len(given) - 1, -1, -1):
            kind, key, event_id, at, raw, headers = given[number]
            if kind == PREDICTION:
                said = self.stopwatch.observed(self.voices.champion, self.voices.voice, wire.decode_prediction(raw))
                given[number] = kind, key, event_id, at, raw, headers + said
                return

    def _learn(self, shard: int, body: bytes, headers: str, out: Out) -> None:
        """Takes an example that came back: the model of its key lives here."""
        assert self.shelves is not None, "examples come back to serve only where there is one model per key"
        self.changed.add(shard)
        for letter, trace in self.shelves.take(shard, body, headers):
            out.given.append((DEAD, "", letter.event_id or "", NEVER, wire.encode_dead(letter), trace))

    # Versions --------------------------------------------------------------------------------------------------------

    def told(self, kind: int, body: bytes) -> None:
        """A version that was published, or sent again because a command names it; or who answers from here on."""
        assert kind in (VERSION, ROLLOUT), "only versions and rollouts are told to serve"
        try:
            if kind == VERSION:
                self.voices.version(body)
            else:
                self.voices.rollout(wire.decode_rollout(body))
        except msgspec.MsgspecError as error:
            stream, why = ("versions" if kind == VERSION else "rollouts"), f"{error}; {_PASSED_OVER}" if body else _DELETED
            self.refused.append(refuse_bytes(stream, Reason.MALFORMED.value, why, body))

    def settle(self) -> None:
        """Waits until what was told is what answers."""
        self.voices.settle()

    # Checkpoints -----------------------------------------------------------------------------------------------------

    def before_checkpoint(self) -> bytes:
        """What was told and could not be read: every instance hears it, and one says so."""
        letters, self.refused = self.refused if self.speaks else [], []
        return pack([(DEAD, "", "", NEVER, wire.encode_dead(letter), "") for letter in letters])

    def save(self) -> bytes:
        """The shards that changed, the version that answers, and the rollout."""
        shards = {shard: self._saved(shard) for shard in sorted(self.changed)}
        self.changed.clear()
        told = [pack((VERSION, body)) for body in self.voices.bodies()]
        told += [pack((BASE, body)) for body in self.voices.bases()]
        told += [pack((ROLLOUT, wire.encode_rollout(rollout))) for rollout in self.voices.rollouts()]
        return saved(shards, told)

    def _saved(self, shard: int) -> bytes:
        state, aggregates = self.shards.get(shard) or self.serve.new_state(), self.serve.aggregates
        windows = {} if aggregates is None else aggregates.save(state.windows)
        shelf = None if self.shelves is None else self.shelves.save(shard)
        return pack(ServeSaved(state.frontier, state.repeated, windows, self.taken.get(shard, 0), shelf))

    def _restored(self, shard: int, raw: bytes) -> ServeState:
        kept, aggregates = msgspec.msgpack.decode(raw, type=ServeSaved), self.serve.aggregates
        self.taken[shard] = kept.taken
        if self.shelves is not None and kept.shelf is not None:
            self.shelves.restore(shard, kept.shelf)
        windows = AggregatesState(()) if aggregates is None else aggregates.restore(kept.windows.values())
        return ServeState(windows=windows, frontier=kept.frontier, repeated=kept.repeated)


def digest_of(said: bytes) -> bytes:
    """Eight bytes for what an event says, whichever way it was written."""
    return _EIGHT_BYTES(zlib.crc32(said), zlib.adler32(said))


_EIGHT_BYTES = struct.Struct(">II").pack
