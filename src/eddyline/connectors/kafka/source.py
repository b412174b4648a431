"""`kafka(...)`: a topic as a pipeline declares it, and a pipeline of files moved onto topics.

Opens nothing before a pipeline runs. Positions live in the store, by partition, under the topic's own identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from eddyline.connectors.kafka.codecs import Codec, codec_of
from eddyline.connectors.kafka.connection import Connection
from eddyline.connectors.kafka.topic import Look, TopicReader, another, described, identity_of
from eddyline.connectors.kafka.topics import Topics, ensure
from eddyline.pipeline import Pipeline
from eddyline.ports import Source, SourceConfig
from eddyline.records.errors import DeclarationError, SourceError
from eddyline.records.schema import Schema
from eddyline.records.types import Event, Label

LONGEST = 1 << 20
"""How many bytes a message may have where the pipeline does not say."""


@dataclass(frozen=True, slots=True)
class KafkaTopic:
    """A topic as a pipeline declares it. Make it with `kafka`."""

    topic: str
    type: type
    codec: Codec
    connection: Connection
    group: str
    max_message: int

    def describe(self) -> str:
        """The source in words, without secrets."""
        return f"topic {self.topic} at {self.connection.describe()}, {self.codec.describe()}"

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """A look at its first records. Whoever reads on opens it by parts."""
        return Look(self.open_parts({}, None, follow=False))

    def open_parts(self, positions: Mapping[int, int], identity: str | None, *, follow: bool) -> TopicReader:
        """The partitions, each at its position. Raises `SourceError` when `identity` was another topic of this name."""
        found = self._identity()
        if identity is not None and identity != found:
            raise another(self.topic, identity, found)
        reader = TopicReader(
            self.topic, self.connection, self.codec, self.group, self.max_message, follow=follow, identity=found
        )
        try:
            reader.start(positions)
        except BaseException:
            reader.close()
            raise
        return reader

    def _identity(self) -> str:
        """The topic's name and the id that the broker gave it when it was made."""
        known = self.connection.known_topics()
        if self.topic not in known:
            raise SourceError(
                f"there is no topic {self.topic} at {self.connection.describe()}\n"
                f"make it: kafka-topics.sh --create --topic {self.topic}"
            )
        admin = self.connection.admin()
        with self.connection.in_words(f"topic {self.topic} cannot be looked up"):
            return identity_of(described(admin, self.topic, self.connection.patience_s))


def kafka(
    topic: str,
    type: type[Event] | type[Label],  # noqa: A002 - the word users read in errors and in SourceConfig
    *,
    codec: str | Codec = "json",
    brokers: str | None = None,
    settings: Mapping[str, str] | None = None,
    group: str = "eddyline",
    max_message: int = LONGEST,
) -> KafkaTopic:
    """Records in a Kafka topic, one a message: every partition, committed messages only.

    Positions are committed in the store together with what followed from the records, so a restart neither loses nor
    doubles; `group` is only told them, so that lag can be seen with Kafka's tools. `brokers` may be left to `--brokers` or
    EDDYLINE_BROKERS. `settings` are librdkafka's (`security.protocol`, `sasl.*`, `ssl.*`). `codec` is "json", `avro(url)`
    or `protobuf(url, Message)`. Messages above `max_message` bytes, without a value or unreadable go to the dead letters.

    >>> from eddyline.records.types import Id, Time
    >>> class Payment(Event):
    ...     id: Id
    ...     at: Time
    >>> kafka("payments", Payment, brokers="kafka:9092", settings={"sasl.password": "hunter2"}).describe()
    'topic payments at kafka:9092, json'
    """
    Schema.of(type)
    if not isinstance(topic, str) or not topic:
        raise DeclarationError(f'kafka({topic!r}): a topic is given by its name\nwrite kafka("payments", {type.__name__})')
    if max_message < 1:
        raise DeclarationError(
            f"kafka({topic!r}): max_message={max_message} allows no message at all\ntype: max_message=1 << 20"
        )
    return KafkaTopic(topic, type, codec_of(codec), Connection(brokers, dict(settings or {})), group, max_message)


def on_topics(pipeline: Pipeline, brokers: str | None = None, settings: Mapping[str, str] | None = None) -> Pipeline:
    """The same pipeline reading topics: files become `<pipeline>.events` and `<pipeline>.labels`, topics stay as declared.

    The meaning does not change, so a store filled from files goes on with topics. Opens nothing.

    >>> from river import linear_model
    >>> from eddyline import Id, Time, Truth, jsonl
    >>> class Visit(Event):
    ...     id: Id
    ...     at: Time
    >>> class Sale(Label):
    ...     id: Id
    ...     at: Time
    ...     bought: Truth[bool]
    >>> shop = Pipeline(name="shop", events=jsonl("visits.jsonl", Visit), labels=jsonl("sales.jsonl", Sale),
    ...                 model=linear_model.LogisticRegression())
    >>> on_topics(shop, "kafka:9092").labels.describe()
    'topic shop.labels at kafka:9092, json'
    """
    given = Connection(brokers, dict(settings or {}))
    names = Topics.of(pipeline.name)
    return pipeline.replace(
        events=_moved(pipeline.events, names.events, given, pipeline.name),
        labels=_moved(pipeline.labels, names.labels, given, pipeline.name),
    )


def _moved(source: SourceConfig, topic: str, given: Connection, group: str) -> KafkaTopic:
    if isinstance(source, KafkaTopic):
        return replace(source, connection=source.connection.filled(given), group=group)
    return KafkaTopic(topic, source.type, codec_of("json"), given, group, LONGEST)


def connection_of(pipeline: Pipeline) -> Connection | None:
    """How the pipeline's events reach Kafka; None when they come from elsewhere."""
    return pipeline.events.connection if isinstance(pipeline.events, KafkaTopic) else None


def make_topics(pipeline: Pipeline, *, partitions: int = -1) -> list[str]:
    """Makes the conventional topics of a pipeline on Kafka that are missing, and gives their names.

    A topic that the user named himself is his: when it is missing, reading it says so.
    """
    connection = connection_of(pipeline)
    if connection is None:
        return []
    topics = Topics.of(pipeline.name)
    read = {source.topic for source in (pipeline.events, pipeline.labels) if isinstance(source, KafkaTopic)}
    wanted = [name for name in topics.all() if name in topics.outputs() or name in read]
    return ensure(connection, topics, wanted, partitions=partitions)
