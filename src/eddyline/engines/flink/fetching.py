"""Brings a copy of a job's log up to what its topics hold now.

Reads committed messages from where the copy ends. What was done in one checkpoint is committed at about the same time in all
topics; what the copy still lacks is there the next time. Refuses a log whose beginning the broker has let go of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice

import msgspec

from eddyline.connectors.kafka.connection import Connection, library
from eddyline.engines.flink.copying import STREAMS, LogCopy, Sent
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.looking import FIRST, spans, stored
from eddyline.pipeline import Pipeline
from eddyline.records.errors import SourceError

GULP = 20_000
"""Messages after which what is whole is settled."""
_WHOLE = ("examples", "taken")
"""Streams that are of use only from their first message on."""

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
