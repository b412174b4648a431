"""How Kafka is reached: brokers and librdkafka's settings, checked once, with secrets that are never shown.

Security is librdkafka's: `security.protocol`, `sasl.*` and `ssl.*` pass through as they are. The settings that keep our
promises (positions, isolation, transactions) are ours and cannot be given. Imports `confluent_kafka` when it is first
needed, and says how to install it.

Refuses to know topics and records.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eddyline.records.errors import DeclarationError, SourceError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient

PATIENCE_S = 8.0
"""How long a broker may take to answer when a run starts."""
OURS = {
    "bootstrap.servers": "give it as --brokers HOST:PORT, or brokers=...",
    "group.id": "positions are kept in the store; the group is the pipeline's name",
    "enable.auto.commit": "positions are committed with the state",
    "enable.auto.offset.store": "positions are committed with the state",
    "auto.offset.reset": "reading starts where the store stands; anything else would lose or double events",
    "isolation.level": "only committed messages are read",
    "enable.partition.eof": "reading has to know where a partition ends",
    "transactional.id": "it is the pipeline's name and the id of its store",
    "enable.idempotence": "publishing is exactly once",
    "acks": "publishing is exactly once",
}
PASSWORD = "check sasl.username, sasl.password and sasl.mechanism: --kafka-config FILE, or kafka(..., settings=...)"
"""What to do when a broker does not know who asks."""
SECRET_WORDS = ("password", "secret", "token", "key.pem", "oauthbearer.config", "ssl_key", "jaas")
_SILENT = {"log_level": 2}


@dataclass(frozen=True, slots=True)
class Connection:
    """Brokers and librdkafka's settings. Printing it shows neither values of settings nor secrets.

    >>> Connection("kafka:9092", {"security.protocol": "SASL_SSL", "sasl.password": "hunter2"})
    Connection(kafka:9092 by SASL_SSL)
    """

    brokers: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = PATIENCE_S

    def __post_init__(self) -> None:
        for name, value in self.settings.items():
            if name in OURS:
                raise DeclarationError(f"kafka: {name} is not yours to set\n{OURS[name]}")
            if not isinstance(value, str | int | float | bool):
                raise DeclarationError(f"kafka: {name} is a {type(value).__name__}\nwrite it as text, as librdkafka takes it")

    def __repr__(self) -> str:
        return f"Connection({self.describe()})"

    def describe(self) -> str:
        """The brokers, and how they are talked to, in words."""
        protocol = self.settings.get("security.protocol")
        return f"{self.brokers or 'no brokers yet'}{f' by {protocol}' if protocol else ''}"

    def filled(self, other: Connection) -> Connection:
        """This connection, with what it does not say taken from another."""
        return replace(self, brokers=self.brokers or other.brokers, settings={**other.settings, **self.settings})

    def scrubbed(self, words: str) -> str:
        """What somebody said, without our secrets in it.

        >>> Connection("a:1", {"sasl.password": "hunter2"}).scrubbed("cannot use hunter2")
        'cannot use ***'
        """
        for name, value in self.settings.items():
            if str(value) and any(word in name for word in SECRET_WORDS):
                words = words.replace(str(value), "***")
        return words

    def config(self, **more: Any) -> dict[str, Any]:
        """What librdkafka is given; `more` with dots as underscores, which win over the user's settings."""
        brokers = self.brokers or os.environ.get("EDDYLINE_BROKERS")
        if not brokers:
            raise SourceError(
                "no Kafka brokers are given\nadd --brokers HOST:PORT, set EDDYLINE_BROKERS, or write kafka(..., brokers=...)"
            )
        ours = {name.replace("_", "."): value for name, value in more.items()}
        return {"client.id": "eddyline", **_SILENT, **self.settings, "bootstrap.servers": brokers, **ours}

    def consumer(self, group: str, **more: Any) -> Consumer:
        """A consumer that reads committed messages and keeps no positions of its own."""
        library()
        from confluent_kafka import Consumer

        ours = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
        with self.in_words("a consumer cannot be made"):
            return Consumer({**self.config(**more), **ours})

    def producer(self, transactional_id: str, **more: Any) -> Producer:
        """A producer whose transactions fence those of an earlier one with the same id."""
        library()
        from confluent_kafka import Producer

        with self.in_words("a producer cannot be made"):
            return Producer({**self.config(**more), "transactional.id": transactional_id})

    def admin(self, heard: Heard | None = None) -> AdminClient:
        """A client that looks at topics and makes them; what it hears beside its answers goes into `heard`."""
        library()
        from confluent_kafka.admin import AdminClient

        with self.in_words("Kafka cannot be asked"):
            given = self.config()
            if heard is not None:
                given["error_cb"] = heard
            return AdminClient(given)

    def known_topics(self) -> dict[str, int]:
        """The topics there are, with their number of partitions. Raises `SourceError` when no broker answers."""
        heard = Heard()
        admin = self.admin(heard)
        with self.in_words("the brokers do not answer", heard):
            try:
                known = admin.list_topics(timeout=self.patience_s).topics
            finally:
                admin.poll(0)  # why, where it did not
        return {name: len(topic.partitions) for name, topic in known.items() if topic.error is None}

    @contextmanager
    def in_words(self, what: str, heard: Heard | None = None) -> Iterator[None]:
        """librdkafka's errors in our words, without secrets; `heard` may know better why."""
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as problem:
            error = problem.args[0] if problem.args else problem
            said = error.str() if hasattr(error, "str") else str(error)
            advice = (
                "check that the brokers run and can be reached, and security.protocol: --brokers HOST:PORT, --kafka-config FILE"
            )
            if heard is not None and heard.why is not None:
                said, advice = heard.why
            said = self.scrubbed(said)
            # The cause is left out on purpose: its text may hold a secret.
            raise SourceError(f"Kafka at {self.describe()}: {what} ({said})\n{advice}") from None


