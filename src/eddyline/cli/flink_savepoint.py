"""`eddyline flink savepoint`: saves the state of a running job."""

from __future__ import annotations

import click

from eddyline.cli.flink_options import folder, pipeline_name, rest
from eddyline.cli.options import as_json


@click.command("savepoint", short_help="Save the state of a running job.")
@pipeline_name
@folder
@rest
@as_json
def command(name: str, folder: str | None, rest: str, as_json: bool) -> None:
    """Save the state of the running job of the pipeline NAME (or of its FILE). The job goes on; stdout is the path."""
    from eddyline.cli import show
    from eddyline.cli.flink_options import named
    from eddyline.engines.flink.operate import savepoint

    path = savepoint(named(name), rest, folder)
    if as_json:
        show.json_document({"savepoint": path})
        return
    click.echo(path)
