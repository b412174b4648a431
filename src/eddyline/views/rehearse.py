"""A dress rehearsal: the first record of each source, by the real engine, in a store that is thrown away."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.engines.embedded.feed import Feed, Side
from eddyline.pipeline import Pipeline
from eddyline.records import Arrival, DeadLetter, Prediction


class Rehearsal(msgspec.Struct, frozen=True):
    """How the first record of a stream fared. `raw` is None where there is none, `record` what was read."""

    stream: str
    raw: bytes | None
    record: dict[str, Any] | None = None
    at: int | None = None
    prediction: Prediction | None = None
    refused: DeadLetter | None = None


def rehearse(pipeline: Pipeline, base: Path) -> list[Rehearsal]:
    """Tries the first event and the first label, and keeps nothing. Relative paths start in `base`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Engine(pipeline, Path(folder) / "rehearsal.eddyline") as engine,
    ):
        feed = Feed(pipeline, engine.codec, base, {})
        return [_first(engine, side) for side in (feed.events, feed.labels)]


def _first(engine: Engine, side: Side) -> Rehearsal:
    if not side.fill():
        return Rehearsal(side.word, None)
    _, given, record = side.ahead[0]
    if isinstance(record, DeadLetter):
        return Rehearsal(side.word, record.raw, refused=record)
    assert isinstance(record, Arrival)
    fields = {name: getattr(record.value, name) for name in record.value.__struct_fields__}
    if side.word == "labels":
        return Rehearsal(side.word, given.raw, fields, record.at)
    outcome = engine.take([given], [record])
    return Rehearsal(
        side.word,
        given.raw,
        fields,
        record.at,
        prediction=outcome.predictions[0] if outcome.predictions else None,
        refused=outcome.dead[0] if outcome.dead else None,
    )
