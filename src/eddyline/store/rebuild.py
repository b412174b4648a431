"""Any version of any line from the nearest kept one: the examples log, folded again.

Keeps `rebuild`. Needs models to restore into and a store to read; runs no stage.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

import msgspec

from eddyline.models.alone import alone
from eddyline.pipeline import Plan
from eddyline.ports import Model
from eddyline.records import ModelVersion
from eddyline.records.errors import EddylineError, NotFound, StoreCorrupt, StoreMismatch
from eddyline.stages.commands import version_of
from eddyline.stages.features import Maker
from eddyline.stages.learn import ENTERED
from eddyline.stages.lines import Entry, Step, seen_by
from eddyline.store import blocks
from eddyline.store.blocks import ExampleRow
from eddyline.store.database import Store
from eddyline.store.declarations import former_lines, skipped
from eddyline.store.reader import PredictionReader

FAR = 2**62


class StoredLines:
    """The lines of a store: those that the pipeline declares, those that it declared once, and those that entered.

    A line that is declared no more is made of its bytes alone; `lost` says of which that cannot be, and why.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store = store
        self.own = plan.decide.model
        self.blanks: dict[str, Model] = {name: line.model for name, line in plan.lines.items()}
        self.formers = former_lines(store)
        self.makers: dict[str, Maker | None] = {**self.formers, **{name: line.maker for name, line in plan.lines.items()}}
        self._reasons: dict[str, str] = {}
        for entry in kept_entries(store):
            self.enter(entry)

    def former(self) -> Mapping[str, Maker | None]:
        """The lines that are declared no more, and how they saw: None for as the pipeline does."""
        return self.formers

    def skipped(self) -> Mapping[str, frozenset[str]]:
        """The events that lines which were declared while the stream ran never learn."""
        return skipped(self.store)

    def enter(self, entry: Entry) -> None:
        """A line has entered: it is made, and sees, as the line that it is like."""
        self.makers[entry.name] = self.makers[entry.like]
        if entry.like in self.formers:
            self.formers[entry.name] = self.formers[entry.like]
        else:
            self.blanks[entry.name] = self.blanks[entry.like]

    def knows(self, line: str) -> bool:
        """Whether there is, or was, a line of this name."""
        return line in self.blanks or line in self.formers

    def blank(self, line: str) -> Model:
        """A model to restore a version of this line into. Raises StoreMismatch where only a former declaration can make it."""
        if not self.knows(line):
            known = ", ".join(self.blanks)
            raise NotFound(f"no line {line!r} in {self.store.path.name}\nit has {known}; versions are written {self.own}@1000")
        if line not in self.blanks:
            self.blanks[line] = self._alone(line)
        return self.blanks[line]

    def models(self) -> list[Model]:
        """The models of all lines that there are and were, as far as they can be made."""
        for line in self.formers:
            self.lost(line)
        return list(self.blanks.values())

    def lost(self, line: str) -> str:
        """Why nobody can make versions of this line; empty where they can be made."""
        if line in self._reasons or line in self.blanks or line not in self.formers:
            return self._reasons.get(line, "")
        try:
            self.blank(line)
        except StoreMismatch as error:
            self._reasons[line] = str(error)
        return self._reasons.get(line, "")

    def _alone(self, line: str) -> Model:
        """A line that is declared no more, from its first bytes and the recipe that was registered with them."""
        first, state = self.store.nearest_version(self.store.versions(line)[0].position, line)
        row = self.store.db.execute("SELECT recipe FROM recipes WHERE digest=?", (first.recipe,)).fetchone()
        try:
            return alone(state, {} if row is None else json.loads(row[0]))
        except StoreMismatch as error:
            raise StoreMismatch(f"{line} is declared no more, and {error}") from error

    def holds(self, version: str, positions: Mapping[str, int]) -> bool:
        """Whether a version can be made, while the learners stand at `positions`.

        Of a line that is there, those between where it began and where it stands; bytes that say more are nobody's. Of one
        that is not there yet, those that are registered.
        """
        try:
            line, position = version_of(version)
        except EddylineError:
            return False
        if line in positions:
            return position <= positions[line] and reachable(self.store, line, position)
        row = (line, position)
        return self.store.db.execute("SELECT 1 FROM versions WHERE model=? AND position=?", row).fetchone() is not None

    def digest(self, version: str) -> str:
        """The digest that a version was registered with; empty for one that is not kept."""
        line, position = version_of(version)
        kept, _ = self.store.nearest_version(position, line)
        return kept.digest if kept.position == position else ""

    def learned(self, version: str, events: Collection[str]) -> str | None:
        """The first of some events that a version learned; None where it learned none. See `Ancestry.first_of`."""
        from eddyline.store.ancestry import Ancestry  # which is told by the lines of a store

        line, position = version_of(version)
        return Ancestry(self.store, self).first_of(line, position, events)

    def rebuild(self, line: str, position: int) -> Model:
        """The model of a line at a position, to the bit."""
        store = self.store
        blank = self.blank(line)
        version, state = store.nearest_version(position, line)
        model = blank.restored(state)
        at = version.position
        for step in self.past(line, at, position):
            model.learn(step.features, step.truth)
            at = step.position
        if at != position:
            raise StoreCorrupt(f"store {store.path.name}: the examples log ends at {at}, before {version.model}@{position}")
        return model

    def past(self, line: str, after: int, until: int) -> Iterator[Step]:
        """The examples that moved a line from position `after` to `until`, in order."""
        if until <= after:
            return
        predictions, store = PredictionReader(self.store), self.store
        for seq in range(self._first_block(line, after), store.seq + 1):
            for row in store.examples_of(seq):
                position = reached(row, line, self.own)
                if after < position <= until:
                    prediction = predictions.read(row.slot)
                    features = seen_by(prediction, line, self.makers)
                    if features is None:
                        raise StoreCorrupt(f"store {store.path.name}: {line}@{position} learned what nobody saw")
                    yield Step(position, prediction.event_id, features, row.truth)
                    if position == until:
                        return

    def _first_block(self, line: str, after: int) -> int:
        """A block at or before the one in which the line went beyond a position."""
        db = self.store.db
        if line == self.own:
            row = db.execute("SELECT max(seq) FROM blocks WHERE first_example<=?", (after,)).fetchone()
        else:
            row = db.execute("SELECT max(seq) FROM versions WHERE model=? AND position<=?", (line, after)).fetchone()
        return max(1, int(row[0] or 1))


