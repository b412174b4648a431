"""`eddyline mlflow`: mirror a store to an MLflow server, and take a model from one."""

from __future__ import annotations

from pathlib import Path

import click

from eddyline.cli.options import F, as_json, pipeline_file


def _server(function: F) -> F:
    return click.option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        metavar="URI",
        help="The MLflow server, such as http://127.0.0.1:5000.  [default: MLFLOW_TRACKING_URI]",
    )(function)


@click.group("mlflow", short_help="Mirror versions to MLflow, take models from it.")
def command() -> None:
    """Mirror versions, aliases and metrics to an MLflow server; take models from it."""


@command.command("push", short_help="Mirror versions, aliases and metrics.")
@pipeline_file
@_server
@as_json
def push(file: str, store: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Mirror the kept versions of FILE, their metrics, and who is champion and challenger.

    The pipeline becomes a registered model of its name. Pushing again changes only what is new. There is no default server:
    name one with --tracking-uri or MLFLOW_TRACKING_URI; sqlite:///mlflow.db is a file in this folder.
    """
    from eddyline.cli import show
    from eddyline.outlets import mlflow
    from eddyline.pipeline.loading import load

    if not tracking_uri:
        raise click.UsageError(
            "no MLflow server is named: add --tracking-uri http://127.0.0.1:5000, or set MLFLOW_TRACKING_URI "
            "(sqlite:///mlflow.db keeps it in this folder)"
        )
    loaded = load(file, store)
    pushed = mlflow.push(loaded.store, loaded.pipeline, tracking_uri)
    if as_json:
        show.json_document(pushed)
        return
    click.echo(f"{pushed.model}: {len(pushed.versions)} versions registered, {pushed.metrics} metrics written")
    for alias, version in pushed.aliases.items():
        click.echo(f"  {alias} is {version}")
    for alias in pushed.removed:
        click.echo(f"  {alias} is nobody any more")


@command.command("take", short_help="Download a model as an ONNX or skops file.")
@click.argument("uri", metavar="MODEL")
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@_server
@as_json
def take(uri: str, folder: Path, tracking_uri: str | None, as_json: bool) -> None:
    """Download MODEL, such as models:/clicks@champion, into FOLDER, and say what to write in a pipeline file.

    MODEL is one that others registered, as ONNX or in skops' format. What `push` registers cannot be taken: its bytes are in
    the store.
    """
    from eddyline.cli import show
    from eddyline.outlets import mlflow

    taken = mlflow.take(uri, folder, tracking_uri)
    if as_json:
        show.json_document({"path": str(taken.path), "flavour": taken.flavour})
        return
    click.echo(f'{"OnnxModel" if taken.flavour == "onnx" else "SkopsModel"}("{taken.path}")')
