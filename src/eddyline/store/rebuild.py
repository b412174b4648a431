"""Any version from the nearest kept one: the examples log, folded again.

Keeps `rebuild`. Needs a model to restore into and a store to read; runs no stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from eddyline.ports import Model
from eddyline.records import Features, Prediction
from eddyline.records.errors import StoreCorrupt
from eddyline.store.database import Store


def rebuild(store: Store, blank: Model, position: int) -> Model:
    """The model after `position` examples, to the bit: the nearest kept version and the examples since."""
    version, state = store.nearest_version(position)
    model = blank.restored(state)
    at = version.position
    for number, features, truth in learned(store, at, position):
        model.learn(features, truth)
        at = number
    if at != position:
        raise StoreCorrupt(f"store {store.path.name}: the examples log ends at {at}, before {version.model}@{position}")
    return model


def learned(store: Store, after: int, until: int) -> Iterator[tuple[int, Features, Any]]:
    """The examples that moved the learner from position `after` to `until`: (position, features as served, truth)."""
    if until <= after:
        return
    predictions = PredictionReader(store)
    row = store.db.execute("SELECT max(seq) FROM blocks WHERE first_example<=?", (after,)).fetchone()
    first = int(row[0] or 1) - 1
    for seq in range(first + 1, store.seq + 1):
        for example in store.examples_of(seq):
            if after < example.position <= until:
                yield example.position, predictions.read(example.slot).features, example.truth
                if example.position == until:
                    return


class PredictionReader:
    """Predictions by their number, with a bounded cache of the groups they are kept in."""

    def __init__(self, store: Store, groups: int = 512) -> None:
        self.store = store
        self.limit = groups
        self.groups: OrderedDict[int, list[Prediction]] = OrderedDict()
        self.starts: dict[int, int] = {}

    def read(self, slot: int) -> Prediction:
        """The prediction with this number."""
        start = self.starts.get(slot)
        if start is None:
            start, group = self.store.prediction_group(slot)
            self.groups[start] = group
            for i in range(len(group)):
                self.starts[start + i] = start
            if len(self.groups) > self.limit:
                old, dropped = self.groups.popitem(last=False)
                for i in range(len(dropped)):
                    del self.starts[old + i]
        else:
            group = self.groups[start]
        return group[slot - start]
