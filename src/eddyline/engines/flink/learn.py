"""Learn and decide on Flink: one instance, which folds examples into the models of all lines and says who answers.

Positions are given here, one after another, and the example goes to its topic with them: that topic is the log from which
any version is made again. A version of each line is published before each checkpoint, because that is when scorers can read
it; or every so many examples, or so much event time, where the pipeline declares it. It goes out whole or as what changed;
whole after a restart, because what was told before is not kept. What was taken, and in which order, goes to a topic, too: there
is no other record of it, and decisions follow from it.
"""

from __future__ import annotations

import json

import msgspec
import zstandard

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.deltas import Chain
from eddyline.connectors.kafka.topics import LARGEST
from eddyline.engines.flink import taken
from eddyline.engines.flink.batch import (
    ALERT,
    COMMAND,
    DEAD,
    DECISION,
    EXAMPLE,
    EXPIRED,
    NEVER,
    PREDICTION,
    ROLLOUT,
    TAKEN,
    VERSION,
    Given,
    Out,
    Saved,
    pack,
    read_batch,
    saved,
)
from eddyline.engines.flink.declared import By, Words, recorded, turned_from, words_of
from eddyline.engines.flink.job import partition
from eddyline.engines.flink.join import JoinedWire
from eddyline.engines.flink.learners import STARTED, Came, Learners, LearnersSaved
from eddyline.engines.flink.per_key import FRESH, Numbers
from eddyline.engines.flink.stopwatch import split_place
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import Example, ModelVersion, Reason, Unlabelled
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import Command
from eddyline.stages.decide import FAILURES
from eddyline.stages.learn import ENTERED
from eddyline.stages.refuse import refuse, refuse_bytes
from eddyline.store.database import content_digest

_joined = msgspec.msgpack.Decoder(JoinedWire).decode
_STAY = "scorers go on with the version before it, and this one can be made again from the examples"

ROOM = (LARGEST - (1 << 16)) // 4 * 3
"""The largest version, in bytes as a message, that a request takes along: it travels there as base64."""


class Request(Command, frozen=True, kw_only=True):
    """A command as it travels: with the version it names, so that scorers that never saw it can answer with it.

    `version` is the message of `<pipeline>.versions` that holds the version which `to`,
    `place` or `entry` names, whole.
    """

    version: bytes = b""

    @classmethod
    def of(cls, command: Command, version: bytes = b"") -> Request:
        """The request that carries a command."""
        return cls(**{name: getattr(command, name) for name in Command.__struct_fields__}, version=version)

    @property
    def command(self) -> Command:
        """What is asked for.

        >>> Request.of(Command(do="approve", number=3, author="ann")).command
        Command(to='', author='ann', reason='', do='approve', entry=None, place=None, number=3, value=0.0, unforget=False)
        """
        return Command(**{name: getattr(self, name) for name in Command.__struct_fields__})


class LearnSaved(msgspec.Struct, frozen=True):
    """The learners, and by line which position was published last, and under which name."""

    learners: LearnersSaved
    published: dict[str, int]
    parents: dict[str, str]
    numbered: dict[int, int] = {}
    """by shard, where models per key live in serve: the position of its last example"""
    words: Words | None = None
    """the declaration that it follows"""


