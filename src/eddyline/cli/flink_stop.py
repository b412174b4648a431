"""`eddyline flink stop`: ends a job so that it can go on."""

from __future__ import annotations

import click

from eddyline.cli.flink_options import folder, pipeline_name, rest
from eddyline.cli.options import as_json


@click.command("stop", short_help="Stop a job with a savepoint.")
@pipeline_name
@folder
@click.option("--drain", is_flag=True, help="Let event time run to its end first: the pipeline is over.")
@click.option("--no-savepoint", is_flag=True, help="End it at once, with its last checkpoint; for a job that cannot save.")
@rest
@as_json
def command(name: str, folder: str | None, drain: bool, no_savepoint: bool, rest: str, as_json: bool) -> None:
    """Stop the job of the pipeline NAME (or of its FILE) with a savepoint, whose path is on stdout.

    Everything it did is committed by then. Go on with: eddyline flink submit FILE --savepoint latest.
    """
    from eddyline.cli import show
    from eddyline.cli.flink_options import named, say
    from eddyline.engines.flink.operate import cancel, stop

    if no_savepoint and (drain or folder):
        raise click.UsageError("--no-savepoint ends the job at once: it goes neither with --drain nor with --folder")
    known = named(name)
    path = cancel(known, rest) if no_savepoint else stop(known, rest, drain=drain, folder=folder, say=say)
    if as_json:
        show.json_document({"checkpoint" if no_savepoint else "savepoint": path})
        return
    click.echo(path or "it had no checkpoint")
    if not drain:
        say("to go on: eddyline flink submit FILE --savepoint latest")
