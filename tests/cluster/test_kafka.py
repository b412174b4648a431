"""The broker is one on which exactly-once can be built: what its clients see, and what faults leave behind."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.cluster.fixtures import need_jars

from eddyline.cluster import ports
from eddyline.cluster.kafka import Kafka
from eddyline.records.errors import EddylineError

PATIENCE_S = 30.0


def topic(kafka: Kafka, partitions: int = 1) -> str:
    name, client = f"t-{uuid.uuid4().hex[:8]}", admin(kafka)
    for made in client.create_topics([NewTopic(name, partitions, 1)]).values():
        made.result(PATIENCE_S)
    return name


def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.brokers})


def write(kafka: Kafka, to: str, values: list[bytes], *, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": kafka.brokers, "acks": "all", "enable.idempotence": True})
    for value in values:
        producer.produce(to, value, partition=partition)
    assert producer.flush(PATIENCE_S) == 0


def transactional(kafka: Kafka, identity: str) -> Producer:
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": identity})
    producer.init_transactions(PATIENCE_S)
    return producer


def read(kafka: Kafka, of: str, isolation: str) -> list[bytes]:
    """Everything up to the end that this isolation shows."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.brokers,
            "group.id": uuid.uuid4().hex,
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(of, 0, 0)])
    seen: list[bytes] = []
    try:
        while True:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, f"no end of the topic after {PATIENCE_S} s; seen: {len(seen)}"
            if message.error():
                return seen
            value = message.value()
            assert isinstance(value, bytes)
            seen.append(value)
    finally:
        consumer.close()


def ends(kafka: Kafka, of: str, partitions: int) -> list[int]:
    consumer = Consumer({"bootstrap.servers": kafka.brokers, "group.id": uuid.uuid4().hex})
    try:
        marks = [consumer.get_watermark_offsets(TopicPartition(of, number), PATIENCE_S) for number in range(partitions)]
    finally:
        consumer.close()
    assert all(mark is not None for mark in marks)
    return [mark[1] for mark in marks if mark is not None]


def test_read_committed_shows_what_was_committed_and_nothing_else(kafka_broker: Kafka) -> None:
    name = topic(kafka_broker)
    producer = transactional(kafka_broker, uuid.uuid4().hex)
    for value, end in ((b"committed", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
        producer.begin_transaction()
        for _ in range(10):
            producer.produce(name, value)
        producer.flush(PATIENCE_S)
        end(PATIENCE_S)
    assert read(kafka_broker, name, "read_committed") == [b"committed"] * 10
    assert read(kafka_broker, name, "read_uncommitted") == [b"committed"] * 10 + [b"aborted"] * 10


def test_a_second_producer_of_the_same_identity_fences_the_first(kafka_broker: Kafka) -> None:
    name, identity = topic(kafka_broker), uuid.uuid4().hex
    first = transactional(kafka_broker, identity)
    first.begin_transaction()
    first.produce(name, b"from the first")
    first.flush(PATIENCE_S)
    transactional(kafka_broker, identity)
    with pytest.raises(KafkaException) as refused:
        first.commit_transaction(PATIENCE_S)
    assert refused.value.args[0].name() == "_FENCED"
    assert read(kafka_broker, name, "read_committed") == []


def test_end_offsets_equal_what_was_written(kafka_broker: Kafka) -> None:
    name = topic(kafka_broker, partitions=3)
    for partition, count in enumerate((5, 0, 7)):
        write(kafka_broker, name, [b"x"] * count, partition=partition)
    assert ends(kafka_broker, name, 3) == [5, 0, 7]


def test_no_topic_appears_because_somebody_wrote_to_it(kafka_broker: Kafka) -> None:
    refused = []
    producer = Producer({"bootstrap.servers": kafka_broker.brokers, "message.timeout.ms": 3000})
    producer.produce("nobody-made-this", b"x", callback=lambda error, _: refused.append(error))
    assert producer.flush(PATIENCE_S) == 0
    assert refused[0] is not None
    assert "nobody-made-this" not in admin(kafka_broker).list_topics(timeout=PATIENCE_S).topics


def test_a_restart_and_a_kill_keep_what_was_acknowledged(kafka_broker: Kafka) -> None:
    name, before = topic(kafka_broker), kafka_broker.process.pid
    write(kafka_broker, name, [b"before the restart"])
    kafka_broker.restart()
    write(kafka_broker, name, [b"before the kill"])
    kafka_broker.kill()
    assert not kafka_broker.ready()
    kafka_broker.start()
    assert kafka_broker.process.pid not in (None, before)
    assert read(kafka_broker, name, "read_committed") == [b"before the restart", b"before the kill"]


def test_a_paused_broker_runs_and_is_not_ready(kafka_broker: Kafka) -> None:
    kafka_broker.pause()
    try:
        assert kafka_broker.process.running
        assert not kafka_broker.ready()
    finally:
        kafka_broker.resume()
    name = topic(kafka_broker)
    write(kafka_broker, name, [b"it goes on"])
    assert read(kafka_broker, name, "read_committed") == [b"it goes on"]


def test_a_taken_port_is_refused_with_the_option_that_chooses_another(kafka_broker: Kafka, tmp_path: Path) -> None:
    with pytest.raises(EddylineError, match=rf"port {kafka_broker.port} .* is taken[\s\S]*--kafka-port"):
        Kafka(tmp_path, port=kafka_broker.port).start()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    need_jars("kafka")
    kafka = Kafka(tmp_path, port=ports.any_free(), heap_mb=1)
    with pytest.raises(EddylineError, match=r"kafka ended while it started[\s\S]*(heap|memory)"):
        kafka.start()
    assert not kafka.process.running
