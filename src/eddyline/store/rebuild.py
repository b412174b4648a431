"""Any version from the nearest kept one: the examples log, folded again.

Keeps `rebuild`. Needs a model to restore into and a store to read; runs no stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eddyline.ports import Model
from eddyline.records import Features
from eddyline.records.errors import StoreCorrupt
from eddyline.store.database import Store
from eddyline.store.reader import PredictionReader


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
