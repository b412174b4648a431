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
@click.option("--author", metavar="NAME", help="Who asks.  [default: your user name]")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the ledger with what the declaration changes.")
@click.option("--dry-run", is_flag=True, help="Say what it would mean, and stop nothing.")
@running
@rest
@patience
@as_json
def command(
    file: str,
    brokers: str | None,
    kafka_config: str | None,
    author: str | None,
    reason: str,
    dry_run: bool,
    rest: str,
    patience_s: float,
    as_json: bool,
    **options: Unpack[Given],
) -> None:
    """Stop the running job of the pipeline in FILE with a savepoint, and resume it with the code of FILE.

    Metrics, monitors and policies of FILE are taken up from here on: what the job had, too, goes on with its memory, what is
    new begins here, what is no more ends here. Each is said in a sentence, and is one decision of the ledger, with an author
    and a reason. What the state would not fit is refused before anything is stopped: another model, other features, windows,
    records, join, segments or challengers. publish, versions, parallelism and Flink's settings may change, too. When the new
    job does not come up, the old one is resumed. The new job's id is on stdout.
    """
    from eddyline.cli import show
    from eddyline.cli.asking import who
    from eddyline.cli.flink_options import connection_for, given, say
    from eddyline.engines.flink.operate import upgrade
    from eddyline.pipeline.loading import load

    loaded = load(file)
    connection, change = connection_for(loaded, brokers, kafka_config), given(**options)
    moved = upgrade(
        loaded, connection, change, rest,
        author=who(author), reason=reason, dry_run=dry_run, patience_s=patience_s, say=say,
    )  # fmt: skip
    if as_json:
        show.json_document(moved)
        return
    if dry_run:
        for sentence in moved.says or ["nothing changes: the job runs this declaration"]:
            click.echo(f"- {sentence}")
        say("nothing was stopped")
        return
    click.echo(moved.job)
    changed = f"changed: {', '.join(moved.changed)}" if moved.changed else "the declaration means what it meant"
    say(f"it runs; {changed}; before it was {moved.before}, saved in {moved.savepoint}")
