"""Where the answer to each id is, beyond the newest ids: 16 bytes an id in memory, in sorted runs, then rows of a B-tree.

An id is kept as 63 bits of its digest, with the number of its answer. Nothing here is a Python object by itself: objects
that live long among those that come and go with each batch scatter them over ever more memory, and every event pays for
that (decision 36). Two ids may have the same 63 bits, so what is found here are candidates; who asks compares the answers.
Runs grow by merging those of like size. Ids leave for the disk in the order of their marks, so that neighbours share pages,
a few with each commit.

Keeps I21 (bounded). Refuses to know what an answer is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eddyline.store.database import Store
from eddyline.store.sieve import Sieve

Marks = NDArray[np.int64]
Run = tuple[Marks, NDArray[np.int64]]
"""Marks in their order, and the answer of each."""
BITS = 63
"""How many bits of its digest are kept of an id: SQLite's integers have a sign. With fewer all still holds, slowly."""
_EMPTY: Final[Run] = (np.empty(0, np.int64), np.empty(0, np.int64))
_LIKE: Final = 4
"""Runs are merged where one is less than so many times as long as the next: a question looks into few of them."""
_MOVED: Final = 16
_TOGETHER: Final = 500
_ROWS: Final = 100
"""So many rows in one statement cost a third less than one by one."""


def mark_of(event_id: str) -> int:
    """How an id is kept: bits of its digest, the same in every process.

    >>> mark_of("p-1") == mark_of("p-1") != mark_of("p-2")
    True
    """
    return int(marks_of([event_id])[0])


def marks_of(ids: Iterable[str]) -> Marks:
    """The marks of many ids."""
    digests = b"".join([blake2b(event_id.encode(), digest_size=8).digest() for event_id in ids])
    return (np.frombuffer(digests, dtype=">u8") >> np.uint64(64 - BITS)).astype(np.int64)


def slots_of(store: Store, event_id: str) -> list[int]:
    """The answers on disk that may be those to an id."""
    return [slot for (slot,) in store.db.execute("SELECT slot FROM ids WHERE mark=? ORDER BY slot", (mark_of(event_id),))]


class PackedIds:
    """The ids of all answers up to `until`: those up to `flushed` on disk, the others in memory."""

    __slots__ = ("flushed", "leaving", "leaving_until", "moved", "runs", "sieve", "store", "until")

    def __init__(self, store: Store, flushed: int = 0) -> None:
        self.store = store
        self.sieve = Sieve(store)
        self.runs: list[Run] = []
        self.leaving: Run = _EMPTY
        self.leaving_until = 0
        self.moved = 0
        """how many of those that are leaving are on disk"""
        self.flushed = self.until = flushed

    def __len__(self) -> int:
        """How many ids stay in memory."""
        return sum(len(marks) for marks, _ in self.runs)

    def add(self, marks: Marks) -> None:
        """Takes the ids of the next answers."""
        order = np.argsort(marks)
        run = marks[order], order + self.until
        self.sieve.add(run[0])
        self.until += len(marks)
        while self.runs and len(self.runs[-1][0]) < _LIKE * len(run[0]):
            run = _merged(self.runs.pop(), run)
        self.runs.append(run)

    def candidates(self, ids: Sequence[str], marks: Marks, count: int) -> dict[str, list[int]]:
        """Which of the first `count` answers may be those to these ids; an id that has none is left out."""
        wanted = self.sieve.through(np.sort(marks))
        if not len(wanted):
            return {}
        found: dict[int, list[int]] = {}
        for known, slots in (self.leaving, *self.runs):
            if len(known):
                starts = np.searchsorted(known, wanted)
                starts[starts == len(known)] = 0
                for start in starts[known[starts] == wanted].tolist():
                    _gather(found, known, slots, start)
        if self.flushed:
            for mark, slot in self._on_disk(wanted.tolist(), count):
                found.setdefault(mark, []).append(slot)
        if not found:
            return {}
        return {event_id: sorted({*found[mark]}) for event_id, mark in zip(ids, marks.tolist(), strict=True) if mark in found}

    def _on_disk(self, marks: list[int], count: int) -> Iterable[tuple[int, int]]:
        for start in range(0, len(marks), _TOGETHER):
            some = marks[start : start + _TOGETHER]
            places = ",".join("?" * len(some))
            query = f"SELECT mark, slot FROM ids WHERE mark IN ({places}) AND slot<?"
            yield from self.store.db.execute(query, (*some, count))

    def leave(self) -> None:
        """Lets all that is in memory begin to leave it."""
        assert not len(self.leaving[0]), "those before are still leaving"
        run = _EMPTY
        while self.runs:
            run = _merged(self.runs.pop(), run)
        self.leaving, self.leaving_until, self.moved = run, self.until, 0

    def move(self, came: int) -> None:
        """Moves some of those that are leaving to the disk, twice as many as came: no commit waits for all.

        After a crash they are read again from the journal, and move again, to where they are already.
        """
        marks, slots = self.leaving
        if not len(marks):
            return
        end = self.moved + _MOVED + 2 * came
        rows = np.column_stack((marks[self.moved : end], slots[self.moved : end]))
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            places = ",".join(["(?,?)"] * len(some))
            self.store.db.execute(f"INSERT OR IGNORE INTO ids VALUES {places}", some.ravel().tolist())
        self.moved = end
        if end >= len(marks):
            self.leaving, self.flushed = _EMPTY, self.leaving_until


def _merged(first: Run, second: Run) -> Run:
    marks = np.concatenate((first[0], second[0]))
    order = np.argsort(marks, kind="stable")  # which finds that there are two sorted halves
    return marks[order], np.concatenate((first[1], second[1]))[order]


def _gather(found: dict[int, list[int]], known: NDArray[Any], slots: NDArray[Any], start: int) -> None:
    """Notes all answers of one mark, of which the first is at `start`."""
    mark = int(known[start])
    end = start
    while end < len(known) and known[end] == mark:
        found.setdefault(mark, []).append(int(slots[end]))
        end += 1
