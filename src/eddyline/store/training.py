"""Makes a model from the examples log, beside a running engine, and can be killed at any moment.

Keeps `rebuild` (the same examples in the same order give the same digest, however often it was interrupted), `finite` (what
the learner refuses while it serves is refused here) and `one-writer` (the store is only read; two trainings cannot share a
folder). The folder holds what it takes to go on: `plan.json` says what is being made, `state.bin` how far it is, and at the
end `model.bin` and `trained.json` are the result. Refuses to judge the model: `views.trial` does.

>>> import tempfile
>>> from river import linear_model
>>> from eddyline import Engine, Id, Time, Truth, Event, Label, Pipeline, memory
>>> from eddyline.engines.embedded import replay
>>> class Visit(Event):
...     id: Id
...     at: Time
...     pages: float
>>> class Sale(Label):
...     id: Id
...     at: Time
...     bought: Truth[bool]
>>> at = "2026-03-02T00:00:00Z"
>>> visits = [Visit(id=str(n), at=at, pages=float(n % 7)) for n in range(50)]
>>> sales = [Sale(id=str(n), at=at, bought=n % 7 > 3) for n in range(50)]
>>> shop = Pipeline(name="shop", events=memory(visits, Visit), labels=memory(sales, Sale),
...                 model=linear_model.LogisticRegression())
>>> folder = Path(tempfile.mkdtemp())
>>> with Engine(shop, folder / "shop.eddyline") as engine:
...     _ = replay(engine, folder)
>>> with closing(Store.read(folder / "shop.eddyline")) as store:
...     made = train(store, shop, Spec(name="shop.r1", model=shop.plan().model), folder / "r1")
>>> made.position, made.lineage.held_back, made.lineage.learned.ranges
(40, 10, [(0, 39)])
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline
from eddyline.pipeline.code import code_digest
from eddyline.ports import Model
from eddyline.records import DeadLetter, Example, ModelVersion
from eddyline.records.errors import StoreCorrupt, StoreMismatch
from eddyline.stages.features import Maker
from eddyline.stages.learn import Learn, LearnState, Snapshot
from eddyline.store import blocks
from eddyline.store.database import Store, content_digest
from eddyline.store.examples import Chosen, Examples, Reader, Sample, choose
from eddyline.store.lock import WriterLock
from eddyline.store.rebuild import StoredLines

RANGES = 10_000
"""Ranges of example numbers that a lineage writes out; a sample has more, and its digest and seed say the same."""
_NEVER = 2**62


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What to make: a line's `name`, the `model` it starts from, and the `examples` it learns.

    `model` is an adapted model: fresh, or restored from a version, which is then its `parent`. `maker` makes features again
    (None: as they were served to `line`, or to a line that sees the same; None: the pipeline's own).
    """

    name: str
    model: Model
    examples: Examples = field(default_factory=Examples)
    maker: Maker | None = None
    line: str | None = None
    parent: str | None = None

    @property
    def learns(self) -> bool:
        """Whether examples change this model; a file's stays as it is."""
        return bool(getattr(self.model, "learns", True))


class Place(msgspec.Struct, frozen=True):
    """One example: its number in the log (from 0), the learner's position after it, its prediction's slot, whose event."""

    number: int
    position: int
    slot: int
    event_id: str
    at: int
    """event time in µs"""


class Slice(msgspec.Struct, frozen=True):
    """A set of examples, so that anybody can say whether two of them are the same.

    `digest` is a hash chain over (event id, features, truth) of each, in order. `ranges` are their numbers in the log, first
    and last of each run; None where there are more than 10,000.
    """

    count: int
    digest: str
    first: Place | None
    last: Place | None
    ranges: list[tuple[int, int]] | None


class Lineage(msgspec.Struct, frozen=True):
    """Where a model comes from: what it learned, what was held back, how it was made, out of which store."""

    name: str
    parent: str | None
    recipe: str
    """the digest of the recipe"""
    started_from: str
    """the digest of the model before the first example"""
    examples: str
    """which examples, in a sentence"""
    seed: int
    learned: Slice
    refused: int
    """examples in `learned` that the model could not learn"""
    unseen: int
    """chosen examples without the features it needs, which were left out"""
    why_unseen: str
    held_back: int
    reached: int
    """where the pipeline's own learner stood at the last example of `learned`: a newcomer catches up from there"""
    until: int
    """the last block that was read"""
    head: str
    """the chain's head there"""
    fingerprint: str
    why_refused: str = ""
    """what the model said to the first example that it refused"""


class Trained(msgspec.Struct, frozen=True):
    """A model that was made: its digest, the examples it learned, its bytes, its recipe, and its lineage."""

    name: str
    digest: str
    position: int
    """how many examples it learned"""
    state: bytes
    recipe: str
    lineage: Lineage

    @property
    def version(self) -> ModelVersion:
        """What a registry keeps of it: the line's version at the number of examples it learned."""
        lineage = self.lineage
        return ModelVersion(
            self.name, self.position, self.digest, lineage.recipe, lineage.parent, lineage.fingerprint, "retrain"
        )


