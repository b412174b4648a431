"""The topics of a pipeline: their conventional names, how each is kept, and making those that are missing.

Events, labels, predictions, measurements and dead letters are logs that the broker's retention ends. Versions, rollouts and
the mark of what was published are compacted: their last word by key stays for ever. Examples, decisions and the order in
which a job on Flink took its inputs stay whole: every version is made again from them.

Refuses to know what is in a message.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from eddyline.connectors.kafka.connection import Connection
from eddyline.records.errors import SourceError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

LARGEST = 64 << 20
"""The largest message, in bytes, that the topics of versions, and of commands that bring one, take when we make them."""
ROOMY = 4 << 20
COMPACTED = ("versions", "rollouts", "published")
VAST = ("versions", "commands")
WHOLE = ("examples", "decisions", "taken")
"""Topics that the broker must not let go of: without their beginning no model can be made again, and no event forgotten."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one pipeline by name.

    >>> Topics.of("fraud").dead_letters
    'fraud.dead-letters'
    """

    events: str
    labels: str
    predictions: str
    examples: str
    versions: str
    rollouts: str
    measurements: str
    dead_letters: str
    decisions: str
    """what was decided, by whom, on what evidence"""
    published: str
    """which block of the store the topics reach to: the publisher's mark, one message a transaction"""

    @staticmethod
    def of(pipeline: str) -> Topics:
        """The topics of the pipeline of this name."""
        return Topics(*(f"{pipeline}.{field.name.replace('_', '-')}" for field in fields(Topics)))

    def all(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def outputs(self) -> tuple[str, ...]:
        """Every name but those of the events and the labels."""
        return tuple(name for name in self.all() if name not in (self.events, self.labels))

    def settings(self, topic: str) -> dict[str, str]:
        """The broker's settings for one of the topics; an answer may be larger than its event.

        >>> Topics.of("fraud").settings("fraud.rollouts")
        {'max.message.bytes': '4194304', 'cleanup.policy': 'compact'}
        >>> Topics.of("fraud").settings("fraud.examples")
        {'max.message.bytes': '4194304', 'retention.ms': '-1', 'retention.bytes': '-1'}
        """
        largest = LARGEST if topic.rpartition(".")[2] in VAST else ROOMY
        kept = {"cleanup.policy": "compact"} if topic in {getattr(self, word) for word in COMPACTED} else {}
        if topic.rpartition(".")[2] in WHOLE:
            kept = {"retention.ms": "-1", "retention.bytes": "-1"}
        return {"max.message.bytes": str(largest), **kept}

    def partitions(self, topic: str, wanted: int) -> int:
        """How many partitions a topic gets: `wanted` (-1: the broker's default), one where the order is over all."""
        return 1 if topic in {self.decisions, *(getattr(self, word) for word in COMPACTED)} else wanted


def ensure(connection: Connection, topics: Topics, names: Iterable[str], *, partitions: int = -1) -> list[str]:
    """Makes those of `names` that are missing; gives their names. What is there stays as it is.

    Raises `SourceError` when the broker does not answer or refuses.
    """
    from confluent_kafka.cimpl import NewTopic

    admin = connection.admin()
    missing = [name for name in names if name not in connection.known_topics()]
    if not missing:
        return []
    made = [
        NewTopic(name, topics.partitions(name, partitions), replication_factor=-1, config=topics.settings(name))
        for name in missing
    ]
    for name, future in admin.create_topics(made, operation_timeout=connection.patience_s).items():
        with connection.in_words(f"topic {name} cannot be made"):
            _made(name, future.exception(timeout=connection.patience_s))
    _await_leaders(connection, missing)
    return missing


def misfits(connection: Connection, topics: Topics, names: Iterable[str]) -> list[str]:
    """What is wrong with topics that somebody else made: in words, each with the command that mends it.

    It is told and not refused: a broker may have reasons. Raises `SourceError` when the broker does not answer.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin._config import ConfigResource
    from confluent_kafka.admin._resource import ResourceType

    known, admin = connection.known_topics(), connection.admin()
    asked = {ConfigResource(ResourceType.TOPIC, name): name for name in names if name in known}
    found = []
    for resource, future in admin.describe_configs(list(asked), request_timeout=connection.patience_s).items():
        name = asked[resource]
        try:
            has = {word: entry.value for word, entry in future.result(timeout=connection.patience_s).items()}
        except KafkaException as problem:
            if problem.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                found.append(f"topic {name}: whether it keeps enough cannot be told, this user may not DescribeConfigs")
                continue
            with connection.in_words(f"topic {name} cannot be looked up"):
                raise
        found += [
            _misfit(name, word, str(has[word]), wanted)
            for word, wanted in topics.settings(name).items()
            if _less(has, word, wanted)
        ]
        if name.rpartition(".")[2] in WHOLE and "compact" in str(has["cleanup.policy"]):
            found.append(_misfit(name, "cleanup.policy", str(has["cleanup.policy"]), "delete"))
    return found


def _less(has: Mapping[str, object], word: str, wanted: str) -> bool:
    """Whether a topic keeps less than we ask for: a compacted one that also deletes, or smaller numbers; -1 is no limit."""
    value = str(has[word])
    if not wanted.lstrip("-").isdecimal():
        return value != wanted
    return int(value) != -1 and (int(wanted) == -1 or int(value) < int(wanted))


def _misfit(name: str, word: str, value: str, wanted: str) -> str:
    lost = "a message may be refused, and the job with it" if word == "max.message.bytes" else "what it holds will be lost"
    return (
        f"topic {name} has {word}={value}, expected {wanted}: {lost}\n"
        f"  kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {word}={wanted}"
    )


def _await_leaders(connection: Connection, names: Iterable[str]) -> None:
    """A topic that was made a moment ago may not have a leader yet: waits until each partition answers."""
    from confluent_kafka import KafkaException, TopicPartition

    deadline = time.monotonic() + connection.patience_s
    with closing(connection.consumer("eddyline-made")) as consumer:
        waiting = set(names)
        while waiting:
            known = connection.known_topics()
            for name in sorted(waiting & set(known)):
                try:
                    for number in range(known[name]):
                        consumer.get_watermark_offsets(TopicPartition(name, number), timeout=connection.patience_s)
                    waiting.discard(name)
                except KafkaException as problem:
                    if time.monotonic() > deadline:
                        with connection.in_words(f"topic {name} was made, and has no leader"):
                            raise problem
            if waiting:
                if time.monotonic() > deadline:
                    raise SourceError(f"topic {min(waiting)} was made, and is not to be seen yet\nrun the same command again")
                time.sleep(0.1)


def identities(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """The ids that the brokers gave to these topics when they were made, as Java's client writes them.

    Raises `SourceError` where one is missing, or no broker answers.
    """
    from confluent_kafka import TopicCollection

    admin, found = connection.admin(), {}
    for name, asked in admin.describe_topics(TopicCollection(list(names)), request_timeout=connection.patience_s).items():
        with connection.in_words(f"topic {name} cannot be looked up"):
            told = str(asked.result(timeout=connection.patience_s + 1.0).topic_id)
        found[name] = told.translate(_URL).rstrip("=")
    return found


_URL = str.maketrans("+/", "-_")


def largest(connection: Connection, topic: str) -> int:
    """The largest message that a topic takes, in bytes, with room for its envelope."""
    from confluent_kafka.admin._config import ConfigResource
    from confluent_kafka.admin._resource import ResourceType

    asked, admin = ConfigResource(ResourceType.TOPIC, topic), connection.admin()
    with connection.in_words(f"topic {topic} cannot be looked up"):
        answer = admin.describe_configs([asked], request_timeout=connection.patience_s)[asked]
        return int(answer.result(timeout=connection.patience_s)["max.message.bytes"].value) - 4096


def _made(name: str, problem: BaseException | None) -> None:
    """Another runner may have made it in between; anything else is an error."""
    from confluent_kafka import KafkaError, KafkaException

    if problem is None:
        return
    if not isinstance(problem, KafkaException):
        raise problem
    error: KafkaError = problem.args[0]
    if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return
    if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
        raise SourceError(
            f"topic {name} is missing, and this user may not make it ({error.str()})\n"
            f"make it yourself: kafka-topics.sh --create --topic {name}"
        ) from problem
    raise problem
