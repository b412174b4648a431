"""What opening a store demands of its last checkpoint: where the stages stood, refused where nobody could go on from there.

The engine opens with it, and looking and verifying ask the same. Reads only.
"""

from __future__ import annotations

from typing import NamedTuple

from eddyline.engines.embedded import codec
from eddyline.engines.loop import Loop, States
from eddyline.pipeline import Pipeline, Plan
from eddyline.records.errors import StoreCorrupt
from eddyline.store.database import Store
from eddyline.store.ledger import DiskLedger, require_chunks


class Stood(NamedTuple):
    """Where the stages stood after a block (0: before the first), and what the ledger must remember of it."""

    block: int
    states: States
    ledger: dict[str, int] | None

    def restored(self, store: Store, pipeline: Pipeline, plan: Plan) -> DiskLedger:
        """The ledger as it was then."""
        ledger = DiskLedger(store, plan.join.wait_us, pipeline.event_schema.decode)
        if self.ledger is not None:
            lateness_us = max(plan.serve.lateness_us, plan.join.lateness_us)
            ledger.restore(self.ledger, self.states.serve.frontier - lateness_us)
        return ledger


def stood(store: Store, pipeline: Pipeline, plan: Plan) -> Stood:
    """Where the last checkpoint left the stages. `plan` is used up. Raises `StoreCorrupt` where its store does not fit it."""
    found = store.checkpoint()
    if found is None:
        return Stood(0, Loop.first_states(plan), None)
    seq, raw = found
    (ends,) = store.db.execute("SELECT max(seq) FROM blocks").fetchone()  # somebody may run on while we look
    if seq > (ends or 0):
        raise StoreCorrupt(
            f"store {store.path.name}: its checkpoint stands at block {seq}, its journal ends at {ends or 0}: "
            "it was cut\nrestore it from a backup"
        )
    states, remembered = codec.load_states(raw, plan, pipeline.label_schema)
    require_chunks(store, remembered)
    return Stood(seq, states, remembered)
