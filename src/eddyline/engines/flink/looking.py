"""A look at topics by a command that comes and goes: committed messages from given positions on, and where topics end.

Keeps no positions of its own. Refuses to know what is in a message.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from eddyline.connectors.kafka.connection import Connection
from eddyline.records.errors import SourceError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

FIRST = -2
"""The beginning of a partition, as librdkafka says it."""
_POLL_S = 0.2

Positions = Mapping[tuple[str, int], int]
"""The offset of the next message, by topic and partition."""


def ends(connection: Connection, topics: list[str]) -> dict[tuple[str, int], int]:
    """Where the partitions of these topics end now. Raises `SourceError` when one does not exist."""
    return {part: high for part, (_, high) in spans(connection, topics).items()}


def spans(connection: Connection, topics: list[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """Where the partitions of these topics begin and end now. Raises `SourceError` when one does not exist."""
    known, found = connection.known_topics(), {}
    with _consumer(connection) as consumer:
        for topic in topics:
            if topic not in known:
                raise SourceError(f"there is no topic {topic}\nhas its pipeline ever run there? type: eddyline flink status")
            for number in range(known[topic]):
                found[topic, number] = _range(connection, consumer, topic, number)
    return found


def undecided(connection: Connection, topic: str) -> bool:
    """Whether a topic holds messages of a transaction that is neither committed nor given up. No job may write meanwhile."""
    from confluent_kafka import IsolationLevel, TopicPartition
    from confluent_kafka.admin._listoffsets import OffsetSpec

    admin, found = connection.admin(), []
    for isolation in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
        end = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, number): end for number in range(connection.known_topics()[topic])}
        with connection.in_words(f"topic {topic} cannot be looked up"):
            told = admin.list_offsets(asked, isolation_level=isolation, request_timeout=connection.patience_s)
            found.append([future.result(timeout=connection.patience_s + 1.0).offset for future in told.values()])
    return found[0] != found[1]


def last(connection: Connection, topic: str, many: int) -> list[Message]:
    """The last committed messages of a topic's only partition: at most `many`, at least one where there is any."""
    with _consumer(connection) as consumer:
        low, high = _range(connection, consumer, topic, 0)
    window = 2 * many
    while True:
        start = max(low, high - window)
        found = list(stored(connection, {(topic, 0): start}))
        if found or start == low:
            return found[-many:]
        window *= 8  # what lies in between are marks of transactions, and messages that were aborted or compacted away


def holds_any(connection: Connection, topic: str) -> bool:
    """Whether there is a committed message in a topic; a topic that does not exist holds none."""
    partitions = connection.known_topics().get(topic, 0)
    if not partitions:
        return False
    with closing(stored(connection, {(topic, number): FIRST for number in range(partitions)})) as messages:
        return next(messages, None) is not None


def stored(connection: Connection, positions: Positions) -> Generator[Message, None, None]:
    """Committed messages from these positions to where each partition ends now. Raises `SourceError` on silence."""
    return _read(connection, positions, connection.patience_s, to_end=True)


def coming(connection: Connection, positions: Positions, seconds: float) -> Generator[Message, None, None]:
    """Committed messages from these positions on, as they come, for so many seconds."""
    return _read(connection, positions, seconds, to_end=False)


def _read(connection: Connection, positions: Positions, seconds: float, *, to_end: bool) -> Generator[Message, None, None]:
    from confluent_kafka import KafkaError, TopicPartition

    left, until = set(positions), time.monotonic() + seconds
    with _consumer(connection) as consumer:
        consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()])
        while left or not to_end:
            message = consumer.poll(_POLL_S)
            problem: KafkaError | None = None if message is None else message.error()
            if message is not None and problem is None:
                until = time.monotonic() + seconds if to_end else until
                yield message
            elif message is not None and problem is not None and problem.code() == KafkaError._PARTITION_EOF:
                left.discard((str(message.topic()), message.partition() or 0))
            elif problem is not None and (problem.fatal() or not problem.retriable()) and problem.code() >= 0:
                raise SourceError(f"Kafka at {connection.describe()}: {connection.scrubbed(problem.str())}")
            if time.monotonic() > until:
                if to_end and left:
                    raise SourceError(f"Kafka at {connection.describe()} has said nothing for {seconds:g} s\ntry again")
                return


@contextmanager
def _consumer(connection: Connection) -> Iterator[Consumer]:
    """A consumer that is closed, in a group of its own that is never told anything."""
    made = connection.consumer(f"eddyline.look.{uuid.uuid4().hex}")
    try:
        yield made
    finally:
        made.close()


def _range(connection: Connection, consumer: Consumer, topic: str, number: int) -> tuple[int, int]:
    from confluent_kafka import TopicPartition

    with connection.in_words(f"topic {topic} cannot be looked up"):
        return consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=connection.patience_s)
