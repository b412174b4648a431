"""Another version answers from here on, asked for through topics: the command, the version it names, and what came of it.

Keeps `named`: what was decided comes back with its revision. The version travels with the command, because scorers that
started later never saw it.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection, library
from eddyline.connectors.kafka.topics import LARGEST
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.learn import Request
from eddyline.engines.flink.looking import FIRST, coming, ends, stored
from eddyline.pipeline import Pipeline
from eddyline.records import Rollout
from eddyline.records.errors import EddylineError, NotFound
from eddyline.stages.commands import LIVE, version_of

_SHOWN = 5


def roll_back(
    pipeline: Pipeline, connection: Connection, to: str, *, author: str, reason: str = "", patience_s: float = 30.0
) -> Rollout:
    """Makes a version answer from here on, and gives the rollout; `to` is `name@position`, or "live" for the learner.

    Scorers take it with the checkpoint in which it was decided. Raises `NotFound` when no such version was published or the
    learner refuses, and `EddylineError` when no job took the command within `patience_s` seconds: it stays in the topic.
    """
    topics = JobTopics.of(pipeline)
    version = b"" if to == LIVE else _published(pipeline, connection, to)
    watched = ends(connection, [topics.out.rollouts, topics.out.dead_letters])
    ends(connection, [topics.commands])
    _post(connection, topics.commands, Request(to=to, author=author, reason=reason, version=version))
    for message in coming(connection, watched, patience_s):
        body = message.value() or b""
        if message.topic() == topics.out.rollouts:
            rollout = wire.decode_rollout(body)
            if (rollout.champion or LIVE, rollout.author, rollout.reason) == (to, author, reason):
                return rollout
        else:
            letter = wire.decode_dead(body)
            if letter.stream == "commands" and letter.event_id == to:
                raise NotFound(f"the learner refused: {letter.detail}\nname another version, or {LIVE} for the learner")
    raise EddylineError(
        f"the command is in {topics.commands} and was not taken within {patience_s:g} s\n"
        f"it takes effect when a job of {pipeline.name} runs; see whether one does: eddyline flink status"
    )


def _published(pipeline: Pipeline, connection: Connection, name: str) -> bytes:
    """A version as it lies in its topic. Raises `NotFound`, saying which there are."""
    version_of(name)
    topic, names, wanted = JobTopics.of(pipeline).out.versions, [], name.encode()
    if topic in connection.known_topics():
        for message in stored(connection, {(topic, 0): FIRST}):
            key: Any = message.key() or b""
            if key == wanted:
                body = message.value() or b""
                wire.decode_version(body)
                return body
            names.append(key.decode())
    known = sorted(set(names), key=lambda one: version_of(one)[1])
    shown = known if len(known) <= 2 * _SHOWN else [*known[:_SHOWN], "...", *known[-_SHOWN:]]
    raise NotFound(
        f"no version {name} was published in {topic}\n"
        f"there {'are' if known else 'is'} {', '.join(shown) or 'none yet'}; or {LIVE} for the learner"
    )


def _post(connection: Connection, topic: str, request: Request) -> None:
    library()
    from confluent_kafka import Producer

    with connection.in_words(f"the command cannot be put into {topic}"):
        producer = Producer(connection.config(acks="all", enable_idempotence=True, message_max_bytes=LARGEST))
        told: list[Any] = []
        producer.produce(
            topic, msgspec.json.encode(request), key=uuid.uuid4().hex, on_delivery=lambda problem, _: told.append(problem)
        )
        until = time.monotonic() + connection.patience_s
        while not told and time.monotonic() < until:
            producer.poll(0.1)
    if not told or told[0] is not None:
        said = connection.scrubbed(told[0].str()) if told else f"no answer within {connection.patience_s:g} s"
        raise EddylineError(f"Kafka at {connection.describe()}: the command cannot be put into {topic} ({said})\ntry again")
