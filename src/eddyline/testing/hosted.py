"""A pipeline in the four hosts that Flink calls, with Flink's part played in memory: shards, timers, checkpoints, rescaling.

It is for the laws, which need thousands of runs; that Flink itself does these things is shown on a real cluster (tests/flink).
Everything crosses as the same bytes. A crash goes back to the last checkpoint, takes what had been written since out of the
topics, as an aborted transaction does, and delivers the inputs since once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.deltas import Reader
from eddyline.engines.flink import batch as b
from eddyline.engines.flink.audit_topics import STREAMS, Message
from eddyline.engines.flink.batch import Given as Sent
from eddyline.engines.flink.batch import Saved
from eddyline.engines.flink.declared import By
from eddyline.engines.flink.hosts import host_of
from eddyline.engines.flink.job import partition
from eddyline.engines.flink.learn import Request
from eddyline.engines.flink.per_key import learned_where_served
from eddyline.engines.flink.per_key_version import made_again
from eddyline.engines.flink.serve import ServeHost
from eddyline.engines.flink.taken import decides
from eddyline.pipeline import Pipeline
from eddyline.records import DeadLetter, Decision, Event, Example, Label, ModelVersion, Prediction, Rollout
from eddyline.records.errors import NotFound, Rejected
from eddyline.stages.commands import Command, version_of

SHARDS = 128
END_MS = 2**45
"""The end of event time, in milliseconds."""
_read = msgspec.msgpack.Decoder(tuple[list[b.Given], list[b.Remembered], list[b.Wake]]).decode
_read_saved = msgspec.msgpack.Decoder(tuple[list[tuple[int, bytes | None]], list[bytes]]).decode


@dataclass
class Memory:
    """What Flink holds for one operator, at a checkpoint."""

    ids: dict[tuple[int, str], bytes] = field(default_factory=dict)
    wakes: set[b.Wake] = field(default_factory=set)
    shards: dict[int, bytes] = field(default_factory=dict)
    told: list[bytes] = field(default_factory=list)

    def copy(self) -> Memory:
        """The same, to come back to."""
        return Memory(dict(self.ids), set(self.wakes), dict(self.shards), list(self.told))


class Operator:
    """One stage at a parallelism: what `StageOperator.java` does."""

    def __init__(
        self, stage: str, pipeline: Pipeline, by: str, parallelism: int, memory: Memory, sender: By | None = None
    ) -> None:
        self.by, self.parallelism, self.memory = by, parallelism, memory
        mine: list[dict[int, bytes]] = [{} for _ in range(parallelism)]
        for shard, raw in memory.shards.items():
            mine[self._of(shard)][shard] = raw
        self.hosts = [
            host_of(stage, pipeline, Saved(shards, memory.told), first=number == 0, by=sender)
            for number, shards in enumerate(mine)
        ]

    def _of(self, shard: int) -> int:
        return shard * self.parallelism // SHARDS

    def step(self, records: Sequence[Sent], watermark: int) -> list[Sent]:
        """Takes records in order; each instance gets those of its shards."""
        given: list[list[tuple[Any, ...]]] = [[] for _ in self.hosts]
        seen: set[tuple[int, str]] = set()
        for kind, key, event_id, at, body, trace in records:
            owner = {"key": key, "id": event_id}.get(self.by)
            shard = 0 if owner is None else crc32(owner.encode()) % SHARDS
            known = None if (shard, event_id) in seen else self.memory.ids.get((shard, event_id))
            seen.add((shard, event_id))
            given[self._of(shard)].append((kind, shard, key, event_id, at, body, trace, known))
        out: list[Sent] = []
        for host, mine in zip(self.hosts, given, strict=True):
            if mine:
                out += self._take(_read(host.step(b.pack(mine), watermark)))
        return out

    def _take(self, answer: tuple[list[b.Given], list[b.Remembered], list[b.Wake]]) -> list[Sent]:
        given, remembered, wakes = answer
        for shard, event_id, state in remembered:
            if state is None:
                self.memory.ids.pop((shard, event_id), None)
            else:
                self.memory.ids[shard, event_id] = state
        self.memory.wakes |= set(wakes)
        return given

    def wake(self, watermark: int) -> list[Sent]:
        """Fires the timers whose time has come, in order."""
        due = sorted((wake for wake in self.memory.wakes if wake[2] <= watermark), key=lambda wake: (wake[2], wake[1]))
        self.memory.wakes -= set(due)
        return self.step([(b.TIMER, "", event_id, at * 1000, b"", "") for _, event_id, at in due], watermark) if due else []

    def tell(self, kind: int, body: bytes) -> None:
        """Tells every instance."""
        for host in self.hosts:
            host.told(kind, body)
            if isinstance(host, ServeHost):
                host.settle()

    def checkpoint(self) -> list[Sent]:
        """What the instances still say, after which their memory is with Flink."""
        out: list[Sent] = []
        for index, host in enumerate(self.hosts):
            out += msgspec.msgpack.decode(host.before_checkpoint(), type=list[b.Given])
            shards, told = _read_saved(host.save())
            for shard, raw in shards:
                assert raw is not None
                self.memory.shards[shard] = raw
            if index == 0:
                self.memory.told = told
        return out


_STREAMS = {
    b.PREDICTION: "predictions",
    b.EXAMPLE: "examples",
    b.VERSION: "versions",
    b.ROLLOUT: "rollouts",
    b.DECISION: "decisions",
    b.TAKEN: "taken",
    b.DEAD: "dead_letters",
}


def name_of(raw: bytes) -> str:
    """The name of the version that a message holds."""
    told = wire.peek_version(raw)
    return f"{told.model}@{told.position}"


@dataclass
class Written:
    """The topics: what was committed and what would be with the next checkpoint."""

    messages: list[tuple[str, Message]] = field(default_factory=list)
    """every message with its stream, in the order they were written"""
    watched: list[Message] = field(default_factory=list, compare=False)
    """what watch told: it looks at a clock before it tells numbers, so these are no function of the records"""

    def of(self, stream: str) -> list[bytes]:
        """The messages of one stream, as bytes."""
        return [message.value for name, message in self.messages if name == stream]

    @property
    def predictions(self) -> list[Prediction]:
        """The answers."""
        return list(map(wire.decode_prediction, self.of("predictions")))

    @property
    def examples(self) -> list[tuple[Example, int]]:
        """The examples, each with the position of the pipeline's own line after it."""
        return list(map(wire.decode_example, self.of("examples")))

    @property
    def versions(self) -> list[tuple[ModelVersion, bytes]]:
        """The versions that were published, with their states."""
        reader = Reader()
        return [reader.version(raw, self._told) for raw in self.of("versions")]

    def _told(self, line: str, position: int) -> list[bytes]:
        return [raw for raw in self.of("versions") if name_of(raw) == f"{line}@{position}"]

    def whole(self, name: str) -> bytes:
        """The message of a version that was published, as it can be read by itself; empty where there is none."""
        found = [raw for raw in self.of("versions") if name_of(raw) == name]
        return Reader().whole(found[0], self._told) if found else b""

    @property
    def rollouts(self) -> list[Rollout]:
        """Who answered from when on."""
        return list(map(wire.decode_rollout, self.of("rollouts")))

    @property
    def decisions(self) -> list[Decision]:
        """What was decided."""
        return list(map(wire.decode_decision, self.of("decisions")))

    @property
    def dead(self) -> list[DeadLetter]:
        """What was refused."""
        return list(map(wire.decode_dead, self.of("dead_letters")))

    def copy(self) -> Written:
        """The same, to come back to."""
        return Written(list(self.messages), list(self.watched))


