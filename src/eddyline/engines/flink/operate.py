"""A job's life: submitted, saved, stopped, made wider, given new code. Each command of `eddyline flink` is one call here.

Keeps `one-writer` (a pipeline that runs is not submitted a second time) and `stop` (a job that goes on does so from its own
state, and a pipeline that ran before does not begin again without it). State that does not fit is refused before anything
is stopped; and when the new job does not come up, the old one runs again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eddyline.cluster import jars
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import environment, job
from eddyline.engines.flink.batch import Kind
from eddyline.engines.flink.declared import By
from eddyline.engines.flink.fitting import means, require_fitting
from eddyline.engines.flink.jar import jar
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.looking import holds_any
from eddyline.engines.flink.lost_examples import past_lost
from eddyline.engines.flink.per_key import Bridges, learned_where_served
from eddyline.engines.flink.positions import readings
from eddyline.engines.flink.rest import DEFAULT, ENDED, FlinkError, Rest
from eddyline.engines.flink.retained import LATEST, Note, Retained
from eddyline.engines.flink.same_topics import going_on, identified
from eddyline.pipeline.loading import Loaded
from eddyline.records.errors import EddylineError, NotFound, StoreLocked, StoreMismatch
from eddyline.stages.aggregates import KEY_GROUPS

Say = Callable[[str], object]
PATIENCE_S = 120.0
"""How long a job may take until all of it runs."""


@dataclass(frozen=True)
class Job:
    """One of our jobs on a cluster. `about` is what it was told about itself."""

    id: str
    name: str
    state: str
    about: Mapping[str, str]

    @property
    def pipeline(self) -> str:
        """The name of its pipeline."""
        return self.about.get("eddyline.pipeline", self.name)


@dataclass(frozen=True)
class Moved:
    """A job that went on as another: where its state was saved, which parts of the meaning changed, and what that means.

    Where it was only asked what it would mean, the job is the one before, and there is no savepoint.
    """

    job: str
    before: str
    savepoint: str
    changed: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


class DidNotStartError(FlinkError):
    """A job that was submitted and does not run. It was ended; `went_on` says whether it had completed a checkpoint."""

    def __init__(self, words: str, went_on: bool) -> None:
        super().__init__(words)
        self.went_on = went_on


def running(rest: Rest, name: str | None = None) -> list[Job]:
    """The jobs of ours that have not ended: all, or those of a pipeline or job of this name."""
    found = []
    for one in rest.jobs():
        if one["state"] not in ENDED:
            about = rest.about(one["jid"])
            it = Job(one["jid"], one["name"], one["state"], about)
            if (about and name is None) or name in (it.pipeline, it.name):
                found.append(it)
    return found


def the_job(rest: Rest, name: str) -> Job:
    """The one job of this name that has not ended. Raises `NotFound` when there is none, or when there are several."""
    found = running(rest, name)
    if not found:
        others = ", ".join(sorted(one.name for one in running(rest))) or "none"
        raise NotFound(f"no job of {name} runs at {rest.place}; those that do: {others}\nsubmit it: eddyline flink submit FILE")
    if len(found) > 1:
        names = " or ".join(sorted(one.name for one in found))
        raise NotFound(f"{name} runs as {len(found)} jobs at {rest.place}\nname one of them: {names}")
    return found[0]


def submit(
    loaded: Loaded,
    connection: Connection,
    settings: Settings | None = None,
    rest_url: str = DEFAULT,
    savepoint: str | None = None,
    *,
    author: str = "unknown",
    patience_s: float = PATIENCE_S,
    say: Say = lambda _: None,
) -> str:
    """Starts the job of a pipeline, waits until all of it runs, and gives the job's id.

    `savepoint` is where it goes on: the path of a savepoint or retained checkpoint, or "latest" for the newest one that
    jobs of this pipeline left on the cluster. Without it the pipeline begins, which is refused where it ran before. Topics
    that are missing are made. `say` is told what takes its time. `author` is who stands for it in the ledger, where the
    state was saved under other metrics, monitors or policies: they are taken up as in `upgrade`.

    Raises `FlinkError` when no Flink answers or the job does not come up, `SourceError` when no broker answers,
    `StoreLocked` when a job of the pipeline runs already, `StoreMismatch` when the state does not fit, `EddylineError` when
    the workers' environment is missing or another one than here.
    """
    rest, chosen, name = Rest(rest_url), settings or Settings(), loaded.pipeline.name
    _require_alone(rest, name, chosen)
    python = _worker()
    retained = Retained.of(rest, job.job_name(name, chosen.parts), chosen.flink)
    over = _over(loaded, connection, say) if savepoint is not None and chosen.skip_deleted else None
    document = job.specification(loaded, connection, chosen, python, retained.uri, By(author), over)
    topics = JobTopics.of(loaded.pipeline)
    topics.ensure(connection)
    for wrong in topics.misfits(connection):
        say(wrong)
    document = identified(document, connection)
    if savepoint is None:
        _require_new(connection, document, retained)
    else:
        read = _read(connection, document)
        savepoint, about = retained.latest(read) if savepoint == LATEST else (savepoint, retained.about(savepoint))
        document = _resumed(document, about, loaded, savepoint, say)
    return _start(rest, connection, document, python, savepoint, patience_s, say)


def savepoint(name: str, rest_url: str = DEFAULT, folder: str | None = None) -> str:
    """Saves the state of the running job of a pipeline, which goes on; gives where.

    `folder` is a URI; by default the cluster's (`execution.checkpointing.savepoint-dir`).
    """
    rest = Rest(rest_url)
    it = the_job(rest, name)
    path = rest.savepoint(it.id, folder)
    _retained(rest, it).add(it.id, it.about, path, stopped=False)
    return path


def stop(
    name: str, rest_url: str = DEFAULT, *, drain: bool = False, folder: str | None = None, say: Say = lambda _: None
) -> str:
    """Stops the job of a pipeline with a savepoint, and gives where that is. Everything it did is committed by then.

    `drain` lets event time run to its end first: every waiting prediction is judged, and the pipeline is over. Without it
    the job can go on from the savepoint as if nothing had happened.
    """
    rest = Rest(rest_url)
    it = the_job(rest, name)
    return _stop(rest, it, drain, folder, say)


def cancel(name: str, rest_url: str = DEFAULT) -> str | None:
    """Ends the job of a pipeline at once, without a savepoint; gives its last checkpoint, which is retained.

    For a job that cannot make a savepoint any more: what it did since the checkpoint is done again.
    """
    rest = Rest(rest_url)
    it = the_job(rest, name)
    rest.cancel(it.id)
    if rest.completed(it.id) == 0:
        _retained(rest, it).forget(it.id)
    return rest.checkpoint(it.id)


def rescale(
    name: str,
    parallelism: int,
    rest_url: str = DEFAULT,
    *,
    settings: Mapping[str, str] | None = None,
    patience_s: float = PATIENCE_S,
    say: Say = lambda _: None,
) -> Moved:
    """Stops the job of a pipeline with a savepoint, and resumes it with another parallelism: the same code, no file needed.

    `settings` are Kafka's security settings, which a job does not tell. When the job does not come up, for want of slots for
    example, it is resumed as it was, and `FlinkError` says so.
    """
    rest = Rest(rest_url)
    it, python = the_job(rest, name), _worker()
    was = job.remembered(it.about)
    connection = Connection(was["brokers"], dict(settings or {}))
    old, wider = (
        going_on(identified(job.again(it.about, connection, python, slots), connection), was, f"job {it.id}")
        for slots in (None, parallelism)
    )
    return _move(rest, connection, it, wider, old, python, patience_s, say)


def upgrade(
    loaded: Loaded,
    connection: Connection,
    change: Mapping[str, Any] | None = None,
    rest_url: str = DEFAULT,
    *,
    author: str = "unknown",
    reason: str = "",
    dry_run: bool = False,
    patience_s: float = PATIENCE_S,
    say: Say = lambda _: None,
) -> Moved:
    """Stops the running job of a pipeline with a savepoint, and resumes it with the code of this file.

    Before anything is stopped, the declaration is compared with the one that runs: `StoreMismatch` says what the state
    would not fit. Other metrics, monitors and policies are taken up, on record: what both declare goes on, the rest begins or
    ends here; `author` and `reason` stand in the ledger. `dry_run` says what it would mean, and stops nothing. `change` names
    fields of `Settings` that get other values, Flink's own by name: `{"parallelism": 2}`; all others stay as they run. When
    the new job does not come up, the old one is resumed, and `FlinkError` says so.
    """
    rest, name, asked = Rest(rest_url), loaded.pipeline.name, dict(change or {})
    wanted = job.job_name(name, asked["parts"]) if "parts" in asked else name
    it = the_job(rest, wanted)
    changed, says = require_fitting(it.about, loaded.pipeline, f"job {it.id}"), means(it.about, loaded.pipeline)
    said = Moved(it.id, it.id, "", tuple(changed), tuple(says))
    _require_same_brokers(it, connection)
    if dry_run:
        return said
    for sentence in says:
        say(sentence)
    python = _worker()
    new = _upgraded(rest, it, loaded, connection, asked, python, By(author, reason))
    old = job.again(it.about, connection, python)
    moved = _move(rest, connection, it, new, old, python, patience_s, say)
    return replace(said, job=moved.job, savepoint=moved.savepoint)


# Helpers -------------------------------------------------------------------------------------------------------------


def _worker() -> Path:
    """The interpreter of the workers' environment, which would give the answers that this process gives."""
    python = environment.ready()
    environment.require_same(environment.here(), environment.versions(python))
    return python


