"""The topics of a Flink run as an audit reads them: every committed message, partition by partition, from the first one.

Reads what is there when it begins and nothing after. Leaves no trace at the broker. Refuses to know what is in a message.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from eddyline.connectors.kafka.connection import Connection, library
from eddyline.engines.flink.job import JobTopics
from eddyline.pipeline import Pipeline
from eddyline.records.errors import SourceError

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from confluent_kafka import Message as KafkaMessage

GULP = 5_000
WAIT_S = 30.0
POLL_S = 0.2
STREAMS = ("events", "labels", "predictions", "examples", "versions", "rollouts", "decisions", "taken", "dead_letters")


class Message(NamedTuple):
    """One message: its value, where it stands, and its place in the order of its shard, where it has one."""

    value: bytes
    partition: int = 0
    offset: int = 0
    place: str = ""


Recorded = Mapping[str, Iterable[Message]]
"""What a run recorded, by stream. The messages of one partition are in their order."""


def recorded(pipeline: Pipeline, connection: Connection) -> dict[str, Iterable[Message]]:
    """The nine topics of a pipeline, read when they are asked for. Raises `SourceError` when one is missing."""
    library()
    topics, known = JobTopics.of(pipeline), connection.known_topics()
    apart = {word: getattr(topics, word) for word in ("events", "labels", "decisions", "taken")}
    names = {word: apart.get(word) or getattr(topics.out, word) for word in STREAMS}
    missing = [name for name in names.values() if name not in known]
    if missing:
        raise SourceError(
            f"there is no topic {missing[0]} at {connection.describe()}\n"
            "an audit reads what a run on Flink recorded; start one: eddyline flink submit FILE"
        )
    return {word: _Topic(connection, name, known[name], pipeline.name) for word, name in names.items()}


class _Topic:
    """One topic; each pass over it reads it again."""

    def __init__(self, connection: Connection, name: str, partitions: int, group: str) -> None:
        self.connection, self.name, self.partitions, self.group = connection, name, partitions, group

    def __iter__(self) -> Iterator[Message]:
        consumer = self.connection.consumer(f"{self.group}.audit")
        try:
            yield from self._messages(consumer)
        finally:
            consumer.close()

    def _messages(self, consumer: Consumer) -> Iterator[Message]:
        from confluent_kafka import KafkaError, TopicPartition

        starts = []
        for number in range(self.partitions):
            with self.connection.in_words(f"topic {self.name} cannot be read"):
                low, _ = consumer.get_watermark_offsets(TopicPartition(self.name, number), timeout=self.connection.patience_s)
            if low and self.name.rpartition(".")[2] not in ("versions", "rollouts"):
                raise SourceError(
                    f"topic {self.name} does not begin at its first message: the broker let go of {low} of partition {number}\n"
                    f"an audit needs all of them; keep them longer: retention.ms of {self.name}"
                )
            starts.append(TopicPartition(self.name, number, low))
        consumer.assign(starts)
        open_parts = set(range(self.partitions))
        heard = time.monotonic()
        while open_parts:
            messages = consumer.consume(GULP, POLL_S)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > WAIT_S:
                raise SourceError(f"topic {self.name}: no message came in {WAIT_S:.0f} s\ncheck that the brokers run")
            for message in messages:
                error, partition = message.error(), message.partition() or 0
                if error is None:
                    yield Message(message.value() or b"", partition, message.offset() or 0, place_of(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_parts.discard(partition)
                else:
                    raise SourceError(f"topic {self.name} cannot be read: {self.connection.scrubbed(error.str())}")


def place_of(message: KafkaMessage) -> str:
    """The place of a message in the order of its shard, as its header says; empty where it has none."""
    place = dict(message.headers() or []).get("place")
    return place.decode() if isinstance(place, bytes) else ""
