"""The broker dies under a run, or freezes: the engine waits and goes on, or says so and goes on when it is run again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.cluster.fixtures import need_jars
from tests.engines import kafka_shop as shop

from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import on_topics, topic
from eddyline.engines.embedded import Engine, replay
from eddyline.engines.embedded.publish import publishing
from eddyline.records.errors import SourceError

EVENTS = 24_000
DOWN_S = 5.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Kafka]:
    """A broker of this test alone, which it may kill."""
    need_jars("kafka")
    with Kafka(tmp_path / "kafka") as kafka:
        yield kafka


def test_a_broker_killed_under_a_run_is_waited_for_and_nothing_is_lost_or_doubled(broker: Kafka, tmp_path: Path) -> None:
    brokers, name, path = broker.brokers, "outage", tmp_path / "outage.eddyline"
    shop.make(brokers, outage_events=3, outage_labels=2)
    third = EVENTS // 3
    with shop.running(brokers, name, path) as process:
        for sent in range(0, EVENTS, third):
            before, _ = shop.reached(path)
            shop.send(brokers, name, range(sent, sent + third))
            shop.wait_until(partial(shop.further, path, before))
            if sent + third == EVENTS:
                break
            broker.kill()
            time.sleep(DOWN_S)
            assert process.poll() is None, process.communicate()[0]
            broker.start()
        shop.wait_until(lambda: process.poll() is not None or shop.waiting(path, EVENTS) == 0)
        assert process.poll() is None, process.communicate()[0]
        shop.stop(process)
    shop.assert_once(brokers, name, path, EVENTS)


def test_a_run_that_is_stopped_while_the_broker_is_away_ends_and_the_next_one_publishes_the_rest(
    broker: Kafka, tmp_path: Path
) -> None:
    brokers, name, path = broker.brokers, "stopped", tmp_path / "stopped.eddyline"
    shop.make(brokers, stopped_events=3, stopped_labels=2)
    shop.send(brokers, name, range(6_000))
    with shop.running(brokers, name, path) as process:
        shop.wait_until(partial(shop.further, path, 0))
        broker.kill()
        said = shop.stop(process)
    assert "behind the topics" in said
    broker.start()
    with shop.running(brokers, name, path) as process:
        shop.wait_until(lambda: process.poll() is not None or len(shop.values(brokers, f"{name}.examples")) == 6_000)
        assert process.poll() is None, process.communicate()[0]
        shop.stop(process)
    shop.assert_once(brokers, name, path, 6_000)


def test_a_replay_gives_up_on_a_silent_broker_with_words_and_goes_on_when_it_is_run_again(
    broker: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic, "REPLAY_WAIT_S", 3.0)
    brokers, name, path = broker.brokers, "silent", tmp_path / "silent.eddyline"
    shop.make(brokers, silent_events=3, silent_labels=1)
    shop.send(brokers, name, range(1_000))
    pipeline = on_topics(shop.pay.replace(name=name), brokers)
    with Engine(pipeline, path) as engine, publishing(engine) as publisher:
        replay(engine, path.parent, publisher=publisher)
    shop.send(brokers, name, range(1_000, 2_000))

    def freeze() -> bool:
        """Called when both topics are open and before they are read."""
        broker.pause()
        return False

    with Engine(pipeline, path) as engine, publishing(engine) as publisher:
        with pytest.raises(SourceError, match=r"has said nothing about silent\.[\s\S]*the same command goes on"):
            replay(engine, path.parent, publisher=publisher, stop=freeze)
        broker.resume()
    with Engine(pipeline, path) as engine, publishing(engine) as publisher:
        replay(engine, path.parent, publisher=publisher)
    shop.assert_once(brokers, name, path, 2_000)
