"""`eddyline flink rescale`: the same job, wider or narrower."""

from __future__ import annotations

import click

from eddyline.cli.flink_options import kafka_config, patience, pipeline_name, rest
from eddyline.cli.options import as_json


@click.command("rescale", short_help="Resume a job with another parallelism.")
@pipeline_name
@click.argument("parallelism", type=click.IntRange(1, 128), metavar="N")
@kafka_config
@rest
@patience
@as_json
def command(name: str, parallelism: int, kafka_config: str | None, rest: str, patience_s: float, as_json: bool) -> None:
    """Stop the job of the pipeline NAME (or of its FILE) with a savepoint, and resume it with N instances.

    The code is that of the running job. When it does not come up, it is resumed as it was. The new job's id is on stdout.
    """
    from eddyline.cli import show
    from eddyline.cli.flink_options import named, say, security
    from eddyline.engines.flink.operate import rescale

    moved = rescale(named(name), parallelism, rest, settings=security(kafka_config), patience_s=patience_s, say=say)
    if as_json:
        show.json_document(moved)
        return
    click.echo(moved.job)
    say(f"it runs with {parallelism}; before it was {moved.before}, saved in {moved.savepoint}")
