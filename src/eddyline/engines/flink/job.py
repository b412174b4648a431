"""What a job is told: topics, fields, stages and settings, as one document that `Job.java` reads.

Everything a job does follows from the pipeline and these few settings. What Flink cannot do yet is refused here, before
anything is submitted. A running job carries its own document, without secrets, in what it says about itself: so it can be
started again, elsewhere or wider, by who has no file.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import zstandard

from eddyline.connectors.kafka.connection import Connection
from eddyline.connectors.kafka.source import KafkaTopic
from eddyline.connectors.kafka.topics import Topics, ensure, misfits
from eddyline.engines.flink import shipping
from eddyline.engines.flink.batch import Kind, milliseconds
from eddyline.engines.flink.declared import By, words_of
from eddyline.engines.flink.per_key import Bridges, learned_where_served, require_servable
from eddyline.engines.flink.reading import is_coded
from eddyline.engines.flink.taken import decides
from eddyline.pipeline import Pipeline
from eddyline.pipeline.loading import Loaded
from eddyline.pipeline.meaning import meaning
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.records.schema import Schema
from eddyline.records.time import to_us

Part = Literal["serve", "learn"]
MAIN = "eddyline.Job"
STATE = "3"
"""The layout of what the hosts keep in a savepoint."""
READABLE = ("2", STATE)
"""The layouts that are read; 2 is without the words of the declaration, so no other one can be taken up from it."""
CHECKPOINTS = "execution.checkpointing.dir"
INTERVAL = "execution.checkpointing.interval"
PAUSE = "execution.checkpointing.min-pause"
TIMEOUT = "execution.checkpointing.timeout"
_DEPLOYED = (
    INTERVAL,
    PAUSE,
    TIMEOUT,
    "execution.checkpointing.tolerable-failed-checkpoints",
    "execution.checkpointing.externalized-checkpoint-retention",
    "restart-strategy.exponential-delay.initial-backoff",
    "restart-strategy.exponential-delay.max-backoff",
)
"""Settings that a deployment has an opinion about; the rest is what our stages need."""
_ITSELF = "eddyline.specification"
LAYOUT = "eddyline.layout"
"""Where a job says how its watch's memory lies, and by what events are named by segment."""
_LARGEST = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a pipeline runs on Flink. None of it changes an answer.

    `parallelism` is how many instances answer and join. `checkpoint_ms` is how often what was done becomes visible, and a
    new version reaches the scorers. `parts` is ("serve", "learn") for one job, or one of them for a job of its own.
    `batch` records or `batch_ms` milliseconds are handed to Python together. `idle_ms` is how long a quiet topic holds
    event time back, `drift_ms` how far one topic may run ahead of the other, in event time. `transaction_timeout_ms` is how
    long the broker keeps answers that a job away could not commit; it may not exceed the broker's `transaction.max.timeout.ms`.
    `skip_deleted` goes on where a topic no longer holds what was not read, for this start: those records are lost. A topic that
    was made again is read from its beginning; models per key go on past examples that the broker gave up.

    >>> Settings(parallelism=2).parts
    ('serve', 'learn')
    """

    parallelism: int = 1
    checkpoint_ms: int = 1_000
    parts: tuple[Part, ...] = ("serve", "learn")
    batch: int = 1_000
    batch_ms: int = 5
    idle_ms: int = 5_000
    drift_ms: int = 3_600_000
    transaction_timeout_ms: int = 900_000
    skip_deleted: bool = False
    flink: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.parallelism <= 128:
            raise DeclarationError(f"parallelism={self.parallelism}: a state has 128 shards\nwrite a number from 1 to 128")
        if not self.parts or not set(self.parts) <= {"serve", "learn"}:
            raise DeclarationError(f"parts={self.parts!r}\nwrite ('serve', 'learn'), ('serve',) or ('learn',)")


@dataclass(frozen=True)
class JobTopics:
    """The topics of a job by role: those of the pipeline's name, but events and labels as the pipeline says."""

    events: str
    labels: str
    out: Topics

    @property
    def commands(self) -> str:
        """Where operators' requests go."""
        return self.out.rollouts.removesuffix(".rollouts") + ".commands"

    @property
    def decisions(self) -> str:
        """What was decided, by whom, on what evidence."""
        return self.out.decisions

    @property
    def taken(self) -> str:
        """In which order whoever learns and decides took its inputs."""
        return self.out.rollouts.removesuffix(".rollouts") + ".taken"

    @classmethod
    def of(cls, pipeline: Pipeline) -> JobTopics:
        """The conventional topics; a source that is a topic keeps its own name."""
        out = Topics.of(pipeline.name)
        events = pipeline.events.topic if isinstance(pipeline.events, KafkaTopic) else out.events
        labels = pipeline.labels.topic if isinstance(pipeline.labels, KafkaTopic) else out.labels
        return cls(events, labels, out)

    def ensure(self, connection: Connection, partitions: int = -1) -> None:
        """Makes the topics that are missing."""
        ensure(connection, self.out, [self.events, self.labels], partitions=partitions)
        ensure(connection, self.out, [n for n in self.out.outputs() if n != self.out.published], partitions=partitions)
        ensure(connection, self.out, [self.commands, self.taken], partitions=1)

    def misfits(self, connection: Connection) -> list[str]:
        """What is wrong with those of ours that somebody else made, in words."""
        ours = [name for name in self.out.outputs() if name != self.out.published]
        return misfits(connection, self.out, [*ours, self.commands, self.taken])


