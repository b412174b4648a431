"""Predictions by their number, read from the journal, the groups they are kept in behind a bounded cache.

A label for an event of long ago costs one read of its block and the unpacking of one group of 128; its neighbours are then
at hand, still packed. Knows nothing of what waits or was settled.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict

import msgspec

from eddyline.records import Prediction
from eddyline.store import blocks
from eddyline.store.database import Store


class PredictionReader:
    """Reads predictions of one store. `groups` bounds the cache: each holds at most 128 predictions, about 30 kB."""

    def __init__(self, store: Store, groups: int = 1024) -> None:
        self.store = store
        self.limit = groups
        self.groups: OrderedDict[int, list[msgspec.Raw]] = OrderedDict()
        self.starts: list[int] = []

    def read(self, slot: int) -> Prediction:
        """The prediction with this number."""
        place = bisect_right(self.starts, slot) - 1
        start = self.starts[place] if place >= 0 else slot + 1
        offset = slot - start
        if offset < 0 or offset >= len(self.groups[start]):
            start = self._fetch(slot)
            offset = slot - start
        else:
            self.groups.move_to_end(start)
        return blocks.decode_single(self.groups[start][offset])

    def _fetch(self, slot: int) -> int:
        start, group = self.store.packed_group(slot)
        self.groups[start] = group
        insort(self.starts, start)
        if len(self.groups) > self.limit:
            oldest, _ = self.groups.popitem(last=False)
            del self.starts[bisect_right(self.starts, oldest) - 1]
        return start
