"""The memories of the stages as they stand at the end of a store, for looking.

The last checkpoint, and the inputs since, replayed as recovery replays them; nothing is written. Keeps
`rebuild`: what is replayed must answer as was recorded, else it stays with the checkpoint and says why.
"""

from __future__ import annotations

from typing import NamedTuple

from eddyline.engines.embedded.codec import InputCodec
from eddyline.engines.embedded.opening import stood
from eddyline.engines.loop import Loop, States
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline, Plan
from eddyline.pipeline.meaning import require_same
from eddyline.store.database import Store
from eddyline.store.ledger import DiskLedger
from eddyline.store.rebuild import StoredLines


class Reached(NamedTuple):
    """The memories after a block; `behind` says why it is not the last one, where it is not."""

    block: int
    states: States
    behind: str


def current(store: Store, pipeline: Pipeline, plan: Plan) -> Reached:
    """The memories at the end of the store, or at its last checkpoint where the rest cannot be replayed here.

    Costs what answering and learning the inputs since the checkpoint cost. `plan` is used up. Raises
    StoreMismatch for another pipeline than the one that filled the store.
    """
    require_same(store.get("parts") or {}, pipeline, store.path.name)
    checkpoint, loop = _at_checkpoint(store, pipeline, plan)
    if checkpoint == store.seq:
        return Reached(checkpoint, loop.states, "")
    here, there = fingerprint(plan.models), store.get("fingerprint")
    if here != there:
        why = f"the store was written as {there}, this machine computes as {here}"
        return Reached(checkpoint, loop.states, why)
    inputs = InputCodec(pipeline)
    ledger = loop.ledger
    assert isinstance(ledger, DiskLedger)
    for block in store.blocks(after=checkpoint):
        records = [inputs.decode(given) for given in block.inputs]
        ledger.expect(records)
        if loop.advance(records).predictions != block.predictions:
            _, loop = _at_checkpoint(store, pipeline, pipeline.plan())
            return Reached(checkpoint, loop.states, f"block {block.seq} gave other answers than were recorded")
        ledger.committed()
    return Reached(store.seq, loop.states, "")


def _at_checkpoint(store: Store, pipeline: Pipeline, plan: Plan) -> tuple[int, Loop]:
    at = stood(store, pipeline, plan)
    return at.block, Loop(plan, at.states, at.restored(store, pipeline, plan), StoredLines(store, plan))
