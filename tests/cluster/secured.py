"""A broker with a second listener: TLS by an authority that is made for the test, and users with passwords."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from tests.cluster.fixtures import need_jars

from eddyline.cluster.kafka import Kafka, Secure

USER, PASSWORD = "scorer", "correct horse battery staple"


@dataclass(frozen=True)
class Secured:
    """The broker, and what a client of its secured listener has to know."""

    kafka: Kafka
    brokers: str
    authority: Path
    stranger: Path
    """an authority that did not sign the broker's certificate"""

    def settings(self, mechanism: str = "SCRAM-SHA-512", **more: str) -> dict[str, str]:
        """librdkafka's settings; `more` with dots as underscores."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": USER,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.authority),
            **{name.replace("_", "."): value for name, value in more.items()},
        }


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """A broker that asks for a password: by PLAIN and by SCRAM-SHA-512."""
    need_jars("kafka")
    authority, stranger = _authority(folder, "authority"), _authority(folder, "stranger")
    secure = Secure(_certificate(folder), {USER: PASSWORD})
    with Kafka(folder / "kafka", secure=secure) as kafka:
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        made = UserScramCredentialUpsertion(USER, how, PASSWORD.encode())
        client = AdminClient({"bootstrap.servers": kafka.brokers})
        for future in client.alter_user_scram_credentials([made]).values():
            future.result(30)
        yield Secured(kafka, secure.brokers, authority, stranger)


def _authority(folder: Path, name: str) -> Path:
    _openssl(folder, "req", "-x509", *_KEY, f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", "2")
    return folder / f"{name}.pem"


def _certificate(folder: Path) -> Path:
    """The broker's key and certificate in one file."""
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(folder, "req", *_KEY, "broker.key", "-out", "broker.csr", "-subj", "/CN=broker")
    by = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial")
    _openssl(folder, "x509", "-req", "-in", "broker.csr", *by, "-days", "2", "-extfile", "names", "-out", "broker.crt")
    whole = folder / "broker.pem"
    whole.write_text((folder / "broker.key").read_text() + (folder / "broker.crt").read_text())
    return whole


_KEY = ("-newkey", "rsa:2048", "-nodes", "-keyout")


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
