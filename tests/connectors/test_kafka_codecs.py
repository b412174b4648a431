"""Avro and Protobuf by the registry's own serializers, against a registry that speaks the part of its protocol they use."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from eddyline import Event, Id, Key, Time, avro, kafka, protobuf
from eddyline.connectors.kafka.codecs import UnreadableError
from eddyline.records.errors import DeclarationError, SourceError
from eddyline.records.schema import Schema

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CONTEXT = SerializationContext("payments", MessageField.VALUE)
AVRO = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "card", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}


class Payment(Event):
    """What happens."""

    id: Id
    card: Key
    at: Time
    amount: float
    note: str | None = None


def test_an_avro_message_is_read_as_the_type_that_the_user_wrote(registry: str) -> None:
    write = AvroSerializer(SchemaRegistryClient({"url": registry}), json.dumps(AVRO))
    raw = write({"id": "p-1", "card": 7, "at": NOON, "amount": Decimal("12.34"), "note": "ünïcode"}, CONTEXT)
    line = avro(registry).open("payments")(raw or b"", 5)
    arrival = Schema.of(Payment).decode(line.raw)
    assert line.position == 5
    assert (arrival.id, arrival.key, arrival.at) == ("p-1", "7", int(NOON.timestamp()) * 1_000_000)
    assert (arrival.value.amount, arrival.value.note) == (12.34, "ünïcode")


def test_a_protobuf_message_is_read_as_the_type_that_the_user_wrote(registry: str) -> None:
    message = payment_message()
    write = ProtobufSerializer(message, SchemaRegistryClient({"url": registry}), {"use.deprecated.format": False})
    raw = write(message(id="p-1", card=2**53 + 1, at=NOON, amount=0.1), CONTEXT)
    line = protobuf(registry, message).open("payments")(raw or b"", 5)
    arrival = Schema.of(Payment).decode(line.raw)
    assert (arrival.id, arrival.key, arrival.at) == ("p-1", str(2**53 + 1), int(NOON.timestamp()) * 1_000_000)
    assert (arrival.value.amount, arrival.value.note) == (0.1, None)


@pytest.mark.parametrize(
    "raw", [b"", b"\x01\x00\x00\x00\x01x", b'{"id": 1}', b"\x00\x00\x00\x00\x01", b"\x00\x00\x00\x03\xe7xx"]
)
def test_a_message_that_is_not_avro_is_refused_alone(registry: str, raw: bytes) -> None:
    AvroSerializer(SchemaRegistryClient({"url": registry}), json.dumps(AVRO))(
        {"id": "p", "card": 1, "at": NOON, "amount": Decimal("1.00"), "note": None}, CONTEXT
    )
    with pytest.raises(UnreadableError):
        avro(registry).open("payments")(raw, 1)


def test_a_registry_that_is_down_refuses_no_message() -> None:
    with pytest.raises(SourceError, match="does not answer"):
        avro("http://127.0.0.1:9").open("payments")(b"\x00\x00\x00\x00\x01x", 1)


def test_codecs_are_checked_where_they_are_declared() -> None:
    with pytest.raises(DeclarationError, match="codec='avro' is not known"):
        kafka("payments", Payment, codec="avro")
    with pytest.raises(DeclarationError, match="given by its URL"):
        avro("registry:8081")
    with pytest.raises(DeclarationError, match="no message class"):
        protobuf("http://registry:8081", Payment)


def test_the_password_of_a_registry_is_not_shown() -> None:
    source = kafka("payments", Payment, codec=avro("http://me:hunter2@registry:8081", settings={"ssl.key.password": "hunter2"}))
    assert "hunter2" not in repr(source) + source.describe()


def payment_message() -> Any:
    """The class that protoc would make of a payment."""
    names = ("descriptor_pb2", "descriptor_pool", "message_factory", "timestamp_pb2")
    descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2 = (
        import_module(f"google.protobuf.{name}") for name in names
    )
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    message = file.message_type.add(name="Payment")
    kinds = {"id": 9, "card": 3, "amount": 1}
    for number, (name, kind) in enumerate(kinds.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=1)
    message.field.add(name="at", number=4, type=11, label=1, type_name=".google.protobuf.Timestamp")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Payment"))