class _Saved(msgspec.Struct, frozen=True):
    """How far a training is."""

    done: int
    model: bytes
    position: int
    chain: bytes
    count: int
    refused: int
    unseen: int
    why_unseen: str
    first: Place | None
    last: Place | None
    ranges: list[tuple[int, int]] | None
    why_refused: str = ""


class _Plan(msgspec.Struct, frozen=True):
    """What is being made, and from how much of the journal: fixed when it starts, so that going on means the same."""

    spec: dict[str, str]
    until: int
    head: str


def train(
    store: Store,
    pipeline: Pipeline,
    spec: Spec,
    out_dir: Path,
    *,
    every: int = 5_000,
    on_progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Makes the model that `spec` asks for, in `out_dir`, and goes on there if it was interrupted.

    Its state is kept every `every` examples; what it learns from is the journal as it stood when it started. Where
    `out_dir` holds the finished result of the same spec, that is given. Raises StoreMismatch where it holds another
    training, StoreLocked where one is running in it.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(out_dir / "training")
    try:
        plan = _planned(store, pipeline, spec, out_dir)
        finished = trained_in(out_dir)
        if finished is not None:
            return finished
        chosen = choose(store, spec.examples, plan.until, learns=spec.learns, line=spec.line)
        work = _Work(store, pipeline, spec, out_dir, chosen)
        work.go(every, on_progress)
        return work.finish(plan)
    finally:
        lock.release()


def trained_in(out_dir: Path) -> Trained | None:
    """The finished training of a folder; None where there is none, or where one is still under way."""
    path = out_dir / "trained.json"
    if not path.exists():
        return None
    state = _unsealed(out_dir / "model.bin", (out_dir / "model.bin").read_bytes())
    document: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return msgspec.convert({**document, "state": state}, Trained)


def chosen_by(store: Store, spec: Spec, trained: Trained) -> Chosen:
    """The examples that a finished training learned and held back: chosen again, to the example."""
    return choose(store, spec.examples, trained.lineage.until, learns=spec.learns, line=spec.line)


def reader_of(store: Store, pipeline: Pipeline, spec: Spec) -> Reader:
    """Reads examples as the model of this spec sees them."""
    lines = StoredLines(store, pipeline.plan())
    return Reader(store, spec.line or pipeline.name, lines.makers, spec.maker, pipeline.event_schema)


def slice_of(samples: Sequence[Sample]) -> Slice:
    """What a set of examples is, as a lineage says it."""
    chain, ranges = b"", _Ranges([])
    for sample in samples:
        chain = linked(chain, sample)
        ranges.add(sample.number)
    places = [_place(samples[0]), _place(samples[-1])] if samples else [None, None]
    return Slice(len(samples), chain.hex(), places[0], places[1], ranges.shown)


class _Ranges:
    """Ascending numbers as runs, until there are too many."""

    def __init__(self, shown: list[tuple[int, int]] | None) -> None:
        self.shown = shown

    def add(self, number: int) -> None:
        shown = self.shown
        if shown is None:
            return
        if shown and shown[-1][1] == number - 1:
            shown[-1] = (shown[-1][0], number)
        else:
            shown.append((number, number))
        if len(shown) > RANGES:
            self.shown = None


class _Work:
    """A training under way: the learner, and the account of what it was given."""

    def __init__(self, store: Store, pipeline: Pipeline, spec: Spec, out_dir: Path, chosen: Chosen) -> None:
        self.spec, self.out_dir, self.chosen = spec, out_dir, chosen
        self.models = pipeline.plan().models
        self.reader = reader_of(store, pipeline, spec)
        self.learn = Learn(snapshot_every=_NEVER, publish=None, learn_revisions=False)
        self.saved = _read_state(out_dir / "state.bin") or _Saved(0, spec.model.save(), 0, b"", 0, 0, 0, "", None, None, [])
        model = spec.model.restored(self.saved.model)
        self.state = LearnState(model=model, position=self.saved.position, saved=self.saved.model, name=spec.name)
        self.ranges = _Ranges(self.saved.ranges)

    def go(self, every: int, on_progress: Callable[[int, int], None] | None) -> None:
        """Learns what is left, keeping the state every so many examples."""
        numbers, total = self.chosen.learn, len(self.chosen.learn)
        while self.saved.done < total:
            start = self.saved.done
            self.saved = self._some(list(self.reader.read(numbers[start : start + every])), start)
            _write(self.out_dir / "state.bin", _sealed(msgspec.msgpack.encode(self.saved)))
            if on_progress is not None:
                on_progress(self.saved.done, total)

    def _some(self, samples: list[Sample], done: int) -> _Saved:
        old = self.saved
        chain, first, last = old.chain, old.first, old.last
        count, refused, unseen, why, said = old.count, old.refused, old.unseen, old.why_unseen, old.why_refused
        extras: list[Snapshot | DeadLetter] = []
        for sample in samples:
            if sample.features is None:
                unseen, why = unseen + 1, why or sample.fault
                continue
            chain, count = linked(chain, sample), count + 1
            last = _place(sample)
            first = first or last
            self.ranges.add(sample.number)
            row = sample.row
            example = Example(sample.prediction, row.truth, row.known, row.at)  # type: ignore[arg-type]
            refused += self.learn.one(self.state, example, extras, sample.features) < 0
            said = said or next((one.detail for one in extras if isinstance(one, DeadLetter)), "")
            extras.clear()
        self.state.saved = self.state.model.save()
        self.state.since.clear()
        done += len(samples)
        position = self.state.position
        ranges = self.ranges.shown
        return _Saved(done, self.state.saved, position, chain, count, refused, unseen, why, first, last, ranges, said)

    def finish(self, plan: _Plan) -> Trained:
        """Writes the result and gives it."""
        spec, saved, model = self.spec, self.saved, self.state.model
        recipe = json.dumps(spec.model.recipe(), sort_keys=True, default=repr)
        lineage = Lineage(
            name=spec.name,
            parent=spec.parent,
            recipe=content_digest(recipe),
            started_from=spec.model.digest(),
            examples=spec.examples.sentence(),
            seed=spec.examples.seed,
            learned=Slice(saved.count, saved.chain.hex(), saved.first, saved.last, self.ranges.shown),
            refused=saved.refused,
            unseen=saved.unseen,
            why_unseen=saved.why_unseen,
            held_back=len(self.chosen.judge),
            reached=self.chosen.reached,
            until=plan.until,
            head=plan.head,
            fingerprint=fingerprint(self.models),
            why_refused=saved.why_refused,
        )
        made = Trained(spec.name, model.digest(), saved.position, saved.model, recipe, lineage)
        _write(self.out_dir / "model.bin", _sealed(saved.model))
        document = {name: getattr(made, name) for name in made.__struct_fields__ if name != "state"}
        _write(self.out_dir / "trained.json", msgspec.json.format(msgspec.json.encode(document), indent=2))
        (self.out_dir / "state.bin").unlink(missing_ok=True)
        return made


def _planned(store: Store, pipeline: Pipeline, spec: Spec, out_dir: Path) -> _Plan:
    """The plan of the folder: made now, or the one that is being carried out, which must be of the same spec."""
    path = out_dir / "plan.json"
    meant = _meaning(pipeline, spec)
    if not path.exists():
        plan = _Plan(meant, store.seq, store.head.hex())
        _write(path, msgspec.json.encode(plan))
        return plan
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=_Plan)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(
            f"{path} is no plan of a training ({error})\nremove {out_dir}, or name another: --out DIR"
        ) from error
    changed = [name for name in meant if meant[name] != plan.spec.get(name)]
    row = store.db.execute("SELECT hash FROM blocks WHERE seq=?", (plan.until,)).fetchone()
    if not changed and plan.until and (row is None or row[0].hex() != plan.head):
        changed = ["store"]
    if changed:
        raise StoreMismatch(
            f"{out_dir} holds another training: it differs in {', '.join(changed)}\nremove it, or name another: --out DIR"
        )
    return plan


