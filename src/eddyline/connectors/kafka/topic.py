"""One topic as a source: every partition is read on its own, from the position that the store committed.

Keeps *stop* (reading resumes exactly at the position given; the broker's groups are told, never asked), *whole* (a message
without a value, too long or unreadable is handed over as a fault) and never starts over in silence: a topic that was
emptied beyond our position, or deleted and made again, is an error. Only committed messages are seen.

One consumer reads all partitions there are when it starts; where more are added while it follows, it ends with an error, and
reads them all when it starts again. Where the topic is made again under a follower, it ends at its next look. A partition is
dry when its end was reached; until then reading waits for the broker.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from eddyline.connectors.kafka.codecs import Codec, read_value
from eddyline.connectors.kafka.connection import PASSWORD, Connection
from eddyline.ports import Line, Source
from eddyline.records.errors import SourceError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.admin._topic import TopicDescription

AHEAD = 20_000
"""How many messages of one partition are held before the broker is asked to wait with it."""
GULP = 4_000
FOLLOW_WAIT_S = 1.0
REPLAY_WAIT_S = 30.0
TELL_EVERY_S = 5.0
CLOSE_S = 8.0
LOOK_EVERY_S = 10.0
"""How often a follower looks whether the topic got more partitions, or is another one by now."""
_LOOK_S = 1.0


class Partition:
    """One partition, in order, from any position. A position is the offset of the next message."""

    def __init__(self, topic: TopicReader, number: int, position: int) -> None:
        self.topic = topic
        self.number = number
        self.name = f"{topic.topic}/{number}"
        self.position = position
        """the offset of the next message to be handed over"""
        self.ahead: deque[Message] = deque()
        self.at_end = False
        self.paused = False

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` messages from `position` on; an empty list at the end of what is there now."""
        if position != self.position:
            self.topic.seek(self, position)
        self.topic.gather(self)
        taken = [self.ahead.popleft() for _ in range(min(limit, len(self.ahead)))]
        if self.paused and len(self.ahead) < AHEAD // 2:
            self.topic.resume(self)
        lines = [self.topic.line(message) for message in taken]
        if lines:
            self.position = lines[-1].position
        return lines

    def size(self) -> int | None:
        """The offset after the last committed message, as far as it is known now."""
        if self.at_end and not self.ahead:
            return self.position
        return self.topic.high(self)


