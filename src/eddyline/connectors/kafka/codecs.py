"""The codec door: the bytes of a message become the JSON that the user's type is read from.

JSON passes as it is. Avro and Protobuf messages name their schema by number, as the schema registry's own serializers
write them; the schema is fetched once and kept. A message that cannot be read is a dead letter. A registry that cannot be
reached is an error of the source: nothing is refused because a server was down.

Refuses to know Kafka's consumers, and what the fields mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from eddyline.connectors.kafka.connection import library
from eddyline.connectors.lines import faulty
from eddyline.connectors.rows import row_line
from eddyline.ports import Line
from eddyline.records import Reason
from eddyline.records.errors import DeclarationError, SourceError

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

Decode = Callable[[bytes, int], Line]
"""Reads a message's value; the position after it goes into the line."""


class UnreadableError(Exception):
    """This message cannot be read; the next one may be."""


class Codec(Protocol):
    """How messages of a topic are read."""

    def describe(self) -> str:
        """In words, without secrets."""
        ...

    def open(self, topic: str) -> Decode:
        """A function that turns the value of a message into a line of JSON; raises `UnreadableError` for what is not."""
        ...


@dataclass(frozen=True, slots=True)
class Json:
    """Messages are JSON objects already."""

    def describe(self) -> str:
        """In words."""
        return "json"

    def open(self, topic: str) -> Decode:
        """Nothing to do: the bytes are what the schema reads."""
        return Line


@dataclass(frozen=True, slots=True)
class Avro:
    """Avro by a schema registry. Make it with `avro`."""

    url: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    def describe(self) -> str:
        """In words."""
        return f"avro by {_place(self.url)}"

    def open(self, topic: str) -> Decode:
        """Fields become JSON fields of their names; an instant keeps its zone, a decimal becomes a number."""
        client = _registry(self.url, self.settings)
        from confluent_kafka.schema_registry.avro import AvroDeserializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        read, context = AvroDeserializer(client), SerializationContext(topic, MessageField.VALUE)

        def decode(raw: bytes, position: int) -> Line:
            return _line(_read(self.url, lambda: read(raw, context)), position)

        return decode


@dataclass(frozen=True, slots=True)
class Protobuf:
    """Protobuf by a schema registry. Make it with `protobuf`."""

    url: str = field(repr=False)
    message: Any
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    def describe(self) -> str:
        """In words."""
        return f"protobuf {self.message.DESCRIPTOR.full_name} by {_place(self.url)}"

    def open(self, topic: str) -> Decode:
        """Fields become JSON fields of the names in the .proto file; a `Timestamp` becomes a time with its offset."""
        client = _registry(self.url, self.settings)
        from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        read = ProtobufDeserializer(self.message, {"use.deprecated.format": False}, client)
        context = SerializationContext(topic, MessageField.VALUE)

        def decode(raw: bytes, position: int) -> Line:
            return _line(plain_message(_read(self.url, lambda: read(raw, context))), position)

        return decode


def avro(registry_url: str, *, settings: Mapping[str, str] | None = None) -> Avro:
    """Messages are Avro, written by a schema registry's serializer: `kafka("payments", Payment, codec=avro(URL))`.

    `settings` are those of the registry's client: `basic.auth.user.info`, `ssl.ca.location` and others.

    >>> avro("https://user:hunter2@registry:8081").describe()
    'avro by https://registry:8081'
    """
    return Avro(_checked(registry_url), dict(settings or {}))


def protobuf(registry_url: str, message: Any, *, settings: Mapping[str, str] | None = None) -> Protobuf:
    """Messages are Protobuf of the generated class `message`: `codec=protobuf(URL, payment_pb2.Payment)`."""
    if not hasattr(message, "DESCRIPTOR"):
        raise DeclarationError(
            f"protobuf(..., {message!r}) is no message class\ngive the class that protoc made: payment_pb2.Payment"
        )
    return Protobuf(_checked(registry_url), message, dict(settings or {}))


def codec_of(given: str | Codec) -> Codec:
    """The codec a user named, or gave."""
    if given == "json":
        return Json()
    if isinstance(given, str) or not hasattr(given, "open"):
        raise DeclarationError(
            f"codec={given!r} is not known\n"
            'write codec="json", codec=avro(REGISTRY_URL) or codec=protobuf(REGISTRY_URL, Message)'
        )
    return given


TOMBSTONE = "a message without a value (a tombstone)"


def too_large(longest: int) -> str:
    """Why a message above `longest` bytes is refused, and what to type where that is wrong."""
    return f"longer than {longest} bytes; raise kafka(..., max_message=...) if that is right"


