"""Brings a copy of a job's log up to what its topics hold now.

Reads committed messages from where the copy ends. What was done in one checkpoint is committed at about the same time in all
topics; what the copy still lacks is there the next time. Refuses a log whose beginning the broker has let go of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eddyline.connectors.kafka import on_topics, wire
from eddyline.connectors.kafka.connection import Connection, library
from eddyline.engines.flink.copying import STREAMS, LogCopy, Sent
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.looking import FIRST, spans, stored
from eddyline.pipeline import Pipeline
from eddyline.ports import Parted
from eddyline.records import DeadLetter, Prediction
from eddyline.records.errors import Rejected, SourceError

if TYPE_CHECKING:
    from confluent_kafka import Message

GULP = 20_000
"""Messages after which what is whole is settled."""
_WHOLE = ("examples", "taken")
"""Streams that are of use only from their first message on."""


class Answered(NamedTuple):
    """An answer, and when the broker took it (s since 1970)."""

    prediction: Prediction
    at: float


OnProgress = Callable[[int], None]
"""Told how many examples the copy holds."""


def fetch(copy: LogCopy, connection: Connection, on_progress: OnProgress | None = None) -> int:
    """Takes what the topics hold now; gives how many examples came.

    Raises `SourceError` where a topic is missing, does not answer, or does not begin at its first message.
    """
    library()
    came, coming = 0, _messages(copy, connection)
    while some := list(islice(coming, GULP)):
        copy.take(some)
        came += copy.settle()
        if on_progress is not None:
            on_progress(copy.store.examples)
    return came


def answered(pipeline: Pipeline, connection: Connection, events: Collection[str]) -> frozenset[str]:
    """Those of some events that the topic of answers names."""
    library()
    topic, wanted, found = JobTopics.of(pipeline).out.predictions, frozenset(events), set[str]()
    if wanted:
        for message in stored(connection, dict.fromkeys(spans(connection, [topic]), FIRST)):
            found |= {_answer_name(message.value() or b"").event_id} & wanted
            if found == wanted:
                break
    return frozenset(found)


class _AnswerName(msgspec.Struct, frozen=True):
    event_id: str


_answer_name = msgspec.json.Decoder(_AnswerName).decode


def answer_to(pipeline: Pipeline, connection: Connection, event_id: str) -> Answered | None:
    """The answer to an event, from the topic of answers; None where it holds none."""
    topic = JobTopics.of(pipeline).out.predictions
    for message in _naming(connection, topic, event_id):
        prediction = wire.decode_prediction(message.value() or b"")
        if prediction.event_id == event_id:
            kind, at = message.timestamp()
            return Answered(prediction, at / 1000 if kind else 0.0)
    return None


def refused(pipeline: Pipeline, connection: Connection, event_id: str | None = None) -> Iterator[DeadLetter]:
    """What was refused, all or of one event and its labels; in order, partition by partition."""
    topic = JobTopics.of(pipeline).out.dead_letters
    for message in _naming(connection, topic, event_id):
        letter = wire.decode_dead(message.value() or b"")
        if event_id in (None, letter.event_id):
            yield letter


def event_of(pipeline: Pipeline, connection: Connection, event_id: str) -> bytes | None:
    """An event as JSON, as its topic holds it; None where the topic has let go of it, or writes its id in another way."""
    source, needle = on_topics(pipeline, connection.brokers, connection.settings).events, event_id.encode()
    assert isinstance(source, Parted)
    with closing(source.open_parts({}, None, follow=False)) as reader:
        for number, part in reader.parts.items():
            position = reader.starts[number]
            while lines := part.read(position, GULP):
                position = lines[-1].position
                for line in lines:
                    if line.fault is None and needle in line.raw and _is(pipeline, line.raw, event_id):
                        return line.raw
    return None


def _is(pipeline: Pipeline, raw: bytes, event_id: str) -> bool:
    try:
        return pipeline.event_schema.decode(raw).id == event_id
    except Rejected:
        return False


def _naming(connection: Connection, topic: str, event_id: str | None) -> Iterator[Message]:
    """The committed messages of one of our topics, all or those in which an id stands: whose it is, they have to be asked."""
    library()
    needle = b"" if event_id is None else msgspec.json.encode(event_id)
    for message in stored(connection, dict.fromkeys(spans(connection, [topic]), FIRST)):
        if needle in (message.value() or b""):
            yield message


def topics_of(pipeline: Pipeline) -> dict[str, str]:
    """The topics that a copy is made of, by stream."""
    topics = JobTopics.of(pipeline)
    return {word: topics.taken if word == "taken" else str(getattr(topics.out, word)) for word in STREAMS}


def _messages(copy: LogCopy, connection: Connection) -> Iterator[Sent]:
    names = topics_of(copy.pipeline)
    streams, read = {name: word for word, name in names.items()}, copy.offsets
    positions: dict[tuple[str, int], int] = {}
    for (name, number), (low, high) in spans(connection, list(names.values())).items():
        next_one = read.get(f"{streams[name]}/{number}", 0)
        if low > next_one and streams[name] in _WHOLE:
            raise SourceError(
                f"topic {name} begins at message {low} of partition {number}, and the copy ends at {next_one}: the broker let "
                f"go of what is between\na model is made from the whole log; keep it longer: retention.ms of {name}"
            )
        if next_one > high:
            raise SourceError(
                f"topic {name} ends at message {high} of partition {number}, and the copy has read to {next_one}: the topic "
                f"was made anew\nremove the folder {copy.store.path.parent}, and it is copied again"
            )
        positions[name, number] = next_one if next_one > low else FIRST
    for message in stored(connection, positions):
        kind, at = message.timestamp()
        stream, number = streams[str(message.topic())], message.partition() or 0
        yield Sent(stream, number, message.offset() or 0, at / 1000 if kind else 0.0, message.value() or b"")