class TopicReader:
    """The partitions of a topic. `identity` names the topic itself: another one of the same name has another."""

    def __init__(
        self, topic: str, connection: Connection, codec: Codec, group: str, longest: int, *, follow: bool, identity: str
    ) -> None:
        self.topic = topic
        self.identity = identity
        self._connection = connection
        self._decode = codec.open(topic)
        self._group = group
        self._longest = longest
        self._patience_s = FOLLOW_WAIT_S if follow else REPLAY_WAIT_S
        self._follow = follow
        self._consumer: Consumer = connection.consumer(group)
        self._admin: AdminClient | None = None
        self._told = self._looked = time.monotonic()
        self._last: dict[int, int] = {}
        self._parts: dict[int, Partition] = {}

    @property
    def parts(self) -> Mapping[int, Source]:
        """The partitions by number."""
        return dict(self._parts)

    @property
    def starts(self) -> Mapping[int, int]:
        """Where each partition is read from next."""
        return {number: part.position for number, part in self._parts.items()}

    @property
    def partitions(self) -> list[Partition]:
        """The partitions in their order."""
        return list(self._parts.values())

    def start(self, positions: Mapping[int, int]) -> None:
        """Begins to fetch, after looking that each position still exists."""
        from confluent_kafka import TopicPartition

        partitions = len(self._known())
        begin: list[TopicPartition] = []
        for number in range(partitions):
            with self._connection.in_words(f"topic {self.topic} cannot be read"):
                low, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self.topic, number), timeout=self._connection.patience_s
                )
            position = positions.get(number, low)
            if not low <= position <= high:
                raise self._gone(number, position, f"it holds {low} to {high} now")
            self._parts[number] = Partition(self, number, position)
            begin.append(TopicPartition(self.topic, number, position))
        lost = sorted(set(positions) - set(self._parts))
        if lost:
            raise self._gone(lost[0], positions[lost[0]], "that partition is missing")
        self._consumer.assign(begin)
        self._last = dict(positions)  # told at the end, though nothing new should come: a run before may have ended untold

    def _known(self) -> list[int]:
        with self._connection.in_words(f"topic {self.topic} cannot be looked up"):
            found = self._consumer.list_topics(self.topic, timeout=self._connection.patience_s).topics[self.topic]
        if found.error is not None:
            raise SourceError(f"topic {self.topic}: {found.error.str()}\nmake it, or name the one that you mean")
        return sorted(found.partitions)

    def seek(self, part: Partition, position: int) -> None:
        """Goes on elsewhere in a partition."""
        from confluent_kafka import TopicPartition

        with self._connection.in_words(f"topic {self.topic} cannot be read from {position}"):
            self._consumer.seek(TopicPartition(self.topic, part.number, position))
        part.ahead.clear()
        part.position, part.at_end = position, False

    def gather(self, part: Partition) -> None:
        """Waits until a partition has messages ahead, or its end is reached, or the broker takes too long."""
        deadline = time.monotonic() + self._patience_s
        self._look()
        self._receive(0.0)
        while not part.ahead and not part.at_end:
            left = deadline - time.monotonic()
            if left <= 0:
                if self._follow:
                    return
                raise SourceError(
                    f"Kafka at {self._connection.describe()} has said nothing about {part.name} for {self._patience_s:g} s\n"
                    "check that the brokers run; the same command goes on where this one stopped"
                )
            self._receive(min(left, 0.1))

    def _look(self) -> None:
        """Ends a follower whose topic is another one by now, or got partitions that nobody reads.

        A broker that is away, and a topic that is gone, are told elsewhere. The client reads on in a topic that was made again,
        at the position it had in the old one, and says nothing.
        """
        from confluent_kafka import KafkaException

        now = time.monotonic()
        if not self._follow or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        self._admin = self._admin or self._connection.admin()
        try:
            seen = described(self._admin, self.topic, _LOOK_S)
        except (KafkaException, TimeoutError):
            return  # the next look makes up for this one
        if (found := identity_of(seen)) != self.identity:
            raise another(self.topic, self.identity, found)
        if len(seen.partitions) > len(self._parts):
            raise SourceError(
                f"topic {self.topic} has {len(seen.partitions)} partitions, and had {len(self._parts)} when this run started: "
                "nobody reads the new ones\nrun the same command again: it goes on where this one stopped, with all of them"
            )

    def _receive(self, wait_s: float) -> None:
        """Takes what has arrived, for whichever partition it is."""
        first = self._consumer.poll(wait_s)
        if first is None:
            return
        for message in (first, *self._consumer.consume(GULP, timeout=0.0)):
            error = message.error()
            if error is not None:
                self._told_of(message, error)
                continue
            part = self._parts[message.partition() or 0]
            part.at_end = False
            part.ahead.append(message)
            if len(part.ahead) >= AHEAD and not part.paused:
                self._pause(part)

    def _told_of(self, message: Message, error: KafkaError) -> None:
        """The end of a partition, or trouble: what passes by itself is waited for, the rest is an error."""
        from confluent_kafka import KafkaError

        number = message.partition()
        if error.code() == KafkaError._PARTITION_EOF:
            self._parts[number or 0].at_end = True
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            part = self._parts[number or 0]
            raise self._gone(part.number, part.position, self._connection.scrubbed(error.str()))
        elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
            raise self._gone(number or 0, -1, "the topic is gone")
        elif error.code() == KafkaError._AUTHENTICATION:
            raise SourceError(f"topic {self.topic} cannot be read: {self._connection.scrubbed(error.str())}\n{PASSWORD}")
        elif error.fatal() or error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise SourceError(f"topic {self.topic} cannot be read: {self._connection.scrubbed(error.str())}\ncheck its rights")

    def _pause(self, part: Partition) -> None:
        from confluent_kafka import TopicPartition

        self._consumer.pause([TopicPartition(self.topic, part.number)])
        part.paused = True

    def resume(self, part: Partition) -> None:
        """Lets the broker send more of a partition again."""
        from confluent_kafka import TopicPartition

        self._consumer.resume([TopicPartition(self.topic, part.number)])
        part.paused = False

    def high(self, part: Partition) -> int | None:
        """The end of a partition as the last answer of the broker told it."""
        from confluent_kafka import TopicPartition

        _, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, part.number), cached=True)
        return max(high, part.position) if high >= 0 else None

    def line(self, message: Message) -> Line:
        """A message as a record: JSON, or a fault in its place."""
        line = read_value(self._decode, self._longest, message.value(), (message.offset() or 0) + 1)
        trace = traceparent(message)
        if not trace:
            return line
        return Line(line.raw, line.position, line.fault, line.size, line.sha256, line.detail, trace)

    def committed(self, positions: Mapping[int, int]) -> None:
        """Shows the broker how far we are, every few seconds, so that everybody's tools can show the lag."""
        now = time.monotonic()
        if now - self._told >= TELL_EVERY_S:
            self._told = now
            self._tell(positions)
        self._last = dict(positions)

    def _tell(self, positions: Mapping[int, int]) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        offsets = [TopicPartition(self.topic, number, position) for number, position in positions.items()]
        with suppress(KafkaException):  # the store has the positions, and the next telling makes up for this one
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def close(self) -> None:
        """Tells the broker's group where we stand, and lets go of the consumer.

        A broker that is away holds nobody up for long: the client waits a minute and more for a commit that it has sent. The
        store has the positions, so that wait goes on in a thread of its own, which ends with the process.
        """
        if self._last:
            self._tell(self._last)
        closing = threading.Thread(target=self._consumer.close, name="eddyline-kafka-close", daemon=True)
        closing.start()
        closing.join(CLOSE_S)

    def _gone(self, number: int, position: int, how: str) -> SourceError:
        return SourceError(
            f"topic {self.topic} is not what it was: partition {number} has to be read from {position}, and {how}\n"
            "it was emptied by its retention, cut, or made again, and what was in between is lost here\n"
            "put it back, or start over with a new store: --store NEW.eddyline"
        )


