"""Proves a store: the chain, every kept version, every answer.

One pass over the journal. The learner is folded from the first version over the examples as they were learned; each
prediction is answered again by the version it names, from the features it carries, and compared byte for byte; each kept
version must have the digest that was recorded. It reads features instead of computing them, joins nothing and writes
nothing, so it is faster than the run was.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from eddyline.models import adapt
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import require_same
from eddyline.ports import Model
from eddyline.records import ModelVersion, Prediction
from eddyline.records.errors import StoreCorrupt, StoreError
from eddyline.store import blocks
from eddyline.store.blocks import ExampleRow
from eddyline.store.database import Store, content_digest, unpacked_state
from eddyline.store.ledger import sealed
from eddyline.store.reader import PredictionReader
from eddyline.store.rebuild import rebuild
from eddyline.views.explain import output_bytes

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
    head: str = ""
    fingerprint: str = ""
    written_as: str = ""
    faults: list[str] = field(default_factory=list)
    differences: int = 0

    @property
    def comparable(self) -> bool:
        """Whether this machine computes as the one that wrote the store."""
        return self.fingerprint == self.written_as

    @property
    def sound(self) -> bool:
        """Nothing was found, and equality is claimed."""
        return not self.faults and self.comparable


def verify(
    store: Store,
    pipeline: Pipeline,
    *,
    head: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Verifies a whole store. `head` is a chain head noted earlier: then what was there before must still be there."""
    verdict = Verdict(fingerprint=fingerprint(), written_as=store.get("fingerprint") or "")
    heads = set()
    try:
        require_same(store.get("parts") or {}, pipeline, store.path.name)
        _check_side_tables(store)
        fold = _Fold(store, pipeline, verdict)
        for seq, stored, computed, parts in store.chain():
            heads.add(stored.hex())
            if seq != verdict.blocks + 1:
                verdict.faults.append(f"block {verdict.blocks + 1} is missing")
                break
            if stored != computed:
                verdict.faults.append(f"block {seq}: its bytes, or those of a block before it, were changed")
                break
            verdict.blocks = seq
            fold.block(parts)
            if on_progress is not None:
                on_progress(seq, store.seq)
        fold.finish()
    except StoreError as error:
        verdict.faults.append(str(error))
    except sqlite3.Error as error:
        verdict.faults.append(f"the file is damaged: {error}")
    verdict.head = store.head.hex()
    if head is not None and head not in heads:
        verdict.faults.append(f"the chain does not hold the head {head}: it was cut, or rewritten, since that was noted")
    return verdict


def _check_side_tables(store: Store) -> None:
    """What stands beside the chain and is read by its own digest: the ledger, the recipes, the checkpoint."""
    store.check_file()
    for number, row in store.db.execute("SELECT chunk, data FROM slots"):
        sealed(store, number, row)
    for digest, recipe in store.db.execute("SELECT digest, recipe FROM recipes"):
        if content_digest(recipe) != digest:
            raise StoreCorrupt(f"store {store.path.name}: recipe {digest} was changed on disk")
    store.checkpoint()


class _Fold:
    """The learner, folded again beside the answers it gave."""

    def __init__(self, store: Store, pipeline: Pipeline, verdict: Verdict) -> None:
        self.store, self.verdict = store, verdict
        self.blank = adapt(pipeline.model)
        self.publish = pipeline.publish.examples if pipeline.publish else None
        self.kept = {version.position: version for version in store.versions()}
        self.model = self._load(0)
        self.position = 0
        self.pending: deque[ExampleRow] = deque()
        self.others: OrderedDict[int, Model] = OrderedDict()
        self.recent: OrderedDict[int, Prediction] = OrderedDict()
        self.reader = PredictionReader(store)
        self.slot = 0

    def block(self, parts: tuple[bytes, ...]) -> None:
        """Takes one block: its examples become due, its predictions are answered again."""
        verdict = self.verdict
        verdict.inputs += len(blocks.decode_inputs(parts[0]))
        verdict.dead += len(blocks.decode_dead(parts[3]))
        examples = blocks.decode_examples(parts[2])
        verdict.examples += len(examples)
        self.pending.extend(row for row in examples if row.position >= 0)
        predictions = blocks.decode_predictions(parts[1])
        for prediction in predictions:
            self.recent[self.slot] = prediction
            self.slot += 1
        for prediction in predictions:
            self._answer(prediction)
        verdict.predictions += len(predictions)
        if self.publish is None:
            self._learn_to(blocks.decode_notes(parts[4]).learner)
        while len(self.recent) > KEPT:
            self.recent.popitem(last=False)

    def finish(self) -> None:
        """Learns what no answer has asked for yet, so that the last versions are checked too."""
        if self.pending:
            self._learn_to(self.pending[-1].position)

    def _answer(self, prediction: Prediction) -> None:
        wanted = prediction.position
        if wanted > self.position:
            self._learn_to(wanted)
        model = self.model if wanted == self.position else self._other(wanted)
        output = model.predict(prediction.features)
        if output.value == prediction.value and output_bytes(output.value, output.scores) == output_bytes(
            prediction.value, prediction.scores
        ):
            return
        self.verdict.differences += 1
        if self.verdict.comparable and self.verdict.differences <= 10:
            said = f"recorded {prediction.value!r} {prediction.scores!r}, again {output.value!r} {output.scores!r}"
            self.verdict.faults.append(f"event {prediction.event_id!r} by {prediction.version}: {said}")

    def _learn_to(self, position: int) -> None:
        model, pending = self.model, self.pending
        while self.position < position:
            if not pending:
                raise StoreCorrupt(f"the examples log ends at {self.position}, an answer names position {position}")
            row = pending.popleft()
            if row.position != self.position + 1:
                raise StoreCorrupt(f"the examples log goes from position {self.position} to {row.position}")
            prediction = self.recent.get(row.slot) or self.reader.read(row.slot)
            model.learn(prediction.features, row.truth)
            self.position = row.position
            if row.position in self.kept:
                self._check(self.kept[row.position])

    def _other(self, position: int) -> Model:
        model = self.others.get(position)
        if model is None:
            model = self.others[position] = rebuild(self.store, self.blank, position)
            if len(self.others) > 4:
                self.others.popitem(last=False)
        return model

    def _load(self, position: int) -> Model:
        version, state = self.store.nearest_version(position)
        model = self.blank.restored(state)
        self._same(version, model)
        return model

    def _check(self, version: ModelVersion) -> None:
        row = self.store.db.execute(
            "SELECT v.snapshot, s.state FROM versions v LEFT JOIN snapshots s ON s.hash=v.snapshot WHERE v.position=?",
            (version.position,),
        ).fetchone()
        state = unpacked_state(self.store.path, version.name, row[0], row[1])
        self._same(version, self.model)
        self._same(version, self.blank.restored(state), "its kept bytes")

    def _same(self, version: ModelVersion, model: Model, what: str = "the fold over the examples") -> None:
        self.verdict.versions += what != "its kept bytes"
        if model.digest() != version.digest and self.verdict.comparable:
            self.verdict.faults.append(f"{version.name}: {what} has another digest than was recorded")
