"""Where a line comes from: everything it has learned, also as the line that it was before it took its own name.

A line that entered while the stream ran starts from bytes: those of another line's version (a branch), those of another
line without certain events (forgetting), or those of a training, which its lineage tells (`retold.py`). Reads only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from eddyline.ports import Model
from eddyline.stages.commands import version_of
from eddyline.stages.lines import Entry, Step
from eddyline.store.database import Store
from eddyline.store.rebuild import FAR, StoredLines, entered_as, kept_entries
from eddyline.store.retold import Retold

FORGETTING = "forgetting"
"""How `created_by` names bytes that were folded without certain events."""


class Ancestry:
    """The whole past of the lines of one store."""

    def __init__(self, store: Store, lines: StoredLines) -> None:
        self.store, self.lines = store, lines
        self.entries = {entry.name: entry for entry in kept_entries(store)}

    def root(self, line: str) -> str:
        """The line from which this one comes: one that was declared, or that was retrained.

        Raises `EddylineError` for one whose training cannot be told.
        """
        while line in self.entries and self._trained(self.entries[line]) is None:
            line = self._source(self.entries[line])
        return line

    def first(self, root: str) -> tuple[Model, int]:
        """The model that a root was before its first example, and its position."""
        trained = self._trained(self.entries[root]) if root in self.entries else None
        if trained is not None:
            return trained.first(), 0
        version, state = self.store.nearest_version(0, root)
        return self.lines.blank(root).restored(state), version.position

    def past(self, line: str, until: int = FAR) -> Iterator[Step]:
        """Every example that a line has learned up to a position, the first one first.

        Positions are those of whoever learned it. Raises `EddylineError` for a line whose training cannot be told.
        """
        entry = self.entries.get(line)
        if entry is None:
            yield from self.lines.past(line, 0, until)
            return
        entered = entered_as(self.store, line).position
        name, start = version_of(entry.start)
        trained = self._trained(entry)
        if trained is not None:
            yield from trained.steps()
        elif name != line:
            yield from self.past(name, start)
        else:
            source, known = version_of(self._told(entry))
            skip = frozenset(entry.skip)
            yield from (step for step in self.past(source, known) if step.event_id not in skip)
        yield from self._caught_up(entry, entered - start)
        yield from self.lines.past(line, entered, until)

    def first_of(self, line: str, until: int, events: Collection[str]) -> str | None:
        """The first of some events that a line learned up to a position; None where it learned none of them.

        Raises `EddylineError` for a line whose training cannot be told, where some of them were there to choose.
        """
        entry = self.entries.get(line)
        if entry is not None and version_of(entry.start)[0] == line:
            events = frozenset(events).difference(entry.skip)  # bytes of its own were made without these
        if not events:
            return None
        return next((step.event_id for step in self.past(line, until) if step.event_id in events), None)

    def _caught_up(self, entry: Entry, many: int) -> Iterator[Step]:
        """What a newcomer learned of another line before it took its place."""
        if entry.after is None:
            return
        source, known = version_of(entry.after)
        skip = frozenset(entry.skip)
        yield from islice((step for step in self.lines.past(source, known, FAR) if step.event_id not in skip), many)

    def _source(self, entry: Entry) -> str:
        name, _ = version_of(entry.start)
        return name if name != entry.name else version_of(self._told(entry))[0]

    def _trained(self, entry: Entry) -> Retold | None:
        """The training that made the bytes of a line; None where they are of another line."""
        name, start = version_of(entry.start)
        if name != entry.name:
            return None
        made = self.store.nearest_version(start, name)[0]
        return None if made.created_by == FORGETTING and entry.after is not None else Retold(self.lines, entry, made)

    def _told(self, entry: Entry) -> str:
        """The version whose examples, but for those to skip, are in the bytes that a line started from."""
        assert entry.after is not None, "it was made by forgetting"
        return entry.after
