"""Proves what stands beside the chain: the ledger, the ids, the versions' records, the recipes, the checkpoint.

Each is rebuilt from the chain and compared, or has a digest in it. Bounded in memory: ids are compared block by block.
Knows nothing of models and answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from eddyline.engines.embedded.opening import stood
from eddyline.pipeline import Pipeline
from eddyline.records import Declared, Prediction
from eddyline.records.errors import StoreCorrupt
from eddyline.store.blocks import Notes
from eddyline.store.database import Store, content_digest
from eddyline.store.declarations import CHANGED
from eddyline.store.ids import mark_of
from eddyline.store.ledger import sealed
from eddyline.store.reader import PredictionReader

SHOWN = 10
_TOGETHER = 500


class Beside:
    """What stands beside one chain. Give it each block in order, then `finish`; `faults` is the list that it adds to."""

    def __init__(self, store: Store, pipeline: Pipeline, faults: list[str]) -> None:
        self.store, self.faults = store, faults
        remembered = self._opens(pipeline)
        registered = (one for one in store.records() if one[3] <= store.seq)
        self.versions = {f"{line}@{position}": (record, seq) for line, position, record, seq in registered}
        self.noted: set[str] = set()
        self.fingerprints: list[tuple[int, str]] = []
        self.changed: list[int] = []
        self.parts: dict[str, str] | None = None
        self.moved = 0 if remembered is None else remembered["flushed"]
        (self.rows,) = store.db.execute("SELECT count(*) FROM ids WHERE slot<?", (store.slots,)).fetchone()
        self.found = self.wrong = 0
        self.reader = PredictionReader(store)

    def _opens(self, pipeline: Pipeline) -> dict[str, int] | None:
        """What opening demands, and every digest that is read with its own bytes."""
        store = self.store
        store.check_file()
        for number, row in store.db.execute("SELECT chunk, data FROM slots"):
            sealed(store, number, row)
        for digest, recipe in store.db.execute("SELECT digest, recipe FROM recipes"):
            if content_digest(recipe) != digest:
                raise StoreCorrupt(f"store {store.path.name}: recipe {digest} was changed on disk")
        return stood(store, pipeline, pipeline.plan()).ledger

    def block(self, seq: int, slot: int, predictions: Sequence[Prediction], notes: Notes) -> None:
        """Takes one block of the chain; `slot` is the number of its first answer."""
        if notes.fingerprint:
            self.fingerprints.append((seq, notes.fingerprint))
        for name, record in notes.kept.items():
            self._version(name, record, seq)
        if notes.declared is not None:
            self._declared(seq, notes.declared)
        if self.rows or self.moved:
            for start in range(0, len(predictions), _TOGETHER):
                self._ids(slot + start, predictions[start : start + _TOGETHER])

    def _declared(self, seq: int, declared: Declared) -> None:
        """A change of declaration: it begins where the one before it ended, and what was remembered there is there."""
        self.changed.append(seq)
        if self.parts is not None and declared.was != self.parts:
            self.faults.append(f"block {seq} changes another declaration than held before it")
        self.parts = declared.parts
        self.store.kept_bytes(declared.memory, f"what was remembered at block {seq}")

    def _version(self, name: str, record: bytes, seq: int) -> None:
        self.noted.add(name)
        if name not in self.versions:
            self.faults.append(f"{name} was kept, block {seq} says so, and it is missing")
        elif self.versions[name][0] != record:
            self.faults.append(f"{name}: what is registered about it is not what block {seq} vouches for")

    def _ids(self, slot: int, predictions: Sequence[Prediction]) -> None:
        """Ids that left memory lead to their answers; those that did not yet are not there, or do too."""
        marks = [mark_of(prediction.event_id) for prediction in predictions]
        places = ",".join("?" * len(marks))
        known: dict[int, list[int]] = {}
        for mark, there in self.store.db.execute(f"SELECT mark, slot FROM ids WHERE mark IN ({places}) ORDER BY slot", marks):
            known.setdefault(mark, []).append(there)
        for number, (prediction, mark) in enumerate(zip(predictions, marks, strict=True), slot):
            slots = known.get(mark, [])
            self.found += number in slots
            others = [other for other in slots if other != number and not self._alike(other, mark)]
            if not others and (number in slots or number >= self.moved):
                continue
            self.found += len(others)
            self.wrong += 1
            if self.wrong <= SHOWN:
                leads = f"leads to answer {others[0]}" if others else "is not among the ids"
                self.faults.append(f"event {prediction.event_id!r} has answer {number}, and {leads}")

    def _alike(self, slot: int, mark: int) -> bool:
        """Whether the answer there is to an id of the same mark: then it is about that id, not about this one."""
        return slot < self.store.slots and mark_of(self.reader.read(slot).event_id) == mark

    def finish(self) -> None:
        """After the last block of a whole chain: nothing stands beside it that it does not know."""
        store = self.store
        if self.rows > self.found:
            self.faults.append(f"{self.rows - self.found} ids are kept of events that were never answered")
        if self.wrong > SHOWN:
            self.faults.append(f"{self.wrong} ids in all do not lead to their answers")
        for name, (_, seq) in self.versions.items():
            if seq and name not in self.noted:
                self.faults.append(f"{name} is kept as of block {seq}, and no block vouches for it")
        if self.changed != (store.get(CHANGED) or []):
            self.faults.append("the store says that its declaration changed in other blocks than its chain does")
        if self.parts is not None and self.parts != store.get("parts"):
            self.faults.append(f"the store says another declaration than block {self.changed[-1]} brought")
        recipes = {digest for (digest,) in store.db.execute("SELECT digest FROM recipes")}
        for line in store.lines():
            for version in store.versions(line):
                if version.recipe not in recipes:
                    self.faults.append(f"{version.name}: its recipe {version.recipe} is missing")
        (ends,) = store.db.execute("SELECT max(seq) FROM blocks").fetchone()
        said = store.get("fingerprint")
        if self.fingerprints and ends == store.seq and said != self.fingerprints[-1][1]:
            self.faults.append(f"the store says that it was written as {said}, its chain says {self.fingerprints[-1][1]}")

    def written_as(self) -> str:
        """How the answers were computed, as the chain tells it: one fingerprint, or several with their blocks."""
        if not self.fingerprints:
            return str(self.store.get("fingerprint") or "")
        (_, first), *more = self.fingerprints
        return "; ".join([first, *(f"{one} since block {seq}" for seq, one in more)])
