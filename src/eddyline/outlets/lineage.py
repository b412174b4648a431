"""OpenLineage: a run that reads sources and makes versions, as events that a lineage server understands.

A run of the engine is a run of the job `eddyline/<pipeline>`: START, one RUNNING for each version that was kept, and
COMPLETE, or FAIL with what was raised. Inputs are the sources; a version is the dataset `eddyline/<pipeline>` at that version,
with how it was made in the facet `eddyline_modelVersion`. Versions are told at least once, also those of earlier runs that
nobody was told of. A lineage server that is down holds up nothing.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.outlets.beside import Beside, NotTaken
from eddyline.ports import SourceConfig
from eddyline.records import ModelVersion
from eddyline.records.errors import DeclarationError
from eddyline.records.fields import show_type
from eddyline.records.schema import Schema
from eddyline.store.database import Store

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent
    from openlineage.client.transport import Transport

NAMESPACE = "eddyline"
PRODUCER = "urn:eddyline:outlets:lineage:1"
FACET = "eddyline_modelVersion"
FACET_SCHEMA = "urn:eddyline:facets:ModelVersionDatasetFacet:1"
TIMEOUT_S = 5.0


class Lineage:
    """The events of one run, sent over one transport."""

    def __init__(self, engine: Engine, base: Path, transport: Transport) -> None:
        self.pipeline = engine.pipeline
        self.transport = transport
        self.run = str(uuid.uuid4())
        self.inputs = [
            dataset_of(f"{self.pipeline.name}.{word}", source, base)
            for word, source in (("events", self.pipeline.events), ("labels", self.pipeline.labels))
        ]
        self.newest: OutputDataset | None = None
        self._started = False

    @property
    def called(self) -> str:
        """Who is told."""
        return "the lineage server or file"

    def tell(self, store: Store, after: int, until: int) -> Iterator[tuple[int, int]]:
        """Sends the versions that were kept in some blocks; first of all, that the run started."""
        self._start()
        rows = store.db.execute(
            "SELECT seq, version FROM versions WHERE seq>? AND seq<=? ORDER BY seq, position", (after, until)
        ).fetchall()
        for seq, packed in rows:
            version = msgspec.msgpack.decode(packed, type=ModelVersion)
            recipe = store.db.execute("SELECT recipe FROM recipes WHERE digest=?", (version.recipe,)).fetchone()
            self.newest = output_of(self.pipeline.name, version, json.loads(recipe[0]) if recipe else {})
            self._send("RUNNING", [self.newest])
            yield max(after, seq - 1), 1
        yield until, 0

    def end(self, problem: BaseException | None) -> None:
        """Sends how the run ended."""
        self._start()
        self._send("COMPLETE" if problem is None else "FAIL", [self.newest] if self.newest else [], problem)

    def _start(self) -> None:
        if not self._started:
            self._send("START", [])
            self._started = True

    def _send(self, kind: str, outputs: list[OutputDataset], problem: BaseException | None = None) -> None:
        event = self._event(kind, outputs, problem)
        try:
            self.transport.emit(event)
        except (OSError, RuntimeError) as error:
            raise NotTaken(f"{self.called} did not take an event ({type(error).__name__})") from error

    def _event(self, kind: str, outputs: list[OutputDataset], problem: BaseException | None) -> RunEvent:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import error_message_run, job_type_job

        facets: dict[str, Any] = {}
        if problem is not None:
            said = f"{type(problem).__name__}: {problem}"
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(said, "PYTHON", producer=PRODUCER)
        job_type = job_type_job.JobTypeJobFacet("STREAMING", "EDDYLINE", "MODEL", producer=PRODUCER)
        return RunEvent(
            eventType=RunState[kind],
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(self.run, facets),
            job=Job(NAMESPACE, self.pipeline.name, {"jobType": job_type}),
            inputs=list(self.inputs),
            outputs=outputs,
            producer=PRODUCER,
        )


@contextmanager
def tracing(engine: Engine, target: str, base: Path) -> Iterator[Beside]:
    """Tells a lineage server (`http://HOST:5000`) or a file (one event a line) of this run and its versions.

    `base` is the folder that the pipeline's sources are read from. Needs `pip install "eddyline[lineage]"`.
    """
    lineage = Lineage(engine, base, transport_to(target))
    name = f"lineage-{hashlib.sha256(target.encode()).hexdigest()[:12]}"
    problem: BaseException | None = None
    beside = Beside(engine, lineage, name, begin=-1)
    try:
        yield beside
    except BaseException as error:
        problem = error
        raise
    finally:
        beside.close()
        if not beside.given_up:  # who does not answer would not take the end either
            try:
                lineage.end(problem)
            except NotTaken as refused:
                beside.told.trouble = str(refused)


def transport_to(target: str) -> Transport:
    """OpenLineage's own transport to a URL or a file."""
    try:
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import HttpConfig, HttpTransport
    except ImportError as error:
        raise DeclarationError('lineage needs openlineage-python\ntype: pip install "eddyline[lineage]"') from error
    parts = urlsplit(target)
    if parts.scheme in ("http", "https") and parts.hostname:
        return HttpTransport(HttpConfig(url=target, timeout=TIMEOUT_S, retry={"total": 0}))
    if "://" in target:
        raise DeclarationError(f"lineage: {target!r} is neither a URL of the web nor a file\nwrite --lineage http://HOST:5000")
    return FileTransport(FileConfig(log_file_path=target, append=True))


def dataset_of(name: str, source: SourceConfig, base: Path) -> InputDataset:
    """A source as a dataset, named as OpenLineage names files and topics, with the fields of its records."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import schema_dataset

    types = Schema.of(source.type).fields
    fields = [schema_dataset.SchemaDatasetFacetFields(field, show_type(kind)) for field, kind in types.items()]
    if hasattr(source, "topic") and hasattr(source, "connection"):
        where = (f"kafka://{source.connection.describe()}", str(source.topic))
    elif hasattr(source, "path"):
        where = ("file", str((base / source.path).absolute()))
    else:
        where = (NAMESPACE, name)
    return InputDataset(*where, facets={"schema": schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)})


def output_of(pipeline: str, version: ModelVersion, recipe: dict[str, Any]) -> OutputDataset:
    """A version as a dataset at a version, with how it was made and from which examples (after `from`, up to `to`)."""
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import DatasetFacet, dataset_version_dataset

    facet: Any = DatasetFacet(producer=PRODUCER).with_additional_properties(
        name=version.name,
        digest=version.digest,
        recipe=recipe,
        recipeDigest=version.recipe,
        parent=version.parent,
        examples={"from": int(version.parent.partition("@")[2]) if version.parent else 0, "to": version.position},
        fingerprint=version.fingerprint,
        createdBy=version.created_by,
    )
    facet._schemaURL = FACET_SCHEMA
    at = dataset_version_dataset.DatasetVersionDatasetFacet(version.name, producer=PRODUCER)
    return OutputDataset(NAMESPACE, pipeline, facets={"version": at, FACET: facet})
