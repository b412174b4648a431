"""A dress rehearsal: the first record of each source, by the real engine, in a store that is thrown away.

The pipeline's model learns that event, with the truth of the first label, whosever that is; and so does each challenger, which
answers it, too: who raises at every event would be retired in a stream, and the ledger tells no words.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.pipeline import Pipeline
from eddyline.ports import SourceConfig, Tabular
from eddyline.records import Arrival, DeadLetter, Prediction
from eddyline.records.advice import renamed, strangers
from eddyline.records.near import nearest
from eddyline.records.schema import Schema
from eddyline.records.time import show_instant
from eddyline.store.blocks import Fault, Input, Kind
from eddyline.views.failing import asked, taught

_NOWADAYS_S = 500_000_000
"""The autumn of 1985: few streams are older, and seconds that are taken for milliseconds are."""


class Rehearsal(msgspec.Struct, frozen=True):
    """How the first record of a stream fared. `raw` is None where there is none, `record` what was read.

    `meant` are fields that may be missing and have no column, each with the column of a near name that fills none.
    """

    stream: str
    raw: bytes | None
    record: dict[str, Any] | None = None
    at: int | None = None
    prediction: Prediction | None = None
    refused: DeadLetter | None = None
    meant: dict[str, str] = {}


class Tryout(msgspec.Struct, frozen=True):
    """How a line fared: its answer to the first event, None where it has none; and why it failed, where it did."""

    line: str
    answer: Any
    failed: str


def rehearse(pipeline: Pipeline, base: Path) -> list[Rehearsal]:
    """Tries the first event and the first label, and keeps nothing. Relative paths start in `base`."""
    with tempfile.TemporaryDirectory() as folder, Engine(pipeline, Path(folder) / "rehearsal.eddyline") as engine:
        event = _first(pipeline.events, base, Kind.EVENT, Kind.EVENT_FAULT)
        label = _first(pipeline.labels, base, Kind.LABEL, Kind.LABEL_FAULT)
        return [
            msgspec.structs.replace(_tried(engine, stream, first), meant=meant)
            for stream, (first, meant) in (("events", event), ("labels", label))
        ]


def tryouts(pipeline: Pipeline, found: Sequence[Rehearsal]) -> list[Tryout]:
    """Each line tries what `rehearse` found, the pipeline's own first; nobody does where that could not answer."""
    event, label = found
    if event.prediction is None or event.raw is None:
        return []
    plan = pipeline.plan()
    value, seen = pipeline.event_schema.decode(event.raw).value, event.prediction.aggregates or {}
    truth = None if label.record is None or label.raw is None else pipeline.label_schema.decode(label.raw).truth
    made = []
    for name, line in plan.lines.items():
        maker = line.maker or plan.serve.maker
        output, failed = asked(line.model, maker, value, seen)
        if not failed and line.learns and truth is not None:
            failed = taught(line.model, maker, value, seen, truth)
            failed = failed and f"it cannot learn: {failed}"
        made.append(Tryout(name, None if output is None else output.value, failed))
    return made


def odd_times(pipeline: Pipeline, found: Sequence[Rehearsal]) -> list[str]:
    """What to tell of a first record whose time is a number that makes sense in another unit only."""
    notes = []
    for one, schema in zip(found, (pipeline.event_schema, pipeline.label_schema), strict=True):
        number = (one.record or {}).get(schema.time_field)
        if one.at is None or type(number) not in (int, float) or not number or abs(number) < _NOWADAYS_S:
            continue
        if one.at < _NOWADAYS_S * 1_000_000:
            notes.append(
                f"{one.stream}: the first record happened at {show_instant(one.at)}: its {schema.time_field} is {number}\n"
                f"ten digits count seconds, thirteen milliseconds: declare {schema.time_field}: EpochSeconds"
            )
    return notes


def other_names(pipeline: Pipeline, found: Sequence[Rehearsal]) -> list[str]:
    """What to tell of fields that may be missing, are, and stand there under a name that is nearly theirs.

    Nothing else would tell: a record without them is taken, and the model learns without them.
    """
    notes = []
    for one, schema in zip(found, (pipeline.event_schema, pipeline.label_schema), strict=True):
        for name, column in one.meant.items():
            notes.append(f'{_unfilled(one.stream, name, column)}\nif that is meant: columns={{"{name}": "{column}"}}')
        for name, near in _misnamed(schema, one).items():
            field = next(field for field in schema.declared if field.name == name)
            notes.append(f"{_unfilled(one.stream, name, near)}\nif that is meant: {renamed(schema, field, near)}")
    return notes


def _unfilled(stream: str, name: str, near: str) -> str:
    return f"{stream}: the first record has no {name!r}, which may be missing; it has {near!r}, which no field takes"


def _misnamed(schema: Schema, one: Rehearsal) -> dict[str, str]:
    """Fields that a record leaves out, each with a name in it that nobody declared and that is near."""
    if one.raw is None or one.record is None:
        return {}
    there = msgspec.json.decode(one.raw, type=dict[str, msgspec.Raw])
    others = strangers(schema, one.raw)
    found = {field.name: nearest(field.wire, others) for field in schema.declared if field.wire not in there}
    return {name: near for name, near in found.items() if near is not None}


def _first(config: SourceConfig, base: Path, kind: Kind, fault: Kind) -> tuple[Input | None, dict[str, str]]:
    """The first record of a source, as an engine takes it; and which columns may have been meant by fields without one."""
    source = config.open(base)
    lines = source.read(0, 1)
    meant = source.meant() if isinstance(source, Tabular) else {}
    if not lines:
        return None, meant
    line = lines[0]
    if line.fault is None:
        return Input(kind, line.raw, line.position), meant
    packed = msgspec.msgpack.encode(Fault(line.fault, line.raw, line.size, line.sha256, line.detail))
    return Input(fault, packed, line.position), meant


def _tried(engine: Engine, stream: str, given: Input | None) -> Rehearsal:
    if given is None:
        return Rehearsal(stream, None)
    record = engine.codec.decode(given)
    if isinstance(record, DeadLetter):
        return Rehearsal(stream, record.raw, refused=record)
    assert isinstance(record, Arrival)
    fields = {name: getattr(record.value, name) for name in record.value.__struct_fields__}
    if stream == "labels":
        return Rehearsal(stream, given.raw, fields, record.at)
    outcome = engine.take([given], [record])
    return Rehearsal(
        stream,
        given.raw,
        fields,
        record.at,
        prediction=outcome.predictions[0] if outcome.predictions else None,
        refused=outcome.dead[0] if outcome.dead else None,
    )
