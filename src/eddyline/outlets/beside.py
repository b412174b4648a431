"""Telling others from the journal, in a thread beside the engine, which never waits for it.

The store is the queue: a teller reads committed blocks from a connection of its own, and a small file beside the store
remembers how far the other side has taken them. So nothing is held in memory, a restart goes on where it was, and what
was not confirmed is told again: at least once, in the order of the journal. Knows nothing of what is told, nor to whom.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.engines.embedded.aside import Aside
from eddyline.records import Alert, Decision
from eddyline.records.errors import StoreMismatch
from eddyline.store import blocks
from eddyline.store.database import Store

LOOK_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
CLOSE_S = 5.0
"""After a stop, so long is waited for the other side, whatever it does; the next run tells it the rest."""
AT_ONCE = 50


class NotTaken(Exception):  # noqa: N818 - a state, in the words of the message
    """The other side did not take it, for now: why, in words without secrets, and how long it asks to wait."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Mark(msgspec.Struct, frozen=True):
    """How far a store was told: its id, and the last block of which everything was taken."""

    store: str
    block: int


class Noted(NamedTuple):
    """An alert or a decision, and where it is in the journal. `id` is the same whenever it is told."""

    id: str
    block: int
    committed_at: float
    record: Alert | Decision


class Teller(Protocol):
    """What is told of some blocks."""

    @property
    def called(self) -> str:
        """Who is told, in words without secrets."""
        ...

    def tell(self, store: Store, after: int, until: int) -> Iterator[tuple[int, int]]:
        """Tells what the blocks after one say, up to another. Gives each block of which everything was taken, and how much
        that was. Raises NotTaken when the other side does not take it."""
        ...


@dataclass(slots=True)
class Told:
    """How telling goes: the last block of which everything was taken, and what is in the way."""

    block: int = 0
    trouble: str | None = None


class Beside(Aside):
    """Tells from one engine's store until it is closed. Use it as a context manager, within the engine's.

    A new mark begins at the end of the journal, so that the past is not told to somebody new; or at `begin`. `name` tells
    several apart.
    """

    def __init__(self, engine: Engine, teller: Teller, name: str, *, begin: int | None = None) -> None:
        super().__init__(engine.path, name)
        self.store_id = engine.store_id()
        self.teller = teller
        self.told = Told()
        self.given_up = False
        self._keeping = threading.Lock()
        self._mark = self.path.with_name(f"{self.path.name}.{name}")
        self.told.block = self._begin(engine.store.seq, begin)
        self._thread.start()

    def _begin(self, newest: int, begin: int | None) -> int:
        try:
            mark = msgspec.json.decode(self._mark.read_bytes(), type=Mark)
        except FileNotFoundError:
            self._keep(newest if begin is None else begin)
            return self.told.block
        if mark.store != self.store_id or mark.block > newest:
            raise StoreMismatch(
                f"{self._mark.name} was written beside another store than {self.path.name}, or another copy of it\n"
                "remove that file to begin at the end of this store"
            )
        return mark.block

    def hurry(self) -> None:
        """Says that the end is near: from here on `CLOSE_S` are left. Several are hurried first and closed then."""
        if self._closing_at is None:
            self._closing_at = time.monotonic()
            self._wake.set()

    def close(self) -> None:
        """Tells what is left, for `CLOSE_S` at most. What was not taken by then is given up here, and told by the next run."""
        self.hurry()
        assert self._closing_at is not None
        self._thread.join(max(0.0, self._closing_at + CLOSE_S - time.monotonic()))
        with self._keeping:
            self.given_up = self._thread.is_alive()
        if self.given_up and self.told.trouble is None:
            self.told.trouble = f"{self.teller.called} had not taken everything {CLOSE_S:.0f} s after the stop"

    def _keep(self, block: int) -> None:
        """Remembers how far it was told. A thread that was given up remembers nothing: the next run may be on its way."""
        with self._keeping:
            if not self.given_up:
                self._write_mark(block)

    def _write_mark(self, block: int) -> None:
        draft = self._mark.with_name(f"{self._mark.name}.draft")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(Mark(self.store_id, block)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._mark)
        self.told.block = block

    def ended(self, fault: BaseException | None) -> None:
        """Says what made telling impossible, if anything did."""
        if fault is not None:
            self.told.trouble = f"{type(fault).__name__}: {fault}"

    def work(self, store: Store) -> None:
        """Tells until it is closed and nothing is left, or it is given up."""
        pause = FIRST_PAUSE_S / 2
        while not self.given_up:
            closing_at = self._closing_at
            (newest,) = store.db.execute("SELECT ifnull(max(seq), 0) FROM blocks").fetchone()
            wait, stood = LOOK_S, self.told.block
            try:
                self._tell_until(store, newest)
                pause, self.told.trouble = FIRST_PAUSE_S / 2, None
                if closing_at is not None:
                    return
            except NotTaken as problem:
                self.told.trouble = str(problem)
                if closing_at is not None and time.monotonic() + FIRST_PAUSE_S > closing_at + CLOSE_S:
                    return
                pause = FIRST_PAUSE_S if self.told.block > stood else min(2 * pause, LONGEST_PAUSE_S)
                wait = min(max(pause, problem.wait_s), LONGEST_PAUSE_S)
            self._rest(wait)

    def _tell_until(self, store: Store, newest: int) -> None:
        """Tells what there is. The mark follows whatever was taken; blocks that say nothing are marked at the end."""
        kept = self.told.block
        try:
            while self.told.block < newest:
                for block, many in self.teller.tell(store, self.told.block, min(newest, self.told.block + AT_ONCE)):
                    self.told.block = block
                    if many:
                        self._keep(block)
                        kept = block
                    if self.given_up:
                        return
        finally:
            if self.told.block != kept:
                self._keep(self.told.block)

    def _rest(self, seconds: float) -> None:
        """Waits; being closed cuts the wait short once, so that what is left is tried before giving up."""
        if self._closing_at is not None:
            time.sleep(min(seconds, FIRST_PAUSE_S))
            return
        self._wake.wait(seconds)


def noted(store: Store, name: str, after: int, until: int) -> Iterator[tuple[int, list[Noted]]]:
    """The alerts and decisions of each block after one, up to another; `name` is the id of the store."""
    rows = store.db.execute("SELECT seq, notes FROM blocks WHERE seq>? AND seq<=? ORDER BY seq", (after, until)).fetchall()
    for seq, packed in rows:
        notes = blocks.decode_notes(packed)
        records: list[Alert | Decision] = [*notes.alerts, *notes.decisions]
        yield seq, [Noted(f"{name}/{seq}/{index}", seq, notes.received_at, one) for index, one in enumerate(records)]
