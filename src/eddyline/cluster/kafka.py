"""A real Apache Kafka on 127.0.0.1: one process that is broker and controller (KRaft), its data in one folder.

Keeps what exactly-once needs from a broker: transactions, fencing, `read_committed`; a restart keeps every record that was
acknowledged. One node: it replicates nothing, so it is for laptops and tests. Refuses to know Flink and topics.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eddyline.cluster import jars, java, ports
from eddyline.cluster.process import Process
from eddyline.records.errors import EddylineError

READY_SECONDS = 120.0
"""How long a broker may take until it answers."""

_ASK_SECONDS = 1.0
_POLL_SECONDS = 0.1

# A killed broker may come back only after its session has expired: Kafka's own 9 seconds would make each restart that long.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{listen}
advertised.listeners=PLAINTEXT://{host}:{port}{listen}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
_SECURE = """\
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""


@dataclass(frozen=True, slots=True)
class Secure:
    """A second listener beside the plain one: TLS with a certificate, and who may come in by a password.

    `certificate` is a PEM file: the private key (PKCS 8, without a password), then the certificate, for 127.0.0.1. `users`
    come in by PLAIN; users for SCRAM-SHA-512 are made with Kafka's own tools. The passwords are written to `server.properties`:
    this is for trying out settings on a laptop, not for keeping anybody out.
    """

    certificate: Path
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    port: int = field(default_factory=ports.any_free)

    @property
    def brokers(self) -> str:
        """Where clients of this listener connect."""
        return f"{ports.HOST}:{self.port}"

    def properties(self) -> str:
        """The broker's settings for it."""
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        return _SECURE.format(keystore=self.certificate.absolute(), users=users)


class Kafka:
    """One broker; `with Kafka(folder) as kafka:` starts it, waits until it answers and stops it.

    `port` 0 takes a free one. Data, settings, log and pid file are in `folder`; the same folder is the same broker again.
    Needs Java 17 and, the first time, `mvn` and the network. `heap_mb` is the JVM's heap in megabytes, `secure` another
    listener with TLS and passwords.
    """

    def __init__(self, folder: Path, *, port: int = 0, heap_mb: int = 400, secure: Secure | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port or ports.any_free()
        self.heap_mb = heap_mb
        self.secure = secure
        self.process = Process(self.folder, "kafka")
        self._settings = self.folder / "server.properties"
        self._data = self.folder / "data"

    @property
    def brokers(self) -> str:
        """What a client calls bootstrap.servers."""
        return f"{ports.HOST}:{self.port}"

    def __enter__(self) -> Kafka:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the broker on the data of its folder and waits until it answers.

        Raises `EddylineError` when the port is taken, Java or a jar is missing, or it does not answer within two minutes;
        the message then ends with the last lines of its log.
        """
        if self.process.running:
            raise EddylineError(
                f"kafka runs already, as process {self.process.pid}, in {self.folder}\nstop it first: eddyline cluster down"
            )
        ports.demand(self.port, what="kafka", option="--kafka-port")
        program, class_path = java.program(), java.class_path(jars.ready("kafka"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_settings()
        command = [program, java.logging(self.folder), "-cp", class_path]
        if not (self._data / "meta.properties").exists():
            self._format(command)
        heap = [f"-Xmx{self.heap_mb}m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError"]
        self.process.start([command[0], *heap, *command[1:], "kafka.Kafka", str(self._settings)])
        try:
            self._wait()
        except BaseException:
            self.process.kill()  # a start that failed leaves nothing behind
            raise

    def _write_settings(self) -> None:
        listen = f",SECURE://{self.secure.brokers}" if self.secure is not None else ""
        given = {"host": ports.HOST, "port": self.port, "controller": ports.any_free(), "data": self._data, "listen": listen}
        more = self.secure.properties() if self.secure is not None else ""
        self._settings.write_text(_PROPERTIES.format(**given) + more, "utf-8")

    def stop(self) -> bool:
        """Stops it in order (SIGTERM). False when it had to be killed; the data is kept either way."""
        return self.process.stop()

    def restart(self) -> None:
        """Stops it in order where it runs, and starts it again: same port, same data."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Ends it at once (SIGKILL); `start` brings it back on the same data."""
        self.process.kill()

    def pause(self) -> None:
        """Freezes it (SIGSTOP): connections stay open and nothing is answered."""
        self.process.pause()

    def resume(self) -> None:
        """Lets it go on after `pause`."""
        self.process.resume()

    def ready(self) -> bool:
        """Whether it answers now and takes part in its own cluster."""
        return self.process.running and _registered(self.port)

    def _format(self, command: list[str]) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster.startswith("-"):
            cluster = "A" + cluster[1:]  # or the tool would read it as an option
        done = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", str(self._settings)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EddylineError(
                f"kafka: {self._data} cannot be prepared for data\n{(done.stdout + done.stderr).strip()[-2000:]}"
            )

    def _wait(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while not _registered(self.port):
            if not self.process.running:
                raise EddylineError(
                    f"kafka ended while it started; its log {self.process.log} ends\n{self.process.last_words()}"
                )
            if time.monotonic() >= until:
                raise EddylineError(
                    f"kafka does not answer on {self.brokers} after {READY_SECONDS:.0f} s; "
                    f"its log {self.process.log} ends\n{self.process.last_words()}"
                )
            time.sleep(_POLL_SECONDS)


def _registered(port: int) -> bool:
    """Whether a broker on this port names itself among the brokers of its cluster.

    One Metadata request in Kafka's protocol, about no topic: an open port alone would also be shown by a frozen broker,
    and a client library would be a dependency.
    """
    body = struct.pack(">hhihi", 3, 1, 7, -1, 0)  # Metadata, version 1, correlation 7, no client id, no topics
    try:
        with socket.create_connection((ports.HOST, port), timeout=_ASK_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            correlation, brokers = struct.unpack(">4xii", _take(connection, 12))
    except OSError:
        return False
    return bool(correlation == 7 and brokers == 1)


def _take(connection: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        more = connection.recv(size - len(taken))
        if not more:
            raise ConnectionError("the broker closed the connection")
        taken += more
    return taken
