"""A run that is killed again and again, on a real broker: its topics hold everything once."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from tests.engines import kafka_shop as shop

from eddyline.cluster.kafka import Kafka

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
            shop.wait_until(partial(shop.further, path, before))
            shop.send(brokers, name, range(sent, sent + SLICE - 1_000), pace=lambda: time.sleep(0.05))
            assert process.poll() is None, process.communicate()[0]
            process.kill()
        shop.send(brokers, name, range(sent + SLICE - 1_000, sent + SLICE))
    with shop.running(brokers, name, path) as process:
        shop.wait_until(lambda: shop.reached(path)[1] == EVENTS)
        shop.wait_until(lambda: shop.waiting(path, EVENTS) == 0)
        said = shop.stop(process)
    assert "behind the topics" in said
    shop.assert_once(brokers, name, path, EVENTS)
