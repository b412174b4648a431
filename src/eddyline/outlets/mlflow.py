"""MLflow: a store's versions, aliases and metrics mirrored to a tracking server, and models taken from one.

A pipeline is a registered model of its name; a kept version is one of its versions, with a run that holds its metrics and a
document that says how it was made. The bytes of the state stay in the store: only Eddyline can read them. Mirroring again
changes nothing. What is taken is a file (ONNX or skops); a pickle is never opened. mlflow is imported inside the functions:
it takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.records import Measurement, ModelVersion
from eddyline.records.errors import DeclarationError, NotFound, SourceError, StoreMismatch
from eddyline.store.database import Store
from eddyline.views.current import current
from eddyline.views.history import KeptVersion, Standing, kept_versions, standing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion as Registered

VERSION, DIGEST = "eddyline.version", "eddyline.digest"
CHAMPION, FORMER, CHALLENGER = "champion", "former", "challenger-"
PAGE = 1_000
_NOT_A_NAME = re.compile(r"[^\w\-. /]")


class Pushed(msgspec.Struct, frozen=True):
    """What mirroring changed: versions registered, metrics written, aliases set and removed."""

    model: str
    versions: list[str]
    metrics: int
    aliases: dict[str, str]
    removed: list[str]


class Taken(msgspec.Struct, frozen=True):
    """A model as a file, and what reads it: `OnnxModel(path)` for onnx, `SkopsModel(path)` for skops."""

    path: Path
    flavour: Literal["onnx", "skops"]


def push(path: Path, pipeline: Pipeline, tracking_uri: str | None = None) -> Pushed:
    """Mirrors the store at `path`, every line in it, to a tracking server, by default the one that MLflow's environment names.

    Versions that are there already stay as they are; metrics are written where they changed; the aliases champion, former
    and challenger-<line> follow the rollout, each to the newest kept version that it means. Needs
    `pip install "eddyline[mlflow]"`. Raises StoreMismatch where the server's versions come from another store.
    """
    client = _client(tracking_uri)
    from mlflow.exceptions import MlflowException

    plan, name = pipeline.plan(), pipeline.name
    with closing(Store.read(path)) as store:
        measured = plan.watch.measurements(current(store, pipeline, plan).states.watch)
        kept = kept_versions(store)
        wanted = aliases(name, standing(store, pipeline), [one.version for one in kept])
    try:
        experiment = _experiment(client, f"eddyline-{name}")
        known = _registered(client, name)
        runs = {run.info.run_id: run for run in _runs(client, experiment)}
        made = []
        for one in kept:
            there = known.get(one.version.name)
            if there is None:
                known[one.version.name] = _register(client, experiment, name, one)
                made.append(one.version.name)
            elif there.tags.get(DIGEST) != one.version.digest:
                raise StoreMismatch(
                    f"MLflow's {name} has a {one.version.name} of another store: other bytes\n"
                    "mirror to another server, or name the pipeline differently"
                )
        written = _measure(client, measured, known, runs)
        set_, removed = _point(client, name, {alias: known[version].version for alias, version in wanted.items()})
    except MlflowException as error:
        raise SourceError(f"MLflow refused: {error.message}\ncheck the server, and push again: nothing is doubled") from error
    return Pushed(name, made, written, {alias: wanted[alias] for alias in set_}, removed)


def aliases(name: str, now: Standing, versions: Sequence[ModelVersion]) -> dict[str, str]:
    """Which kept version each alias means: of those of its line, the newest at or before where it stands.

    >>> from eddyline.records import Rollout
    >>> versions = [ModelVersion("fraud", position, "", "", None, "") for position in (0, 1000, 2000)]
    >>> aliases("fraud", Standing("fraud@2417", True, 2417, Rollout(2, None, "ada", "", former="fraud@1999")), versions)
    {'champion': 'fraud@2000', 'former': 'fraud@1000'}
    """
    rollout = now.rollout
    meant = {CHAMPION: now.version}
    if rollout.former is not None:
        meant[FORMER] = rollout.former
    for place in rollout.places:
        line = place.who.partition("@")[0].removeprefix(f"{name}.")
        meant[CHALLENGER + line.replace(".", "-")] = place.who
    found = {alias: _newest(versions, who) for alias, who in meant.items()}
    return {alias: version for alias, version in found.items() if version is not None}


def take(uri: str, folder: Path, tracking_uri: str | None = None) -> Taken:
    """Downloads a model, such as `models:/clicks@champion`, into a folder, and says which file it is and what reads it.

    Takes ONNX, and scikit-learn in skops' format. Raises DeclarationError for anything else, with what to write when
    logging it; NotFound where there is no such model.
    """
    _client(tracking_uri)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    if not uri.startswith("models:/"):
        raise DeclarationError(f"{uri!r} is not a registered model\nwrite models:/NAME@ALIAS or models:/NAME/VERSION")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        there = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri))
    except MlflowException as error:
        raise NotFound(f"MLflow has no {uri}: {error.message}") from error
    if not (there / "MLmodel").exists():
        raise DeclarationError(
            f"{uri} is not a model that MLflow can describe: it has no file MLmodel\nlog it as ONNX or skops"
        )
    flavours: Mapping[str, Any] = Model.load(str(there / "MLmodel")).flavors
    onnx, sklearn = flavours.get("onnx", {}), flavours.get("sklearn", {})
    if "data" in onnx:
        return Taken(_inside(there, str(onnx["data"])), "onnx")
    if sklearn.get("serialization_format") == "skops":
        return Taken(_inside(there, str(sklearn["pickled_model"])), "skops")
    raise DeclarationError(
        f"{uri} is {', '.join(sorted(flavours))}, and neither ONNX nor skops: reading it would run what is in it\n"
        'log it with mlflow.onnx, or mlflow.sklearn.log_model(..., serialization_format="skops")'
    )


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise DeclarationError(f"the model names a file {name!r} that did not come with it\nlog it again")
    return path


def _newest(versions: Sequence[ModelVersion], who: str) -> str | None:
    """The newest kept version of a line, at or before a position where one is named."""
    line, _, at = who.partition("@")
    fitting = [one for one in versions if one.model == line and (not at or one.position <= int(at))]
    return max(fitting, key=lambda one: one.position).name if fitting else None


def _client(tracking_uri: str | None) -> MlflowClient:
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise DeclarationError('mirroring needs mlflow\ntype: pip install "eddyline[mlflow]"') from error
    return MlflowClient(tracking_uri, tracking_uri)


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _registered(client: MlflowClient, name: str) -> dict[str, Registered]:
    """The versions that are there, by our names; the registered model is made where it is missing."""
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name, description=f"Mirrored from Eddyline's pipeline {name}.")
    found: dict[str, Registered] = {}
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name='{name}'", max_results=PAGE, page_token=token)
        found.update({one.tags[VERSION]: one for one in page if VERSION in one.tags})
        token = page.token
        if not token:
            return found


def _runs(client: MlflowClient, experiment: str) -> list[Run]:
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _register(client: MlflowClient, experiment: str, name: str, one: KeptVersion) -> Registered:
    """One version: a run with the document that says how it was made, and the registered version on it."""
    version = one.version
    tags = {VERSION: version.name, DIGEST: version.digest}
    run = client.create_run(experiment, tags={"mlflow.runName": version.name, **tags}).info.run_id
    document = {"version": msgspec.to_builtins(version), "recipe": one.recipe, "bytes": one.octets, "block": one.block}
    client.log_dict(run, document, "version/version.json")
    client.set_terminated(run)
    more = {
        "eddyline.parent": version.parent or "",
        "eddyline.position": str(version.position),
        "eddyline.recipe": version.recipe,
        "eddyline.fingerprint": version.fingerprint,
        "eddyline.created_by": version.created_by,
    }
    said = f"{version.name}: after {version.position} examples"
    return client.create_model_version(name, f"runs:/{run}/version", run, tags={**tags, **more}, description=said)


def _measure(
    client: MlflowClient, measured: Sequence[Measurement], known: Mapping[str, Registered], runs: Mapping[str, Run]
) -> int:
    """Writes the metrics of versions where they changed, at the step of how many examples they are over; how many."""
    now: dict[str, dict[str, float]] = {}
    examples: dict[str, int] = {}
    for one in measured:
        if one.value is not None and one.version is not None and one.version in known:
            now.setdefault(one.version, {})[_NOT_A_NAME.sub("_", one.metric)] = one.value
            examples[one.version] = max(one.count, examples.get(one.version, 0))
    written = 0
    for version, values in now.items():
        run = known[version].run_id
        assert run is not None, "a version of ours without its run"
        there = runs[run].data.metrics if run in runs else {}
        for key, value in {**values, "examples": float(examples[version])}.items():
            if there.get(key) != value:
                client.log_metric(run, key, value, step=examples[version])
                written += 1
    return written


def _point(client: MlflowClient, name: str, wanted: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Sets the aliases that are missing or elsewhere, and removes ours that mean nothing any more; which."""
    there = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    moved = [alias for alias, version in wanted.items() if there.get(alias) != str(version)]
    for alias in moved:
        client.set_registered_model_alias(name, alias, wanted[alias])
    ours = [alias for alias in there if alias in (CHAMPION, FORMER) or alias.startswith(CHALLENGER)]
    gone = [alias for alias in ours if alias not in wanted]
    for alias in gone:
        client.delete_registered_model_alias(name, alias)
    return moved, gone
