"""Proves a store: the chain, what stands beside it, every kept version, every answer, every decision's verdict.

One pass over the journal. The learner is folded from the first version over the examples as they were learned; each
prediction is answered again by the version it names, from the features it carries, and compared byte for byte; each kept
version must have the digest that was recorded. It reads features instead of computing them, joins nothing and writes
nothing, so it is faster than the run was.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from eddyline.models.fingerprint import covers, fingerprint
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import require_same
from eddyline.ports import Model
from eddyline.records import Decision, Features, ModelVersion, Prediction, Said
from eddyline.records.errors import NotFound, StoreCorrupt, StoreError, StoreMismatch
from eddyline.stages.lines import seen_by
from eddyline.store import blocks
from eddyline.store.blocks import ExampleRow
from eddyline.store.database import Store, unpacked_state
from eddyline.store.reader import PredictionReader
from eddyline.store.rebuild import StoredLines, caught_up, entered_as, kept_entries
from eddyline.views.explain import output_bytes
from eddyline.views.ledger import same_evidence
from eddyline.views.verify_beside import Beside

KEPT = 200_000


@dataclass(slots=True)
class Verdict:
    """What was verified, and what was found. `sound` only when nothing was found and equality may be claimed."""

    blocks: int = 0
    inputs: int = 0
    predictions: int = 0
    examples: int = 0
    dead: int = 0
    versions: int = 0
    decisions: int = 0
    head: str = ""
    fingerprint: str = ""
    written_as: str = ""
    faults: list[str] = field(default_factory=list)
    differences: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """answers that were not given again, by why: those of lines whose declaration is gone, and with it what they are made of"""

    @property
    def comparable(self) -> bool:
        """Whether this machine computes as those that wrote the store."""
        return all(covers(one.partition(" since block ")[0], self.fingerprint) for one in self.written_as.split("; "))

    @property
    def sound(self) -> bool:
        """Nothing was found, and equality is claimed of all but what was left out."""
        return not self.faults and self.comparable


def verify(
    store: Store,
    pipeline: Pipeline,
    *,
    head: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Verifies a whole store. `head` is a chain head noted earlier: then what was there before must still be there."""
    verdict = Verdict(fingerprint=fingerprint(pipeline.plan().models), written_as=store.get("fingerprint") or "")
    heads = set()
    try:
        require_same(store.get("parts") or {}, pipeline, store.path.name)
        beside = Beside(store, pipeline, verdict.faults)
        fold = _Fold(store, pipeline, verdict)
        verdict.fingerprint = fingerprint(fold.lines.models())
        for seq, stored, computed, parts in store.chain():
            heads.add(stored.hex())
            if seq != verdict.blocks + 1:
                verdict.faults.append(f"block {verdict.blocks + 1} is missing")
                break
            if stored != computed:
                verdict.faults.append(f"block {seq}: its bytes, or those of a block before it, were changed")
                break
            verdict.blocks = seq
            fold.block(parts, beside)
            if on_progress is not None:
                on_progress(seq, store.seq)
        whole = verdict.blocks == store.seq
        fold.finish(whole=whole)
        if whole:
            beside.finish()
    except (StoreError, NotFound) as error:
        verdict.faults.append(str(error))
    except sqlite3.Error as error:
        verdict.faults.append(f"the file is damaged: {error}")
    verdict.head = store.head.hex()
    if head is not None and head not in heads:
        verdict.faults.append(f"the chain does not hold the head {head}: it was cut, or rewritten, since that was noted")
    return verdict


