"""How Kafka is reached: security passes through, secrets stay secret, and what is ours to set is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from eddyline import EpochSeconds, Event, Id, kafka
from eddyline.connectors.kafka import Connection, read_properties
from eddyline.records.errors import DeclarationError, SourceError

SECURE = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "scorer",
    "sasl.password": "hunter2",
    "ssl.ca.location": "/etc/kafka/ca.pem",
    "ssl.key.password": "correct horse",
}


class Payment(Event):
    """What happens."""

    id: Id
    at: EpochSeconds


def test_security_settings_reach_librdkafka_as_they_are() -> None:
    given = Connection("kafka:9093", SECURE).config()
    assert {name: given[name] for name in SECURE} == SECURE
    assert given["bootstrap.servers"] == "kafka:9093"


@pytest.mark.parametrize("name", ["enable.auto.commit", "isolation.level", "group.id", "transactional.id", "auto.offset.reset"])
def test_settings_that_keep_our_promises_are_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match=f"{name} is not yours to set"):
        kafka("payments", Payment, settings={name: "x"})


def test_secrets_are_in_no_word_about_a_source() -> None:
    source = kafka("payments", Payment, brokers="kafka:9093", settings=SECURE)
    words = f"{source!r} {source.describe()} {source.connection}"
    assert "SASL_SSL" in words
    assert "hunter2" not in words
    assert "correct horse" not in words


def test_secrets_are_not_in_what_librdkafka_says() -> None:
    connection = Connection("kafka:9093", {**SECURE, "sasl.mechanism": "hunter2"})
    with pytest.raises(SourceError) as caught:
        connection.consumer("g")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(SourceError, match=r"sasl\.pasword"):
        Connection("kafka:9093", {"sasl.pasword": "hunter2"}).consumer("g")


def test_brokers_come_from_the_environment_where_nobody_says_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDDYLINE_BROKERS", "far:9092")
    assert Connection().config()["bootstrap.servers"] == "far:9092"
    monkeypatch.delenv("EDDYLINE_BROKERS")
    with pytest.raises(SourceError, match="no Kafka brokers are given"):
        Connection().config()


def test_a_file_of_settings_says_which_line_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# ours\nsecurity.protocol=SSL\nhunter2\n")
    with pytest.raises(DeclarationError, match=r"kafka\.properties, line 3: no name=value") as caught:
        read_properties(file)
    assert "hunter2" not in str(caught.value)