def _resumed(document: dict[str, Any], about: Mapping[str, str], loaded: Loaded, path: str, say: Say) -> dict[str, Any]:
    """The document of a job that goes on from this state. Raises `StoreMismatch` where the state does not fit, or a topic."""
    if about:
        require_fitting(about, loaded.pipeline, path)
        document = going_on(document, job.remembered(about), path)
        for sentence in means(about, loaded.pipeline):
            say(sentence)
    else:
        say(f"which job left {path} is not known here: whether its topics were made again since is not looked at")
    say(f"going on from {path}")
    return document


def _over(loaded: Loaded, connection: Connection, say: Say) -> Bridges:
    """How models per key go on past examples that the broker gave up."""
    name = loaded.pipeline.name
    found = past_lost(name, connection) if learned_where_served(loaded.pipeline) else {}
    if found is None:
        say(
            f"which examples of {name} are lost cannot be told: some are neither committed nor given up yet\n"
            "where models per key wait for one that is lost, stop this job and submit it once more with --skip-deleted"
        )
    elif found:
        many = sum(map(len, found.values()))
        say(f"models per key learn on past what the broker gave up: {many} gaps, in {len(found)} of {KEY_GROUPS} shards")
    return found or {}


def _require_same_brokers(it: Job, connection: Connection) -> None:
    theirs, ours = job.remembered(it.about)["brokers"], connection.config()["bootstrap.servers"]
    if theirs != ours:
        raise StoreMismatch(
            f"job {it.id} reads from {theirs}, not from {ours}: its positions are "
            f"those of its own brokers\nname those: --brokers {theirs}"
        )


