"""A training told again: the examples that made a retrained model, from the lineage that was registered with its bytes.

Refuses to guess: where the lineage does not name every example, where some could not be learned, or where the model did not
start fresh, it says so. What it tells has the digest that the lineage names, or is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from eddyline.ports import Model
from eddyline.records import ModelVersion
from eddyline.records.errors import EddylineError, StoreCorrupt
from eddyline.stages.lines import Entry, Step
from eddyline.store.examples import Reader
from eddyline.store.rebuild import StoredLines
from eddyline.store.training import Lineage, linked


class Retold:
    """One training. Raises `EddylineError` where it cannot be told, with what to do instead."""

    def __init__(self, lines: StoredLines, entry: Entry, made: ModelVersion) -> None:
        self.lines, self.entry = lines, entry
        self.lineage = self._lineage(made)
        blank = lines.blank(entry.name)
        if blank.digest() != self.lineage.started_from:
            raise self._untold(made, "from another model than a fresh one of its recipe")
        self.blank = blank

    def first(self) -> Model:
        """The model before the first example."""
        return self.blank.restored(self.blank.save())

    def steps(self) -> Iterator[Step]:
        """Every example that it learned, the first one first."""
        learned, chain = self.lineage.learned, b""
        numbers = [number for first, last in learned.ranges or () for number in range(first, last + 1)]
        for position, sample in enumerate(Reader(self.lines.store, self.entry.like, self.lines.makers).read(numbers), 1):
            assert sample.features is not None, "an example that nobody saw is not in a lineage"
            chain = linked(chain, sample)
            yield Step(position, sample.prediction.event_id, sample.features, sample.row.truth)
        if chain.hex() != learned.digest:
            raise StoreCorrupt(
                f"store {self.lines.store.path.name}: the examples of {self.entry.name} are not those of its lineage\n"
                "run eddyline verify"
            )

    def _lineage(self, made: ModelVersion) -> Lineage:
        row = self.lines.store.db.execute("SELECT recipe FROM recipes WHERE digest=?", (made.recipe,)).fetchone()
        told = json.loads(row[0]).get("lineage") if row is not None else None
        if told is None:
            raise self._untold(made, "and no lineage of it is here")
        lineage = msgspec.convert(told, Lineage)
        if lineage.parent is not None:
            raise self._untold(made, f"and went on from {lineage.parent}")
        if lineage.refused or lineage.learned.ranges is None:
            raise self._untold(made, "from chosen examples, and its lineage does not name each")
        return lineage

    def _untold(self, made: ModelVersion, why: str) -> EddylineError:
        name = self.entry.name
        return EddylineError(
            f"{name} was made by {made.created_by}, {why}: it cannot be told which it learned\n"
            f"take it away, forget, and retrain: eddyline challengers FILE --leave {name}"
        )
