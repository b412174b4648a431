"""Real runs for the tests of this room: a pipeline submitted to Flink, fed through Kafka, and brought to rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from tests.cluster.fixtures import flink_cluster, kafka_broker

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import job, operate
from eddyline.engines.flink.audit_topics import Message, Recorded, recorded
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.learn import Request
from eddyline.engines.flink.positions import readings
from eddyline.engines.flink.rest import Rest
from eddyline.pipeline.loading import Loaded

__all__ = ["Run", "flink_cluster", "kafka_broker"]

PATIENCE_S = 300.0


@dataclass
class Run:
    """A pipeline that runs on Flink, its messages sent by hand."""

    loaded: Loaded
    connection: Connection
    rest: Rest
    id: str

    @classmethod
    def of(cls, loaded: Loaded, kafka: Kafka, flink: Flink, settings: Settings) -> Run:
        """Submits a pipeline to the cluster, with topics of two partitions."""
        connection = Connection(kafka.brokers)
        JobTopics.of(loaded.pipeline).ensure(connection, 2)
        return cls(loaded, connection, Rest(flink.rest), operate.submit(loaded, connection, settings, flink.rest))

    def send(self, messages: Iterable[tuple[str, str, bytes]]) -> None:
        """Sends messages (stream, key, value) in order."""
        from confluent_kafka import Producer

        producer = Producer(self.connection.config(**{"linger.ms": 20, "queue.buffering.max.messages": 2_000_000}))
        for number, (stream, key, value) in enumerate(messages):
            producer.produce(f"{self.loaded.pipeline.name}.{stream}", value, key=key)
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0, "the broker did not take all messages"

    def command(self, to: str, version: bytes = b"") -> None:
        """Sends a request of an operator."""
        request = Request(to=to, author="test", reason="a test", version=version)
        self.send([("commands", "", msgspec.json.encode(request))])

    def taken(self) -> None:
        """Waits until a checkpoint holds all that was sent."""
        document = job.remembered(self.rest.about(self.id))
        self.until(
            lambda: not any(one.lag for one in readings(self.connection, document) if one.stream in ("events", "labels")),
            "took all events and labels",
        )

    def until(self, done: Callable[[], bool], words: str) -> None:
        """Waits until something holds; fails, with Flink's words, when the job ended or it took too long."""
        give_up = time.monotonic() + PATIENCE_S
        while not done():
            assert self.rest.state(self.id) in ("RUNNING", "RESTARTING"), self.rest.problem(self.id)
            assert time.monotonic() < give_up, f"the job never {words}; {self.rest.problem(self.id)}"
            time.sleep(0.5)

    def recorded(self) -> dict[str, list[Message]]:
        """What the run recorded so far."""
        run: Recorded = recorded(self.loaded.pipeline, self.connection)
        return {stream: list(messages) for stream, messages in run.items()}

    def of_stream(self, stream: str) -> list[Message]:
        """What one topic holds so far."""
        return list(recorded(self.loaded.pipeline, self.connection)[stream])

    def stop(self, *, drain: bool) -> None:
        """Brings the run to rest."""
        operate.stop(self.loaded.pipeline.name, self.rest.url, drain=drain)

    def end(self) -> None:
        """Ends the job where a test left it running."""
        if self.rest.state(self.id) in ("RUNNING", "RESTARTING"):
            self.rest.cancel(self.id)
