"""How the jobs of a pipeline stand: what Flink says of them, how far they have read, and what the learner has reached."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.connectors.kafka.topics import Topics
from eddyline.engines.flink import job
from eddyline.engines.flink.looking import last
from eddyline.engines.flink.operate import Job, running
from eddyline.engines.flink.positions import TIMED, Reading, readings
from eddyline.engines.flink.rest import DEFAULT, Rest
from eddyline.pipeline.turning import challengers_in
from eddyline.records import ModelVersion, Rollout
from eddyline.records.errors import SourceError

_LOOK_BACK = 4
"""Versions of each line that are looked at for the newest: a rollback tells an older one again."""


@dataclass(frozen=True)
class Checkpoint:
    """The last checkpoint that was completed; `age_s` is how much would be done again after a failure."""

    path: str
    bytes: int
    took_ms: int
    age_s: float


@dataclass(frozen=True)
class Begun:
    """The newest checkpoints that began, as far back as Flink remembers: how many, how many of them failed, and why the last.

    What Flink refused to trigger is not among them: it counts that as failed, but until all tasks run, and while a job starts
    again, there is nothing to checkpoint.
    """

    newest: int = 0
    failed: int = 0
    why: str | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Begun:
        """From what `/jobs/ID/checkpoints` says: a checkpoint that began has an id, and is in its history.

        >>> starting = {"counts": {"total": 52, "failed": 50}, "history": [{"id": 1, "status": "COMPLETED"}]}
        >>> Begun.of({**starting, "latest": {"failed": None}})
        Begun(newest=1, failed=0, why=None)
        >>> late = {"id": 2, "status": "FAILED", "failure_message": "Checkpoint expired before completing."}
        >>> Begun.of({"history": [late, {"id": 1, "status": "COMPLETED"}]})
        Begun(newest=2, failed=1, why='Checkpoint expired before completing.')
        """
        begun = [one for one in told["history"] if one["status"] in ("COMPLETED", "FAILED")]
        failed = [one for one in begun if one["status"] == "FAILED"]
        return cls(len(begun), len(failed), failed[0].get("failure_message") if failed else None)


@dataclass(frozen=True)
class Standing:
    """One job as it is now."""

    pipeline: str
    name: str
    job: str
    state: str
    parallelism: int
    parts: str
    digest: str
    uptime_s: float
    restarts: int
    checkpoints: int
    checkpoints_begun: Begun
    checkpoint: Checkpoint | None
    problem: str | None
    """the last failure, in words, while the job does not run"""
    given_up: int = 0
    """transactions that the broker ended before they could be committed, since the tasks last started: nobody can read them"""
    lag: dict[str, int] = field(default_factory=dict)
    """messages of each topic that were not read by the last checkpoint"""
    read: dict[str, int] = field(default_factory=dict)
    version: str | None = None
    """the newest version of the pipeline's own line that was published; the learner is there or beyond"""
    learner: int = 0
    beside: list[str] = field(default_factory=list)
    """the newest version of each other line that answers or is asked"""
    champion: str | None = None
    """the version that was chosen to answer; None: the learner, as it is published"""
    revision: int = 0
    per_key: bool = False
    """whether each key's model answers as far as it has learned: then no version is published but those that were asked for"""
    unseen: str | None = None
    """why nothing can be said about topics: the brokers do not answer"""


def status(name: str | None = None, rest_url: str = DEFAULT, settings: Mapping[str, str] | None = None) -> list[Standing]:
    """How the jobs stand that have not ended: all of ours, or those of one pipeline.

    Brokers are those that the job reads from; `settings` are Kafka's security settings, which it does not tell. Where no broker
    answers, what Flink says is told all the same, and `unseen` says why the rest is not. Raises `FlinkError` when no
    Flink answers.
    """
    rest = Rest(rest_url)
    return [_seen(rest, it, settings) for it in running(rest, name)]


