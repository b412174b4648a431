"""A pipeline for the tests with a broker, the messages it takes, and a reader of topics that shares no code with ours."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from river import linear_model, preprocessing

import eddyline
from eddyline import EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Sum, Truth, Versions, hours, jsonl
from eddyline.connectors.kafka import wire
from eddyline.records.errors import NotFound, StoreMismatch
from eddyline.store.database import Store
from eddyline.views.verify import verify

PATIENCE_S = 180.0


class Payment(Event):
    """What happens."""

    id: Id
    card: Key
    at: EpochSeconds
    amount: float


class Chargeback(Label):
    """What is found out."""

    id: Id
    at: EpochSeconds
    fraud: Truth[bool]


def features(payment: Payment, spent: float) -> dict[str, float]:
    """Two numbers."""
    return {"amount": payment.amount, "spent": spent}


pay = Pipeline(
    name=os.environ.get("SHOP", "pay"),
    events=jsonl("payments.jsonl", Payment),
    labels=jsonl("chargebacks.jsonl", Chargeback),
    aggregates={"spent": Sum("amount", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(500)),
    versions=Versions(every=1_000),
)


def make(brokers: str, **partitions: int) -> None:
    """Topics with so many partitions each; `_` in a name is written for a dot."""
    admin = AdminClient({"bootstrap.servers": brokers})
    new = [NewTopic(name.replace("_", "."), count, 1) for name, count in partitions.items()]
    for future in admin.create_topics(new).values():
        future.result(30)


def remove(brokers: str, topic: str) -> None:
    """Deletes a topic and waits until it is gone."""
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics)


def payment(number: int) -> bytes:
    """A payment as it travels."""
    amount = random.Random(number).uniform(1, 100)
    return msgspec.json.encode({"id": f"p-{number}", "card": f"c-{number % 50}", "at": 10 * number, "amount": amount})


def chargeback(number: int) -> bytes:
    """What is found out about it five minutes later."""
    return msgspec.json.encode({"id": f"p-{number}", "at": 10 * number + 300, "fraud": number % 7 == 0})


def send(brokers: str, name: str, numbers: range, *, pace: Callable[[], None] = lambda: None) -> None:
    """Payments and chargebacks of these numbers, each payment with a trace context of its own."""
    producer = Producer({"bootstrap.servers": brokers, "queue.buffering.max.messages": 1_000_000})
    for number in numbers:
        trace: dict[str, str | bytes | None] = {"traceparent": trace_of(number)}
        producer.produce(f"{name}.events", payment(number), f"c-{number % 50}", headers=trace)
        producer.produce(f"{name}.labels", chargeback(number), f"p-{number}")
        if number % 200 == 199:
            producer.poll(0)
            pace()
    assert producer.flush(60) == 0, "the broker did not take everything"


def trace_of(number: int) -> str:
    """The trace context of a payment."""
    return f"00-{number:032x}-0000000000000001-01"


def read(brokers: str, topic: str) -> list[Message]:
    """Every committed message of a topic."""
    settings = {"bootstrap.servers": brokers, "group.id": "reader", "isolation.level": "read_committed"}
    with closing(Consumer({**settings, "enable.partition.eof": True, "auto.offset.reset": "earliest"})) as consumer:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        out, ends, deadline = [], 0, time.monotonic() + PATIENCE_S
        while ends < len(partitions):
            assert time.monotonic() < deadline, f"{topic} was not read within {PATIENCE_S:g} s"
            message = consumer.poll(1.0)
            if message is not None and message.error() is not None:
                ends += 1
            elif message is not None:
                out.append(message)
    return out


def values(brokers: str, topic: str) -> list[bytes]:
    """What the committed messages of a topic hold."""
    return [message.value() or b"" for message in read(brokers, topic)]


def wait_until(happened: Callable[[], bool]) -> None:
    """Looks again and again until something happened."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE_S:g} s"
        time.sleep(0.02)


def reached(path: Path) -> tuple[int, int]:
    """The last block of a store that may be in use, and how many answers it holds; nothing while it is being made."""
    try:
        with closing(Store.read(path)) as store:
            return store.seq, store.slots
    except (NotFound, StoreMismatch):
        return 0, 0


@contextmanager
def running(brokers: str, name: str, store: Path) -> Iterator[subprocess.Popen[str]]:
    """`eddyline run` in a process of its own, which does not outlive the block."""
    source = str(Path(eddyline.__file__).parents[1])
    command = ["run", f"{Path(__file__)}:pay", "--store", str(store), "--brokers", brokers, "--every", "0.2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eddyline.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "SHOP": name, "PYTHONPATH": source},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stop(process: subprocess.Popen[str]) -> str:
    """Asks a run to stop, and gives what it said."""
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return said


def further(path: Path, block: int) -> bool:
    """Whether a store holds more than so many blocks."""
    return reached(path)[0] > block


def waiting(path: Path, events: int) -> int:
    """How many labels were not learned yet."""
    with closing(Store.read(path)) as store:
        return events - store.block(store.seq).notes.learner


def assert_once(brokers: str, name: str, path: Path, events: int) -> None:
    """The topics hold so many payments and what followed from them once, the store the same, and nothing is behind."""
    predictions = [wire.decode_prediction(value) for value in values(brokers, f"{name}.predictions")]
    examples = [wire.decode_example(value) for value in values(brokers, f"{name}.examples")]
    assert Counter(one.event_id for one in predictions) == Counter(f"p-{number}" for number in range(events))
    assert sorted(position for _, position in examples) == list(range(1, events + 1))
    assert Counter(one.prediction.event_id for one, _ in examples) == Counter(one.event_id for one in predictions)
    blocks = [msgspec.json.decode(value)["block"] for value in values(brokers, f"{name}.published")]
    assert blocks == sorted(set(blocks))
    with closing(Store.read(path)) as store:
        assert blocks[-1] == store.seq
        kept = {one.event_id: one for block in store.blocks() for one in block.predictions}
        assert verify(store, pay.replace(name=name)).faults == []
        versions = [wire.decode_version(value)[0] for value in values(brokers, f"{name}.versions")]
        assert sorted(versions, key=lambda version: version.position) == store.versions()
    assert {one.event_id: one for one in predictions} == kept
    assert lag(brokers, name) == 0


def lag(brokers: str, name: str) -> int:
    """What Kafka's own tools would show for the group of the pipeline."""
    with closing(Consumer({"bootstrap.servers": brokers, "group.id": name})) as consumer:
        asked = [TopicPartition(f"{name}.events", number) for number in range(3)]
        told = consumer.committed(asked, timeout=10)
        return sum(consumer.get_watermark_offsets(one, timeout=10)[1] - one.offset for one in told)
