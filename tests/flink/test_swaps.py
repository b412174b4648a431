"""A hundred swaps of the answering version under load: nothing lost, doubled or re-ordered, and no pause.

Blocks without and with swaps alternate in one run of one job, so that both meet the same machine. Times are those that the
clients put on the messages: of an event when it was sent, of its answer when the sink wrote it, to the millisecond.
"""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from tests.flink.conftest import Run
from tests.flink.fire import FILE, Feeder, Reader, stream

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.job import Settings
from eddyline.engines.flink.learn import Request
from eddyline.pipeline.loading import load

pytestmark = pytest.mark.alone
NAME = "swaps"
SEED = 20_261_122
SWAPS = 100
BLOCKS = 5
PER_SECOND = 500.0
STILL_S = 12.0
COMMAND_S = 0.25
PATIENCE_S = 300.0
RATIO = 1.25
ROOM_MS = 100
"""p99.9 of 30,000 events is 30 of them: one collection of garbage, or another program's turn on two cores, in one kind of
block and not in the other moves it by tens of milliseconds. So it is asked with this much room; p99, of 300 events, without."""
SETTINGS = Settings(parallelism=2, checkpoint_ms=500, idle_ms=600_000)


class Written(msgspec.Struct, frozen=True):
    """What is asked of an answer here."""

    event_id: str
    key: str
    position: int
    revision: int


@dataclass
class Block:
    """A stretch of the run, in milliseconds of the wall clock."""

    swapping: bool
    begins: float
    ends: float = 0.0
    latencies: list[int] = field(default_factory=list)
    gap: int = 0
    answered_by: set[tuple[int, int]] = field(default_factory=set)


@dataclass
class Shown:
    """What the run showed."""

    run: Run
    feeder: Feeder
    blocks: list[Block]
    answers: list[tuple[int, Written]]

    def percentile(self, share: float, *, swapping: bool) -> int:
        """The latency in milliseconds that this share of events did not exceed."""
        known = sorted(itertools.chain.from_iterable(b.latencies for b in self.blocks if b.swapping is swapping))
        return known[min(len(known) - 1, int(share * len(known)))]

    def longest(self, *, swapping: bool) -> int:
        """The longest time without an answer in milliseconds."""
        return max(block.gap for block in self.blocks if block.swapping is swapping)

    def sentence(self) -> str:
        """Both kinds of blocks, side by side."""
        said = []
        for swapping in (False, True):
            p50, p99, p999 = (self.percentile(share, swapping=swapping) for share in (0.5, 0.99, 0.999))
            many = sum(len(block.latencies) for block in self.blocks if block.swapping is swapping)
            said.append(
                f"{'with' if swapping else 'without'} swaps: p50 {p50} ms, p99 {p99} ms, p99.9 {p999} ms, "
                f"longest gap {self.longest(swapping=swapping)} ms, {many} events"
            )
        return f"{'; '.join(said)}; {self.swaps()} swaps"

    def swaps(self) -> int:
        """How often another version or rollout answered than before."""
        return sum(len(block.answered_by) - 1 for block in self.blocks if block.swapping)


class Switch:
    """Who answers, asked for as an operator does: through the topic of commands."""

    def __init__(self, brokers: str) -> None:
        self.producer = Producer({"bootstrap.servers": brokers})
        self.turns = itertools.count()

    def to(self, version: bytes | None) -> None:
        """Asks for a version, or for the learner as it is published."""
        name = "live" if version is None else wire.decode_version(version)[0].name
        request = Request(to=name, author="test", reason="a swap", version=version or b"")
        self.producer.produce(f"{NAME}.commands", msgspec.json.encode(request))
        assert self.producer.flush(30) == 0


