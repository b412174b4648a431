"""The ledger on disk: which event ids were answered, and which predictions still wait for their truth.

The newest ids are a dict; older ones are packed, and leave for a B-tree a few with each commit (`store/ids.py`). What waits
costs 16 bytes of memory an event (when it happened, what settled it), in chunks that are written when a checkpoint finds
them changed and forgotten when nothing in them waits any more. Features of waiting predictions stay in the journal, behind a
bounded cache. What is on disk is read as of the last checkpoint; replay does the rest.

Keeps `twice`, I21 (bounded). Implements `eddyline.ports.Ledger`.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

import msgspec
import numpy as np

from eddyline.records import Arrival, Prediction
from eddyline.records.errors import Rejected, StoreCorrupt
from eddyline.stages.refuse import digest_of
from eddyline.store import blocks
from eddyline.store.blocks import Kind
from eddyline.store.database import Store
from eddyline.store.ids import Marks, PackedIds, mark_of, marks_of
from eddyline.store.reader import PredictionReader

CHUNK: Final = 4096
SHIFT: Final = 12
_FAR: Final = 2**62
YOUNG: Final = 8_192
"""Twice so many ids are at hand as text: labels of the last minutes ask for them."""
_FIRST: Final = 8
"""So many times more are at hand before the first are packed."""
_FEW: Final = 128
"""Fewer predictions than this are looked at one by one: calling numpy costs more."""


class Chunk:
    """4096 predictions: when each happened, and the mark of what settled it."""

    __slots__ = ("ats", "dirty", "marks")

    def __init__(self, ats: array[int], marks: array[int]) -> None:
        self.ats = ats
        self.marks = marks
        self.dirty = False

    def waiting(self, start: int = 0) -> list[tuple[int, int]]:
        """What still waits, from an offset on: when it happened, and its offset."""
        if len(self.marks) - start < _FEW:
            return [(self.ats[start + i], start + i) for i, mark in enumerate(self.marks[start:]) if not mark]
        marks = np.frombuffer(self.marks, dtype=np.uint64)[start:]
        offsets = np.flatnonzero(marks == 0) + start
        ats = np.frombuffer(self.ats, dtype=np.int64)[offsets]
        return list(zip(ats.tolist(), offsets.tolist(), strict=True))

    def settled(self) -> bool:
        """Whether nothing waits here any more."""
        return bool(np.frombuffer(self.marks, dtype=np.uint64).all())

    def earliest(self) -> int:
        """When the first that still waits happened."""
        ats = np.frombuffer(self.ats, dtype=np.int64)[np.frombuffer(self.marks, dtype=np.uint64) == 0]
        return int(ats.min()) if ats.size else _FAR


class DiskLedger:
    """The ledger of one store, for its writer. `decode_event` reads a journaled event again, for comparing."""

    def __init__(
        self,
        store: Store,
        wait_us: int,
        decode_event: Callable[[bytes], Arrival],
        *,
        cached: int = 65_536,
        bulk: int = 400_000,
        young: int = YOUNG,
    ) -> None:
        self.store = store
        self.wait_us = wait_us
        self.decode_event = decode_event
        self.cached = cached
        self.bulk = bulk
        self.young = young
        self.count = 0
        self.recent: dict[str, int] = {}
        self.older: dict[str, int] = {}
        self.at_hand = 0
        """the first answer whose id is in one of these"""
        self.packed = PackedIds(store)
        self.recent_marks: list[Marks] = []
        self.older_marks: list[Marks] = []
        """of the ids at hand, in their order, where they were looked for among the packed ones; they may be too few"""
        self.fresh: tuple[list[str], Marks] | None = None
        """the events of a batch that are none of those at hand, and their marks"""
        self.moved_at = 0
        store.before_commit = self._move_ids
        self.candidates: dict[str, list[int]] = {}
        self.looked_up: dict[str, int | None] = {}
        self.checked: dict[int, Prediction] = {}
        self.chunks: dict[int, Chunk] = {}
        self.current = Chunk(array("q"), array("Q"))
        self.current_min = _FAR
        self.lined = 0
        self.open: list[tuple[int, int, int]] = []
        self.line: list[tuple[int, int]] = []
        self.predictions: dict[int, Prediction] = {}
        self.settled: list[int] = []
        self.arrivals: list[Arrival] = []
        self.answered: OrderedDict[int, dict[str, Arrival]] = OrderedDict()
        self.reader = PredictionReader(store)

    # What the stages ask ---------------------------------------------------------------------------------------------

    def find(self, event_id: str) -> int | None:
        slot = self.recent.get(event_id)
        if slot is None:
            slot = self.older.get(event_id)
            if slot is None and self.packed.until:
                return self._find_packed(event_id)
        return slot

    def _find_packed(self, event_id: str) -> int | None:
        if event_id not in self.looked_up:
            slots = self.candidates.get(event_id)
            if slots is None:
                slots = self.packed.candidates([event_id], marks_of([event_id]), self.count).get(event_id, [])
            self.looked_up[event_id] = self._answer_to(event_id, slots)
        return self.looked_up[event_id]

    def add(self, prediction: Prediction, arrival: Arrival) -> None:
        slot, at, chunk = self.count, prediction.at, self.current
        self.recent[prediction.event_id] = slot
        self.predictions[slot] = prediction
        self.arrivals.append(arrival)
        chunk.ats.append(at)
        chunk.marks.append(0)
        if at < self.current_min:
            self.current_min = at
        self.count = slot = slot + 1
        if slot & (CHUNK - 1) == 0:
            self._turn()

    def arrival(self, slot: int) -> Arrival:
        fresh = slot - (self.count - len(self.arrivals))
        return self.arrivals[fresh] if fresh >= 0 else self._journaled(slot, self.prediction(slot).event_id)

    def prediction(self, slot: int) -> Prediction:
        prediction = self.predictions.get(slot) or self.checked.get(slot)
        if prediction is None:
            return self._kept(slot)
        if slot < self.at_hand:
            self.looked_up[prediction.event_id] = slot  # who got it may ask by its id
        return prediction

    def settle(self, slot: int, mark: int) -> int:
        number = slot >> SHIFT
        chunk = self.current if number == self.count >> SHIFT else self._chunk(number)
        settled = chunk.marks[slot & (CHUNK - 1)]
        if settled == 0:
            chunk.marks[slot & (CHUNK - 1)] = mark
            chunk.dirty = True
            self.settled.append(slot)
        return settled

    def mark(self, slot: int) -> int:
        """The mark of a prediction: 0 while it waits."""
        chunk = self.current if slot >> SHIFT == self.count >> SHIFT else self._chunk(slot >> SHIFT)
        return chunk.marks[slot & (CHUNK - 1)]

    def next_at(self) -> int:
        earliest = self.current_min
        if self.open and self.open[0][0] < earliest:
            earliest = self.open[0][0]
        if self.line and self.line[0][0] < earliest:
            earliest = self.line[0][0]
        return earliest

    def due(self, watermark: int) -> list[int]:
        until, line = watermark - self.wait_us, self.line
        while self.open and self.open[0][0] <= until:
            _, number, start = heappop(self.open)
            self._line_up(number, self._chunk(number), start)
        if self.current_min <= until:
            self._line_up(self.count >> SHIFT, self.current, self.lined)
            self.lined, self.current_min = len(self.current.ats), _FAR
        found: list[int] = []
        while line:
            at, slot = line[0]
            settled = self._chunk(slot >> SHIFT).marks[slot & (CHUNK - 1)]
            if at > until and not settled:
                break
            heappop(line)
            if not settled:
                found.append(slot)
        return found

    def _line_up(self, number: int, chunk: Chunk, start: int) -> None:
        """Puts what waits in a chunk whose time has come into one line, so that it is looked through once."""
        for at, offset in chunk.waiting(start):
            heappush(self.line, (at, (number << SHIFT) + offset))

    # Chunks ----------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        number = (self.count >> SHIFT) - 1
        self.current.dirty = True
        self.chunks[number] = self.current
        if self.current_min != _FAR:
            heappush(self.open, (self.current_min, number, self.lined))
        self.current, self.current_min, self.lined = Chunk(array("q"), array("Q")), _FAR, 0

    def _chunk(self, number: int) -> Chunk:
        if number == self.count >> SHIFT:
            return self.current
        chunk = self.chunks.get(number)
        if chunk is None:
            chunk = self.chunks[number] = self._load(number)
        return chunk

    def _load(self, number: int) -> Chunk:
        chunk = self.kept_chunk(number)
        if chunk is None:
            raise StoreCorrupt(f"store {self.store.path.name}: chunk {number} of the ledger is missing")
        return chunk

    def kept_chunk(self, number: int) -> Chunk | None:
        """A chunk as it is on disk; None where it is not."""
        row = self.store.db.execute("SELECT data FROM slots WHERE chunk=?", (number,)).fetchone()
        if row is None:
            return None
        ats, marks = msgspec.msgpack.decode(sealed(self.store, number, row[0]), type=tuple[bytes, bytes])
        return Chunk(array("q", ats), array("Q", marks))

    # Predictions and events of long ago --------------------------------------------------------------------------------

    def _answer_to(self, event_id: str, slots: Sequence[int]) -> int | None:
        """What is kept about an id is believed when the answer there is the answer to that id, not to one with its mark."""
        for slot in slots:
            prediction = self.predictions.get(slot) or self.reader.read(slot)
            if prediction.event_id == event_id:
                self.checked[slot] = prediction
                return slot
            if mark_of(prediction.event_id) != mark_of(event_id):
                raise misplaced(self.store, event_id, prediction.event_id)
        return None

    def _kept(self, slot: int) -> Prediction:
        prediction = self.reader.read(slot)
        event_id = prediction.event_id
        known = self.recent.get(event_id, self.older.get(event_id))
        if (self.looked_up.get(event_id, slot) if known is None else known) != slot:
            raise StoreCorrupt(
                f"store {self.store.path.name}: the answer to {event_id!r} is not where it was kept\nrun eddyline verify"
            )
        if known is None:
            self.looked_up[event_id], self.checked[slot] = slot, prediction
        return prediction

    def _journaled(self, slot: int, event_id: str) -> Arrival:
        seq, _ = self.store.seq_of_slot(slot)
        answered = self.answered.get(seq)
        if answered is None:
            answered = self.answered[seq] = self._answered_in(seq)
            if len(self.answered) > 4:
                self.answered.popitem(last=False)
        if event_id not in answered:
            raise StoreCorrupt(f"store {self.store.path.name}: block {seq} answers {event_id!r} without its event")
        return answered[event_id]

    def _answered_in(self, seq: int) -> dict[str, Arrival]:
        """The events that a block answered. An id may have been refused in it, too, before it was answered."""
        block = self.store.block(seq)
        wanted = {prediction.event_id for prediction in block.predictions}
        refused = [(letter.event_id, letter.sha256) for letter in block.dead if letter.event_id in wanted]
        found: dict[str, Arrival] = {}
        for given in block.inputs:
            arrival = self._event(given)
            if arrival is None or arrival.id not in wanted or arrival.id in found:
                continue
            if refused and (letter := (arrival.id, digest_of(arrival.value))) in refused:
                refused.remove(letter)
            else:
                found[arrival.id] = arrival
        return found

    def _event(self, given: blocks.Input) -> Arrival | None:
        if given.kind != Kind.EVENT:
            return None
        try:
            return self.decode_event(given.raw)
        except Rejected:
            return None  # in the dead letters of its block

    # What the engine does ----------------------------------------------------------------------------------------------

    def expect(self, batch: Sequence[object]) -> None:
        """Is told the records of a batch before the stages see them, and looks their ids up together."""
        self.arrivals = []
        self.candidates, self.fresh = {}, None
        self.looked_up.clear()
        self.checked.clear()
        if not self.packed.until:
            return
        recent, older = self.recent, self.older
        arrivals = [
            record for record in batch if type(record) is Arrival and record.id not in recent and record.id not in older
        ]
        if not arrivals:
            return
        wanted = [record.id for record in arrivals]
        marks = marks_of(wanted)
        events = [number for number, record in enumerate(arrivals) if record.truth is None]
        self.fresh = [wanted[number] for number in events], marks[events]
        self.candidates = self.packed.candidates(wanted, marks, self.count)
        self.looked_up = dict.fromkeys(wanted)
        for event_id in self.candidates:
            del self.looked_up[event_id]

    def committed(self) -> None:
        """After a commit: what was settled can be read from the journal again, and the cache is cut to its size."""
        for slot in self.settled:
            self.predictions.pop(slot, None)
        self.settled.clear()
        excess = len(self.predictions) - self.cached
        if excess > 0:
            for slot in list(islice(self.predictions, excess)):
                del self.predictions[slot]
        if self.fresh is not None:
            self._keep_marks(*self.fresh)
        if self._many():
            self._age(self.count)

    def _many(self) -> bool:
        """Whether more ids are at hand than shall be; a short stream has nothing packed, and pays nothing for it."""
        return len(self.recent) >= (self.young if self.older else _FIRST * self.young)

    def _keep_marks(self, ids: list[str], marks: Marks) -> None:
        """Keeps the marks of a batch where all of its events were answered: they need not be made again."""
        self.fresh = None
        if list(islice(reversed(self.recent), len(ids)))[::-1] == ids:
            self.recent_marks.append(marks)

    def _age(self, count: int) -> None:
        """Packs the older of the ids at hand, when there are so many answers."""
        self._pack(self.older, self.older_marks, count - len(self.recent))
        self.at_hand = count - len(self.recent)
        self.older, self.older_marks = self.recent, self.recent_marks
        self.recent, self.recent_marks = {}, []

    def _pack(self, part: Mapping[str, int], known: Sequence[Marks], end: int) -> None:
        """Packs ids at hand of the answers before `end`, as far as they are not packed yet."""
        many = min(end - self.packed.until, len(part))
        if many > 0:
            whole = sum(map(len, known)) == len(part)
            self.packed.add(np.concatenate(known)[-many:] if whole else marks_of(islice(part, len(part) - many, None)))

    def save(self, watermark: int) -> dict[str, int]:
        """Writes what changed, inside the checkpoint's transaction; gives what the checkpoint must remember."""
        store = self.store
        partial = self.count >> SHIFT
        rows = [(number, chunk) for number, chunk in self.chunks.items() if chunk.dirty]
        if len(self.current.ats):
            rows.append((partial, self.current))
        store.db.executemany(
            "INSERT OR REPLACE INTO slots VALUES (?,?)",
            [
                (number, seal(number, msgspec.msgpack.encode((chunk.ats.tobytes(), chunk.marks.tobytes()))))
                for number, chunk in rows
            ],
        )
        settled = {number for number, chunk in rows if chunk.settled()}
        for _, chunk in rows:
            chunk.dirty = False
        self.open = [entry for entry in self.open if entry[1] not in settled]
        heapify(self.open)
        waiting = {number for _, number, _ in self.open} | {slot >> SHIFT for _, slot in self.line}
        for number in [number for number in self.chunks if number not in waiting]:
            del self.chunks[number]
        packed = self.packed
        if packed.leaving_until <= packed.flushed and self.count - packed.flushed >= self.bulk:
            self._pack(self.older, self.older_marks, self.count - len(self.recent))
            self._pack(self.recent, self.recent_marks, self.count)
            packed.leave()
            self.moved_at = self.count
        return {"count": self.count, "flushed": packed.flushed, "oldest": min(self.chunks, default=partial)}

    def _move_ids(self) -> None:
        """Moves some of the ids that are leaving memory, within each commit."""
        came, self.moved_at = self.count - self.moved_at, self.count
        self.packed.move(came)

    def restore(self, saved: dict[str, int], watermark: int) -> None:
        """Becomes the ledger that `save` described."""
        self.count = saved["count"]
        self.packed = PackedIds(self.store, saved["flushed"])
        self.moved_at = self.count
        partial = self.count >> SHIFT
        for number in range(saved["oldest"], partial + (self.count & (CHUNK - 1) != 0)):
            chunk = self._load(number)
            earliest = chunk.earliest()
            if number == partial:
                self.current, self.current_min = chunk, earliest
            elif earliest != _FAR:
                self.chunks[number] = chunk
                heappush(self.open, (earliest, number, 0))
        if self.packed.flushed < self.count:
            self._reread_ids()
        self.at_hand = self.count - len(self.recent) - len(self.older)

    def _reread_ids(self) -> None:
        slot = self.packed.flushed
        seq, first = self.store.seq_of_slot(slot)
        rows = self.store.db.execute("SELECT predictions FROM blocks WHERE seq>=? ORDER BY seq", (seq,))
        at = first
        for (packed,) in rows:
            for prediction in blocks.decode_predictions(packed):
                if slot <= at < self.count:
                    self.recent[prediction.event_id] = at
                at += 1
            if self._many():
                self._age(min(at, self.count))
            if at >= self.count:
                return