class _Fold:
    """Every line's learner, folded again beside the answers it gave."""

    def __init__(self, store: Store, pipeline: Pipeline, verdict: Verdict) -> None:
        self.store, self.verdict = store, verdict
        self.lines = StoredLines(store, pipeline.plan())
        self.publish = pipeline.publish is not None
        self.own = pipeline.name
        self.entries = {entry.name: entry for entry in kept_entries(store)}
        self.learners: dict[str, _Learner] = {}
        for name in store.lines():
            if self.lines.lost(name):
                continue  # its versions are vouched for by the chain, and cannot be folded again
            if self.lines.knows(name):
                self.learners[name] = _Learner(name, self)
            else:
                self._registered(name)
        self.others: OrderedDict[tuple[str, int], Model] = OrderedDict()
        self.recent: OrderedDict[int, Prediction] = OrderedDict()
        self.reader = PredictionReader(store)
        self.slot = 0

    def block(self, parts: tuple[bytes, ...], beside: Beside) -> None:
        """Takes one block: its examples become due, its predictions are answered again."""
        verdict, notes = self.verdict, blocks.decode_notes(parts[4])
        verdict.inputs += len(blocks.decode_inputs(parts[0]))
        verdict.dead += len(blocks.decode_dead(parts[3]))
        examples = blocks.decode_examples(parts[2])
        verdict.examples += len(examples)
        for row in examples:
            if row.position >= 0:
                self._learner(self.own).pending.append((row.position, row))
            for name, position in (row.also or {}).items():
                if self.lines.lost(name):
                    continue
                self._learner(name).pending.append((position, row))
        predictions = blocks.decode_predictions(parts[1])
        beside.block(verdict.blocks, self.slot, predictions, notes)
        verdict.written_as = beside.written_as()
        for prediction in predictions:
            self.recent[self.slot] = prediction
            self.slot += 1
        for prediction in predictions:
            self._answer(prediction, prediction, prediction.features)
            for said in prediction.others or ():
                if said.fault is None:
                    self._answer(prediction, said, prediction.features if said.features is None else said.features)
        verdict.predictions += len(predictions)
        for decision in notes.decisions:
            self._decided(decision)
        if not self.publish:
            self._learner(self.own).learn_to(notes.learner)
        while len(self.recent) > KEPT:
            self.recent.popitem(last=False)

    def _decided(self, decision: Decision) -> None:
        """One decision of the ledger: its number, and its verdict once more from the sums in its evidence."""
        verdict = self.verdict
        verdict.decisions += 1
        if decision.number != verdict.decisions:
            verdict.faults.append(f"the ledger holds decision {decision.number} where number {verdict.decisions} belongs")
        if verdict.comparable and same_evidence(decision.evidence) is False:
            verdict.faults.append(f"decision {decision.number}: its verdict does not follow from its evidence")

    def finish(self, *, whole: bool) -> None:
        """Learns what no answer has asked for yet, so that the last versions are checked too: all, where the chain is whole."""
        for learner in self.learners.values():
            if learner.pending:
                learner.learn_to(learner.pending[-1][0])
            if whole:
                learner.finish()

    def _learner(self, name: str) -> _Learner:
        if name not in self.learners:
            raise StoreCorrupt(f"{name} learned or answered, and is no line of this store and pipeline with a kept version")
        return self.learners[name]

    def _registered(self, name: str) -> None:
        """Checks the versions of a line that did not take its place, or not yet: nobody has learned on from them.

        What it is like is not known, so each kind of model that there is may say what its bytes are.
        """
        for version in self.store.versions(name):
            digests = set()
            for blank in self.lines.blanks.values():
                try:
                    digests.add(blank.restored(_kept_bytes(self.store, version)).digest())
                except (StoreMismatch, msgspec.MsgspecError, pickle.UnpicklingError):
                    continue  # the bytes of another kind of model
            self.verdict.versions += 1
            if digests and version.digest not in digests and self.verdict.comparable:
                self.verdict.faults.append(f"{version.name}: its kept bytes have another digest than was recorded")

    def prediction(self, slot: int) -> Prediction:
        """A prediction by its number."""
        return self.recent.get(slot) or self.reader.read(slot)

    def _answer(self, prediction: Prediction, said: Prediction | Said, features: Features) -> None:
        if why := self.lines.lost(said.model):
            self.verdict.left_out[why] = self.verdict.left_out.get(why, 0) + 1
            return
        model = self._model(said.model, said.position)
        output = model.predict(features)
        if output.value == said.value and output_bytes(output.value, output.scores) == output_bytes(said.value, said.scores):
            return
        self.verdict.differences += 1
        if self.verdict.comparable and self.verdict.differences <= 10:
            told = f"recorded {said.value!r} {said.scores!r}, again {output.value!r} {output.scores!r}"
            self.verdict.faults.append(f"event {prediction.event_id!r} by {said.version}: {told}")

    def _model(self, name: str, wanted: int) -> Model:
        learner = self._learner(name)
        if wanted > learner.position:
            learner.learn_to(wanted)
        return learner.model if wanted == learner.position else self._other(name, wanted)

    def _other(self, name: str, position: int) -> Model:
        model = self.others.get((name, position))
        if model is None:
            model = self.others[name, position] = self.lines.rebuild(name, position)
            if len(self.others) > 4:
                self.others.popitem(last=False)
        return model


