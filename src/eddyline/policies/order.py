"""Event order from arrival order: what matures late holds back what matured early.

Feeding pairs as their labels arrive lets the fast labels speak first, which gave 19 % false promotions at a nominal 5 %.
Here pairs wait until they are mature and leave in the order of their events. The buffer is bounded: beyond half full one
event of 32 is admitted, by its id, later one of 1024, and then none. That does not depend on an event's outcome, and so keeps
every guarantee; and it is not blind for long, however long truths take. Who is to be left out is said before its outcome is
known, or for all that wait at once: to leave out those whose truth comes in some while would pick by outcome, where one
outcome comes sooner than the other. Keeps `split`. Refuses to know what is paired.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

CROWD = 1_000
"""A smaller buffer is simply filled up."""
_WAITS = object()
Waiting = tuple[int, str, Any, list[Any], int, str | None]
"""Event time and id, what to give back, its outcome if it has one, how many follow that need none, and its group."""
Plain = tuple[int, int, int, tuple[int, str] | None, list[Waiting], int]


class InOrder:
    """Events that wait for their truth, and leave in the order of event time and id.

    >>> order = InOrder(limit=1_000)
    >>> order.expect(10, "a", "pair a"), order.expect(20, "b", "pair b")
    (True, True)
    >>> order.settle("b", "fraud")              # b's label comes first ...
    True
    >>> list(order.ready(watermark=25))         # ... but a is older
    []
    >>> order.settle("a", None)
    True
    >>> list(order.ready(watermark=25))
    [(10, 'a', 'pair a', None), (20, 'b', 'pair b', 'fraud')]
    """

    __slots__ = ("_freed", "_heap", "_pending", "last", "late", "limit", "refused")

    def __init__(self, limit: int = 100_000) -> None:
        self.limit = limit
        self.refused = 0
        """events that came while too many others waited"""
        self.late = 0
        """events older than one that already left"""
        self.last: tuple[int, str] | None = None
        """the newest that left"""
        self._heap: list[tuple[int, str]] = []
        self._pending: dict[str, list[Any]] = {}
        self._freed = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._pending

    def expect(self, at: int, event_id: str, item: Any, group: str | None = None) -> bool:
        """Admits an event (event time in µs) with what to give back; False when it is not admitted.

        Give plain values as `item` and as truth, so that they can be saved. `group` is for `drop`.
        """
        if not self._admits(at, event_id):
            return False
        assert event_id not in self._pending, "an id is answered once"
        heapq.heappush(self._heap, (at, event_id))
        self._pending[event_id] = [item, _WAITS, 0, group]
        return True

    def follow(self, at: int, event_id: str) -> bool:
        """Takes an event that needs no truth: True where it counts at once, for nobody waits.

        Else it counts with the newest that waits, when that one leaves (see `followed`): if it counted now, whoever looks
        would see those that need no truth, and not yet the others among which they are.
        """
        pending = self._pending
        doubtful = 2 * len(pending) >= self.limit or (self.last is not None and (at, event_id) <= self.last)
        if doubtful and not self._admits(at, event_id):
            return False
        if not pending:
            return True
        pending[next(reversed(pending))][2] += 1
        return False

    def follow_all(self, many: int) -> int:
        """`follow` for so many events in a row whom `admits_all` let in: how many of them count at once."""
        pending = self._pending
        if not pending:
            return many
        pending[next(reversed(pending))][2] += many
        return 0

    def admits_all(self, ats: Sequence[int], waiting: int) -> bool:
        """Whether events with these times are let in, `waiting` of them to wait: none is late, and nowhere is it crowded."""
        newer = self.last is None or min(ats) > self.last[0]
        return newer and 2 * (len(self._pending) + waiting) < self.limit

    def waiting_among(self, ids: Sequence[str]) -> list[int]:
        """The numbers of those who wait here, with a truth or without."""
        pending = self._pending
        return [number for number, event_id in enumerate(ids) if event_id in pending]

    def until(self, at: int) -> int:
        """The event time up to which everybody left, of the events so far, whose newest is of `at`."""
        return min(self._heap[0][0], at) if self._heap else at

    def followed(self) -> int:
        """How many that need no truth have come to count since this was asked."""
        freed, self._freed = self._freed, 0
        return freed

    def _admits(self, at: int, event_id: str) -> bool:
        if self.last is not None and (at, event_id) <= self.last:
            self.late += 1
            return False
        waiting = len(self._pending)
        if waiting >= self.limit or (2 * waiting >= self.limit >= CROWD and self._passed_by(waiting, event_id)):
            self.refused += 1
            return False
        return True

    def _passed_by(self, waiting: int, event_id: str) -> bool:
        """Whether an event is left out, so that the truths of a week to come do not fill it up on the first morning."""
        keep = 32 if 4 * waiting < 3 * self.limit else 1024
        return crc32(event_id.encode()) % keep != 0

    def drop(self, outcome: Any, group: str | None = None) -> None:
        """Gives everybody who waits this outcome, in place of the one he may have; with `group`, those of that group."""
        for entry in self._pending.values():
            if group is None or entry[3] == group:
                entry[1] = outcome

    def settle(self, event_id: str, outcome: Any) -> bool:
        """Says what became of an event: its truth, or whatever stands for none. False when it does not wait here.

        The first outcome counts: a pair that already left cannot be taken back, so one that waits is not changed either.
        """
        entry = self._pending.get(event_id)
        if entry is None or entry[1] is not _WAITS:
            return False
        entry[1] = outcome
        return True

    def ready(self, watermark: int) -> Iterator[tuple[int, str, Any, Any]]:
        """Lets go, in event order, what is mature and has nothing older before it: (at, id, item, outcome).

        `watermark` is the event time (µs) at or before which no other event is expected.
        """
        heap, pending = self._heap, self._pending
        while heap and heap[0][0] <= watermark and pending[heap[0][1]][1] is not _WAITS:
            self.last = at, event_id = heapq.heappop(heap)
            item, outcome, followers, _ = pending.pop(event_id)
            self._freed += followers
            yield at, event_id, item, outcome

    def plain(self) -> Plain:
        """Everything as plain values, in the order of arrival: equal buffers give equal values."""
        times = {event_id: at for at, event_id in self._heap}
        waiting: list[Waiting] = []
        for event_id, (item, outcome, followers, group) in self._pending.items():
            waiting.append((times[event_id], event_id, item, [] if outcome is _WAITS else [outcome], followers, group))
        return self.limit, self.refused, self.late, self.last, waiting, self._freed

    @classmethod
    def of(cls, plain: Plain) -> InOrder:
        """The buffer that `plain` described."""
        limit, refused, late, last, waiting, *freed = plain
        order = cls(limit)
        order.refused, order.late = refused, late
        order.last = None if last is None else (last[0], last[1])
        (order._freed,) = freed or (0,)  # states of before had no followers
        order._heap = sorted((at, event_id) for at, event_id, *_ in waiting)
        for _, event_id, item, outcome, *more in waiting:
            order._pending[event_id] = [item, outcome[0] if outcome else _WAITS, *(more or (0, None))]
        return order
