"""An engine in this process on a real broker: what topics give, what they are given, and what is said when they are wrong."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.cimpl import NewPartitions, NewTopic
from river import naive_bayes
from tests.engines import kafka_shop as shop

from eddyline import Challenger, Promote
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import Connection, make_topics, on_topics, topic, wire
from eddyline.connectors.kafka.source import KafkaTopic
from eddyline.connectors.kafka.topic import TopicReader
from eddyline.connectors.kafka.topics import Topics, ensure, misfits
from eddyline.engines.embedded import Engine, Progress, replay
from eddyline.engines.embedded.change import change
from eddyline.engines.embedded.publish import publishing
from eddyline.engines.flink import steering
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.learn import ROOM, Request
from eddyline.pipeline import Pipeline
from eddyline.records.errors import EddylineError, SourceError, StoreMismatch
from eddyline.store.database import Store


def on(brokers: str, name: str) -> Pipeline:
    """The shop on topics of its own."""
    return on_topics(shop.pay.replace(name=name), brokers)


def run(pipeline: Pipeline, path: Path) -> Progress:
    """Everything that the topics hold, answered and published."""
    with Engine(pipeline, path) as engine, publishing(engine) as publisher:
        progress = replay(engine, path.parent, publisher=publisher)
    assert publisher is not None
    publisher.check()
    assert publisher.behind() == 0
    return progress


def headers(message: Message) -> dict[str, object]:
    """The headers of a message."""
    return dict(message.headers() or [])


def test_the_trace_context_of_an_event_arrives_with_its_prediction(kafka_broker: Kafka, tmp_path: Path) -> None:
    brokers = kafka_broker.brokers
    shop.make(brokers, traced_events=3, traced_labels=2)
    shop.send(brokers, "traced", range(100))
    run(on(brokers, "traced"), tmp_path / "traced.eddyline")
    messages = shop.read(brokers, "traced.predictions")
    assert len(messages) == 100
    for message in messages:
        prediction = wire.decode_prediction(message.value() or b"")
        number = int(prediction.event_id.removeprefix("p-"))
        assert headers(message) == {"traceparent": shop.trace_of(number).encode()}
        assert message.key() == prediction.key.encode()


def followed(reader: TopicReader, seconds: float, at: int = 3) -> None:
    """Reads on from the end of the first partition for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in reader.parts[0].read(at, 10):
            at = line.position


