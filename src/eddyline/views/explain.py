"""What one answer was made from, by the store alone; and the same answer again, from the model that gave it."""

from __future__ import annotations

from typing import Any

import msgspec

from eddyline.models.fingerprint import fingerprint, same_numbers
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import NOT_ASKED, UNSEEN, DeadLetter, Prediction
from eddyline.records.errors import NotFound, Rejected
from eddyline.records.schema import Schema
from eddyline.store import blocks
from eddyline.store.blocks import Kind
from eddyline.store.database import Store
from eddyline.store.ids import mark_of, slots_of
from eddyline.store.ledger import misplaced
from eddyline.store.rebuild import StoredLines, forgotten, reached
from eddyline.views.failing import asked


class Learned(msgspec.Struct, frozen=True):
    """A truth that reached the prediction: when it was known (µs), how, and the version it made (None: not learned)."""

    truth: Any
    known: str
    at: int
    revision: int
    version: str | None


class Beside(msgspec.Struct, frozen=True):
    """What somebody else said to the event: the version, its answer, or the code of why it had none and what it raises.

    `why` is what the version raises when it is asked again; empty where it answered, or was not asked.
    """

    version: str
    value: Any
    scores: Any
    fault: str | None
    why: str


class Explanation(msgspec.Struct, frozen=True):
    """Everything that is known about one event.

    `event` is None where a topic has let go of it, `block` 0 for an answer of a job on Flink. `again` is "equal" when the
    version was rebuilt and gave the same bytes, "different" with what it gave, or "not claimed" when this machine computes
    otherwise than the one that answered.
    """

    event: dict[str, Any] | None
    prediction: Prediction
    version: str
    block: int
    received_at: float
    truths: list[Learned]
    refused: list[DeadLetter]
    again: str
    again_detail: str
    beside: list[Beside] = []
    forgotten: bool = False
    """whether no line that answers now has learned it, because somebody asked for that"""


def explain(store: Store, pipeline: Pipeline, event_id: str) -> Explanation:
    """The answer to an event, the version that gave it, what that version saw, the truth, and the answer once more."""
    slot, prediction = find_prediction(store, event_id)
    seq, _ = store.seq_of_slot(slot)
    block = store.block(seq)
    event = _event(pipeline.event_schema, block.inputs, event_id)
    again, detail = answer_again(store, pipeline, prediction)
    return Explanation(
        event=msgspec.json.decode(event),
        prediction=prediction,
        version=prediction.version,
        block=seq,
        received_at=block.notes.received_at,
        truths=_truths(store, slot, seq, prediction.model),
        refused=[letter for letter in dead_letters(store) if letter.event_id == event_id],
        again=again,
        again_detail=detail,
        beside=beside(store, pipeline, prediction, event),
        forgotten=event_id in forgotten(store),
    )


def beside(store: Store, pipeline: Pipeline, prediction: Prediction, event: bytes | None) -> list[Beside]:
    """What the others said; who failed is made again and asked again, where the event is there."""
    plan, found = pipeline.plan(), []
    lines = StoredLines(store, plan)
    for said in prediction.others or ():
        why = ""
        if said.fault is not None and said.fault not in (NOT_ASKED, UNSEEN) and (why := lines.lost(said.model)):
            why = f"it cannot be asked again: {why}"
        elif event is not None and said.fault is not None and said.fault not in (NOT_ASKED, UNSEEN):
            maker = lines.makers[said.model] or plan.serve.maker
            model = lines.rebuild(said.model, said.position)
            _, why = asked(model, maker, pipeline.event_schema.decode(event).value, prediction.aggregates or {})
        found.append(Beside(f"{said.model}@{said.position}", said.value, said.scores, said.fault, why))
    return found


def find_prediction(store: Store, event_id: str) -> tuple[int, Prediction]:
    """The number of a prediction and the prediction, by event id."""
    for slot in slots_of(store, event_id):
        first, group = store.prediction_group(slot)
        prediction = group[slot - first]
        if prediction.event_id == event_id:
            return slot, prediction
        if mark_of(prediction.event_id) != mark_of(event_id):
            raise misplaced(store, event_id, prediction.event_id)
    needle = event_id.encode()
    for first_slot, packed in store.db.execute("SELECT first_slot, predictions FROM blocks ORDER BY seq DESC"):
        for offset, group in blocks.groups_containing(packed, needle):
            for i, prediction in enumerate(group):
                if prediction.event_id == event_id:
                    return first_slot + offset + i, prediction
    refused = [letter for letter in dead_letters(store) if letter.event_id == event_id]
    if refused:
        letter = refused[0]
        why = f"{letter.reason}, {letter.detail}"
        raise NotFound(f"event {event_id!r} was not answered: {why}\nsee it: eddyline dead-letters FILE --show 1")
    like = f"; the first one is {store.prediction_group(0)[1][0].event_id!r}" if store.slots else ""
    raise NotFound(f"no event {event_id!r} in {store.path.name}\nids are compared as text, exactly{like}")


def answer_again(store: Store, pipeline: Pipeline, prediction: Prediction, model: Model | None = None) -> tuple[str, str]:
    """Rebuilds the version that answered and asks it again: ("equal" | "different" | "not claimed", why).

    `model` is that version, where the caller has made it.
    """
    plan = pipeline.plan()
    here, there = fingerprint(plan.models), store.nearest_version(prediction.position, prediction.model)[0].fingerprint
    lines = StoredLines(store, plan)
    if why := lines.lost(prediction.model):
        return "not claimed", f"it cannot be asked again: {why}"
    answering = lines.rebuild(prediction.model, prediction.position) if model is None else model
    output = answering.predict(prediction.features)
    same = output_bytes(output.value, output.scores) == output_bytes(prediction.value, prediction.scores)
    if here != there or not same_numbers(here, store.get("fingerprint") or here):  # or it changed since that version
        said = "the same bytes" if same else f"{output.value!r} {output.scores!r}"
        return "not claimed", f"answered on {there}, this machine is {here}; here it gives {said}"
    return ("equal", "bit for bit") if same else ("different", f"now {output.value!r} {output.scores!r}")


_encode = msgspec.msgpack.Encoder().encode


def output_bytes(value: Any, scores: Any) -> bytes:
    """An answer as bytes, for comparing to the bit."""
    return _encode((value, scores))


def dead_letters(store: Store) -> list[DeadLetter]:
    """Everything that was refused, in order."""
    rows = store.db.execute("SELECT dead FROM blocks WHERE deads > 0 ORDER BY seq")
    return [letter for (packed,) in rows for letter in blocks.decode_dead(packed)]


def _event(schema: Schema, inputs: list[blocks.Input], event_id: str) -> bytes:
    """The event as it came. Others with its id in the same block may have been refused."""
    needle = event_id.encode()
    for given in inputs:
        if given.kind == Kind.EVENT and needle in given.raw:
            try:
                if schema.decode(given.raw).id == event_id:
                    return given.raw
            except Rejected:
                continue
    raise AssertionError("an answer without its event")


def _truths(store: Store, slot: int, seq: int, model: str) -> list[Learned]:
    found = []
    rows = store.db.execute("SELECT examples FROM blocks WHERE seq>=? ORDER BY seq", (seq,))
    for (packed,) in rows:
        for row in blocks.decode_examples(packed):
            if row.slot == slot:
                position = reached(row, model, store.pipeline)
                version = f"{model}@{position}" if position >= 0 else None
                found.append(Learned(row.truth, row.known, row.at, row.revision, version))
        if found and store.seq - seq > 10_000:
            break
    return found