def specification(
    loaded: Loaded,
    connection: Connection,
    settings: Settings,
    python: Path,
    checkpoints: str | None = None,
    by: By | None = None,
    over: Bridges | None = None,
) -> dict[str, Any]:
    """The document for `Job.java`. Raises `DeclarationError` for what Flink cannot do.

    `checkpoints` is the folder for this job's checkpoints, as a URI; None leaves it to the cluster. `by` is who asks, for the
    record of what another declaration changes; `over` how models per key get past examples that the broker gave up.
    """
    pipeline, topics = loaded.pipeline, JobTopics.of(loaded.pipeline)
    require_servable(pipeline)
    parts, (serve_by, owner) = "+".join(settings.parts), partition(pipeline)
    document: dict[str, Any] = {
        "name": job_name(pipeline.name, settings.parts),
        "about": {
            "eddyline.pipeline": pipeline.name,
            "eddyline.digest": pipeline.digest,
            "eddyline.parts": parts,
            "eddyline.state": STATE,
            LAYOUT: msgspec.json.encode(words_of(pipeline).kept).decode(),
        }
        | {f"eddyline.meaning.{name}": text for name, text in meaning(pipeline).items()},
        "brokers": connection.config()["bootstrap.servers"],
        "kafka": _java_settings(connection),
        "parallelism": settings.parallelism,
        "parts": list(settings.parts),
        "decides": decides(pipeline.plan()),
        "per_key": learned_where_served(pipeline),
        "serve_by": serve_by,
        "serve_parallelism": 1 if serve_by == "NOBODY" else settings.parallelism,
        **_streams(pipeline, topics, owner),
        "decoded": [word for word, source in (("events", pipeline.events), ("labels", pipeline.labels)) if is_coded(source)],
        "ahead_ms": milliseconds(to_us(pipeline.ahead)),
        "idle_ms": settings.idle_ms,
        "drift_ms": settings.drift_ms,
        "transaction_timeout_ms": str(settings.transaction_timeout_ms),
        "skip_deleted": settings.skip_deleted,
        "transactions": f"eddyline.{pipeline.name}.{parts}",
        "python": {
            "python.executable": str(python),
            "python.execution-mode": "thread",
            "python.fn-execution.bundle.size": str(settings.batch),
            "python.fn-execution.bundle.time": str(settings.batch_ms),
        },
        "flink": _flink(settings) | ({} if checkpoints is None else {CHECKPOINTS: checkpoints}),
        "plan": msgspec.json.decode(shipping.packed(loaded, by, over)),
    }
    return _with_itself(document)


def _streams(pipeline: Pipeline, topics: JobTopics, owner: str) -> dict[str, Any]:
    """Which topics are read, what their records' fields are called, and where each kind of record goes."""
    out = topics.out
    return {
        "topics": {
            "events": topics.events,
            "labels": topics.labels,
            "predictions": out.predictions,
            **({"examples": out.examples} if learned_where_served(pipeline) else {}),
            "versions": out.versions,
            "rollouts": out.rollouts,
            "commands": topics.commands,
            "dead_letters": out.dead_letters,
        },
        "fields": {
            "events": _fields(pipeline.event_schema, owner, to_us(pipeline.lateness)),
            "labels": _fields(pipeline.label_schema, "", to_us(pipeline.join.lateness)),
            "predictions": {
                "id": "event_id",
                "key": "key",
                "at": "at",
                "usual": "",
                "zone": "",
                "unit": 1,
                "lateness_ms": milliseconds(to_us(pipeline.lateness)),
            },
        },
        "sinks": {
            str(int(kind)): name
            for kind, name in (
                (Kind.PREDICTION, out.predictions),
                (Kind.EXAMPLE, out.examples),
                (Kind.VERSION, out.versions),
                (Kind.ROLLOUT, out.rollouts),
                (Kind.MEASUREMENT, out.measurements),
                (Kind.ALERT, out.measurements),
                (Kind.DECISION, topics.decisions),
                (Kind.TAKEN, topics.taken),
                (Kind.DEAD, out.dead_letters),
            )
        },
    }