class Hosted:
    """A pipeline in hosts. `parallelism` is that of serve and join; `written` is what the topics would hold.

    >>> from river import dummy
    >>> from eddyline import Pipeline, memory
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> hosted = Hosted(cases, parallelism=2)
    >>> hosted.take(Case(id="a", at=0), Verdict(id="a", at=5, truth="yes"))
    >>> hosted.checkpoint()
    >>> hosted.rescale(1)
    >>> hosted.take(Case(id="b", at=6))
    >>> [(p.version, p.value) for p in hosted.written.predictions]
    [('cases@0', None), ('cases@1', 'yes')]
    """

    def __init__(self, pipeline: Pipeline, parallelism: int = 1) -> None:
        self.pipeline = pipeline
        self.plan = pipeline.plan()
        self.parallelism = parallelism
        self.lateness_us = max(self.plan.serve.lateness_us, self.plan.join.lateness_us)
        self.ahead_us = self.plan.serve.ahead_us
        self.serve_by = partition(pipeline)[0].lower()
        self.sender: By | None = None
        self.decides = decides(self.plan)
        self.frontier: int | None = None
        self.written = Written()
        self.sent: list[tuple[str, Message]] = []
        self._since: list[tuple[Event | Label | Command, ...]] = []
        self._coming: list[Sent] = []
        self._told: list[Sent] = []
        self._open([Memory() for _ in range(4)])
        self._keep()

    def take(self, *given: Event | Label | Command) -> None:
        """Takes records together, in the order they are given; event time then moves on."""
        for one in given:
            if not isinstance(one, Command):
                kind = b.EVENT if isinstance(one, Event) else b.LABEL
                self.sent.append(
                    ("events" if kind == b.EVENT else "labels", Message(self._sent(kind, one)[4], 0, len(self.sent)))
                )
        self._take(given)

    def _take(self, given: tuple[Event | Label | Command, ...]) -> None:
        self._since.append(given)
        joining: list[Sent] = []
        for one in given:
            if isinstance(one, Command):
                asked = one if isinstance(one, Request) else Request.of(one, self._published(one))
                body = msgspec.json.encode(asked)
                self._learned(self.learn.step([(b.COMMAND, "", one.to, b.NEVER, body, "")], self._watermark()))
            elif isinstance(one, Event):
                joining += self._answered(one)
            else:
                joining.append(self._sent(b.LABEL, one))
        self._joined(self.join.step(joining, self._watermark()))
        self._joined(self.join.wake(self._watermark()))

    def _published(self, command: Command) -> bytes:
        """The version that a command names, where it was published."""
        place = "" if command.place is None else command.place.who
        name = place or command.to if command.entry is None else command.entry.start
        if "@" not in name:
            return b""
        line, position = version_of(name)
        published, committed = self.written.whole(name), self._kept[1]
        fresh = committed.whole(f"{line}@0")
        if published or not fresh or line != self.pipeline.name or not learned_where_served(self.pipeline):
            return published
        examples = ((message.value, message.place) for stream, message in committed.messages if stream == "examples")
        try:
            return made_again(self.pipeline, position, examples, fresh)
        except NotFound:
            return b""  # whoever asked would be told so; here the learner says it

    def drain(self) -> None:
        """Event time comes to its end, as when a job is stopped with `--drain`."""
        self._joined(self.join.wake(END_MS))

    def checkpoint(self) -> None:
        """What was written is committed; scorers hear of versions and rollouts."""
        for operator in (self.serve, self.join):
            for one in operator.checkpoint():
                self._write(one)
        self._learned(self.learn.checkpoint())
        self._say(self.watch.checkpoint())
        told, self._coming = self._coming, []
        self._keep()
        self._since.clear()
        self._told = told
        self._tell()

    def crash(self) -> None:
        """Goes back to the last checkpoint, and takes what came since once more."""
        memories, written, frontier = self._kept
        self.written, self.frontier, self._coming = written.copy(), frontier, []
        self._open([memory.copy() for memory in memories])
        self._tell()
        since, self._since = self._since, []
        for given in since:
            self._take(given)

    def rescale(self, parallelism: int) -> None:
        """Stops with a savepoint and goes on at another parallelism."""
        self.checkpoint()
        self.parallelism = parallelism
        self.crash()

    def upgrade(self, pipeline: Pipeline, author: str = "unknown", reason: str = "") -> None:
        """Stops with a savepoint and goes on under another declaration of the same pipeline."""
        self.checkpoint()
        self.pipeline, self.plan, self.sender = pipeline, pipeline.plan(), By(author, reason)
        self.crash()

    def _tell(self) -> None:
        """Serve hears what was committed: versions and rollouts, and examples where it learns them itself."""
        returned = [one for one in self._told if one[0] == b.EXAMPLE]
        for kind, _, _, _, body, _ in self._told:
            if kind != b.EXAMPLE:
                self.serve.tell(kind, body)
        if returned:
            refused = self.serve.step(returned, self._watermark())
            for one in refused:
                self._write(one)
            self._taken(refused)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _open(self, memories: list[Memory]) -> None:
        serve, join, learn, watch = memories
        self.serve = Operator("serve", self.pipeline, self.serve_by, self.parallelism, serve)
        self.join = Operator("join", self.pipeline, "id", self.parallelism, join)
        self.learn = Operator("learn", self.pipeline, "nobody", 1, learn, self.sender)
        self.watch = Operator("watch", self.pipeline, "nobody", 1, watch)

    def _keep(self) -> None:
        operators = (self.serve, self.join, self.learn, self.watch)
        self._kept = [operator.memory.copy() for operator in operators], self.written.copy(), self.frontier

    def _watermark(self) -> int:
        return -(2**52) if self.frontier is None else (self.frontier - self.lateness_us) // 1000

    def _sent(self, kind: int, record: Event | Label) -> Sent:
        schema = self.pipeline.event_schema if kind == b.EVENT else self.pipeline.label_schema
        raw = schema.encode(record)
        try:
            arrival = schema.decode(raw)
        except Rejected:
            return kind, "", "", b.NEVER, raw, ""
        return kind, arrival.key, arrival.id, arrival.at, raw, ""

    def _answered(self, event: Event) -> list[Sent]:
        predictions, refused = list[Sent](), list[Sent]()
        for given in self.serve.step([self._sent(b.EVENT, event)], self._watermark()):
            self._write(given)
            if given[0] == b.PREDICTION:
                at = given[3]
                if self.frontier is None or 0 < at - self.frontier <= self.ahead_us:
                    self.frontier = at
                predictions.append(given)
            else:
                refused.append(given)
        self._taken(refused)
        self._watched(predictions)
        return predictions

    def _joined(self, given: list[Sent]) -> None:
        self._watched([one for one in given if one[0] in (b.EXAMPLE, b.EXPIRED)])
        for one in given:
            if one[0] == b.DEAD:
                self._write(one)
        self._taken([one for one in given if one[0] != b.DEAD])

    def _watched(self, given: list[Sent]) -> None:
        if given:
            alerts = self.watch.step(given, self._watermark())
            self._say(alerts)
            self._taken(alerts)

    def _taken(self, given: list[Sent]) -> None:
        """What goes on to learn: examples, and all the rest where somebody decides."""
        taken = given if self.decides else [one for one in given if one[0] == b.EXAMPLE]
        if taken:
            self._learned(self.learn.step(taken, self._watermark()))

    def _learned(self, given: list[Sent]) -> None:
        for one in given:
            self._write(one)
            comes_back = one[0] == b.EXAMPLE and "|" in one[5]
            if comes_back or one[0] in (b.VERSION, b.ROLLOUT):
                self._coming.append(one)

    def _say(self, given: list[Sent]) -> None:
        """What watch tells: numbers and alerts."""
        for one in given:
            self.written.watched.append(Message(one[4], 0, len(self.written.watched)))

    def _write(self, one: Sent) -> None:
        kind, _, _, _, body, headers = one
        message = Message(body, 0, len(self.written.messages), headers.partition("|")[2])
        self.written.messages.append((_STREAMS[kind], message))

    def recorded(self) -> dict[str, list[Message]]:
        """What an audit would read, and what watch told: the messages by stream."""
        run: dict[str, list[Message]] = {stream: [] for stream in STREAMS}
        for stream, message in (*self.sent, *self.written.messages):
            run[stream].append(message)
        return run | {"measurements": list(self.written.watched)}


def run_hosted(pipeline: Pipeline, records: Sequence[Event | Label], *, parallelism: int = 1, every: int = 5) -> Hosted:
    """Runs records one by one with a checkpoint after every so many."""
    hosted = Hosted(pipeline, parallelism)
    for number, record in enumerate(records):
        hosted.take(record)
        if number % every == every - 1:
            hosted.checkpoint()
    return hosted
