"""Join on Flink: finds out, id by id. What is known of an id is the operator's to keep, and to wake it at its horizon.

The stage is the one that runs everywhere; it is given the memory of one id at a time. A prediction stays as the bytes that
serve wrote: join has no need to read them. Once the horizon has passed, only a trace of the id is left, which tells that it
was answered and when.

Where somebody decides, each answer goes on to learn before its truth does: so it is known there whom a truth is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import (
    DEAD,
    EXAMPLE,
    EXPIRED,
    LABEL,
    NEVER,
    PREDICTION,
    Out,
    milliseconds,
    pack,
    read_batch,
    saved,
)
from eddyline.engines.flink.reading import Door
from eddyline.engines.flink.taken import decides
from eddyline.pipeline import Pipeline
from eddyline.records import Arrival, DeadLetter, Example, Known, Prediction, Reason, Unlabelled, Watermark
from eddyline.records.errors import Rejected
from eddyline.stages.join import Joined, JoinState, held
from eddyline.stages.refuse import refuse, refuse_bytes

_FAR = 2**62
_NO_PREDICTION = "it says neither which event it answers nor when that was; only the job writes this topic"
GONE = b""
"""The bytes of a prediction whose horizon has passed."""


class JoinedWire(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An example between join and learn: its prediction as serve wrote it."""

    prediction: bytes
    truth: Any
    known: Known
    at: int
    revision: int


class IdMemory(msgspec.Struct, array_like=True):
    """What is known of one id: its prediction, what settled it, and the labels that wait."""

    body: bytes | None = None
    at: int = 0
    mark: int = 0
    marks: list[int] = []
    early: list[bytes] = []
    held: list[bytes] = []
    frontier: int = -(2**62)
    trace: str = ""


_remembered = msgspec.msgpack.Decoder(IdMemory).decode


class OneAnswer:
    """The ledger of one id."""

    def __init__(self, event_id: str, memory: IdMemory, wait_us: int) -> None:
        self.event_id = event_id
        self.memory = memory
        self.wait_us = wait_us

    def find(self, event_id: str) -> int | None:
        """0 when the event was answered."""
        return None if self.memory.body is None else 0

    def prediction(self, slot: int) -> Prediction:
        """When it happened, which is all that join asks; its bytes go on as they are."""
        return Prediction(self.event_id, "", self.memory.at, {}, None, None, None, "", 0, 0)

    def settle(self, slot: int, mark: int) -> int:
        """Marks what waits; gives the mark it had."""
        settled = self.memory.mark
        self.memory.mark = settled or mark
        return settled

    def next_at(self) -> int:
        """When it happened, while it waits."""
        return self.memory.at if self._waits() else _FAR

    def due(self, watermark: int) -> list[int]:
        """0 when it has waited long enough."""
        return [0] if self._waits() and self.memory.at + self.wait_us <= watermark else []  # a drain's event time has no bound

    def _waits(self) -> bool:
        return self.memory.body is not None and not self.memory.mark