def standing(rest: Rest, it: Job, settings: Mapping[str, str] | None = None) -> Standing:
    """How one job stands. Raises `SourceError` when no broker answers."""
    seen = _of_flink(rest, it)
    return _on_topics(seen, it, settings) if it.about else seen


def _seen(rest: Rest, it: Job, settings: Mapping[str, str] | None) -> Standing:
    seen = _of_flink(rest, it)
    try:
        return _on_topics(seen, it, settings) if it.about else seen
    except SourceError as error:
        return replace(seen, unseen=str(error))


def _of_flink(rest: Rest, it: Job) -> Standing:
    """What Flink says of a job."""
    found, told = rest.get(f"/jobs/{it.id}"), rest.get(f"/jobs/{it.id}/checkpoints")
    parallelism = max((vertex["parallelism"] for vertex in found["vertices"]), default=0)
    restarts = rest.get(f"/jobs/{it.id}/metrics?get=numRestarts")
    healthy = found["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in found["vertices"])
    return Standing(
        pipeline=it.pipeline,
        name=it.name,
        job=it.id,
        state=found["state"],
        parallelism=parallelism,
        parts=it.about.get("eddyline.parts", ""),
        digest=it.about.get("eddyline.digest", ""),
        uptime_s=found["duration"] / 1000,
        restarts=int(float(restarts[0]["value"])) if restarts else 0,
        checkpoints=told["counts"]["completed"],
        checkpoints_begun=Begun.of(told),
        checkpoint=_checkpoint(told["latest"].get("completed")),
        problem=None if healthy else rest.problem(it.id),
        given_up=rest.given_up(it.id, found["vertices"]),
    )


def _checkpoint(completed: Mapping[str, Any] | None) -> Checkpoint | None:
    if completed is None:
        return None
    age_s = time.time() - completed["latest_ack_timestamp"] / 1000
    return Checkpoint(
        completed["external_path"], completed["state_size"], completed["end_to_end_duration"], round(max(0.0, age_s), 1)
    )


def _on_topics(seen: Standing, it: Job, settings: Mapping[str, str] | None) -> Standing:
    document = job.remembered(it.about)
    connection = Connection(document["brokers"], dict(settings or {}))
    read: list[Reading] = [one for one in readings(connection, document) if one.stream in TIMED]
    out = Topics.of(it.pipeline)
    rollout = next((wire.decode_rollout(raw) for one in last(connection, out.rollouts, 1) if (raw := one.value())), None)
    others = _others(it, rollout)
    newest = newest_versions(connection, out.versions, [it.pipeline, *others])
    own = newest.get(it.pipeline)
    return replace(
        seen,
        lag={one.topic: one.lag for one in read},
        read={one.topic: one.position for one in read},
        version=own.name if own else None,
        learner=own.position if own else 0,
        beside=[newest[line].name for line in others if line in newest],
        champion=rollout.champion if rollout else None,
        revision=rollout.revision if rollout else 0,
        per_key=bool(document.get("per_key")),
    )


def _others(it: Job, rollout: Rollout | None) -> list[str]:
    """The lines beside the pipeline's own that answer or are asked: those that are declared, until somebody decided."""
    if rollout is None:
        declared = challengers_in({"challengers": it.about.get("eddyline.meaning.challengers", "null")})
        return [f"{it.pipeline}.{name}" for name in declared]
    who = (rollout.champion or it.pipeline, *(place.who for place in rollout.places))
    return [line for line in dict.fromkeys(one.partition("@")[0] for one in who) if line != it.pipeline]


def newest_versions(connection: Connection, topic: str, lines: Collection[str]) -> dict[str, ModelVersion]:
    """The newest published version of each of these lines, all of which publish with every checkpoint."""
    messages = last(connection, topic, _LOOK_BACK * len(lines))
    told = [wire.registered(raw) for one in messages if (raw := one.value())]
    return {one.model: one for one in sorted(told, key=lambda one: one.position) if one.model in lines}