def caught_up(lines: StoredLines, entry: Entry, position: int) -> Model:
    """A newcomer as it took its place, at this position: what it started from, and what it caught up, learned again."""
    line, start = version_of(entry.start)
    model = lines.rebuild(line, start)
    if entry.after is not None and start < position:
        source, known = version_of(entry.after)
        for step in lines.past(source, known, FAR):
            if step.event_id not in entry.skip:
                model.learn(step.features, step.truth)
                start += 1
                if start == position:
                    break
    return model


def reached(row: ExampleRow, line: str, own: str) -> int:
    """Where a line stood after an example; -1 when it did not learn it."""
    if line == own:
        return row.position
    return (row.also or {}).get(line, -1)


def entered_as(store: Store, line: str) -> ModelVersion:
    """The version that a line was when it took its place: what it started from, where it had nothing to catch up."""
    versions = store.versions(line)
    return next((version for version in versions if version.created_by.startswith(ENTERED)), versions[0])


def reachable(store: Store, line: str, position: int) -> bool:
    """Whether a position is not before the line: it learned from where it took its place, and started from its bytes."""
    if not store.versions(line):
        return position == 0  # a declared line, and nothing was kept yet
    started = {entry.start for entry in kept_entries(store) if entry.name == line}
    return position >= entered_as(store, line).position or f"{line}@{position}" in started


def kept_entries(store: Store) -> list[Entry]:
    """The lines that entered a store while it ran, in order."""
    return msgspec.convert(store.get("entries") or [], list[Entry])


def forgotten(store: Store, until: int | None = None) -> frozenset[str]:
    """The events that a line of this store was made to forget, up to the end of a block: none shall learn them again."""
    entries = [entry for entry in kept_entries(store) if entry.skip]
    if entries and until is not None and until < store.seq:
        notes = store.db.execute("SELECT notes FROM blocks WHERE seq<=? ORDER BY seq", (until,))
        there = {entry.name for (packed,) in notes for entry in blocks.decode_notes(packed).entered}
        entries = [entry for entry in entries if entry.name in there]
    return frozenset(event for entry in entries for event in entry.skip)