def described(admin: AdminClient, topic: str, seconds: float) -> TopicDescription:
    """What the broker says of a topic. Raises `KafkaException`, or `TimeoutError` where it says nothing."""
    from confluent_kafka import TopicCollection

    asked = admin.describe_topics(TopicCollection([topic]), request_timeout=seconds)
    found: TopicDescription = asked[topic].result(timeout=seconds + 1.0)
    return found


def identity_of(seen: TopicDescription) -> str:
    """The topic's name and the id that the broker gave it when it was made."""
    return f"{seen.name}/{seen.topic_id}"


def another(topic: str, was: str, found: str) -> SourceError:
    """Positions of one topic mean nothing in another of its name."""
    return SourceError(
        f"topic {topic} is not the one that this store was reading ({was}, now {found})\n"
        "it was deleted and made again, or the brokers are others: its positions mean nothing here\n"
        "start over with a new store: --store NEW.eddyline"
    )


class Look:
    """A look at the first records of a topic, whichever partition they are in, for who reads no further."""

    def __init__(self, reader: TopicReader) -> None:
        self.name = reader.topic
        self._reader = reader

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` of the first records; from any later position, the partitions are read on their own."""
        if position:
            raise SourceError(f"topic {self.name} has positions by partition\nread it by parts: open_parts({{}}, None)")
        found: list[Line] = []
        for part in self._reader.partitions:
            found += part.read(part.position, limit - len(found))
            if len(found) >= limit:
                break
        return found

    def size(self) -> int | None:
        """Not known as one number."""
        return None


def traceparent(message: Message) -> str:
    """The W3C trace context that came with a message, or nothing."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    for name, value in pairs:
        if name == "traceparent" and value is not None:
            text = value if isinstance(value, str) else value.decode("ascii", "replace")
            return text[:256]
    return ""
