"""Where every line of a store stands: how much it has learned, and since when it has stood still. Reads only.

A line learns what somebody was asked who sees the same features; so one that nobody asks any more may learn on, or stand
still. What became of it is in the examples log, and is read from there.
"""

from __future__ import annotations

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.records.time import show_instant
from eddyline.store.database import Store
from eddyline.store.declarations import former_lines
from eddyline.store.rebuild import kept_entries, reached
from eddyline.views.history import standing

PATIENCE = 100
"""Somebody who is asked for a share of keys only may miss so many examples in a row, and learns all the same."""


class Stands(msgspec.Struct, frozen=True):
    """One line: its name, where its learner stands, and since when (µs) it has not learned what others did.

    `since` is None for a line that learns, and for one that never learned. `learns` tells these apart.
    """

    line: str
    position: int
    learns: bool
    since: int | None

    def sentence(self) -> str:
        """It in a few words.

        >>> Stands("fraud.deep", 15320, True, None).sentence()
        'fraud.deep learns, and is at 15,320'
        >>> Stands("fraud", 690, False, 1_700_000_000_000_000).sentence()
        'fraud stands still at 690 since 2023-11-14T22:13:20Z'
        """
        if self.learns:
            return f"{self.line} learns, and is at {self.position:,}"
        since = "" if self.since is None else f" since {show_instant(self.since)}"
        return f"{self.line} stands still at {self.position:,}{since}"


def lines(store: Store, pipeline: Pipeline) -> list[Stands]:
    """Every line of the store, the pipeline's own first. Costs reading the log back to where each of them learned last."""
    own, rollout = pipeline.name, standing(store, pipeline).rollout
    asked = {rollout.champion or own, *(place.who for place in rollout.places)}
    still = set(pipeline.plan().decide.still) | {entry.name for entry in kept_entries(store) if not entry.learns}
    still |= former_lines(store).keys()
    wanted = set(store.lines()) or {own}
    found: dict[str, tuple[int, int, int]] = {}
    learned = 0
    for seq in range(store.seq, 0, -1):
        for row in reversed(store.examples_of(seq)):
            if row.position < 0 and not row.also:
                continue
            for line in wanted - found.keys():
                position = reached(row, line, own)
                if position >= 0:
                    found[line] = position, learned, row.at
            learned += 1
        if found.keys() >= wanted - still:
            break
    told = []
    for line in sorted(wanted, key=lambda line: (line != own, line)):
        kept = max((version.position for version in store.versions(line)), default=0)
        position, behind, at = found.get(line, (kept, learned, -1))
        learns = line not in still and (behind == 0 or (line in asked and behind < PATIENCE))
        told.append(Stands(line, position, learns, None if learns or at < 0 else at))
    return told
