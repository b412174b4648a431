"""Inputs to records and memories to bytes: the two translations an engine needs around the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from eddyline.engines.loop import Loop, Outcome, Record, States
from eddyline.pipeline import Pipeline, Plan
from eddyline.ports import Model
from eddyline.records import Arrival, DeadLetter, Reason, Watermark
from eddyline.records.errors import Rejected, StoreMismatch
from eddyline.records.schema import Schema
from eddyline.stages.aggregates import AggregatesState
from eddyline.stages.commands import Command
from eddyline.stages.join import JoinState, held
from eddyline.stages.learn import LearnState
from eddyline.stages.refuse import KEPT, refuse_bytes
from eddyline.stages.serve import ServeState
from eddyline.store import blocks
from eddyline.store.blocks import ExampleRow, Fault, Input, Kind

_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_fault = msgspec.msgpack.Decoder(Fault).decode
_command = msgspec.json.Decoder(Command).decode
_watermark = msgspec.json.Decoder(Watermark).decode


class InputCodec:
    """Reads journaled inputs: the same bytes give the same record, today and in ten years."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.event = pipeline.event_schema.decode
        self.label = pipeline.label_schema.decode
        self.ids = {"events": pipeline.event_schema.id_wire, "labels": pipeline.label_schema.id_wire}

    def reader(self, kind: int) -> Callable[[bytes], Arrival]:
        """How events, or labels, are read."""
        return self.event if kind == Kind.EVENT else self.label

    def decode(self, given: Input) -> Record:
        """The record an input stands for; a dead letter when it cannot be read."""
        kind = given.kind
        if kind == Kind.EVENT or kind == Kind.LABEL:
            try:
                return self.reader(kind)(given.raw)
            except Rejected as rejected:
                return self.refused(given, rejected)
        if kind == Kind.COMMAND:
            try:
                return _command(given.raw)
            except msgspec.MsgspecError as error:
                return refuse_bytes("commands", Reason.MALFORMED.value, f"not a command: {error}", given.raw)
        if kind == Kind.WATERMARK:
            return _watermark(given.raw)
        fault = _fault(given.raw)
        stream = "events" if kind == Kind.EVENT_FAULT else "labels"
        return DeadLetter(
            stream=stream,
            reason=fault.reason,
            detail=fault.detail or _FAULTS.get(fault.reason, "the source could not read it"),
            event_id=None,
            raw=fault.raw,
            size=fault.size,
            sha256=fault.sha256,
            origin=origin(stream, given),
        )

    def refused(self, given: Input, rejected: Rejected) -> DeadLetter:
        """The dead letter for an event or a label that could not be read."""
        stream = "events" if given.kind == Kind.EVENT else "labels"
        return refuse_bytes(
            stream,
            rejected.reason,
            rejected.detail,
            given.raw,
            event_id=id_within(given.raw, self.ids[stream]),
            origin=origin(stream, given),
        )


def origin(stream: str, given: Input) -> str:
    """Where an input came from: `events:4711` after so many bytes or rows, `events/2:4711` the message at an offset."""
    return f"{stream}:{given.position}" if given.part < 0 else f"{stream}/{given.part}:{given.position - 1}"


def unsayable(kind: Kind, value: Any, rejected: Rejected) -> Input:
    """The input that stands for an object that cannot be written as bytes: what Python shows of it, and why."""
    try:
        shown = repr(value)
    except Exception as error:  # such as an integer of more digits than Python shows
        shown = f"a {type(value).__name__} that cannot be shown: {error}"
    raw = shown.encode(errors="backslashreplace")
    letter = refuse_bytes("", rejected.reason, rejected.detail, raw)
    return Input(kind, _pack(Fault(letter.reason, letter.raw, letter.size, letter.sha256, letter.detail)))


_FAULTS = {
    Reason.TOO_LARGE.value: "longer than the source allows; raise max_line=... if that is right",
    Reason.MALFORMED.value: "the row cannot be read",
    Reason.OUT_OF_RANGE.value: "a field is NaN or infinite",
}


