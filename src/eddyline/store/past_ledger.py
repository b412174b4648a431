"""The ledger of a store for telling its journal again, block by block: as it was then, in memory that does not grow with it.

The journal says which ids its answers and examples are about, so nobody looks them up. What is asked beside that is in the
table of ids on disk, which was written up to an answer that the checkpoint names; of later ones a hash is kept, 16 bytes
each. Chunks in which nothing waits any more are let go of where the disk holds the same: a mark is written once.

Keeps I21 (bounded), `still`: it writes nothing. Knows nothing of what is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify
from typing import Final

import numpy as np

from eddyline.records import Arrival
from eddyline.store.blocks import ExampleRow
from eddyline.store.database import Store
from eddyline.store.ledger import SHIFT, DiskLedger

CACHED: Final = 8_192
"""Waiting predictions that are kept unpacked; the others are read again."""
RECENT: Final = 65_536
"""Ids that are kept as they are, before they become hashes."""
SPARE: Final = 16
"""So many chunks more than the last time are there when it is looked for those to let go of."""


class PastLedger(DiskLedger):
    """The ledger of a store that is told again. `on_disk` is how many of the first answers have their ids on disk."""

    def __init__(self, store: Store, wait_us: int, decode_event: Callable[[bytes], Arrival], on_disk: int) -> None:
        work = store.before_commit  # the ledger of a running engine keeps it; this one commits nothing
        super().__init__(store, wait_us, decode_event, cached=CACHED)
        store.before_commit = work
        self.flushed = on_disk
        self.hashes = np.empty(0, np.int64)
        self.slots = np.empty(0, np.int64)
        self.look_at = SPARE

    def expect_rows(self, rows: Sequence[ExampleRow]) -> None:
        """Is told the examples that a block recorded, before the stages see its inputs."""
        self.arrivals = []
        self.looked_up.clear()
        self.checked.clear()
        for row in rows:
            if row.slot < self.count:
                prediction = self.checked[row.slot] = self.prediction(row.slot)
                self.looked_up[prediction.event_id] = row.slot

    def find(self, event_id: str) -> int | None:
        """The number of the answer to an event, among those told so far."""
        slot = self.recent.get(event_id)
        if slot is not None:
            return slot
        try:
            return self.looked_up[event_id]
        except KeyError:
            found = self.looked_up[event_id] = self._hashed(event_id)
        if found is None and self.flushed:
            row = self.store.db.execute("SELECT slot FROM ids WHERE id=? AND slot<?", (event_id, self.count)).fetchone()
            if row is not None:
                found = self.looked_up[event_id] = int(row[0])
                self._check(found, event_id)
        return found

    def _hashed(self, event_id: str) -> int | None:
        """Among the hashes: two ids may share one, so the answer there has to be the answer to this id."""
        key = hash(event_id)
        first, end = (np.searchsorted(self.hashes, key, side) for side in ("left", "right"))
        among: list[int] = self.slots[first:end].tolist()
        for slot in among:
            if self.prediction(slot).event_id == event_id:
                return slot
        return None

    def committed(self) -> None:
        """After a block: what can be read again is let go of."""
        super().committed()
        if self.count <= self.flushed:
            self.recent.clear()
        elif len(self.recent) >= RECENT:
            self._hash()
        if len(self.chunks) >= self.look_at:
            self._let_go()
            self.look_at = len(self.chunks) + SPARE

    def _hash(self) -> None:
        """Makes hashes of the recent ids."""
        late = {event_id: slot for event_id, slot in self.recent.items() if slot >= self.flushed}
        hashes = np.concatenate([self.hashes, np.fromiter(map(hash, late), np.int64, len(late))])
        slots = np.concatenate([self.slots, np.fromiter(late.values(), np.int64, len(late))])
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.slots = hashes[order], slots[order]
        self.recent.clear()

    def _let_go(self) -> None:
        """Lets go of chunks in which nothing waits, where the disk holds the same."""
        settled = {number for number, chunk in self.chunks.items() if chunk.settled()}
        self.open = [entry for entry in self.open if entry[1] not in settled]
        heapify(self.open)
        waiting = {slot >> SHIFT for _, slot in self.line}
        for number in settled - waiting:
            if self._on_disk(number):
                del self.chunks[number]

    def _on_disk(self, number: int) -> bool:
        """Whether the disk holds a chunk as it is here: that of the last checkpoint may be older."""
        chunk = self.chunks[number]
        kept = self.kept_chunk(number)
        return kept is not None and (kept.ats, kept.marks) == (chunk.ats, chunk.marks)