def require_chunks(store: Store, remembered: Mapping[str, int]) -> None:
    """Refuses a store in which a chunk is missing of those that its checkpoint counts on."""
    many = (remembered["count"] + CHUNK - 1) >> SHIFT
    there = {number for (number,) in store.db.execute("SELECT chunk FROM slots WHERE chunk<?", (many,))}
    missing = next((number for number in range(many) if number not in there), None)
    if missing is not None:
        raise StoreCorrupt(
            f"store {store.path.name}: chunk {missing} of the ledger is missing; its checkpoint counts on {many}\n"
            "restore it from a backup"
        )


def misplaced(store: Store, asked: str, found: str) -> StoreCorrupt:
    """The words for an id that leads to the answer to another."""
    return StoreCorrupt(
        f"store {store.path.name}: where the answer to {asked!r} is said to be is the answer to {found!r}\nrun eddyline verify"
    )


def seal(number: int, raw: bytes) -> bytes:
    """A chunk's bytes with a digest of them and its number in front: a flipped bit, or another's bytes, are seen."""
    packed = blocks.pack(raw)
    return _sealed_by(number, packed) + packed


def _sealed_by(number: int, packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=16, salt=number.to_bytes(8, "big")).digest()


def sealed(store: Store, number: int, row: bytes) -> bytes:
    """The bytes of one chunk, checked."""
    if _sealed_by(number, row[16:]) != row[:16]:
        raise StoreCorrupt(f"store {store.path.name}: chunk {number} of the ledger was changed on disk")
    return blocks.unpack(row[16:])