def test_partitions_that_are_added_while_a_run_follows_end_it_and_are_read_by_the_next(
    kafka_broker: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = kafka_broker.brokers
    shop.make(brokers, grown_events=1, grown_labels=1)
    shop.send(brokers, "grown", range(3))
    source = on(brokers, "grown").events
    assert isinstance(source, KafkaTopic)
    monkeypatch.setattr(topic, "LOOK_EVERY_S", 0.0)
    with closing(source.open_parts({}, None, follow=True)) as reader:
        assert len(reader.parts[0].read(0, 10)) == 3
        admin = Connection(brokers).admin()
        for future in admin.create_partitions([NewPartitions("grown.events", 3)]).values():
            future.result(30)
        with pytest.raises(SourceError, match="has 3 partitions, and had 1 when this run started"):
            followed(reader, 60)
    with closing(source.open_parts({0: 3}, None, follow=True)) as reader:
        assert list(reader.parts) == [0, 1, 2]


def test_a_topic_that_is_made_again_while_a_run_follows_ends_it(kafka_broker: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = kafka_broker.brokers
    shop.make(brokers, phoenix_events=1, phoenix_labels=1)
    shop.send(brokers, "phoenix", range(20))
    source = on(brokers, "phoenix").events
    assert isinstance(source, KafkaTopic)
    monkeypatch.setattr(topic, "LOOK_EVERY_S", 0.0)
    with closing(source.open_parts({}, None, follow=True)) as reader:
        assert len(reader.parts[0].read(0, 100)) == 20
        shop.remove(brokers, "phoenix.events")
        shop.make(brokers, phoenix_events=1)
        shop.send(brokers, "phoenix", range(100, 150))
        with pytest.raises(SourceError, match=r"topic phoenix\.events is not the one that this store was reading"):
            followed(reader, 60, at=20)


def test_a_topic_that_somebody_made_to_forget_is_told_with_the_command_that_mends_it(kafka_broker: Kafka) -> None:
    connection, topics = Connection(kafka_broker.brokers), Topics.of("forgetful")
    made = [
        NewTopic(topics.examples, 1, config={"retention.ms": "1000", "retention.bytes": "-1"}),
        NewTopic(topics.versions, 1, config={"cleanup.policy": "compact,delete"}),
    ]
    admin = connection.admin()
    for future in admin.create_topics(made).values():
        future.result(30)
    ensure(connection, topics, topics.outputs(), partitions=1)
    said = [one.splitlines()[0] for one in misfits(connection, topics, topics.outputs())]
    assert [(words.split()[1], words.split()[3].rstrip(",")) for words in sorted(said)] == [
        ("forgetful.examples", "max.message.bytes=1048588"),
        ("forgetful.examples", "retention.ms=1000"),
        ("forgetful.versions", "cleanup.policy=compact,delete"),
        ("forgetful.versions", "max.message.bytes=1048588"),
    ]


def test_a_command_that_brings_a_large_version_is_taken_and_one_that_is_too_large_is_told_what_to_type(
    kafka_broker: Kafka,
) -> None:
    brokers = kafka_broker.brokers
    connection, topics = Connection(brokers), JobTopics.of(on(brokers, "vast"))
    topics.ensure(connection, 1)
    steering._post(connection, topics.commands, Request(to="vast@7", author="ann", version=bytes(20 << 20)))
    (sent,) = shop.values(brokers, topics.commands)
    assert len(msgspec.json.decode(sent, type=Request).version) == 20 << 20
    admin = connection.admin()
    for future in admin.create_topics([NewTopic("small.commands", 1)]).values():
        future.result(30)
    with pytest.raises(
        EddylineError, match=r"brings a version of 2,097,152 bytes, and small\.commands takes no message so large"
    ):
        steering._post(connection, "small.commands", Request(to="vast@7", author="ann", version=bytes(2 << 20)))
    with pytest.raises(EddylineError, match="a command takes at most 50,282,496 along\nname another version, or live"):
        steering._post(connection, topics.commands, Request(to="vast@7", author="ann", version=bytes(60 << 20)))
    steering._post(connection, topics.commands, Request(to="vast@7", author="ann", version=bytes(ROOM)))


def test_a_topic_that_is_sent_again_as_a_whole_changes_nothing(kafka_broker: Kafka, tmp_path: Path) -> None:
    brokers, path = kafka_broker.brokers, tmp_path / "again.eddyline"
    shop.make(brokers, again_events=2, again_labels=2)
    pipeline = on(brokers, "again")
    shop.send(brokers, "again", range(500))
    run(pipeline, path)
    predictions = shop.values(brokers, "again.predictions")
    with Engine(pipeline, path) as engine:
        digest = engine.loop.states.learn.model.digest()
    shop.send(brokers, "again", range(500))
    progress = run(pipeline, path)
    assert (progress.inputs, progress.predictions, progress.examples) == (1000, 0, 0)
    assert progress.lag == 0
    assert sorted(shop.values(brokers, "again.predictions")) == sorted(predictions)
    with Engine(pipeline, path) as engine:
        assert engine.loop.states.learn.model.digest() == digest


def test_a_change_of_declaration_reaches_the_topics_and_what_came_before_is_in_them_once(
    kafka_broker: Kafka, tmp_path: Path
) -> None:
    brokers, path = kafka_broker.brokers, tmp_path / "changed.eddyline"
    shop.make(brokers, changed_events=2, changed_labels=1)
    pipeline = on(brokers, "changed")
    shop.send(brokers, "changed", range(300))
    run(pipeline, path)
    changed = pipeline.replace(challengers=(Challenger("bayes", model=naive_bayes.GaussianNB()),), decide=(Promote(),))
    done = change(changed, path, author="ana")
    shop.send(brokers, "changed", range(300, 500))
    run(changed, path)
    answers = [wire.decode_prediction(value) for value in shop.values(brokers, "changed.predictions")]
    assert sorted(one.event_id for one in answers) == sorted(f"p-{number}" for number in range(500))
    assert {len(one.others or ()) for one in answers if int(one.event_id[2:]) >= 300} == {1}
    assert [wire.decode_decision(value) for value in shop.values(brokers, "changed.decisions")] == done.decisions
    assert [wire.decode_rollout(value) for value in shop.values(brokers, "changed.rollouts")][-1] == done.rollout


def test_messages_that_are_no_records_are_dead_letters_with_their_place(kafka_broker: Kafka, tmp_path: Path) -> None:
    brokers, path = kafka_broker.brokers, tmp_path / "dead.eddyline"
    shop.make(brokers, dead_events=1, dead_labels=1)
    producer = Producer({"bootstrap.servers": brokers, "message.max.bytes": 2_000_000})
    for value in (shop.payment(1), None, b"{oops", b"x" * ((1 << 20) - 100), b"\xff\xfe"):
        producer.produce("dead.events", value, b"k")
        assert producer.flush(30) == 0
    pipeline = on(brokers, "dead")
    run(pipeline.replace(events=replaced(pipeline, 1000)), path)
    letters = [wire.decode_dead(value) for value in shop.values(brokers, "dead.dead-letters")]
    assert [(letter.origin, letter.reason) for letter in letters] == [
        ("events/0:1", "malformed"),
        ("events/0:2", "malformed"),
        ("events/0:3", "too_large"),
        ("events/0:4", "malformed"),
    ]
    assert letters[0].detail == "a message without a value (a tombstone)"
    assert letters[3].raw == b"\xff\xfe"
    with closing(Store.read(path)) as store:
        assert [letter for block in store.blocks() for letter in block.dead] == letters


def replaced(pipeline: Pipeline, max_message: int) -> object:
    """The events' topic with another limit."""
    from dataclasses import replace

    return replace(pipeline.events, max_message=max_message)  # type: ignore[type-var]


def test_missing_topics_are_made_and_those_of_versions_are_compacted(kafka_broker: Kafka) -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.admin._config import ConfigResource
    from confluent_kafka.admin._resource import ResourceType

    pipeline = on(kafka_broker.brokers, "made")
    assert "made.events" in make_topics(pipeline)
    assert make_topics(pipeline) == []
    admin = AdminClient({"bootstrap.servers": kafka_broker.brokers})
    policies = {}
    for word in ("versions", "rollouts", "predictions"):
        asked = ConfigResource(ResourceType.TOPIC, f"made.{word}")
        policies[word] = admin.describe_configs([asked])[asked].result(30)["cleanup.policy"].value
    assert policies == {"versions": "compact", "rollouts": "compact", "predictions": "delete"}


def test_a_topic_that_is_not_there_is_an_error_in_words(kafka_broker: Kafka, tmp_path: Path) -> None:
    from eddyline import kafka

    named = kafka("nobody-made-this", shop.Payment, brokers=kafka_broker.brokers)
    pipeline = on(kafka_broker.brokers, "named").replace(events=named)
    make_topics(pipeline)
    with pytest.raises(SourceError, match="there is no topic nobody-made-this"):
        run(pipeline, tmp_path / "named.eddyline")


def test_a_topic_that_was_made_again_is_refused(kafka_broker: Kafka, tmp_path: Path) -> None:
    brokers, path = kafka_broker.brokers, tmp_path / "reborn.eddyline"
    shop.make(brokers, reborn_events=1, reborn_labels=1)
    shop.send(brokers, "reborn", range(10))
    run(on(brokers, "reborn"), path)
    shop.remove(brokers, "reborn.events")
    shop.make(brokers, reborn_events=1)
    shop.send(brokers, "reborn", range(20))
    with pytest.raises(SourceError, match=r"reborn\.events is not the one that this store was reading"):
        run(on(brokers, "reborn"), path)


def test_a_topic_that_was_cut_beyond_our_position_is_refused(kafka_broker: Kafka, tmp_path: Path) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    brokers, path = kafka_broker.brokers, tmp_path / "cut.eddyline"
    shop.make(brokers, cut_events=1, cut_labels=1)
    shop.send(brokers, "cut", range(10))
    run(on(brokers, "cut"), path)
    shop.send(brokers, "cut", range(10, 30))
    admin = AdminClient({"bootstrap.servers": brokers})
    for future in admin.delete_records([TopicPartition("cut.events", 0, 25)]).values():
        future.result(30)
    with pytest.raises(SourceError, match="partition 0 has to be read from 10, and it holds 25 to 30 now"):
        run(on(brokers, "cut"), path)


def test_topics_filled_from_another_store_are_refused(kafka_broker: Kafka, tmp_path: Path) -> None:
    brokers = kafka_broker.brokers
    shop.make(brokers, twin_events=1, twin_labels=1)
    shop.send(brokers, "twin", range(10))
    run(on(brokers, "twin"), tmp_path / "first.eddyline")
    with pytest.raises(StoreMismatch, match=r"filled from another store than second\.eddyline"):
        run(on(brokers, "twin"), tmp_path / "second.eddyline")


def test_partitions_added_later_are_read_too(kafka_broker: Kafka, tmp_path: Path) -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewPartitions

    brokers, path = kafka_broker.brokers, tmp_path / "wider.eddyline"
    shop.make(brokers, wider_events=1, wider_labels=1)
    shop.send(brokers, "wider", range(100))
    run(on(brokers, "wider"), path)
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_partitions([NewPartitions("wider.events", 3)])["wider.events"].result(30)
    shop.send(brokers, "wider", range(100, 200))
    run(on(brokers, "wider"), path)
    with closing(Store.read(path)) as store:
        assert store.slots == 200
        assert sorted(store.block(store.seq).notes.positions)[:3] == ["events/0", "events/1", "events/2"]


@pytest.mark.alone
def test_brokers_that_do_not_answer_are_said_within_ten_seconds() -> None:
    from eddyline.cluster import ports

    began = time.monotonic()
    with pytest.raises(SourceError, match="the brokers do not answer"):
        make_topics(on(f"127.0.0.1:{ports.any_free()}", "nowhere"))
    assert time.monotonic() - began < 10