def _meaning(pipeline: Pipeline, spec: Spec) -> dict[str, str]:
    """What a training means, part by part: where a part differs, going on would give something that was never asked for."""
    return {
        "pipeline": pipeline.name,
        "name": spec.name,
        "model": content_digest(json.dumps(spec.model.recipe(), sort_keys=True, default=repr)) + spec.model.digest(),
        "examples": repr(spec.examples),
        "features": "as served" if spec.maker is None else code_digest(spec.maker.features),
        "line": spec.line or pipeline.name,
        "parent": spec.parent or "none",
        "numbers": fingerprint(pipeline.plan().models),
    }


def _place(sample: Sample) -> Place:
    row, prediction = sample.row, sample.prediction
    return Place(sample.number, row.position, row.slot, prediction.event_id, prediction.at)


_pack = msgspec.msgpack.Encoder().encode


def linked(chain: bytes, sample: Sample) -> bytes:
    """The chain with one more example: what it is about, what is seen of it, what is true."""
    told = _pack((sample.prediction.event_id, sample.features, sample.row.truth))
    return hashlib.blake2b(chain + told, digest_size=16).digest()


def _sealed(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest() + blocks.pack(body)


def _unsealed(path: Path, raw: bytes) -> bytes:
    body = blocks.unpack(raw[16:])
    if hashlib.blake2b(body, digest_size=16).digest() != raw[:16]:
        raise StoreCorrupt(f"{path} was changed on disk\nremove {path.parent} and start again")
    return body


def _read_state(path: Path) -> _Saved | None:
    if not path.exists():
        return None
    return msgspec.msgpack.decode(_unsealed(path, path.read_bytes()), type=_Saved)


def _write(path: Path, raw: bytes) -> None:
    """All of it or nothing, and there after a power cut: a file beside it takes its name when it is on the disk."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    with closing(_Folder(path.parent)) as folder:
        os.fsync(folder.number)


class _Folder:
    """A folder that is open, so that its names can be synced."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        os.close(self.number)