class Heard:
    """What librdkafka says beside its answers: why a broker does not let us in. `why` is that, and what to do about it."""

    def __init__(self) -> None:
        self.why: tuple[str, str] | None = None

    def __call__(self, error: KafkaError) -> None:
        """Takes one error; keeps the one that explains the others."""
        from confluent_kafka import KafkaError

        advice = {KafkaError._AUTHENTICATION: PASSWORD, KafkaError._SSL: _AUTHORITY}.get(error.code())
        if "security.protocol" in error.str():  # librdkafka's guess at a broker that hangs up
            advice = _PROTOCOL
        if advice is not None:
            self.why = error.str(), advice


_PROTOCOL = "check security.protocol: SASL_SSL or SSL, where the brokers want TLS: --kafka-config FILE"
_AUTHORITY = (
    "check ssl.ca.location, the certificates of who signed the brokers': --kafka-config FILE, or kafka(..., settings=...)"
)


def library() -> None:
    """Makes sure that `confluent_kafka` is there, or says how to install it."""
    try:
        import confluent_kafka  # noqa: F401
    except ModuleNotFoundError as missing:
        raise DeclarationError(
            'reading and writing Kafka needs the package confluent-kafka\n  type: pip install "eddyline[kafka]"'
        ) from missing


def read_properties(path: Path) -> dict[str, str]:
    """Settings from a file of `name=value` lines; `#` begins a comment.

    The names are librdkafka's (`sasl.username`), not those of the Java client (`sasl.jaas.config`).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "kafka.properties"
    ...     _ = file.write_text("# by ops\\nsecurity.protocol = SASL_SSL\\nsasl.password=a=b\\n")
    ...     read_properties(file)
    {'security.protocol': 'SASL_SSL', 'sasl.password': 'a=b'}
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise SourceError(f"--kafka-config {path.name} cannot be read: {problem}\ngive a file of name=value lines") from problem
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, sign, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        if not sign:
            raise DeclarationError(f"{path.name}, line {number}: no name=value\nwrite security.protocol=SASL_SSL")
        found[name.strip()] = value.strip()
    return found
