"""`eddyline flink submit`: starts the job of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from eddyline.cli.flink_options import patience, rest, running
from eddyline.cli.options import as_json, kafka

if TYPE_CHECKING:
    from eddyline.cli.flink_options import Given


@click.command("submit", short_help="Start the job of a pipeline.")
@click.argument("file", metavar="FILE")
@kafka
@running
@click.option("--savepoint", metavar="PATH", help="Go on from there; `latest`: from the newest state that was left.")
@click.option(
    "--print-argument",
    "python",
    metavar="PYTHON",
    help="Start nothing: print the argument of the job's main class, for workers whose interpreter is PYTHON.",
)
@rest
@patience
@as_json
def command(
    file: str,
    brokers: str | None,
    kafka_config: str | None,
    savepoint: str | None,
    python: str | None,
    rest: str,
    patience_s: float,
    as_json: bool,
    **options: Unpack[Given],
) -> None:
    """Start the job of the pipeline in FILE and wait until all of it runs. The job's id is the first line on stdout.

    A pipeline that ran before goes on only from its state: after `eddyline flink stop`, a failed cluster or a killed
    JobManager, add --savepoint latest. While a job of the pipeline runs, a second one is refused.

    Where something else starts jobs (the Flink Kubernetes Operator), --print-argument gives it what eddyline.Job is told;
    a parallelism and an interval of checkpoints that are not given here are then those of the deployment.
    """
    from eddyline.cli import show
    from eddyline.cli.asking import who
    from eddyline.cli.beside import trainer_hint
    from eddyline.cli.flink_options import connection_for, given, say
    from eddyline.engines.flink.job import Settings, argument, left_to_the_cluster, specification
    from eddyline.engines.flink.operate import submit
    from eddyline.engines.flink.rest import Rest
    from eddyline.pipeline.loading import load

    loaded = load(file)
    connection, settings = connection_for(loaded, brokers, kafka_config), given(**options)
    if python is not None:
        document = specification(loaded, connection, Settings(**settings), Path(python))
        click.echo(argument(left_to_the_cluster(document, settings)))
        return
    job = submit(loaded, connection, Settings(**settings), rest, savepoint, author=who(None), patience_s=patience_s, say=say)
    if as_json:
        show.json_document({"job": job, "pipeline": loaded.pipeline.name, "rest": Rest(rest).place})
        return
    click.echo(job)
    say(f"{loaded.pipeline.name} runs; look at it: eddyline flink status {loaded.pipeline.name}")
    if (hint := trainer_hint(loaded)) is not None:
        say(hint)
