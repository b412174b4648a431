"""The declarations of a store, one after the other: which words held from which block on, and the lines that are no more.

Each change is one block of the chain, which holds the words before and after. What the stages remembered then is beside it,
under its digest. Reads only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from eddyline.records import Declared, Place, Rollout
from eddyline.records.errors import StoreCorrupt
from eddyline.stages.carry_watch import Layout
from eddyline.stages.features import Maker, gone
from eddyline.store import blocks
from eddyline.store.database import Store

CHANGED = "changed"
"""The blocks with a declaration of their own, as the store remembers them to be found soon."""
LAYOUT = "layout"


class Kept(msgspec.Struct, frozen=True):
    """What a store keeps of the declaration that holds, beside its words: how watch's memory lies, and by what events are
    named by segment; and the seats that there were at the store's very start.
    """

    watch: Layout
    segment: str
    places: tuple[Place, ...] = ()


class Memory(msgspec.Struct, frozen=True):
    """Where the stages stood at a change, after it: watch and decide as bytes, the learners by position."""

    watch: bytes
    decide: bytes
    learners: dict[str, int]


class Changed(NamedTuple):
    """A change and its block, and the wall clock (s) when it was committed."""

    block: int
    declared: Declared
    received_at: float


def changes(store: Store) -> list[Changed]:
    """Every change of declaration, in order."""
    found = []
    for seq in store.get(CHANGED) or ():
        row = store.db.execute("SELECT notes FROM blocks WHERE seq=?", (seq,)).fetchone()
        notes = None if row is None else blocks.decode_notes(row[0])
        if notes is None or notes.declared is None:
            raise StoreCorrupt(f"store {store.path.name}: block {seq} was to hold a declaration\nrun eddyline verify")
        found.append(Changed(seq, notes.declared, notes.received_at))
    return found


def last_change(store: Store) -> Changed | None:
    """The change that brought the declaration that holds now; None where it is the first."""
    found = changes(store)
    return found[-1] if found else None


def memory_of(store: Store, change: Changed) -> Memory:
    """Where the stages stood after a change."""
    raw = store.kept_bytes(change.declared.memory, f"what was remembered at block {change.block}")
    return msgspec.msgpack.decode(raw, type=Memory)


def kept_layout(store: Store) -> Kept | None:
    """What the store keeps of the declaration beside its words; None where an Eddyline wrote it that did not."""
    found: Any = store.get(LAYOUT)
    return None if found is None else msgspec.convert(found, Kept)


def former_lines(store: Store) -> dict[str, Maker | None]:
    """The lines that are declared no more, and how they saw: None for as the pipeline does."""
    left = [one for change in changes(store) for one in change.declared.left]
    return {one.line: None if one.as_pipeline else gone(one.line) for one in left}


def skipped(store: Store) -> dict[str, frozenset[str]]:
    """The events that lines which were declared while the stream ran never learn: those that were forgotten before them."""
    found = [change.declared for change in changes(store)]
    return {line: frozenset(one.skip) for one in found for line in one.came if one.skip}


def first_rollout(store: Store, start: Rollout) -> Rollout:
    """Who answered at the store's start; `start` is what the declaration says that holds now."""
    found = changes(store)
    return msgspec.structs.replace(start, places=found[0].declared.places) if found else start
