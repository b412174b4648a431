"""Avro events and Protobuf labels on Flink: the same file, the same codec door, the same dead letters."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.connectors.registry import serving
from tests.flink.conftest import Run

from eddyline.cli.main import main
from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import Connection, KafkaTopic, on_topics, wire
from eddyline.connectors.kafka.codecs import Protobuf
from eddyline.engines.embedded import Engine, replay
from eddyline.engines.flink.audit import audit
from eddyline.engines.flink.job import Settings
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import DeadLetter
from eddyline.store.database import Store

HERE = Path(__file__).parent
SEED, PAYMENTS = 20_261_123, 1_200
BEGIN = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "card", "type": "long"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
]
OLDER = {"type": "record", "name": "Payment", "fields": FIELDS}
NEWER = {"type": "record", "name": "Payment", "fields": [{"name": "shop", "type": "string"}, *reversed(FIELDS)]}
UNREADABLE = [
    b"\x00\x00\x00\x03\xe7xx",
    b'{"id": "p-0", "card": 1, "at": "2026-05-01T12:00:00Z", "amount": 1.0}',
    b"\x00\x00\x00\x00\x01\xff",
    b"",
]
"""A schema that nobody registered, JSON in a topic of Avro, bytes that do not follow their schema, nothing at all."""


def coded(folder: Path, name: str, registry: str) -> Loaded:
    """The shop under a name, with this registry in its file."""
    file = folder / f"{name}_shop.py"
    text = (HERE / "coded.py").read_text().replace("http://registry:8081", registry)
    file.write_text(text.replace('"coded', f'"{name}'))
    return load(str(file))


def messages(url: str, chargeback: type, payments: int) -> list[tuple[str, str, bytes]]:
    """Payments by two writers, the newer one with other fields in another order; chargebacks; what cannot be read."""
    client, random = SchemaRegistryClient({"url": url}), Random(SEED)
    older, newer = (AvroSerializer(client, json.dumps(schema)) for schema in (OLDER, NEWER))
    told = ProtobufSerializer(chargeback, client, {"use.deprecated.format": False})
    value = SerializationContext("coded", MessageField.VALUE)
    out: list[tuple[str, str, bytes]] = []
    for number in range(payments):
        at, card = BEGIN + timedelta(seconds=10 * number), number % 40
        amount = Decimal(random.randrange(100, 100_000)) / 100
        payment = {"id": f"p-{number}", "card": card, "at": at, "amount": amount, "shop": "s"}
        raw = (newer if number % 3 == 0 and number > payments // 2 else older)(payment, value) or b""
        out.append(("events", str(card), raw))
        label = chargeback(id=f"p-{number}", at=at + timedelta(minutes=5), fraud=amount > 700)
        out.append(("labels", f"p-{number}", told(label, value) or b""))
        if number in (10, 700):
            out += [("events", "", wrong) for wrong in UNREADABLE]
            out.append(("labels", "", b"\x00\x00\x00\x03\xe7xx"))
    return out


def told(letter: DeadLetter) -> tuple[object, ...]:
    return letter.stream, letter.reason, letter.detail, letter.raw, letter.size, letter.sha256


def test_avro_events_and_protobuf_labels_run_on_flink_with_the_dead_letters_of_one_process(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print("seed", SEED)
    with serving() as registry:
        loaded = coded(tmp_path, "coded", registry)
        run = Run.of(loaded, kafka_broker, flink_cluster, Settings(parallelism=2, idle_ms=600_000))
        try:
            run.send(messages(registry, message_of(loaded), PAYMENTS))
            run.taken()
            run.stop(drain=True)
            done = audit(loaded.pipeline, run.connection)
            letters = [wire.decode_dead(message.value) for message in run.of_stream("dead_letters")]
            counted = said(capsys, "dead-letters", loaded, kafka_broker)
            explained = said(capsys, "explain", loaded, kafka_broker, "p-17")
        finally:
            run.end()
        assert done.faults == []
        assert done.sound, done
        assert done.predictions == done.examples == done.answered_again - 2 * len(UNREADABLE) == PAYMENTS
        expected = in_one_process(loaded, run.connection, tmp_path)
    assert sorted(map(told, letters)) == sorted(map(told, expected))
    assert len(letters) == 2 * (len(UNREADABLE) + 1)
    assert counted["total"] == len(letters)
    assert (explained["event"]["id"], explained["event"]["card"], explained["again"]) == ("p-17", 17, "equal")
    details = {letter.detail for letter in letters}
    assert any("its schema is not in the registry" in detail for detail in details), details


def test_a_registry_that_is_down_is_waited_for_and_nothing_is_refused(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path: Path
) -> None:
    schemas: list[dict[str, Any]] = []
    with serving(0, schemas) as registry:
        loaded = coded(tmp_path, "stalled", registry)
        sent = messages(registry, message_of(loaded), 200)
    readable = [one for one in sent if one[2] not in UNREADABLE]
    run = Run.of(loaded, kafka_broker, flink_cluster, Settings(idle_ms=600_000))
    try:
        run.send(readable)
        run.until(lambda: "does not answer" in run.rest.problem(run.id), "failed for want of a registry")
        assert run.of_stream("predictions") == []
        port = urlsplit(registry).port
        assert port is not None
        with serving(port, schemas):
            run.taken()
            run.stop(drain=True)
            done = audit(loaded.pipeline, run.connection)
    finally:
        run.end()
    assert done.sound, done
    assert (done.predictions, done.examples, done.dead) == (200, 200, 0)


def said(capsys: pytest.CaptureFixture[str], command: str, loaded: Loaded, kafka: Kafka, *more: str) -> Any:
    """What a command says of the job, as a program reads it."""
    capsys.readouterr()
    assert main([command, str(loaded.file), *more, "--brokers", kafka.brokers, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def message_of(loaded: Loaded) -> type:
    """The class of the chargebacks."""
    labels = loaded.pipeline.labels
    assert isinstance(labels, KafkaTopic)
    assert isinstance(labels.codec, Protobuf)
    message: type = labels.codec.message
    return message


def in_one_process(loaded: Loaded, connection: Connection, folder: Path) -> list[DeadLetter]:
    """The dead letters of the embedded engine over the same topics."""
    pipeline, store = on_topics(loaded.pipeline, connection.brokers), folder / "same.eddyline"
    with Engine(pipeline, store) as engine:
        replay(engine, folder)
    with closing(Store.read(store)) as opened:
        return [letter for block in opened.blocks() for letter in block.dead]
