"""Models per key on Flink: they answer and learn where their key is served, and learn only numbers the examples.

An example comes back to serve through its own topic, when it was committed, and to the shard that serves its key. It says
which example of its shard came before it (header `place`, "shard.before.saw"), so a shard learns its examples in the order of
their positions, each once, whatever the order in which partitions bring them; past what the broker gave up, where somebody said
so (`lost_examples.py`). Keeps `rebuild` (an answer names the last
position that its key's model learned) and `one-writer` (a key is served, and learned, in one shard). Decides nothing, and asks
no topic itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast
from zlib import crc32

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.models import PerKey
from eddyline.pipeline import Pipeline, Plan
from eddyline.records import DeadLetter, Example, Features, Output, Prediction, Task
from eddyline.records.errors import DeclarationError
from eddyline.stages.aggregates import KEY_GROUPS
from eddyline.stages.features import Maker
from eddyline.stages.learn import Learn, Snapshot
from eddyline.stages.lines import seen_by
from eddyline.stages.voices import Voice

REMEMBERED = 64
"""So many examples of a shard are learned again when a truth spoils a model, before its bytes are written anew."""
NEVER_KEPT = 2**62
FRESH = "fresh"
"""How the version before the first example says it was made: the only one that a line of models per key publishes."""


def learned_where_served(pipeline: Pipeline) -> bool:
    """Whether serve holds the models of the pipeline's own line."""
    return pipeline.per == "key"


def require_servable(pipeline: Pipeline) -> None:
    """Refuses models per key where the shard of an event would not be the shard of its key's model."""
    schema = pipeline.event_schema
    if not learned_where_served(pipeline) or schema.key_field is None:
        return
    key = schema.key_field
    by = {spec.by or key for spec in pipeline.aggregates.values()}
    if len(by) == 1 and key not in by:
        raise DeclarationError(
            f'per="key" on Flink: all aggregates go by {by.pop()}, so events meet by it, and the models go by {key}\n'
            f"let an aggregate go by {key}, or run it in one process, without --engine flink"
        )
    if pipeline.publish is not None:
        raise DeclarationError(
            'per="key" on Flink: each key\'s model learns where it answers, and publishes no versions\nleave publish out'
        )


class Counted:
    """What the learner holds in place of models that live elsewhere: it takes every truth, and keeps nothing."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def predict(self, features: Features) -> Output:
        """Nobody asks it."""
        return Output(None)

    def learn(self, features: Features, truth: Any) -> None:
        """Keeps nothing."""

    def sound(self, features: Features) -> bool:
        """Always."""
        return True

    def save(self) -> bytes:
        """Nothing."""
        return b""

    def restored(self, state: bytes) -> Counted:
        """Itself."""
        return self

    def digest(self) -> str:
        """None: it is nobody's version."""
        return ""

    def recipe(self) -> dict[str, Any]:
        """None."""
        return {}


class Numbers:
    """Which example of each shard was numbered last: what learn knows of models that live in serve."""

    def __init__(self, pipeline: Pipeline, everybody: bool, last: Mapping[int, int]) -> None:
        self.own, self.everybody, self.last = pipeline.name, everybody, dict(last)

    def place(self, example: Example, position: int, makers: Mapping[str, Maker | None]) -> str:
        """Where an example goes back to, what it comes after there, and in whose words the line finds its features."""
        told = example.prediction
        shard = 0 if self.everybody else shard_of(told.key)
        before, self.last[shard] = self.last.get(shard, 0), position
        return f"{shard}.{before}.{saw(told, self.own, makers)}"


def shard_of(key: str) -> int:
    """The shard that serves a key, as `Shards.java` has it."""
    return crc32(key.encode()) % KEY_GROUPS


def saw(told: Prediction, own: str, makers: Mapping[str, Maker | None]) -> int:
    """In whose words a line finds the features it saw: 0 for those of the answer, else the place among `others`, from 1."""
    features = told.features if told.model == own else seen_by(told, own, makers)
    for number, said in enumerate(told.others or (), 1):
        if features is said.features:
            return number
    assert features is told.features, "an example that was numbered has features"
    return 0


class Returned(msgspec.Struct, frozen=True, array_like=True):
    """An example that came back to the shard that serves its key."""

    before: int
    saw: int
    body: bytes
    trace: str

    @classmethod
    def of(cls, shard: int, body: bytes, headers: str) -> Returned:
        """As it came: with `headers` "trace|shard.before.saw"."""
        trace, _, place = headers.partition("|")
        meant, before, saw = map(int, place.split("."))
        assert meant == shard, f"an example of shard {meant} came to shard {shard}"
        return cls(before, saw, body, trace)


Bridges = Mapping[int, Mapping[int, int]]
"""By shard: after which example comes what waits for one that the broker gave up."""


class ShelfSaved(msgspec.Struct, frozen=True, array_like=True):
    """A shard's models, as they are kept."""

    state: bytes
    positions: dict[str, int]
    reached: int
    waiting: list[Returned]


