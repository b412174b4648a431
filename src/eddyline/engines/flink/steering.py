"""What operators ask of a job, through topics: the command, the version it names, and what came of it.

Keeps `named`: what was decided comes back with its revision. The version travels with the command, because scorers that
started later never saw it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection, library
from eddyline.connectors.kafka.deltas import Reader
from eddyline.connectors.kafka.topics import LARGEST
from eddyline.connectors.kafka.wire import Told
from eddyline.engines.flink.audit_topics import place_of
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.learn import ROOM, Request
from eddyline.engines.flink.looking import FIRST, coming, ends, stored
from eddyline.engines.flink.per_key import learned_where_served
from eddyline.engines.flink.per_key_version import made_again
from eddyline.pipeline import Pipeline
from eddyline.records import DeadLetter, Decision, Rollout
from eddyline.records.errors import EddylineError, NotFound
from eddyline.stages.commands import LIVE, Command, version_of

_SHOWN = 5


def roll_back(
    pipeline: Pipeline,
    connection: Connection,
    to: str,
    *,
    author: str,
    reason: str = "",
    patience_s: float = 30.0,
    say: Callable[[str], object] = lambda _: None,
) -> Rollout:
    """Makes a version answer from here on, and gives the rollout; `to` is `name@position`, or "live" for the learner.

    Scorers take it with the checkpoint in which it was decided. Where there is one model per key, any position will do: the
    version is made again from the examples, which takes as long as learning them; `say` is told so. Raises `NotFound` when
    there is no such version or the learner refuses, and `EddylineError` when no job took the command within `patience_s`
    seconds: it stays in the topic.
    """
    topics, version = JobTopics.of(pipeline), b"" if to == LIVE else _version(pipeline, connection, to, say)
    command = Command(to=to, author=author, reason=reason)

    def came(topic: str, body: bytes) -> Rollout | None:
        rollout = wire.decode_rollout(body) if topic == topics.out.rollouts else None
        mine = rollout is not None and (rollout.champion or LIVE, rollout.author, rollout.reason) == (to, author, reason)
        return rollout if mine else None

    return _asked(pipeline, connection, command, version, topics.out.rollouts, came, patience_s)


def ask(
    pipeline: Pipeline, connection: Connection, command: Command, *, version: bytes = b"", patience_s: float = 30.0
) -> Decision:
    """Asks the job for anything that an operator may ask for, and gives the decision that records it.

    Choose it for approvals, seats, freezing and lines that enter. Where the command names a version, its bytes travel with it:
    those that were published or can be made again, or `version`, a message as `wire.encode_version` makes it, for one that
    comes from elsewhere. `observe` comes to no decision and cannot be asked for here. Raises `NotFound` when the job refuses,
    and `EddylineError` when none took it within `patience_s` seconds.
    """
    if command.do == "observe":
        raise EddylineError("observe is what engines tell; it comes to no decision\nask for something that an operator decides")
    topics, named = JobTopics.of(pipeline), _named(command)
    if named is not None and not version:
        version = _version(pipeline, connection, named)

    def came(topic: str, body: bytes) -> Decision | None:
        decision = wire.decode_decision(body) if topic == topics.decisions else None
        return decision if decision is not None and _records(decision, command) else None

    return _asked(pipeline, connection, command, version, topics.decisions, came, patience_s)


def _named(command: Command) -> str | None:
    """The version that a command names."""
    names = (command.entry.start,) if command.entry else (command.place.who,) if command.place else (command.to,)
    return next((name for name in names if "@" in name and command.do in ("enter", "roll_out")), None)


def _records(decision: Decision, command: Command) -> bool:
    """Whether a decision is what became of a command."""
    if decision.author != command.author:
        return False
    if command.do in ("approve", "reject"):
        status = "approved" if command.do == "approve" else "rejected"
        return decision.status == status and decision.evidence.get("proposal") == command.number
    if (decision.policy, decision.action, decision.reason) != ("operator", command.do, command.reason):
        return False
    return command.do not in ("enter", "hold") or decision.subject == about(command)


def about(command: Command) -> str:
    """Whom a command is about."""
    if command.entry is not None:
        return command.entry.name
    return command.to if command.place is None else command.place.who


_Came = TypeVar("_Came", Rollout, Decision)


def _asked(
    pipeline: Pipeline,
    connection: Connection,
    command: Command,
    version: bytes,
    topic: str,
    came: Callable[[str, bytes], _Came | None],
    patience_s: float,
) -> _Came:
    """Posts a command, and waits for what became of it in `topic`, or among the dead letters."""
    topics = JobTopics.of(pipeline)
    watched = ends(connection, [topic, topics.out.dead_letters])
    ends(connection, [topics.commands])
    _post(connection, topics.commands, Request.of(command, version))
    for message in coming(connection, watched, patience_s):
        body = message.value() or b""
        if message.topic() == topics.out.dead_letters:
            letter = wire.decode_dead(body)
            if letter.stream == "commands" and _is(letter, command):
                raise NotFound(f"the learner refused: {letter.detail}\nname another version, or {LIVE} for the learner")
        elif (found := came(str(message.topic()), body)) is not None:
            return found
    raise EddylineError(
        f"the command is in {topics.commands} and was not taken within {patience_s:g} s\n"
        f"it takes effect when a job of {pipeline.name} runs; see whether one does: eddyline flink status"
    )


def _is(letter: DeadLetter, command: Command) -> bool:
    """Whether this is the refusal of a command."""
    try:
        return msgspec.json.decode(letter.raw, type=Command) == command
    except msgspec.MsgspecError:
        return False


def _version(pipeline: Pipeline, connection: Connection, name: str, say: Callable[[str], object] = lambda _: None) -> bytes:
    """A version, whole: as it was published; of models per key, made again from the examples where it was not."""
    (line, position), topics = version_of(name), JobTopics.of(pipeline).out
    keyed = line == pipeline.name and learned_where_served(pipeline)
    if not keyed or any(key == name for key, _ in _versions(connection, topics.versions)):
        return _published(pipeline, connection, name)
    fresh = _published(pipeline, connection, f"{line}@0")
    say(f"{name} was not published: its models are made again from {topics.examples}")
    parts = {(topics.examples, number): FIRST for number in range(connection.known_topics().get(topics.examples, 0))}
    with closing(stored(connection, parts)) as messages:
        examples = ((one.value() or b"", place_of(one)) for one in messages)
        return made_again(pipeline, position, examples, fresh)


def _published(pipeline: Pipeline, connection: Connection, name: str) -> bytes:
    """A version from its topic, whole: scorers that start later have nothing to put a patch on.

    Raises `NotFound`, saying which there are.
    """
    version_of(name)
    topic, told, found = JobTopics.of(pipeline).out.versions, dict[str, list[Told]](), list[bytes]()
    for key, body in _versions(connection, topic):
        told.setdefault(key, []).append(wire.peek_version(body))
        if key == name:
            found.append(body)
            if told[key][-1].whole:
                break
    if found:
        return _whole(connection, topic, found[-1], told)
    known = sorted(told, key=lambda one: version_of(one)[1])
    shown = known if len(known) <= 2 * _SHOWN else [*known[:_SHOWN], "...", *known[-_SHOWN:]]
    raise NotFound(
        f"no version {name} was published in {topic}\n"
        f"there {'are' if known else 'is'} {', '.join(shown) or 'none yet'}; or {LIVE} for the learner"
    )


def _versions(connection: Connection, topic: str) -> Iterator[tuple[str, bytes]]:
    """The messages of a topic of versions, each with the name of its version."""
    if topic in connection.known_topics():
        for message in stored(connection, {(topic, 0): FIRST}):
            key: Any = message.key() or b""
            if body := message.value():  # else a tombstone: somebody deleted it
                yield key.decode(), body


def _whole(connection: Connection, topic: str, body: bytes, told: Mapping[str, Sequence[Told]]) -> bytes:
    """The same version as it can be read by itself; `told` is what is known of all others. Reads those again that it takes."""
    one: Told | None = wire.peek_version(body)
    taken: dict[str, list[bytes]] = {}
    while one is not None and one.base is not None:
        name, wanted = f"{one.model}@{one.base}", one.base_sum
        taken[name] = []
        one = next((base for base in told.get(name, ()) if base.sum == wanted), None)
    if taken:
        for key, raw in _versions(connection, topic):
            if key in taken:
                taken[key].append(raw)
    return Reader().whole(body, lambda line, position: taken.get(f"{line}@{position}", ()))


def _post(connection: Connection, topic: str, request: Request) -> None:
    library()
    from confluent_kafka import KafkaError, Producer

    brought = f"the command brings a version of {len(request.version):,} bytes"
    if len(request.version) > ROOM:
        raise EddylineError(f"{brought}, and a command takes at most {ROOM:,} along\nname another version, or {LIVE}")
    with connection.in_words(f"the command cannot be put into {topic}"):
        producer = Producer(connection.config(acks="all", enable_idempotence=True, message_max_bytes=LARGEST))
        told: list[Any] = []
        producer.produce(
            topic, msgspec.json.encode(request), key=uuid.uuid4().hex, on_delivery=lambda problem, _: told.append(problem)
        )
        until = time.monotonic() + connection.patience_s
        while not told and time.monotonic() < until:
            producer.poll(0.1)
    if told and told[0] is not None and told[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
        raise EddylineError(
            f"{brought}, and {topic} takes no message so large\n"
            f"  kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config max.message.bytes={LARGEST}"
        )
    if not told or told[0] is not None:
        said = connection.scrubbed(told[0].str()) if told else f"no answer within {connection.patience_s:g} s"
        raise EddylineError(f"Kafka at {connection.describe()}: the command cannot be put into {topic} ({said})\ntry again")