@pytest.fixture(scope="module")
def shown(kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The run with blocks of both kinds, at rest."""
    path = tmp_path_factory.mktemp(NAME) / "swaps.py"
    path.write_text(FILE.replace('name="fire"', f'name="{NAME}"').replace("fire = Pipeline", f"{NAME} = Pipeline"))
    run = Run.of(load(str(path)), kafka_broker, flink_cluster, SETTINGS)
    feeder = Feeder(kafka_broker.brokers, stream(SEED), 10**9, PER_SECOND, NAME)
    reader = Reader(kafka_broker.brokers, NAME)
    feeder.start()
    reader.start()
    try:
        blocks = _alternate(run, Switch(kafka_broker.brokers), feeder, reader)
        feeder.events = feeder.number + 1
        feeder.join()
        assert feeder.error is None
        run.taken()
        run.stop(drain=True)
        yield _measured(run, feeder, blocks)
    finally:
        reader.over.set()
        reader.join()
        run.end()


def _alternate(run: Run, switch: Switch, feeder: Feeder, reader: Reader) -> list[Block]:
    """Blocks in which one version answers, and blocks in which another one does every moment."""
    run.until(lambda: len(run.recorded()["versions"]) > 3, "published versions")
    pinned = [message.value for message in run.recorded()["versions"][1:3]]
    switch.to(pinned[0])
    run.until(lambda: len(run.recorded()["rollouts"]) == 1, "recorded the rollout")
    time.sleep(2 * STILL_S)  # by now the JVM has compiled what it will compile, and all instances have swapped
    blocks = []
    for _ in range(BLOCKS):
        blocks.append(Block(False, time.time() * 1000))
        time.sleep(STILL_S)
        blocks[-1].ends = time.time() * 1000
        blocks.append(Block(True, time.time() * 1000))
        _swap(switch, pinned, feeder, reader)
        blocks[-1].ends = time.time() * 1000
        switch.to(pinned[0])
        time.sleep(3.0)  # the last swaps take effect
    return blocks


def _swap(switch: Switch, pinned: list[bytes], feeder: Feeder, reader: Reader) -> None:
    """Asks for another version again and again, until enough of the rollouts answered."""
    before, until = len(reader.revisions), time.monotonic() + PATIENCE_S
    choices = [pinned[1], None, pinned[0]]
    while len(reader.revisions) < before + SWAPS // BLOCKS + 1:
        switch.to(choices[next(switch.turns) % len(choices)])
        time.sleep(COMMAND_S)
        assert feeder.error is None
        assert time.monotonic() < until, f"{len(reader.revisions) - before} rollouts answered in {PATIENCE_S} s"


def _measured(run: Run, feeder: Feeder, blocks: list[Block]) -> Shown:
    sent: dict[str, int] = {}
    for when, value in _messages(str(run.connection.brokers), f"{NAME}.events"):
        try:
            sent.setdefault(msgspec.json.decode(value, type=_Id).id, when)
        except msgspec.DecodeError:
            continue  # poison, which is not answered
    decoder = msgspec.json.Decoder(Written)
    answers = [(when, decoder.decode(value)) for when, value in _messages(str(run.connection.brokers), f"{NAME}.predictions")]
    for block in blocks:
        moments = sorted(when for when, _ in answers if block.begins <= when < block.ends)
        block.gap = max(b - a for a, b in itertools.pairwise(moments))
        for when, one in answers:
            if block.begins <= sent[one.event_id] < block.ends:
                block.latencies.append(when - sent[one.event_id])
                block.answered_by.add((one.position, one.revision))
    return Shown(run, feeder, blocks, answers)


class _Id(msgspec.Struct, frozen=True):
    id: str


def _messages(brokers: str, topic: str) -> Iterator[tuple[int, bytes]]:
    """Committed messages of a topic with their times, each partition in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "swaps.measure",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    parts = sorted(consumer.list_topics(topic).topics[topic].partitions)
    for part in parts:
        consumer.assign([TopicPartition(topic, part, 0)])
        ended = False
        while not ended:
            for message in consumer.consume(5_000, 1.0):
                error = message.error()
                ended |= error is not None and error.code() == KafkaError._PARTITION_EOF
                if error is None:
                    yield message.timestamp()[1], message.value() or b""
    consumer.close()


def test_a_hundred_swaps_answered_under_load(shown: Shown) -> None:
    print(shown.sentence())
    assert shown.swaps() >= SWAPS
    assert all(len(block.answered_by) == 1 for block in shown.blocks if not block.swapping), "a quiet block saw a swap"


def test_swaps_cost_no_latency_and_make_no_pause(shown: Shown) -> None:
    p99, p999 = (
        {swapping: shown.percentile(share, swapping=swapping) for swapping in (False, True)} for share in (0.99, 0.999)
    )
    assert p99[True] <= max(RATIO * p99[False], p99[False] + 10), shown.sentence()  # times are whole milliseconds
    assert p999[True] <= RATIO * p999[False] + ROOM_MS, shown.sentence()
    assert shown.longest(swapping=True) <= RATIO * shown.longest(swapping=False) + ROOM_MS, shown.sentence()


def test_a_swap_loses_and_doubles_nothing(shown: Shown) -> None:
    answers = collections.Counter(one.event_id for _, one in shown.answers)
    assert [name for name, count in answers.items() if count > 1] == []
    assert answers.keys() == {f"e-{number}" for number in shown.feeder.whole}


def test_a_swap_reorders_no_key(shown: Shown) -> None:
    last: dict[str, int] = {}
    for _, one in shown.answers:
        number = int(one.event_id.removeprefix("e-"))
        assert number > last.get(one.key, -1), f"{one.key}: {one.event_id} was answered after e-{last[one.key]}"
        last[one.key] = number


def test_swaps_are_what_the_embedded_logic_would_have_answered(shown: Shown) -> None:
    done = examine(shown.run.loaded.pipeline, shown.run.recorded())
    assert done.faults == []
    assert done.sound, done
    assert done.rollouts > SWAPS
