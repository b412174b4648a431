"""The versions of a model as a store keeps them, and who answered since when. Reads only."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.records import ModelVersion, Rollout
from eddyline.store import blocks
from eddyline.store.database import Store


class KeptVersion(msgspec.Struct, frozen=True):
    """A version that is kept as bytes: how many, in which block it was registered, and how it was made."""

    version: ModelVersion
    octets: int
    block: int
    recipe: dict[str, Any]


class Change(msgspec.Struct, frozen=True):
    """A rollout that came into force: in which block, and where the learner stood after it."""

    rollout: Rollout
    block: int
    learner: int
    received_at: float


class Standing(msgspec.Struct, frozen=True):
    """Who answers now: `version` is the champion, what was last published, or the learner (`live`)."""

    version: str
    live: bool
    learner: int
    rollout: Rollout


def kept_versions(store: Store) -> list[KeptVersion]:
    """The versions kept as bytes, by line and position; every position between them can be rebuilt."""
    rows = store.db.execute(
        "SELECT v.version, length(s.state), v.seq FROM versions v "
        "LEFT JOIN snapshots s ON s.hash = v.snapshot ORDER BY v.model<>?, v.model, v.position",
        (store.pipeline,),
    )
    recipes = {digest: json.loads(recipe) for digest, recipe in store.db.execute("SELECT digest, recipe FROM recipes")}
    decode = msgspec.msgpack.Decoder(ModelVersion).decode
    found = []
    for raw, octets, seq in rows:
        version = decode(raw)
        found.append(KeptVersion(version, octets or 0, seq, recipes.get(version.recipe, {})))
    return found


def changes(store: Store, after: int = 0) -> list[Change]:
    """Every rollout that was decided after a block, in order."""
    found = []
    for seq, packed in store.db.execute("SELECT seq, notes FROM blocks WHERE seq>? ORDER BY seq", (after,)):
        notes = blocks.decode_notes(packed)
        found += [Change(rollout, seq, notes.learner, notes.received_at) for rollout in notes.rollouts]
    return found


def standing(store: Store, pipeline: Pipeline) -> Standing:
    """Who answers after the last block of the store."""
    row = store.db.execute("SELECT notes FROM blocks ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        return Standing(f"{pipeline.name}@0", pipeline.publish is None, 0, pipeline.plan().decide.new_state().rollout)
    notes = blocks.decode_notes(row[0])
    position = notes.learner if notes.published < 0 else notes.published
    live = notes.rollout.champion is None and pipeline.publish is None
    return Standing(notes.rollout.champion or f"{pipeline.name}@{position}", live, notes.learner, notes.rollout)
