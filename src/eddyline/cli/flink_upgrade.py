"""`eddyline flink upgrade`: the same state, new code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from eddyline.cli.flink_options import patience, rest, running
from eddyline.cli.options import as_json, kafka

if TYPE_CHECKING:
    from eddyline.cli.flink_options import Given


@click.command("upgrade", short_help="Resume a job with the code of FILE.")
@click.argument("file", metavar="FILE")
@kafka
@running
@rest
@patience
@as_json
def command(
    file: str,
    brokers: str | None,
    kafka_config: str | None,
    rest: str,
    patience_s: float,
    as_json: bool,
    **options: Unpack[Given],
) -> None:
    """Stop the running job of the pipeline in FILE with a savepoint, and resume it with the code of FILE.

    What its state would not fit is refused before anything is stopped: another model, other features, windows, records,
    join or watch. What may change: publish, versions, parallelism, Flink's settings. When the new job does not come
    up, the old one is resumed. The new job's id is on stdout.
    """
    from eddyline.cli import show
    from eddyline.cli.flink_options import connection_for, given, say
    from eddyline.cli.load import load
    from eddyline.engines.flink.operate import upgrade

    loaded = load(file)
    connection, change = connection_for(loaded, brokers, kafka_config), given(**options)
    moved = upgrade(loaded, connection, change, rest, patience_s=patience_s, say=say)
    if as_json:
        show.json_document(moved)
        return
    click.echo(moved.job)
    changed = f"changed: {', '.join(moved.changed)}" if moved.changed else "the declaration means what it meant"
    say(f"it runs; {changed}; before it was {moved.before}, saved in {moved.savepoint}")
