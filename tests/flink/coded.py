"""A shop whose payments are Avro and whose chargebacks are Protobuf. Workers import a copy with the registry's own URL."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from river import linear_model, preprocessing

from eddyline import Event, Id, Join, Key, Label, Pipeline, Sum, Time, Truth, Versions, avro, hours, kafka, protobuf

REGISTRY = "http://registry:8081"


class Payment(Event):
    """What happens."""

    id: Id
    card: Key
    at: Time
    amount: float


class Chargeback(Label):
    """What is found out."""

    id: Id
    at: Time
    fraud: Truth[bool]


def features(payment: Payment, spent: float) -> dict[str, float]:
    """Two numbers."""
    return {"amount": payment.amount, "spent": spent}


def chargeback_message() -> Any:
    """The class that protoc would make of a chargeback."""
    names = ("descriptor_pb2", "descriptor_pool", "message_factory", "timestamp_pb2")
    descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2 = (
        import_module(f"google.protobuf.{name}") for name in names
    )
    file = descriptor_pb2.FileDescriptorProto(name="chargeback.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    message = file.message_type.add(name="Chargeback")
    message.field.add(name="id", number=1, type=9, label=1)
    message.field.add(name="at", number=2, type=11, label=1, type_name=".google.protobuf.Timestamp")
    message.field.add(name="fraud", number=3, type=8, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Chargeback"))


coded = Pipeline(
    name="coded",
    events=kafka("coded.events", Payment, codec=avro(REGISTRY)),
    labels=kafka("coded.labels", Chargeback, codec=protobuf(REGISTRY, chargeback_message())),
    aggregates={"spent": Sum("amount", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(500)),
    versions=Versions(every=200),
)