def _upgraded(
    rest: Rest, it: Job, loaded: Loaded, connection: Connection, asked: Mapping[str, Any], python: Path, by: By
) -> dict[str, Any]:
    """The document of a running job with this file's code. Raises `StoreMismatch` where it would read other topics."""
    was = job.remembered(it.about)
    runs = job.running_settings(was)
    chosen = replace(runs, **{**asked, "flink": {**runs.flink, **asked.get("flink", {})}})
    moved = job.CHECKPOINTS in chosen.flink
    checkpoints = Retained.of(rest, it.name, chosen.flink).uri if moved else was["flink"][job.CHECKPOINTS]
    new = job.specification(loaded, connection, chosen, python, checkpoints, by)
    if new["topics"] != was["topics"] or new["serve_by"] != was["serve_by"]:
        raise StoreMismatch(
            f"job {it.id} reads topics {was['topics']}, by {was['serve_by']}\n"
            f"the file says {new['topics']}, by {new['serve_by']}\n"
            "positions and windows belong to those: put that back"
        )
    return going_on(identified(new, connection), was, f"job {it.id}")


def _require_alone(rest: Rest, name: str, settings: Settings) -> None:
    for it in running(rest, name):
        if set(it.about.get("eddyline.parts", "serve+learn").split("+")) & set(settings.parts):
            raise StoreLocked(
                f"pipeline {name} runs already, as job {it.id} ({it.state}) at {rest.place}: "
                "two would answer each event twice\n"
                f"look at it: eddyline flink status {name}; give it new code: eddyline flink upgrade FILE; "
                f"end it: eddyline flink stop {name}"
            )


