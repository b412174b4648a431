"""A run that is killed again and again, on a real broker: its topics hold everything once."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition
from tests.engines import kafka_shop as shop

from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.store.database import Store
from eddyline.views.verify import verify

EVENTS = 20_000
KILLS = 4
SLICE = (EVENTS - 2_000) // KILLS


def test_a_run_killed_again_and_again_neither_loses_nor_doubles(kafka_broker: Kafka, tmp_path: Path) -> None:
    brokers, name, path = kafka_broker.brokers, "killed", tmp_path / "killed.eddyline"
    shop.make(brokers, killed_events=3, killed_labels=2)
    shop.send(brokers, name, range(2_000))
    for kill in range(KILLS):
        before, _ = shop.reached(path)
        sent = 2_000 + SLICE * kill
        with shop.running(brokers, name, path) as process:
            shop.wait_until(partial(further, path, before))
            shop.send(brokers, name, range(sent, sent + SLICE - 1_000), pace=lambda: time.sleep(0.05))
            assert process.poll() is None, process.communicate()[0]
            process.kill()
        shop.send(brokers, name, range(sent + SLICE - 1_000, sent + SLICE))
    with shop.running(brokers, name, path) as process:
        shop.wait_until(lambda: shop.reached(path)[1] == EVENTS)
        shop.wait_until(lambda: waiting(path) == 0)
        said = shop.stop(process)
    assert "behind the topics" in said
    assert_once(brokers, name, path)


def further(path: Path, block: int) -> bool:
    """Whether a store holds more than so many blocks."""
    return shop.reached(path)[0] > block


def waiting(path: Path) -> int:
    """How many labels were not learned yet."""
    with closing(Store.read(path)) as store:
        return EVENTS - store.block(store.seq).notes.learner


def assert_once(brokers: str, name: str, path: Path) -> None:
    predictions = [wire.decode_prediction(value) for value in shop.values(brokers, f"{name}.predictions")]
    examples = [wire.decode_example(value) for value in shop.values(brokers, f"{name}.examples")]
    assert Counter(one.event_id for one in predictions) == Counter(f"p-{number}" for number in range(EVENTS))
    assert sorted(position for _, position in examples) == list(range(1, EVENTS + 1))
    assert Counter(one.prediction.event_id for one, _ in examples) == Counter(one.event_id for one in predictions)
    blocks = [msgspec.json.decode(value)["block"] for value in shop.values(brokers, f"{name}.published")]
    assert blocks == sorted(set(blocks))
    with closing(Store.read(path)) as store:
        assert blocks[-1] == store.seq
        kept = {one.event_id: one for block in store.blocks() for one in block.predictions}
        assert verify(store, shop.pay.replace(name=name)).faults == []
        versions = [wire.decode_version(value)[0] for value in shop.values(brokers, f"{name}.versions")]
        assert sorted(versions, key=lambda version: version.position) == store.versions()
    assert {one.event_id: one for one in predictions} == kept
    assert lag(brokers, name) == 0


def lag(brokers: str, name: str) -> int:
    """What Kafka's own tools would show for the group of the pipeline."""
    with closing(Consumer({"bootstrap.servers": brokers, "group.id": name})) as consumer:
        asked = [TopicPartition(f"{name}.events", number) for number in range(3)]
        told = consumer.committed(asked, timeout=10)
        return sum(consumer.get_watermark_offsets(one, timeout=10)[1] - one.offset for one in told)