def job_name(pipeline: str, parts: tuple[Part, ...]) -> str:
    """What a job is called in Flink, and what its groups in Kafka begin with.

    >>> job_name("fraud", ("serve", "learn")), job_name("fraud", ("learn",))
    ('fraud', 'fraud.learn')
    """
    return pipeline if set(parts) == {"serve", "learn"} else f"{pipeline}.{'+'.join(parts)}"


def remembered(about: Mapping[str, str]) -> dict[str, Any]:
    """The document of a job, from what it says about itself; the values of Kafka's settings are empty.

    Raises `StoreMismatch` when it does not say.
    """
    if _ITSELF not in about:
        raise StoreMismatch(
            "this job does not say what it was told: another Eddyline submitted it\n"
            "stop it and submit the file again: eddyline flink stop NAME; eddyline flink submit FILE --savepoint PATH"
        )
    raw = zstandard.ZstdDecompressor().decompress(base64.b64decode(about[_ITSELF]), max_output_size=_LARGEST)
    found: dict[str, Any] = msgspec.json.decode(raw)
    return found


def again(about: Mapping[str, str], connection: Connection, python: Path, parallelism: int | None = None) -> dict[str, Any]:
    """The document of a job as it runs, to start it again, with another parallelism where one is given.

    `connection` brings the security settings, which a job does not tell. Raises `DeclarationError` when they are missing.
    """
    document, kafka = remembered(about), _java_settings(connection)
    missing = sorted(set(document["kafka"]) - set(kafka))
    if missing:
        raise DeclarationError(
            f"the job was submitted with settings that it does not tell: {', '.join(missing)}\n"
            "give them again: --kafka-config FILE"
        )
    if parallelism is not None:
        Settings(parallelism=parallelism)
        document["parallelism"] = parallelism
        document["serve_parallelism"] = 1 if document["serve_by"] == "NOBODY" else parallelism
    document["python"]["python.executable"] = str(python)
    said = {name: text for name, text in about.items() if name != _ITSELF}
    document["skip_deleted"] = False  # it was said for one start
    return _with_itself(document | {"kafka": kafka, "about": said})


def reading(document: Mapping[str, Any], ids: Mapping[str, str], anew: Mapping[str, str]) -> dict[str, Any]:
    """The document, told the ids of its topics, and by stream those that were made again and are read from their beginning."""
    said = {name: text for name, text in document["about"].items() if name != _ITSELF}
    return _with_itself(dict(document) | {"topic_ids": dict(ids), "anew": dict(anew), "about": said})


def running_settings(document: Mapping[str, Any]) -> Settings:
    """The settings that a job runs with, from its document: what an upgrade keeps where nothing else is said.

    >>> running_settings({"parallelism": 2, "parts": ["learn"], "flink": {"a": "b"}, "idle_ms": 70}).flink
    {'a': 'b'}
    """
    usual, flink = Settings(), dict(document["flink"])
    interval = flink.get(INTERVAL, "").removesuffix(" ms")
    checkpoint_ms = int(interval) if interval.isdecimal() else usual.checkpoint_ms
    derived = _flink(Settings(checkpoint_ms=checkpoint_ms)) | {CHECKPOINTS: flink.get(CHECKPOINTS, "")}
    python = document.get("python", {})
    return Settings(
        parallelism=document["parallelism"] or usual.parallelism,
        checkpoint_ms=checkpoint_ms,
        parts=tuple(document["parts"]),
        batch=int(python.get("python.fn-execution.bundle.size", usual.batch)),
        batch_ms=int(python.get("python.fn-execution.bundle.time", usual.batch_ms)),
        idle_ms=document.get("idle_ms", usual.idle_ms),
        drift_ms=document.get("drift_ms", usual.drift_ms),
        transaction_timeout_ms=int(document.get("transaction_timeout_ms", usual.transaction_timeout_ms)),
        flink={name: value for name, value in flink.items() if derived.get(name) != value},
    )


