"""Which topics a job reads, how far it has read them, and where they end, as the broker's groups were told at checkpoints.

The positions that count are in Flink's state; these show them, and show that a pipeline ran before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink.looking import ends

TIMED = ("events", "predictions", "labels")
"""The streams whose lag says something; versions, rollouts and commands are read as they come."""
_READ = {"serve": ("events", "versions", "rollouts", "examples"), "learn": ("labels", "commands")}


@dataclass(frozen=True)
class Reading:
    """One topic as a job reads it: `position` is what was read, `end` what there is, in messages over all partitions."""

    stream: str
    topic: str
    position: int
    end: int

    @property
    def lag(self) -> int:
        """Messages that were not read yet, as of the last checkpoint."""
        return max(0, self.end - self.position)


def readings(connection: Connection, document: Mapping[str, Any]) -> list[Reading]:
    """How far the job of this document has read each of its topics; those that do not exist are left out."""
    known, found = connection.known_topics(), []
    topics = {stream: document["topics"][stream] for stream in streams(document["parts"]) if stream in document["topics"]}
    until = ends(connection, [topic for topic in topics.values() if topic in known])
    for stream, topic in topics.items():
        if topic in known:
            told = _told(connection, f"{document['name']}.{stream}", topic, known[topic])
            end = sum(offset for (name, _), offset in until.items() if name == topic)
            found.append(Reading(stream, topic, sum(told.values()), end))
    return found


def streams(parts: list[str]) -> list[str]:
    """What a job of these parts reads.

    >>> streams(["learn"])
    ['labels', 'commands', 'predictions', 'dead_letters']
    """
    apart = ["predictions", "dead_letters"] if parts == ["learn"] else []
    return [stream for part in parts for stream in _READ[part]] + apart


def _told(connection: Connection, group: str, topic: str, partitions: int) -> dict[int, int]:
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    admin = connection.admin()
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in range(partitions)])
    with connection.in_words(f"the positions of group {group} cannot be looked up"):
        answer = admin.list_consumer_group_offsets([asked], request_timeout=connection.patience_s)[group]
        found = answer.result(timeout=connection.patience_s).topic_partitions
    return {one.partition: one.offset for one in found if one.offset > 0}
