"""Serve on Flink: answers events of its shards with the version it was told last.

The windows and the event time of a shard are its own, so that what an event is answered does not depend on who else is
served beside it, nor on how many instances there are. Which ids were answered is remembered by the operator: a digest of
the event, enough to tell whether the same comes again. Each answer carries its place among the records that its shard took
(header `place`, "shard.number"), so that the order can be found again in the topics; a refusal tells the rollout with it. Who
answers is in `voicing.py`.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import DEAD, NEVER, PREDICTION, ROLLOUT, VERSION, Out, Saved, pack, read_batch, saved
from eddyline.engines.flink.voicing import Voices
from eddyline.pipeline import Pipeline
from eddyline.records import Arrival, DeadLetter, Prediction
from eddyline.records.errors import Rejected
from eddyline.stages.aggregates import AggregatesState
from eddyline.stages.refuse import refuse_bytes
from eddyline.stages.serve import ServeState

_event_bytes = msgspec.msgpack.Encoder(order="deterministic").encode


class Same:
    """What is left of an event that was answered: enough to tell whether another one is the same."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def __eq__(self, other: object) -> bool:
        return self.digest == digest_of(other)

    __hash__ = None  # type: ignore[assignment]


class Answered:
    """The ledger that serve asks: of the ids of one batch, as the operator handed them over, each in its shard."""

    def __init__(self) -> None:
        self.shard = 0
        self.digests: dict[tuple[int, str], bytes] = {}
        self.slots: list[str] = []

    def find(self, event_id: str) -> int | None:
        """A number for an id that was answered before in this shard, else None."""
        if (self.shard, event_id) not in self.digests:
            return None
        self.slots.append(event_id)
        return len(self.slots) - 1

    def arrival(self, slot: int) -> Arrival:
        """What is left of the event that was answered."""
        event_id = self.slots[slot]
        return Arrival(event_id, "", 0, Same(self.digests[self.shard, event_id]))

    def add(self, prediction: Prediction, arrival: Arrival) -> None:
        """Takes one answer."""
        self.digests[self.shard, prediction.event_id] = digest_of(arrival.value)

    def clear(self) -> None:
        """Before the next batch."""
        self.digests.clear()
        self.slots.clear()


class ServeSaved(msgspec.Struct, frozen=True, array_like=True):
    """One shard's memory."""

    frontier: int
    repeated: int
    windows: dict[int, bytes]
    taken: int


class ServeHost:
    """Serve's side of the operator."""

    def __init__(self, pipeline: Pipeline, kept: Saved) -> None:
        plan = pipeline.plan()
        self.serve = plan.serve
        self.decode = pipeline.event_schema.decode
        self.taken: dict[int, int] = {}
        self.shards = {shard: self._restored(shard, raw) for shard, raw in kept.shards.items()}
        self.changed: set[int] = set()
        self.ledger = Answered()
        self.voices = Voices(pipeline, plan)
        told = [msgspec.msgpack.decode(raw, type=tuple[int, bytes]) for raw in kept.told]
        rollouts = [wire.decode_rollout(body) for kind, body in told if kind == ROLLOUT]
        self.voices.again([body for kind, body in told if kind == VERSION], rollouts)

    # Answers ---------------------------------------------------------------------------------------------------------

    def step(self, batch: bytes, watermark: int) -> bytes:
        """Answers events in order."""
        voice = self.voices.now()
        out, ledger, shards, taken = Out(), self.ledger, self.shards, self.taken
        ledger.clear()
        for _, shard, _, event_id, _, body, trace, known in read_batch(batch):
            state = shards.get(shard)
            if state is None:
                state = shards[shard] = self.serve.new_state()
            self.changed.add(shard)
            taken[shard] = place = taken.get(shard, 0) + 1
            headers = f"{trace}|{shard}.{place}"
            refused = f"{headers}.{voice.revision}"
            try:
                arrival = self.decode(body)
            except Rejected as rejected:
                letter = refuse_bytes("events", rejected.reason, rejected.detail, body, event_id=event_id or None)
                out.given.append((DEAD, "", event_id, NEVER, wire.encode_dead(letter), refused))
                continue
            if known is not None:
                ledger.digests[shard, arrival.id] = known
            ledger.shard = shard
            answer = self.serve.answer(state, ledger, voice, arrival)  # type: ignore[arg-type]
            if type(answer) is Prediction:
                raw = wire.encode_prediction(answer)
                out.given.append((PREDICTION, answer.key, answer.event_id, answer.at, raw, headers))
                out.remembered.append((shard, event_id, ledger.digests[shard, arrival.id]))
            elif type(answer) is DeadLetter:
                out.given.append((DEAD, "", arrival.id, NEVER, wire.encode_dead(answer), refused))
        return out.packed()

    # Versions --------------------------------------------------------------------------------------------------------

    def told(self, kind: int, body: bytes) -> None:
        """A version that was published, or sent again because a command names it; or who answers from here on."""
        if kind == VERSION:
            self.voices.version(body)
        else:
            assert kind == ROLLOUT, "only versions and rollouts are told to serve"
            self.voices.rollout(wire.decode_rollout(body))

    def settle(self) -> None:
        """Waits until what was told is what answers."""
        self.voices.settle()

    # Checkpoints -----------------------------------------------------------------------------------------------------

    def before_checkpoint(self) -> bytes:
        """Serve has nothing more to say."""
        return pack([])

    def save(self) -> bytes:
        """The shards that changed, the version that answers, and the rollout."""
        shards = {shard: self._saved(shard) for shard in sorted(self.changed)}
        self.changed.clear()
        told = [pack((VERSION, body)) for body in self.voices.bodies()]
        told += [pack((ROLLOUT, wire.encode_rollout(rollout))) for rollout in self.voices.rollouts()]
        return saved(shards, told)

    def _saved(self, shard: int) -> bytes:
        state, aggregates = self.shards[shard], self.serve.aggregates
        windows = {} if aggregates is None else aggregates.save(state.windows)
        return pack(ServeSaved(state.frontier, state.repeated, windows, self.taken[shard]))

    def _restored(self, shard: int, raw: bytes) -> ServeState:
        kept, aggregates = msgspec.msgpack.decode(raw, type=ServeSaved), self.serve.aggregates
        self.taken[shard] = kept.taken
        windows = AggregatesState(()) if aggregates is None else aggregates.restore(kept.windows.values())
        return ServeState(windows=windows, frontier=kept.frontier, repeated=kept.repeated)


def digest_of(event: Any) -> bytes:
    """Eight bytes that are equal for events whose fields are."""
    said = _event_bytes(event)
    return (zlib.crc32(said) << 32 | zlib.adler32(said)).to_bytes(8, "big")