def _require_new(connection: Connection, document: Mapping[str, Any], retained: Retained) -> None:
    """Refuses to begin again. The groups alone do not tell: a job that is stopped early may never have told them."""
    signs = [f"it has read {one.position:,} of {one.topic}" for one in readings(connection, document) if one.position > 0]
    written = {"serve": Kind.PREDICTION, "learn": Kind.EXAMPLE}
    topics = [document["sinks"][str(int(written[part]))] for part in document["parts"]]
    signs += [f"topic {topic} holds what it gave" for topic in topics if holds_any(connection, topic)]
    if retained.any():
        signs.append(f"its state is in {retained.uri}")
    if signs:
        raise StoreMismatch(
            f"pipeline {document['name']} ran before, and would begin again with nothing learned: {'; '.join(signs)}\n"
            "go on from its state: --savepoint latest, or --savepoint PATH\n"
            "or begin anew under another name: Pipeline(name=...)"
        )


def _retained(rest: Rest, it: Job) -> Retained:
    own = job.remembered(it.about)["flink"].get(job.CHECKPOINTS) if it.about else None
    return Retained(own) if own else Retained.of(rest, it.name, {})


def _read(connection: Connection, document: Mapping[str, Any]) -> dict[str, int]:
    """How far each topic was read, as the broker's groups know."""
    return {one.topic: one.position for one in readings(connection, document)}


def _start(
    rest: Rest,
    connection: Connection,
    document: Mapping[str, Any],
    python: Path,
    savepoint: str | None,
    patience_s: float,
    say: Say,
) -> str:
    """Starts a job and waits until it runs; one that does not is ended, and `DidNotStartError` says why."""
    slots, read = rest.slots(), _read(connection, document)
    leaving = document["skip_deleted"] and bool(document["anew"])  # the positions in topics that are no more
    started = rest.start(_jar(python), job.MAIN, [job.argument(document)], savepoint, leaving=leaving)
    say(f"job {started} is starting")
    folder = document["flink"][job.CHECKPOINTS]
    kept = Retained(folder)
    if not kept.write(Note(started, dict(document["about"]), read=read)):
        say(f"{folder} cannot be seen from here: keep the paths of savepoints, `latest` will not know them")
    try:
        rest.wait_until_running(started, patience_s, slots, say)
    except BaseException as error:
        if rest.state(started) not in ENDED:
            rest.cancel(started)
        if rest.completed(started) == 0:
            kept.forget(started)  # it did nothing: the state that was the newest still is
        if isinstance(error, FlinkError):
            raise DidNotStartError(f"pipeline {document['name']}: {error}", rest.completed(started) > 0) from error
        raise
    return started


def _jar(python: Path) -> Path:
    return jar(python, jars.ready("flink-kafka"))


def _stopped(it: Job, path: str) -> str:
    return (
        f"job {it.id} was stopped, and all it did is in {path}\ngo on from there: eddyline flink submit FILE --savepoint {path}"
    )


def _stop(rest: Rest, it: Job, drain: bool, folder: str | None, say: Say) -> str:
    say(f"stopping job {it.id} with a savepoint")
    path = rest.stop(it.id, drain=drain, folder=folder)
    _retained(rest, it).add(it.id, it.about, path, stopped=True)
    return path


def _move(
    rest: Rest,
    connection: Connection,
    it: Job,
    new: Mapping[str, Any],
    old: Mapping[str, Any],
    python: Path,
    patience_s: float,
    say: Say,
) -> Moved:
    """Stops a job and starts another from its state; the old one again, when the new one never did anything.

    What can fail without Flink is done before the job is stopped; what fails after it names the savepoint.
    """
    _jar(python)
    path = _stop(rest, it, False, None, say)
    try:
        return Moved(_start(rest, connection, new, python, path, patience_s, say), it.id, path)
    except DidNotStartError as error:
        if error.went_on:
            raise FlinkError(f"{error}\nit had gone on from {path} by then; resume it: --savepoint latest") from error
        problem: EddylineError = error
    except EddylineError as error:
        raise FlinkError(f"{error}\n{_stopped(it, path)}") from error
    try:
        back = _start(rest, connection, old, python, path, max(patience_s, PATIENCE_S), say)
    except EddylineError as error:
        raise FlinkError(f"{problem}\nwhat ran before does not come up either: {error}\n{_stopped(it, path)}") from error
    raise FlinkError(f"{problem}\nnothing was lost: what ran before runs again from the same state, as job {back}")
