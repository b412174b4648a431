"""On a real broker: whether the topics of a job are those that its positions belong to, as its document and the broker say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engines import kafka_shop as shop

from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import Connection
from eddyline.connectors.kafka.topics import identities
from eddyline.engines.flink import job
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.same_topics import going_on, identified
from eddyline.pipeline.loading import load
from eddyline.records.errors import SourceError, StoreMismatch

FILE = """
from tests.engines.kafka_shop import pay

{name} = pay.replace(name="{name}")
"""
Telling = Callable[..., dict[str, Any]]


@pytest.fixture
def told(kafka_broker: Kafka, tmp_path: Path) -> Telling:
    """What a job of a shop of this name is told now; the topics that are missing are made."""

    def telling(name: str, settings: Settings | None = None) -> dict[str, Any]:
        file, connection = tmp_path / f"{name}.py", Connection(kafka_broker.brokers)
        file.write_text(FILE.format(name=name))
        loaded = load(f"{file}:{name}")
        JobTopics.of(loaded.pipeline).ensure(connection, 1)
        return identified(job.specification(loaded, connection, settings or Settings(), Path("python")), connection)

    return telling


def test_a_job_does_not_go_on_in_a_topic_that_was_made_again_until_somebody_says_so(kafka_broker: Kafka, told: Telling) -> None:
    brokers = kafka_broker.brokers
    was = told("remade")
    assert going_on(told("remade"), was, "job 1")["anew"] == {}
    shop.remove(brokers, "remade.labels")
    now = told("remade")
    with pytest.raises(StoreMismatch, match=r"topic remade.labels is not[\s\S]* in job 1 belong to[\s\S]*--skip-deleted"):
        going_on(now, was, "job 1")
    said = going_on(told("remade", Settings(skip_deleted=True)), was, "job 1")
    assert said["anew"] == {"labels": identities(Connection(brokers), ["remade.labels"])["remade.labels"]}
    later = going_on(now, job.remembered(said["about"]), "job 2")
    assert later["anew"] == said["anew"], "the name under which the positions are kept changes once for each topic"
    again = job.again(later["about"], Connection(brokers), Path("python"), 2)
    assert (again["anew"], again["topic_ids"]) == (later["anew"], now["topic_ids"])


def test_a_job_is_told_the_topics_that_it_reads_and_no_others(told: Telling) -> None:
    found = {
        parts: {topic.partition(".")[2] for topic in told("parted", Settings(parts=parts))["topic_ids"]}
        for parts in (("serve", "learn"), ("serve",), ("learn",))
    }
    assert found == {
        ("serve", "learn"): {"events", "labels", "versions", "rollouts", "commands"},
        ("serve",): {"events", "versions", "rollouts"},
        ("learn",): {"labels", "commands", "predictions", "dead-letters"},
    }


def test_a_job_of_an_eddyline_that_asked_for_no_ids_is_believed_once(told: Telling) -> None:
    now = told("believed")
    older = {name: value for name, value in now.items() if name not in ("topic_ids", "anew")}
    assert going_on(now, older, "job 1")["topic_ids"] == now["topic_ids"]


def test_the_id_of_a_topic_that_does_not_exist_is_asked_for_in_vain(kafka_broker: Kafka) -> None:
    with pytest.raises(SourceError, match=r"topic nowhere.events cannot be looked up"):
        identities(Connection(kafka_broker.brokers), ["nowhere.events"])
