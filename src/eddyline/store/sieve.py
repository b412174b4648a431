"""Which ids were surely never answered: a bit for each stretch of marks, so that a new id seldom asks runs and B-tree.

It takes 16 MiB, however many ids there are: of 3 million, 2 new ones in 100 are looked up in vain; of 100 million, every
second. It is on no disk: a process that opens a store learns it from the rows there, a few with each question, and lets
the rest through until then.

Keeps I21 (bounded). Knows nothing of answers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eddyline.store.database import Store

_BITS: Final = 27
_SHIFT: Final = 63 - _BITS
_AT_ONCE: Final = 64
_ALL: Final = 2**63 - 1


class Sieve:
    """Lets through the marks that may be those of answered events."""

    __slots__ = ("bits", "known", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.bits = np.zeros(1 << (_BITS - 3), np.uint8)
        self.known = -1
        """up to which mark all rows are in it"""

    def add(self, marks: NDArray[np.int64]) -> None:
        """Takes marks of answered events."""
        places = marks >> _SHIFT
        np.bitwise_or.at(self.bits, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))

    def through(self, marks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the marks that may have been answered, in their order."""
        if self.known < _ALL:
            self._learn(_AT_ONCE + 8 * len(marks))
        places = marks >> _SHIFT
        there: NDArray[Any] = (self.bits[places >> 3] >> (places & 7)) & 1
        kept: NDArray[np.int64] = marks[(there != 0) | (marks > self.known)]
        return kept

    def _learn(self, many: int) -> None:
        rows = self.store.db.execute("SELECT mark FROM ids WHERE mark>? ORDER BY mark LIMIT ?", (self.known, many)).fetchall()
        if rows:
            self.add(np.fromiter((mark for (mark,) in rows), np.int64, len(rows)))
        # The last may have a twin right behind it, which has the same bit.
        self.known = rows[-1][0] if len(rows) == many else _ALL