def id_within(raw: bytes, name: str) -> str | None:
    """The id of a record that was refused, where one can be made out; `name` is what JSON calls it.

    >>> id_within(b'{"flight": 7, "at": null}', "flight")
    '7'
    """
    try:
        found = msgspec.json.decode(raw[:KEPT], type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    value = found.get(name)
    return str(value) if value != "" and type(value) in (str, int) else None


def command_input(command: Command) -> Input:
    return Input(Kind.COMMAND, _json(command))


def watermark_input(watermark: Watermark) -> Input:
    return Input(Kind.WATERMARK, _json(watermark))


def example_rows(outcome: Outcome, loop: Loop) -> list[ExampleRow]:
    """The examples of an outcome as they are kept: by the number of their prediction."""
    find = loop.ledger.find
    return [
        ExampleRow(_slot(find(e.prediction.event_id)), e.truth, e.known, e.at, e.revision, position, also)
        for e, position, also in zip(outcome.examples, outcome.positions, outcome.also, strict=True)
    ]


def _slot(slot: int | None) -> int:
    assert slot is not None, "an example of a prediction that was never made"
    return slot


def outcome_parts(outcome: Outcome, loop: Loop, inputs: Sequence[Input]) -> tuple[bytes, bytes, bytes, bytes]:
    """The four record columns of a block."""
    return (
        blocks.encode_inputs(inputs),
        blocks.encode_predictions(outcome.predictions),
        blocks.encode_examples(example_rows(outcome, loop) if outcome.examples else []),
        blocks.encode_dead(outcome.dead),
    )


LAYOUT = 2
"""The layout of a checkpoint; another one is refused."""


class SavedLearner(msgspec.Struct, frozen=True):
    """One line's learner."""

    name: str
    model: bytes
    position: int
    published: bytes | None
    published_position: int
    published_at: int | None = None


class SavedStates(msgspec.Struct, frozen=True):
    """The memories of the stages at one block, as plain values."""

    layout: int
    frontier: int
    repeated: int
    windows: dict[int, bytes]
    early: list[bytes]
    held: list[bytes]
    label_frontier: int
    watermark: int
    revisions: dict[int, list[int]]
    labels_repeated: int
    learners: list[SavedLearner]
    watch: bytes
    decide: bytes
    ledger: dict[str, int]


def save_states(states: States, plan: Plan, labels: Schema, ledger: dict[str, int]) -> bytes:
    """The memories as bytes. Learners are saved whole; undoing starts from here afterwards."""
    serve, join = states.serve, states.join
    windows = plan.serve.aggregates.save(serve.windows) if plan.serve.aggregates else {}
    early = [labels.encode(label.value) for waiting in join.early.values() for label in waiting]
    return _pack(
        SavedStates(
            layout=LAYOUT,
            frontier=serve.frontier,
            repeated=serve.repeated,
            windows=windows,
            early=early,
            held=[labels.encode(label.value) for *_, label in sorted(join.held, key=lambda held: held[:4])],
            label_frontier=join.frontier,
            watermark=join.watermark,
            revisions=join.revisions,
            labels_repeated=join.repeated,
            learners=[_saved_learner(learn) for learn in (states.learn, *states.rivals.values())],
            watch=plan.watch.save(states.watch),
            decide=plan.decide.save(states.decide),
            ledger=ledger,
        )
    )


def _saved_learner(learn: LearnState) -> SavedLearner:
    if learn.since:
        learn.saved = learn.model.save()
        learn.since.clear()
    published = learn.published.save() if learn.published else None
    return SavedLearner(learn.name, learn.saved, learn.position, published, learn.published_position, learn.published_at)


def _loaded_learner(saved: SavedLearner, blank: Model) -> LearnState:
    return LearnState(
        model=blank.restored(saved.model),
        position=saved.position,
        saved=saved.model,
        name=saved.name,
        published=blank.restored(saved.published) if saved.published is not None else None,
        published_position=saved.published_position,
        published_at=saved.published_at,
    )


def load_states(raw: bytes, plan: Plan, labels: Schema) -> tuple[States, dict[str, int]]:
    """The memories that `save_states` saved, and what the ledger must remember."""
    try:
        saved = msgspec.msgpack.decode(raw, type=SavedStates)
    except msgspec.ValidationError as error:
        raise StoreMismatch(
            f"the checkpoint was written by another version of Eddyline ({error})\nuse the Eddyline that wrote the store"
        ) from error
    if saved.layout != LAYOUT:
        raise StoreMismatch(
            f"the checkpoint has layout {saved.layout}, this Eddyline reads {LAYOUT}\nuse the Eddyline that wrote the store"
        )
    aggregates = plan.serve.aggregates
    decide = plan.decide.restore(saved.decide)
    like = {name: name for name in plan.lines} | {entry.name: entry.like for entry in decide.entries.values()}
    own, *rivals = [_loaded_learner(one, plan.lines[like[one.name]].model) for one in saved.learners]
    serve = ServeState(
        windows=aggregates.restore(saved.windows.values()) if aggregates else AggregatesState(()),
        frontier=saved.frontier,
        repeated=saved.repeated,
    )
    watch = plan.watch.restore(saved.watch)
    states = States(serve, _load_join(saved, plan, labels), own, watch, decide, {one.name: one for one in rivals})
    return states, saved.ledger


class _SavedLedger(msgspec.Struct, frozen=True):
    """The part of `SavedStates` that says how far the ledger's ids are on disk."""

    ledger: dict[str, int]


def ids_on_disk(raw: bytes) -> int:
    """Of how many of the first answers the ids are in the table of ids, as `save_states` saved it."""
    return msgspec.msgpack.decode(raw, type=_SavedLedger).ledger["flushed"]


def _load_join(saved: SavedStates, plan: Plan, labels: Schema) -> JoinState:
    join = JoinState(
        frontier=saved.label_frontier,
        watermark=saved.watermark,
        revisions=saved.revisions,
        repeated=saved.labels_repeated,
    )
    for raw in saved.early:
        label: Arrival = labels.decode(raw)
        join.early.setdefault(label.id, []).append(label)
        join.early_count += 1
        join.early_due.append((label.at + plan.join.wait_us, label.id))
    join.early_due.sort()
    join.held = [held(label) for label in map(labels.decode, saved.held)]
    return join
