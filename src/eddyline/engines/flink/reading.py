"""Events and labels that are not JSON on their way into a job: decoded once, where they are read, by the pipeline's own codec.

`Reader` is what `Door.java` calls for each message: out comes the JSON that every stage reads, or, where the message cannot be
read, a fault: the bytes as they came and what is wrong with them. `Door` is how a host, and the audit, take either. A
registry that does not answer is an error, and the job starts again until it does: nothing is refused because a server was down.

Refuses to know Flink, partitions and keys.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from eddyline.connectors.kafka.codecs import TOMBSTONE, Json, read_value, too_large
from eddyline.connectors.kafka.source import LONGEST, KafkaTopic
from eddyline.engines.flink.batch import pack
from eddyline.engines.flink.shipping import OPENING, unpacked
from eddyline.pipeline import Pipeline
from eddyline.ports import SourceConfig
from eddyline.records import Arrival, DeadLetter, Reason
from eddyline.records.errors import Rejected
from eddyline.stages.refuse import refuse_bytes

Stream = Literal["events", "labels"]
FAULT = b"\x00"
"""With what the bytes of a fault begin: no JSON does."""


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """A message that cannot be read: why, its first bytes, and the size and digest of all of it."""

    reason: str
    detail: str
    raw: bytes
    size: int
    sha256: str


_fault = msgspec.msgpack.Decoder(Fault).decode


class UnreadError(Rejected):
    """This message could not be read where it came in."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason, fault.detail)
        self.fault = fault


class Reader:
    """The messages of one topic as JSON or as faults."""

    def __init__(self, source: SourceConfig) -> None:
        assert isinstance(source, KafkaTopic), "only topics have codecs"
        self._decode = source.codec.open(source.topic)
        self._longest = source.max_message

    def read(self, value: bytes) -> bytes:
        """What the stages are handed. Raises `SourceError` when the registry does not answer."""
        line = read_value(self._decode, self._longest, bytes(value), 0)
        if line.fault is None:
            return line.raw
        return FAULT + pack(Fault(line.fault, line.detail, line.raw, line.size, line.sha256))


class Door:
    """How the records of one stream are taken: `decode` gives the user's type, `letter` says why it could not."""

    def __init__(self, pipeline: Pipeline, stream: Stream) -> None:
        self.stream = stream
        self._schema = pipeline.event_schema.decode if stream == "events" else pipeline.label_schema.decode
        source = source_of(pipeline, stream)
        self._longest = source.max_message if isinstance(source, KafkaTopic) else LONGEST
        self.decode = self._decode if is_coded(source) else self._plain

    def _plain(self, body: bytes) -> Arrival:
        if len(body) > self._longest:
            raise Rejected(Reason.TOO_LARGE.value, too_large(self._longest))
        if not body:
            raise Rejected(Reason.MALFORMED.value, TOMBSTONE)
        return self._schema(body)

    def _decode(self, body: bytes) -> Arrival:
        if body[:1] == FAULT:
            raise UnreadError(_fault(body[1:]))
        return self._schema(body)

    def letter(self, rejected: Rejected, body: bytes, *, event_id: str | None = None) -> DeadLetter:
        """The dead letter of a record that `decode` rejected."""
        if not isinstance(rejected, UnreadError):
            return refuse_bytes(self.stream, rejected.reason, rejected.detail, body, event_id=event_id)
        told = rejected.fault
        letter = refuse_bytes(self.stream, told.reason, told.detail, told.raw, event_id=event_id)
        return msgspec.structs.replace(letter, size=told.size, sha256=told.sha256)


def source_of(pipeline: Pipeline, stream: Stream) -> SourceConfig:
    """Where a stream of a pipeline comes from."""
    return pipeline.events if stream == "events" else pipeline.labels


def is_coded(source: SourceConfig) -> bool:
    """Whether the messages of a source have to be decoded before they are JSON."""
    return isinstance(source, KafkaTopic) and not isinstance(source.codec, Json)


def reader(stream: Stream, plan: bytes) -> Reader:
    """The reader of a stream. What Java calls when a source opens."""
    with OPENING:
        return Reader(source_of(unpacked(plan), stream))
