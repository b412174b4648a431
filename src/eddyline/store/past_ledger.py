"""The ledger of a store for telling its journal again, block by block: as it was then, in memory that does not grow with it.

The journal says which ids its answers and examples are about, so nobody looks them up. What is asked beside that is in the
table of ids on disk, which was written up to an answer that the checkpoint names; later ones are packed (`store/ids.py`).
Chunks in which nothing waits any more are let go of where the disk holds the same: a mark is written once.

Keeps I21 (bounded), `still`: it writes nothing. Knows nothing of what is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify
from typing import Final

from eddyline.records import Arrival
from eddyline.store.blocks import ExampleRow
from eddyline.store.database import Store
from eddyline.store.ids import PackedIds
from eddyline.store.ledger import SHIFT, DiskLedger

CACHED: Final = 8_192
"""Waiting predictions that are kept unpacked; the others are read again."""
RECENT: Final = 8_192
"""Twice so many ids are kept as they are; those that are not on disk are packed then."""
SPARE: Final = 16
"""So many chunks more than the last time are there when it is looked for those to let go of."""


class PastLedger(DiskLedger):
    """The ledger of a store that is told again. `on_disk` is how many of the first answers have their ids on disk."""

    def __init__(self, store: Store, wait_us: int, decode_event: Callable[[bytes], Arrival], on_disk: int) -> None:
        work = store.before_commit  # the ledger of a running engine keeps it; this one commits nothing
        super().__init__(store, wait_us, decode_event, cached=CACHED, young=RECENT)
        store.before_commit = work
        self.packed = PackedIds(store, on_disk)
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

    def committed(self) -> None:
        """After a block: what can be read again is let go of."""
        super().committed()
        if len(self.chunks) >= self.look_at:
            self._let_go()
            self.look_at = len(self.chunks) + SPARE

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
