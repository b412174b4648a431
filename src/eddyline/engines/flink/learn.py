"""Learn and decide on Flink: one instance, which folds examples into the model and says who answers.

Positions are given here, one after another, and the example goes to its topic with its own: that topic is the log from
which any version is made again. A version is published before each checkpoint, because that is when scorers can read it;
or every so many examples, where the pipeline declares it.
"""

from __future__ import annotations

import json

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import (
    COMMAND,
    DEAD,
    EXAMPLE,
    NEVER,
    ROLLOUT,
    VERSION,
    Given,
    Out,
    Saved,
    pack,
    read_batch,
    saved,
)
from eddyline.engines.flink.join import JoinedWire
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import DeadLetter, Example, ModelVersion, Reason, Rollout
from eddyline.stages.commands import Command
from eddyline.stages.learn import LearnState, Snapshot
from eddyline.stages.refuse import refuse_bytes
from eddyline.store.database import content_digest

_joined = msgspec.msgpack.Decoder(JoinedWire).decode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it travels: with the version it names, so that scorers that never saw it can answer with it."""

    to: str
    author: str = "unknown"
    reason: str = ""
    version: bytes = b""


class LearnSaved(msgspec.Struct, frozen=True):
    """The learner's memory, and the rollout."""

    position: int
    model: bytes
    published: int
    last_version: str | None
    decide: bytes


class LearnHost:
    """Learn's and decide's side of the operator."""

    def __init__(self, pipeline: Pipeline, kept: Saved) -> None:
        plan = pipeline.plan()
        self.name = pipeline.name
        self.learn, self.decide = plan.learn, plan.decide
        recipe = {"pipeline": pipeline.digest, **plan.model.recipe()}
        self.recipe = content_digest(json.dumps(recipe, sort_keys=True, default=repr))
        self.parent: str | None = None
        self.published = 0
        self.at = 0
        if kept.shards:
            was = msgspec.msgpack.decode(kept.shards[0], type=LearnSaved)
            model, position = plan.model.restored(was.model), was.position
            self.published, self.parent, self.deciding = was.published, was.last_version, self.decide.restore(was.decide)
        else:
            model, position, self.deciding = plan.model, 0, plan.decide.new_state()
        self.state: LearnState = self.learn.new_state(model, position, self.name)

    def step(self, batch: bytes, watermark: int) -> bytes:
        """Learns examples and takes commands, in order."""
        out = Out()
        self.at = max(self.at, watermark)
        for kind, _, _, event_id, at, body, trace, _ in read_batch(batch):
            if kind == EXAMPLE:
                self._learn(event_id, at, body, trace, out.given)
            else:
                assert kind == COMMAND, "only examples and commands come to learn"
                self._decide(body, out.given)
        return out.packed()

    def _learn(self, event_id: str, at: int, body: bytes, trace: str, given: list[Given]) -> None:
        joined = _joined(body)
        prediction = wire.decode_prediction(joined.prediction)
        example = Example(prediction, joined.truth, joined.known, joined.at, joined.revision)
        extras: list[Snapshot | DeadLetter] = []
        position = self.learn.one(self.state, example, extras)
        given.append((EXAMPLE, prediction.key, event_id, at, wire.encode_example(example, position), trace))
        for extra in extras:
            if type(extra) is Snapshot:
                self._publish(extra.position, extra.state, extra.digest, "cadence", given)
            elif type(extra) is DeadLetter:
                given.append((DEAD, "", event_id, NEVER, wire.encode_dead(extra), trace))
        every = self.learn.publish_every
        if every is not None and position > 0 and position % every == 0 and self.state.published is not None:
            self._publish_model(self.state.published, position, given)

    def _decide(self, body: bytes, given: list[Given]) -> None:
        try:
            request = msgspec.json.decode(body, type=Request)
        except msgspec.MsgspecError as error:
            letter = refuse_bytes("commands", Reason.MALFORMED.value, f"not a command: {error}", body)
            given.append((DEAD, "", "", NEVER, wire.encode_dead(letter), ""))
            return
        command = Command(to=request.to, author=request.author, reason=request.reason)
        for decided in self.decide.step(self.deciding, command, self.at, {self.name: self.state.position}):
            if type(decided) is DeadLetter:
                given.append((DEAD, "", request.to, NEVER, wire.encode_dead(decided), ""))
            elif type(decided) is Rollout:
                if request.version:
                    given.append((VERSION, "", request.to, NEVER, request.version, ""))
                given.append((ROLLOUT, "", str(decided.revision), NEVER, wire.encode_rollout(decided), ""))

    # Versions --------------------------------------------------------------------------------------------------------

    def _publish_model(self, model: Model, position: int, given: list[Given]) -> None:
        if position > self.published:
            self._publish(position, model.save(), model.digest(), "published", given)

    def _publish(self, position: int, state: bytes, digest: str, created_by: str, given: list[Given]) -> None:
        if position <= self.published:
            return
        version = ModelVersion(
            model=self.name,
            position=position,
            digest=digest,
            recipe=self.recipe,
            parent=self.parent,
            fingerprint=fingerprint(),
            created_by=created_by,
        )
        given.append((VERSION, "", version.name, NEVER, wire.encode_version(version, state), ""))
        self.published, self.parent = position, version.name

    def told(self, kind: int, body: bytes) -> None:
        """Learn is told nothing."""
        raise AssertionError("learn has no broadcast input")

    def before_checkpoint(self) -> bytes:
        """The version as it stands, which scorers can read once this checkpoint is complete."""
        given: list[Given] = []
        if self.learn.publish_every is None:
            self._publish_model(self.state.model, self.state.position, given)
        return pack(given)

    def save(self) -> bytes:
        """The learner, whole; undoing starts from here afterwards."""
        state = self.state
        state.saved = state.model.save()
        state.since.clear()
        kept = LearnSaved(state.position, state.saved, self.published, self.parent, self.decide.save(self.deciding))
        return saved({0: pack(kept)}, [])