def left_to_the_cluster(document: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The document for who has settings of his own, a FlinkDeployment: without those that were not `given` by name.

    What a job's own document says wins over the cluster's configuration, so that a parallelism or an interval of
    checkpoints in a manifest would be read by nobody.
    """
    flink = {name: value for name, value in document["flink"].items() if name not in _DEPLOYED}
    if "checkpoint_ms" in given:
        flink |= {name: value for name, value in document["flink"].items() if name in (INTERVAL, PAUSE)}
    left: dict[str, Any] = dict(document) | {"flink": flink}
    if "parallelism" not in given:
        left["parallelism"] = 0
        left["serve_parallelism"] = 1 if document["serve_by"] == "NOBODY" else 0
    said = {name: text for name, text in document["about"].items() if name != _ITSELF}
    return _with_itself(left | {"about": said})


def _with_itself(document: dict[str, Any]) -> dict[str, Any]:
    """The document, telling itself: compressed, without the values of Kafka's settings, which may be secrets."""
    told = {name: part for name, part in document.items() if name != "about"}
    told["kafka"] = dict.fromkeys(document["kafka"], "")
    raw = base64.b64encode(zstandard.ZstdCompressor(level=9).compress(msgspec.json.encode(told))).decode()
    return document | {"about": document["about"] | {_ITSELF: raw}}


def argument(specification: Mapping[str, Any]) -> str:
    """The document as the one argument of the job's main class."""
    return base64.urlsafe_b64encode(msgspec.json.encode(specification)).decode()


def _flink(settings: Settings) -> dict[str, str]:
    return {
        INTERVAL: f"{settings.checkpoint_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        PAUSE: f"{settings.checkpoint_ms // 2} ms",
        # A TaskManager that dies the moment it is asked for a checkpoint can leave the next one waiting for ever for what was
        # to be told to the dead: nothing is answered until that one is given up, by default after ten minutes.
        TIMEOUT: "120 s",
        "execution.checkpointing.tolerable-failed-checkpoints": "3",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "state.backend.type": "rocksdb",
        "state.backend.rocksdb.use-bloom-filter": "true",
        # Every checkpoint flushes, and what is known of an id is written once: levels would copy all ids every few checkpoints.
        "state.backend.rocksdb.compaction.style": "UNIVERSAL",
        "state.backend.rocksdb.options-factory": "eddyline.Merging",
        "execution.checkpointing.incremental": "true",
        "pipeline.object-reuse": "true",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        **settings.flink,
    }


def partition(pipeline: Pipeline) -> tuple[str, str]:
    """By what events are partitioned, and the field that says it.

    By the field that all windows go by, or the key; by id where there is neither. Windows that go by several fields need every
    event at one worker: then nobody partitions, and one instance answers.
    """
    key = pipeline.event_schema.key_field
    whose = {spec.by or key for spec in pipeline.aggregates.values()}
    if len(whose) > 1:
        return "NOBODY", ""
    owner = next(iter(whose), None) or key
    return ("ID", "") if owner is None else ("KEY", _wire_name(pipeline.event_schema, owner))


def _fields(schema: Schema, owner: str, lateness_us: int) -> dict[str, Any]:
    time = next(field for field in schema.declared if field.name == schema.time_field)
    return {
        "id": _wire_name(schema, schema.id_field),
        "key": owner,
        "at": time.wire,
        "usual": _usual(schema, owner),
        "zone": schema.zone or "",
        "unit": time.unit.value if time.unit is not None else 0,
        "lateness_ms": milliseconds(lateness_us),
    }


def _usual(schema: Schema, owner: str) -> str:
    """The key of a record that leaves the field out, as the text that JSON would have for it."""
    wire = {field.wire: field.name for field in schema.declared}
    info = next((one for one in msgspec.structs.fields(schema.cls) if one.name == wire.get(owner)), None)
    if info is None or info.required:
        return ""
    made = info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory()
    return "" if made is None else made if isinstance(made, str) else msgspec.json.encode(made).decode()


def _wire_name(schema: Schema, name: str) -> str:
    return next(field.wire for field in schema.declared if field.name == name)


_JAVA_NAMES = {"sasl.mechanisms": "sasl.mechanism", "ssl.ca.location": "ssl.truststore.location"}


_PEM = ("ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location", "ssl.key.pem", "ssl.ca.pem")


def _java_settings(connection: Connection) -> dict[str, str]:
    """librdkafka's settings as Java's client calls them: security, and what both call alike.

    Raises `DeclarationError` for a client certificate in PEM, which Java would pass over in silence.
    """
    unknown = sorted(set(_PEM) & set(connection.settings))
    if unknown:
        raise DeclarationError(
            f"kafka: {unknown[0]} is not known to Kafka's Java client, which Flink reads with\n"
            "give what both know: ssl.keystore.location (PKCS 12), ssl.keystore.password; ssl.ca.location"
        )
    config = {_JAVA_NAMES.get(name, name): str(value) for name, value in connection.settings.items()}
    if "ssl.truststore.location" in config:
        config.setdefault("ssl.truststore.type", "PEM")
    if config.get("ssl.endpoint.identification.algorithm") == "none":
        config["ssl.endpoint.identification.algorithm"] = ""
    user, password = config.pop("sasl.username", None), config.pop("sasl.password", None)
    if user is not None and password is not None:
        mechanism = config.get("sasl.mechanism", "PLAIN")
        module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
        config["sasl.jaas.config"] = (
            f'org.apache.kafka.common.security.{module} required username="{_quoted(user)}" password="{_quoted(password)}";'
        )
    return config


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
