"""The publisher: writes what followed from the inputs to the pipeline's topics, each record exactly once.

It reads committed blocks from the store and never hears of anything else, so the store is its queue: when Kafka is slow or
down the engine goes on answering, and the topics catch up later. A transaction holds the records of some blocks and, in
`<pipeline>.published`, the number and the chain digest of the last of them. Whoever starts reads that mark first and goes
on after it; an older publisher of the same store is fenced by the broker. So a reader of committed messages finds each
record once, wherever anything died.

Keeps *twice* and *whole* for the topics, and *one-writer*: topics that were filled from another store are refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.connectors.kafka.source import connection_of
from eddyline.connectors.kafka.topics import LARGEST, Topics, ensure, largest
from eddyline.engines.embedded.aside import Aside
from eddyline.engines.embedded.codec import InputCodec
from eddyline.engines.embedded.engine import Engine
from eddyline.records import Arrival, Example, Known, Measurement
from eddyline.records.errors import SourceError, StoreMismatch
from eddyline.stages.commands import version_of
from eddyline.store.blocks import Block, Kind
from eddyline.store.database import Store
from eddyline.store.reader import PredictionReader
from eddyline.store.rebuild import kept_entries

if TYPE_CHECKING:
    from confluent_kafka import Message, Producer

TOGETHER = 10_000
"""A transaction ends after the block that brings it to so many records."""
BLOCKS = 4
"""How many blocks are read from the store at once."""
LOOK_S = 0.2
MEASURE_S = 30.0
CLOSE_S = 10.0
TRANSACTION_S = 20.0
LONGEST_PAUSE_S = 5.0


class Mark(msgspec.Struct, frozen=True):
    """How far the topics hold a store: its id, the last block, and the digest of the chain there."""

    store: str
    block: int
    hash: str


_mark = msgspec.json.Decoder(Mark).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Published:
    """How publishing goes: the last block in the topics, how many records were written, and what is in the way."""

    block: int = 0
    records: int = 0
    trouble: str | None = None


class Publisher(Aside):
    """Publishes one engine's store beside it, in a thread of its own. Use it as a context manager, within the engine's.

    Making one talks to Kafka, and raises `SourceError` when it cannot. Afterwards trouble with Kafka is shown in `state`
    and waited out; `check` raises what cannot be. `close` publishes what is left, and gives up when Kafka is down.
    """

    def __init__(self, engine: Engine, connection: Connection) -> None:
        super().__init__(engine.path, "publish")
        self.engine = engine
        self.connection = connection
        self.state = Published()
        topics = Topics.of(engine.pipeline.name)
        ensure(connection, topics, topics.outputs())
        self._writer = Writer(engine, connection, engine.store_id(), self.state)
        with connection.in_words("the topics cannot be written"):
            self._writer.begin()
        self._thread.start()

    def behind(self) -> int:
        """How many blocks the topics are behind the store."""
        return max(0, self.engine.store.seq - self.state.block)

    def ended(self, fault: BaseException | None) -> None:
        """Forgets the producer."""
        self._writer.drop()

    def work(self, store: Store) -> None:
        """Publishes until told to stop. After any trouble it begins anew: the mark tells what arrived."""
        from confluent_kafka import KafkaException

        pause = 0.1
        while True:
            stopping = self._closing_at is not None
            try:
                more = self._writer.step(store)
                if not more:
                    self._writer.measure(at_once=stopping)
                pause, self.state.trouble = 0.1, None
            except (KafkaException, BufferError, SourceError) as problem:
                self.state.trouble = self.connection.scrubbed(_said(problem))
                self._writer.drop()
                if self._closing_at is not None and time.monotonic() - self._closing_at > CLOSE_S:
                    return
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            if stopping and not more:
                return
            if not more:
                self._wake.wait(LOOK_S)
                self._wake.clear()


class Writer:
    """Blocks into transactions. `begin` may be called again after any error, and goes on after what arrived."""

    def __init__(self, engine: Engine, connection: Connection, store_id: str, state: Published) -> None:
        self.engine = engine
        self.connection = connection
        self.store_id = store_id
        self.state = state
        self.name = engine.pipeline.name
        self.topics = Topics.of(self.name)
        self.codec = InputCodec(engine.pipeline)
        self.producer: Producer | None = None
        self.shown: dict[str, Measurement] = {}
        self.measured_at = time.monotonic()
        self.learner = -1
        self.slots = 0
        self.limit = 0
        self.mark: Mark | None = None
        self.fresh = True

    def begin(self) -> Producer:
        """A producer that fenced the ones before it, and the mark as it is now."""
        producer = self.connection.producer(
            f"{self.name}.{self.store_id}",
            compression_type="lz4",
            partitioner="murmur2_random",
            message_max_bytes=LARGEST,
            transaction_timeout_ms=int(1000 * TRANSACTION_S),
        )
        producer.init_transactions(self.connection.patience_s)
        self.mark = read_mark(self.connection, self.topics.published)
        self.limit = largest(self.connection, self.topics.versions)
        self.state.block = 0 if self.mark is None else self.mark.block
        self.fresh = True
        self.producer = producer
        return producer

    def drop(self) -> None:
        """Forgets the producer; what it left open is given up when the next one begins."""
        self.producer = None

    def step(self, store: Store) -> bool:
        """Publishes the next blocks, when there are any; whether there were."""
        producer = self.producer or self.begin()
        newest = int(store.db.execute("SELECT ifnull(max(seq), 0) FROM blocks").fetchone()[0])
        if self.fresh:
            self._resume(store)
        after = self.state.block
        if after >= newest:
            producer.poll(0)
            return False
        store.seq = newest
        producer.begin_transaction()
        records = 0
        while after < newest and records < TOGETHER:
            for block in store.blocks(after, min(newest, after + BLOCKS)):
                records += self._block(producer, store, block)
                after = block.seq
        mark = Mark(self.store_id, after, _hash(store, after))
        self._send(producer, self.topics.published, self.store_id.encode(), _encode(mark))
        producer.commit_transaction(TRANSACTION_S)
        self.state.block = after
        self.state.records += records
        return True

    def _resume(self, store: Store) -> None:
        """Looks that the topics hold the beginning of this very store, and finds what is needed to go on after it."""
        mark, name = self.mark, self.engine.path.name
        if mark is not None and (mark.store != self.store_id or mark.hash != _hash(store, mark.block)):
            raise StoreMismatch(
                f"the topics {self.name}.* were filled from another store than {name}, or from another copy of it\n"
                "go on with the store that filled them, name the pipeline differently, or delete the topics that "
                f"Eddyline writes: {', '.join(self.topics.outputs())}"
            )
        self.learner, self.slots = -1, 0
        if mark is not None:
            last = store.block(mark.block)
            (first,) = store.db.execute("SELECT first_slot FROM blocks WHERE seq=?", (mark.block,)).fetchone()
            self.learner, self.slots = last.notes.learner, first + len(last.predictions)
        self.fresh = False

    def _block(self, producer: Producer, store: Store, block: Block) -> int:
        """Everything that one block says."""
        topics, traces = self.topics, self._traces(block)
        for one in block.predictions:
            headers = _headers(traces[False].get(one.event_id))
            key = (one.key or one.event_id).encode()
            self._send(producer, topics.predictions, key, wire.encode_prediction(one), headers)
        self.slots += len(block.predictions)
        store.slots = self.slots
        if block.examples:
            predictions = PredictionReader(store)
            for row in block.examples:
                known: Known = "label" if row.known == "label" else "absence"
                example = Example(predictions.read(row.slot), row.truth, known, row.at, row.revision)
                name = example.prediction.event_id
                value = wire.encode_example(example, row.position, row.also)
                self._send(producer, topics.examples, name.encode(), value, _headers(traces[True].get(name)))
        for letter in block.dead:
            of = (letter.event_id or letter.origin).encode()
            self._send(producer, topics.dead_letters, of, wire.encode_dead(letter))
        for rollout in block.notes.rollouts:
            self._send(producer, topics.rollouts, str(rollout.revision).encode(), wire.encode_rollout(rollout))
        for decision in block.notes.decisions:
            self._send(producer, topics.decisions, str(decision.number).encode(), wire.encode_decision(decision))
        for alert in block.notes.alerts:
            self._send(producer, topics.measurements, alert.subject.encode(), wire.encode_alert(alert))
        self._versions(producer, store, block)
        return len(block.predictions) + len(block.examples) + len(block.dead)

    def _versions(self, producer: Producer, store: Store, block: Block) -> None:
        """The versions that this block kept: those between the learner's position before it and after it."""
        kept = store.db.execute(
            "SELECT position FROM versions WHERE model=? AND position>? AND position<=? ORDER BY position",
            (self.name, self.learner, block.notes.learner),
        ).fetchall()
        for (position,) in kept:
            version, state = store.nearest_version(position)
            value = wire.encode_version(version, state, self.limit)
            self._send(producer, self.topics.versions, version.name.encode(), value)
        self.learner = block.notes.learner
        self._versions_beside(producer, store, block)

    def _versions_beside(self, producer: Producer, store: Store, block: Block) -> None:
        """The versions of other lines that this block kept, and those that lines entered from."""
        likes = {entry.name: entry.like for entry in kept_entries(store)}
        starts = [version_of(entry.start) for entry in block.notes.entered]
        kept = store.db.execute(
            "SELECT model, position FROM versions WHERE model<>? AND (seq=? OR (seq=0 AND position=0 AND ?=1)) "
            "ORDER BY model, position",
            (self.name, block.seq, block.seq),
        ).fetchall()
        for line, position in dict.fromkeys([*starts, *kept]):
            version, state = store.nearest_version(position, line)
            value = wire.encode_version(version, state, self.limit, likes.get(line))
            self._send(producer, self.topics.versions, version.name.encode(), value)

    def _traces(self, block: Block) -> dict[bool, dict[str, str]]:
        """The trace contexts that came with events (False) and labels (True), by id."""
        found: dict[bool, dict[str, str]] = {False: {}, True: {}}
        for given in block.inputs:
            if given.trace and given.kind in (Kind.EVENT, Kind.LABEL):
                record = self.codec.decode(given)
                if isinstance(record, Arrival):
                    found[given.kind == Kind.LABEL].setdefault(record.id, given.trace)
        return found

    def measure(self, *, at_once: bool) -> None:
        """What watch measures now, as far as it changed since the last time; every so often, or at once."""
        if not at_once and time.monotonic() - self.measured_at < MEASURE_S:
            return
        self.measured_at = time.monotonic()
        position = self.engine.loop.states.learn.position
        now = {_measured_key(one): one for one in self.engine.measurements()}
        news = {key: one for key, one in now.items() if self.shown.get(key) != one}
        if not news:
            return
        producer = self.producer or self.begin()
        producer.begin_transaction()
        for key, one in news.items():
            self._send(producer, self.topics.measurements, key.encode(), wire.encode_measurement(one, position))
        producer.commit_transaction(TRANSACTION_S)
        self.shown = now

    @staticmethod
    def _send(producer: Producer, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Hands one message over; waits when the producer's own queue is full."""
        deadline = time.monotonic() + TRANSACTION_S
        while True:
            try:
                producer.produce(topic, value, key, headers=list(headers))
                return
            except BufferError:
                if time.monotonic() > deadline:
                    raise
                producer.poll(0.05)


@contextmanager
def publishing(engine: Engine) -> Iterator[Publisher | None]:
    """A publisher for an engine whose events come from Kafka; None where there is nowhere to publish."""
    connection = connection_of(engine.pipeline)
    if connection is None:
        yield None
        return
    with Publisher(engine, connection) as publisher:
        yield publisher


def read_mark(connection: Connection, topic: str) -> Mark | None:
    """The last committed mark in a pipeline's topic of marks, looked for from its end."""
    from confluent_kafka import TopicPartition

    with closing(connection.consumer("eddyline-mark")) as consumer:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=connection.patience_s)
        start, step = high, 100
        while start > low:
            start = max(low, start - step)
            step *= 10
            consumer.assign([TopicPartition(topic, 0, start)])
            last = _last(connection, consumer.poll)
            if last is not None:
                return _mark(last.value() or b"")
    return None


def _last(connection: Connection, poll: Callable[[float], Message | None]) -> Message | None:
    """The last message before the end of what is assigned."""
    from confluent_kafka import KafkaError

    last, deadline = None, time.monotonic() + connection.patience_s
    while time.monotonic() < deadline:
        message = poll(0.1)
        if message is None:
            continue
        error = message.error()
        if error is None:
            last = message
        elif error.code() == KafkaError._PARTITION_EOF:
            return last
    raise SourceError(
        f"Kafka at {connection.describe()}: the mark of what was published cannot be read within {connection.patience_s:g} s\n"
        "check that the brokers run, and run the same command again"
    )


def _hash(store: Store, seq: int) -> str:
    row = store.db.execute("SELECT hash FROM blocks WHERE seq=?", (seq,)).fetchone()
    return bytes(row[0]).hex() if row else ""


def _headers(trace: str | None) -> Sequence[tuple[str, bytes]]:
    return (("traceparent", trace.encode()),) if trace else ()


def _measured_key(one: Measurement) -> str:
    return "/".join((one.metric, one.version or "", one.day or "", one.segment or ""))


def _said(problem: BaseException) -> str:
    error = problem.args[0] if problem.args else problem
    return str(error.str()) if hasattr(error, "str") else str(error)