class _Learner:
    """One line, folded from its first kept version over what it learned."""

    def __init__(self, name: str, fold: _Fold) -> None:
        self.name, self.fold = name, fold
        self.blank = fold.lines.blank(name)
        versions = fold.store.versions(name)
        self.kept = {version.position: version for version in versions}
        entered = entered_as(fold.store, name)
        self.position = self.began = entered.position
        version, state = fold.store.nearest_version(self.position, name)
        self.model = self.blank.restored(state)
        self.pending: deque[tuple[int, ExampleRow]] = deque()
        self._same(version, self.model)
        entry = fold.entries.get(name)
        self.start, self.told = ("", "") if entry is None else (entry.start, entry.digest)
        if entry is not None:
            self._same(entered, caught_up(fold.lines, entry, entered.position), "what it started from and caught up")

    def learn_to(self, position: int) -> None:
        """Learns what is pending up to a position."""
        model, pending, fold = self.model, self.pending, self.fold
        while self.position < position:
            if not pending:
                raise StoreCorrupt(f"the examples log of {self.name} ends at {self.position}, an answer names {position}")
            reached, row = pending.popleft()
            if reached <= self.position:
                continue
            if reached != self.position + 1:
                raise StoreCorrupt(f"the examples log of {self.name} goes from position {self.position} to {reached}")
            prediction = fold.prediction(row.slot)
            features = seen_by(prediction, self.name, fold.lines.makers)
            if features is None:
                raise StoreCorrupt(f"{self.name}@{reached} learned what nobody saw: event {prediction.event_id!r}")
            model.learn(features, row.truth)
            self.position = reached
            if reached in self.kept:
                self._check(self.kept[reached])

    def finish(self) -> None:
        """Looks at the kept versions that the fold did not pass: what it started from, and what nobody ever was."""
        for position, version in self.kept.items():
            if position > self.position:
                self.fold.verdict.faults.append(f"{version.name} is kept, and {self.name} has only come to {self.position}")
            elif version.name == self.start:
                if self.told and self.told != version.digest:
                    self.fold.verdict.faults.append(f"{version.name} is kept, and other bytes entered as {self.name}")
                self._same(version, self.blank.restored(_kept_bytes(self.fold.store, version)), "its kept bytes")
            elif position < self.began:
                self.fold.verdict.faults.append(f"{version.name} is kept, and {self.name} began at {self.began}")

    def _check(self, version: ModelVersion) -> None:
        self._same(version, self.model)
        self._same(version, self.blank.restored(_kept_bytes(self.fold.store, version)), "its kept bytes")

    def _same(self, version: ModelVersion, model: Model, what: str = "the fold over the examples") -> None:
        verdict = self.fold.verdict
        verdict.versions += what != "its kept bytes"
        if model.digest() != version.digest and verdict.comparable:
            verdict.faults.append(f"{version.name}: {what} has another digest than was recorded")


def _kept_bytes(store: Store, version: ModelVersion) -> bytes:
    """The bytes of a kept version, which are those that their name says."""
    row = store.db.execute(
        "SELECT v.snapshot, s.state FROM versions v LEFT JOIN snapshots s ON s.hash=v.snapshot "
        "WHERE v.model=? AND v.position=?",
        (version.model, version.position),
    ).fetchone()
    return unpacked_state(store.path, version.name, row[0], row[1])