class JoinHost:
    """Join's side of the operator."""

    def __init__(self, pipeline: Pipeline) -> None:
        plan = pipeline.plan()
        self.stage, self.passes_on = plan.join, decides(plan)
        self.door = Door(pipeline, "labels")
        self.decode = pipeline.label_schema.decode
        self.encode = pipeline.label_schema.encode
        self.memories: dict[str, tuple[int, IdMemory]] = {}

    def step(self, batch: bytes, watermark: int) -> bytes:
        """Takes predictions, labels and wake-ups in order."""
        out, memories, wait_us = Out(), self.memories, self.stage.wait_us
        memories.clear()
        for kind, shard, _, event_id, at, body, headers, known in read_batch(batch):
            trace = headers.partition("|")[0]  # the place is of the answer alone
            found = memories.get(event_id)
            if found is None:
                memory = IdMemory() if known is None else _remembered(known)
                memories[event_id] = shard, memory
            else:
                memory = found[1]
            if kind == PREDICTION:
                if at == NEVER or not event_id:
                    letter = refuse_bytes(
                        "predictions", Reason.MALFORMED.value, _NO_PREDICTION, body, event_id=event_id or None
                    )
                    out.given.append((DEAD, "", event_id, NEVER, wire.encode_dead(letter), trace))
                    continue
                if memory.body is not None:
                    out.given.append(_twice(event_id, body, trace))
                    continue
                memory.body, memory.at, memory.trace = body, at, trace
                out.wakes.append((shard, event_id, milliseconds(at + wait_us)))
                if self.passes_on:
                    out.given.append((PREDICTION, "", event_id, at, body, headers))
                if memory.early:
                    self._hear(event_id, memory, [OneAnswer(event_id, memory, wait_us).prediction(0)], watermark, shard, out)
            elif kind == LABEL:
                try:
                    label = self.door.decode(body)
                except Rejected as rejected:
                    letter = self.door.letter(rejected, body, event_id=event_id or None)
                    out.given.append((DEAD, "", event_id, NEVER, wire.encode_dead(letter), trace))
                    continue
                self._hear(event_id, memory, [label], watermark, shard, out)
            else:
                self._hear(event_id, memory, [Watermark(max(at, watermark * 1000))], watermark, shard, out)
        for event_id, (shard, memory) in memories.items():
            empty = memory.body is None and not memory.early and not memory.held
            out.remembered.append((shard, event_id, None if empty else pack(memory)))
        return out.packed()

    def _hear(
        self,
        event_id: str,
        memory: IdMemory,
        records: Sequence[Prediction | Arrival | Watermark],
        watermark: int,
        shard: int,
        out: Out,
    ) -> None:
        """Lets the stage take records about one id, with what is known of it."""
        ledger, state = OneAnswer(event_id, memory, self.stage.wait_us), self._state(memory, watermark * 1000)
        for joined in self.stage.step(state, ledger, records):  # type: ignore[arg-type]
            out.given.append(_given(joined, memory))
        memory.marks = state.revisions.get(0, [])
        memory.early = [self.encode(label.value) for label in state.early.get(event_id, ())]
        memory.held = [self.encode(label.value) for *_, label in sorted(state.held, key=lambda one: one[:4])]
        memory.frontier = state.frontier
        if memory.early or memory.held:
            out.wakes.append((shard, event_id, milliseconds(self.stage.next_due(state, ledger))))  # type: ignore[arg-type]
        if memory.body and memory.at + self.stage.wait_us <= watermark * 1000 and memory.mark:
            memory.body = GONE

    def _state(self, memory: IdMemory, watermark: int) -> JoinState:
        state = JoinState(frontier=memory.frontier, watermark=watermark)
        if memory.marks:
            state.revisions[0] = memory.marks
        for label in map(self.decode, memory.early):
            state.early.setdefault(label.id, []).append(label)
            state.early_count += 1
            state.early_due.append((label.at + self.stage.wait_us, label.id))
        state.early_due.sort()
        state.held = [held(label) for label in map(self.decode, memory.held)]
        return state

    def told(self, kind: int, body: bytes) -> None:
        """Join is told nothing."""
        raise AssertionError("join has no broadcast input")

    def before_checkpoint(self) -> bytes:
        """Join has nothing more to say."""
        return pack([])

    def save(self) -> bytes:
        """Everything is with the operator."""
        return saved({}, [])


def _given(joined: Joined, memory: IdMemory) -> tuple[int, str, str, int, bytes, str]:
    if type(joined) is Example and not memory.body:
        return _too_late(joined)
    if type(joined) is Example:
        assert memory.body is not None
        body = pack(JoinedWire(memory.body, joined.truth, joined.known, joined.at, joined.revision))
        return EXAMPLE, "", joined.prediction.event_id, joined.at, body, memory.trace
    if type(joined) is Unlabelled:
        return EXPIRED, "", joined.prediction.event_id, joined.at, memory.body or GONE, memory.trace
    assert type(joined) is DeadLetter
    return DEAD, "", joined.event_id or "", NEVER, wire.encode_dead(joined), ""


def _too_late(example: Example) -> tuple[int, str, str, int, bytes, str]:
    """A correction that came when the horizon had passed: the prediction is not kept that long."""
    event_id = example.prediction.event_id
    detail = "it corrects a truth, and it arrived after event time had passed the horizon; declare join=Join(lateness=...)"
    shown = {"id": event_id, "truth": example.truth, "at": example.at}
    letter = refuse("labels", Reason.LABEL_LATE, detail, shown, event_id=event_id)
    return DEAD, "", event_id, NEVER, wire.encode_dead(letter), ""


def _twice(event_id: str, body: bytes, trace: str) -> tuple[int, str, str, int, bytes, str]:
    detail = "two events with this id and different keys were answered; the first answer is joined, this one is not"
    letter = refuse_bytes("predictions", Reason.ID_CONFLICT.value, detail, body, event_id=event_id)
    return DEAD, "", event_id, NEVER, wire.encode_dead(letter), trace
