"""An engine on a broker that asks for TLS and a password: what comes through, and what is said when it is the wrong one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.secured import PASSWORD, Secured, secured
from tests.engines import kafka_shop as shop

from eddyline.connectors.kafka import make_topics, on_topics
from eddyline.engines.embedded import Engine, replay
from eddyline.engines.embedded.publish import publishing
from eddyline.records.errors import SourceError


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The broker of this room."""
    with secured(tmp_path_factory.mktemp("secured")) as made:
        yield made


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_an_engine_reads_and_publishes_with_a_password_over_tls(broker: Secured, tmp_path: Path, mechanism: str) -> None:
    name = f"secure-{mechanism.lower()}"
    shop.make(broker.kafka.brokers, **{f"{name}_events": 2, f"{name}_labels": 2})
    shop.send(broker.kafka.brokers, name, range(200))
    pipeline = on_topics(shop.pay.replace(name=name), broker.brokers, broker.settings(mechanism))
    with Engine(pipeline, tmp_path / "secure.eddyline") as engine, publishing(engine) as publisher:
        progress = replay(engine, tmp_path, publisher=publisher)
    assert publisher is not None
    publisher.check()
    assert progress.predictions == 200
    assert len(shop.values(broker.kafka.brokers, f"{name}.predictions")) == 200
    assert PASSWORD not in f"{pipeline!r} {pipeline.events.describe()}"


def refused(broker: Secured, **settings: str) -> str:
    """What is said to who asks with these settings, within ten seconds."""
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        make_topics(on_topics(shop.pay, broker.brokers, broker.settings(**settings)))
    assert time.monotonic() - began < 10
    said = str(caught.value)
    assert PASSWORD not in said
    assert caught.value.__cause__ is None
    return said


@pytest.mark.alone
def test_a_wrong_password_is_named(broker: Secured) -> None:
    said = refused(broker, sasl_password="hunter2")
    assert "sasl.username" in said
    assert "sasl.password" in said
    assert "hunter2" not in said


@pytest.mark.alone
def test_a_broker_whose_authority_is_not_trusted_is_named(broker: Secured) -> None:
    assert "ssl.ca.location" in refused(broker, ssl_ca_location=str(broker.stranger))


@pytest.mark.alone
def test_a_mechanism_that_the_broker_does_not_know_is_named(broker: Secured) -> None:
    assert "sasl.mechanism" in refused(broker, sasl_mechanism="SCRAM-SHA-256")


@pytest.mark.alone
def test_a_client_without_tls_is_told_to_use_it(broker: Secured) -> None:
    assert "security.protocol" in refused(broker, security_protocol="SASL_PLAINTEXT")