def read_value(decode: Decode, longest: int, value: bytes | None, position: int) -> Line:
    """The value of a message as a record: JSON, or a fault in its place. Raises `SourceError` when the registry is away.

    >>> read_value(Json().open("t"), 4, b"{}", 1).raw, read_value(Json().open("t"), 4, b"", 2).detail
    (b'{}', 'a message without a value (a tombstone)')
    >>> read_value(Json().open("t"), 4, b'{"a":1}', 3).fault
    'too_large'
    """
    if not value:
        return _fault(b"", position, Reason.MALFORMED, TOMBSTONE)
    if len(value) > longest:
        return _fault(value, position, Reason.TOO_LARGE, too_large(longest))
    try:
        return decode(value, position)
    except UnreadableError as problem:
        return _fault(value, position, Reason.MALFORMED, str(problem))


def _fault(value: bytes, position: int, reason: Reason, detail: str) -> Line:
    line = faulty(value, position, reason)
    return Line(line.raw, position, line.fault, line.size, line.sha256, detail)


def plain_message(message: Any) -> dict[str, Any]:
    """A Protobuf message as plain values: numbers stay numbers, where Protobuf's own JSON makes text of 64-bit integers."""
    out: dict[str, Any] = {}
    for descriptor in message.DESCRIPTOR.fields:
        if descriptor.has_presence and not message.HasField(descriptor.name):
            continue
        value = getattr(message, descriptor.name)
        entry = descriptor.message_type
        if entry is not None and entry.GetOptions().map_entry:
            of = entry.fields_by_name["value"]
            out[descriptor.name] = {str(key): _plain(of, value[key]) for key in value}
        elif _repeated(descriptor):
            out[descriptor.name] = [_plain(descriptor, item) for item in value]
        else:
            out[descriptor.name] = _plain(descriptor, value)
    return out


def _repeated(descriptor: Any) -> bool:
    """Whether a field is a list: by its label before Protobuf 6.31, which Flink's workers have; newer ones drop that."""
    new = getattr(descriptor, "is_repeated", None)
    return bool(descriptor.label == descriptor.LABEL_REPEATED if new is None else new)


def _plain(descriptor: Any, value: Any) -> Any:
    if descriptor.enum_type is not None:
        named = descriptor.enum_type.values_by_number.get(value)
        return named.name if named is not None else value
    if descriptor.message_type is None:
        return value
    if descriptor.message_type.full_name == "google.protobuf.Timestamp":
        return value.ToDatetime(tzinfo=UTC)
    return plain_message(value)


def _line(values: Any, position: int) -> Line:
    if not isinstance(values, dict):
        raise UnreadableError(f"the message is a {type(values).__name__}, not a record with fields")
    line = row_line(_numbers(values), position)
    if line.fault is None:
        return line
    detail = "a field is NaN or infinite" if line.fault == Reason.OUT_OF_RANGE.value else "it holds what JSON cannot say"
    return Line(line.raw, position, line.fault, line.size, line.sha256, detail)


def _numbers(value: Any) -> Any:
    """Decimals as the numbers they are; everything else as it is."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return value


def _read(url: str, read: Callable[[], Any]) -> Any:
    """What the registry's deserializer says, with a broken message told from a broken registry."""
    from confluent_kafka.schema_registry.error import SchemaRegistryError
    from confluent_kafka.serialization import SerializationError

    try:
        return read()
    except SerializationError as problem:
        raise UnreadableError(str(problem)) from problem
    except SchemaRegistryError as problem:
        if problem.http_status_code == 404:
            raise UnreadableError(f"its schema is not in the registry: {problem.error_message}") from problem
        raise SourceError(_unreachable(url, problem.error_message)) from problem
    except Exception as problem:
        if isinstance(problem, OSError) or any(base.__module__.startswith("httpx") for base in type(problem).__mro__):
            raise SourceError(_unreachable(url, type(problem).__name__)) from problem
        # Bytes that do not follow their schema fail anywhere within the decoders.
        raise UnreadableError(f"it does not follow its schema: {type(problem).__name__}: {problem}") from problem


def _registry(url: str, settings: Mapping[str, str]) -> SchemaRegistryClient:
    library()
    try:
        from confluent_kafka.schema_registry import SchemaRegistryClient
    except ImportError as missing:
        raise DeclarationError(
            'Avro and Protobuf need the schema registry\'s client\n  type: pip install "eddyline[registry]"'
        ) from missing
    return SchemaRegistryClient({"url": url, **settings})


def _checked(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        raise DeclarationError("the schema registry is given by its URL\nwrite http://HOST:8081")
    return url


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _unreachable(url: str, why: str) -> str:
    return f"the schema registry at {_place(url)} does not answer ({why})\ncheck that it runs: curl {_place(url)}/subjects"