class Shelf:
    """The models of one shard's keys, and how far each of them, and the shard, has learned."""

    def __init__(
        self, learn: Learn, model: PerKey, own: str, kept: ShelfSaved | None = None, over: Mapping[int, int] | None = None
    ) -> None:
        self.learn, self.over = learn, over or {}
        self.state = learn.new_state(model.restored(model.save() if kept is None else kept.state), name=own)
        self.positions: dict[str, int] = {} if kept is None else kept.positions
        self.reached = 0 if kept is None else kept.reached
        self.waiting = {} if kept is None else {one.before: one for one in kept.waiting}

    @classmethod
    def made(cls, plan: Plan, kept: ShelfSaved | None = None, over: Mapping[int, int] | None = None) -> Shelf:
        """The shelf of a shard, as it was kept, or empty; `over` is how it gets past what was given up."""
        assert isinstance(plan.model, PerKey)
        learn = replace(plan.learn, snapshot_every=NEVER_KEPT, publish=None, learn_revisions=True, remember=REMEMBERED)
        return cls(learn, plan.model, plan.decide.model, kept, over)

    def take(self, one: Returned) -> list[tuple[DeadLetter, str]]:
        """Takes an example that came back, and learns what can be learned now; refused truths, each with its trace."""
        letters: list[tuple[DeadLetter, str]] = []
        if one.before < self.reached:
            return letters  # it was learned
        self.waiting[one.before] = one
        while (ready := self._next()) is not None:
            example, position = wire.decode_example(ready.body)
            letters += [(letter, ready.trace) for letter in self.learned(example, position, words(example, ready.saw))]
        return letters

    def _next(self) -> Returned | None:
        """What comes after the last one learned, or after one that was given up behind it."""
        after = self.waiting.pop(self.reached, None)
        return self.waiting.pop(self.over.get(self.reached, -1), None) if after is None else after

    def learned(self, example: Example, position: int, features: Features) -> list[DeadLetter]:
        """Learns the next example of the shard, or leaves every model as it was, with the dead letter that says why."""
        assert position > self.reached, "a shard learns in the order of positions"
        extras: list[Snapshot | DeadLetter] = []
        self.state.position = position - 1
        if self.learn.one(self.state, example, extras, features) >= 0:
            self.positions[example.prediction.key] = position
        self.reached = position
        return [extra for extra in extras if isinstance(extra, DeadLetter)]

    def save(self) -> ShelfSaved:
        """The shard's models; undoing starts from here afterwards."""
        self.state.saved = self.state.model.save()
        self.state.since.clear()
        waiting = [self.waiting[before] for before in sorted(self.waiting)]
        return ShelfSaved(self.state.saved, self.positions, self.reached, waiting)


def words(example: Example, saw: int) -> Features:
    """The features that a line saw, where `saw` told them to be."""
    told = example.prediction
    own = told.others[saw - 1].features if saw and told.others else None
    return told.features if own is None else own


def together(plan: Plan, shelves: Iterable[Shelf]) -> PerKey:
    """The models of these shards as one, as a version holds them."""
    assert isinstance(plan.model, PerKey), "a shelf holds one model per key"
    return plan.model.joined(cast(PerKey, shelf.state.model) for shelf in shelves)


class Shelves:
    """The models of all shards of one instance."""

    def __init__(self, plan: Plan, over: Bridges | None = None) -> None:
        self.plan, self.own, self.over = plan, plan.decide.model, over or {}
        self.by_shard: dict[int, Shelf] = {}

    def restore(self, shard: int, kept: ShelfSaved) -> None:
        """A shard as it was kept."""
        self.by_shard[shard] = Shelf.made(self.plan, kept, self.over.get(shard))

    def take(self, shard: int, body: bytes, headers: str) -> list[tuple[DeadLetter, str]]:
        """Takes an example that came back; gives refused truths, each with its trace."""
        shelf = self.by_shard.get(shard)
        if shelf is None:
            shelf = self.by_shard[shard] = Shelf.made(self.plan, None, self.over.get(shard))
        return shelf.take(Returned.of(shard, body, headers))

    def speak(self, voice: Voice, live: bool, shard: int, key: str) -> None:
        """Lets those who speak for the line answer by the shard's models, in the name of what this key's has learned.

        `live` says whether the voice itself does, and not a version or another line.
        """
        shelf = self.by_shard.get(shard)
        model = self.plan.model if shelf is None else shelf.state.model
        position = 0 if shelf is None else shelf.positions.get(key, 0)
        if live:
            voice.model, voice.position = model, position
        for seat in voice.seats:
            if seat.who == self.own:
                seat.model, seat.position = model, position

    def save(self, shard: int) -> ShelfSaved | None:
        """A shard's models, to be kept; None where none has learned."""
        shelf = self.by_shard.get(shard)
        return None if shelf is None else shelf.save()
