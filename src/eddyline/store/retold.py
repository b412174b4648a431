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
from eddyline.stages.commands import version_of
from eddyline.stages.lines import Entry, Step
from eddyline.store.examples import Reader, position_at
from eddyline.store.rebuild import StoredLines
from eddyline.store.training import Lineage, linked


def lineage_key(line: str) -> str:
    """Under which name the copy of a job's log keeps where a retrained line comes from."""
    return f"lineage/{line}"


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
        """Every example in the bytes with which the line entered, the first one first.

        In one process they are those of the training; beside a job, it has caught up already with the line that it follows.
        """
        yield from self._chosen()
        if self.entry.after is not None and version_of(self.entry.start)[1] > self.lineage.learned.count:
            source, until = version_of(self.entry.after)
            for step in self.lines.past(source, self._known(source), until):
                if step.event_id not in self.entry.skip:
                    yield step

    def _chosen(self) -> Iterator[Step]:
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

    def _known(self, source: str) -> int:
        """Where the line that it caught up with stood at the last example of the training."""
        if source == self.lines.own:
            return self.lineage.reached
        last = self.lineage.learned.last
        return position_at(self.lines.store, source, -1 if last is None else last.number)

    def _lineage(self, made: ModelVersion) -> Lineage:
        row = self.lines.store.db.execute("SELECT recipe FROM recipes WHERE digest=?", (made.recipe,)).fetchone()
        told = None if row is None else json.loads(row[0]).get("lineage")
        told = told or self.lines.store.get(lineage_key(made.model))
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