class LearnHost:
    """Learn's and decide's side of the operator."""

    def __init__(self, pipeline: Pipeline, kept: Saved, by: By) -> None:
        self.name, self.digest = pipeline.name, pipeline.digest
        was = msgspec.msgpack.decode(kept.shards[0], type=LearnSaved) if kept.shards else None
        words = None if was is None else was.words
        if words is not None:
            turned_from(words.parts, words.kept, pipeline)
        self.learners = Learners(pipeline, None if was is None else was.learners)
        self.published: dict[str, int] = {} if was is None else was.published
        self.parents: dict[str, str] = {} if was is None else was.parents
        self.numbers = Numbers(pipeline, partition(pipeline)[0] == "NOBODY", {} if was is None else was.numbered)
        self.chains: dict[str, Chain] = {}
        self.words = words_of(pipeline)
        self.coming: list[Given] = []
        """what is said before anything else"""
        if was is not None and words is not None:
            self._turn(pipeline, was, words, by)
        self.whole_every = pipeline.versions.whole_every if pipeline.versions.deltas else 1

    def _turn(self, pipeline: Pipeline, was: LearnSaved, words: Words, by: By) -> None:
        """Takes up this declaration, where another one saved."""
        same = words.parts == self.words.parts
        self.words = words_of(pipeline, words.number + (not same))
        if same:
            return
        messages, came = recorded(self.learners, pipeline, was.learners.decide, words, by)
        self.coming = [(TAKEN, "", str(one.first), NEVER, taken.encode(one), "") for one in messages]
        self._give(came, "", "", self.coming)

    def step(self, batch: bytes, watermark: int) -> bytes:
        """Takes examples, answers, alerts and commands, in order."""
        out, learners = Out(), self.learners
        out.given, self.coming = self.coming, []
        learners.time(watermark)
        first, inputs = learners.taken, list[taken.One]()
        for kind, _, _, event_id, at, body, headers, _ in read_batch(batch):
            if kind == EXAMPLE:
                inputs.append(self._learn(event_id, at, body, headers, out.given))
            elif kind == COMMAND:
                self._obey(body, inputs, out.given)
            else:
                self._hear(kind, at, body, headers, inputs, out.given)
        if inputs:
            message = taken.encode(taken.Taken(first, learners.at, inputs))
            out.given.append((TAKEN, "", str(first), NEVER, message, ""))
        return out.packed()

    def _learn(self, event_id: str, at: int, body: bytes, trace: str, given: list[Given]) -> taken.One:
        joined = _joined(body)
        prediction = wire.decode_prediction(joined.prediction)
        example = Example(prediction, joined.truth, joined.known, joined.at, joined.revision)
        came = self.learners.take(example)
        written = wire.encode_example(example, came.position, came.also)
        back = trace
        if self.learners.per_key and came.position > 0:
            back = f"{trace}|{self.numbers.place(example, came.position, self.learners.makers)}"
        given.append((EXAMPLE, prediction.key, event_id, at, written, back))
        self._give(came, event_id, trace, given)
        for name, position in ((self.name, came.position), *(came.also or {}).items()):
            state = self.learners.states.get(name)
            if state is not None and state.published is not None and state.published_position == position:
                self._publish_model(name, state.published, position, given)
        return taken.Truth(prediction.event_id, joined.revision)

    def _hear(self, kind: int, at: int, body: bytes, headers: str, inputs: list[taken.One], given: list[Given]) -> None:
        """Takes what only those who decide want to know."""
        if kind == PREDICTION:
            place, observed = split_place(headers.partition("|")[2])
            inputs.append(taken.Answer(place))
            came = self.learners.take(wire.decode_prediction(body))
            for command in observed:
                inputs.append(taken.Asked(command))
                self._give(came, "", "", given)
                came = self.learners.take(command)
        elif kind == EXPIRED:
            prediction = wire.decode_prediction(body)
            inputs.append(taken.Expiry(prediction.event_id))
            came = self.learners.take(Unlabelled(prediction, at))
        elif kind == ALERT:
            alert = wire.decode_alert(body)
            inputs.append(taken.Warned(alert))
            came = self.learners.take(alert)
        else:
            assert kind == DEAD, "only examples, commands and what decide looks at come to learn"
            letter = wire.decode_dead(body)
            if letter.stream != "events" or letter.reason not in FAILURES:
                return
            inputs.append(taken.Failure(headers.partition("|")[2], letter.reason))
            came = self.learners.take(letter)
        self._give(came, "", "", given)

    def _obey(self, body: bytes, inputs: list[taken.One], given: list[Given]) -> None:
        try:
            request = msgspec.json.decode(body, type=Request)
            named, start = _brought(request)
        except (msgspec.MsgspecError, zstandard.ZstdError, EddylineError) as error:
            letter = refuse_bytes("commands", Reason.MALFORMED.value, f"not a command: {error}", body)
            given.append((DEAD, "", "", NEVER, wire.encode_dead(letter), ""))
            return
        command = request.command
        about = command.to or str(command.number)
        refusal = self.learners.refused(command, named, start)
        if refusal is not None:
            letter = refuse("commands", Reason.UNKNOWN_VERSION, refusal, command, event_id=about)
            given.append((DEAD, "", about, NEVER, wire.encode_dead(letter), ""))
            return
        inputs.append(taken.Asked(command))
        came = self.learners.take(command, start)
        if came.rollouts and request.version and request.entry is None:
            given.append((VERSION, "", named, NEVER, request.version, ""))
        self._start(request, came, given)
        self._give(came, about, "", given)

    def _start(self, request: Request, came: Came, given: list[Given]) -> None:
        """Publishes what a newcomer brought, whole, and as whoever made it says how it was made."""
        for snapshot in [one for one in came.snapshots if one.created_by == STARTED]:
            came.snapshots.remove(snapshot)
            made, line = wire.decode_version(request.version)[0], snapshot.name
            recipe, numbers = recipe_of(self.digest, self.learners.blanks[line]), fingerprint(self.learners.blanks.values())
            version = ModelVersion(line, snapshot.position, snapshot.digest, recipe, made.parent, numbers, made.created_by)
            like, lineage = self.learners.likes.get(line), wire.lineage_of(request.version)
            body = wire.encode_version(version, snapshot.state, like=like, lineage=lineage)
            given.append((VERSION, "", version.name, NEVER, body, ""))
            self.published[line], self.parents[line] = version.position, version.name

    def _give(self, came: Came, about: str, trace: str, given: list[Given]) -> None:
        """Writes what a record came to, besides its positions."""
        for snapshot in came.snapshots:
            self._publish(snapshot.name, snapshot.position, snapshot.state, snapshot.digest, snapshot.created_by, given)
        for letter in came.letters:
            given.append((DEAD, "", about, NEVER, wire.encode_dead(letter), trace))
        for rollout in came.rollouts:
            given.append((ROLLOUT, "", str(rollout.revision), NEVER, wire.encode_rollout(rollout), ""))
        for decision in came.decisions:
            given.append((DECISION, "", str(decision.number), NEVER, wire.encode_decision(decision), ""))

    # Versions --------------------------------------------------------------------------------------------------------

    def _publish_model(self, line: str, model: Model, position: int, given: list[Given]) -> None:
        if position > self.published.get(line, 0):
            self._publish(line, position, model.save(), model.digest(), "published", given)

    def _publish(self, line: str, position: int, state: bytes, digest: str, created_by: str, given: list[Given]) -> None:
        if position <= self.published.get(line, -1 if created_by.startswith((ENTERED, FRESH)) else 0):
            return
        if self.learners.per_key and line == self.name and position:
            return  # it is in serve, key by key
        version = ModelVersion(
            model=line,
            position=position,
            digest=digest,
            recipe=recipe_of(self.digest, self.learners.blanks[line]),
            parent=self.parents.get(line),
            fingerprint=fingerprint(self.learners.blanks.values()),
            created_by=created_by,
        )
        chain = self.chains.setdefault(line, Chain(self.whole_every))
        body = chain.told(version, state, self.learners.likes.get(line))
        given.append((VERSION, "", version.name, NEVER, body, ""))
        if (left_out := wire.peek_version(body).left_out) is not None:
            letter = refuse_bytes("versions", Reason.TOO_LARGE.value, f"{version.name}: {left_out}; {_STAY}", body)
            given.append((DEAD, "", version.name, NEVER, wire.encode_dead(letter), ""))
        self.published[line], self.parents[line] = position, version.name

    def told(self, kind: int, body: bytes) -> None:
        """Learn is told nothing."""
        raise AssertionError("learn has no broadcast input")

    def before_checkpoint(self) -> bytes:
        """The version of each line as it stands, which scorers can read once this checkpoint is complete."""
        given, self.coming = self.coming, []
        if self.learners.per_key:
            fresh = self.learners.blanks[self.name]  # it says by whom, and on which machine, everything after it is made
            self._publish(self.name, 0, fresh.save(), fresh.digest(), FRESH, given)
        for line in self.chains.keys() - self.learners.states.keys():
            del self.chains[line]  # it has ended, and publishes no more
        if self.learners.learn.publish is None:
            for name, state in self.learners.states.items():
                self._publish_model(name, state.model, state.position, given)
        return pack(given)

    def save(self) -> bytes:
        """The learners, whole; undoing starts from here afterwards."""
        kept = LearnSaved(self.learners.save(), self.published, self.parents, self.numbers.last, self.words)
        return saved({0: pack(kept)}, [])


def _brought(request: Request) -> tuple[str, bytes]:
    """The name of the version that a request brings, and its state where a line enters with it."""
    if not request.version:
        return "", b""
    told = wire.peek_version(request.version)
    if not told.whole:
        raise EddylineError(f"it brings {told.model}@{told.position} as what changed since another version; bring it whole")
    if request.entry is None:
        return f"{told.model}@{told.position}", b""
    version, state = wire.decode_version(request.version)
    return version.name, state if version.name == request.entry.start else b""


def recipe_of(pipeline: str, model: Model) -> str:
    """The digest of how a line of the pipeline with this digest is made."""
    return content_digest(json.dumps({"pipeline": pipeline, **model.recipe()}, sort_keys=True, default=repr))
