"""`eddyline rollback`: another version answers from here on."""

from __future__ import annotations

import getpass

import click

from eddyline.cli.options import as_json, pipeline_file


@click.command("rollback", short_help="Let another version answer from here on.")
@pipeline_file
@click.argument("version")
@click.option("--author", metavar="NAME", help="Who decides.  [default: you]")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the rollout.")
@as_json
def command(file: str, store: str | None, version: str, author: str | None, reason: str, as_json: bool) -> None:
    """Let VERSION (fraud@15320) answer from here on, or `live` for the learner again. Learning goes on.

    It is one record in the journal: no restart, nothing lost, nothing doubled. Where a run owns the store,
    that run takes the request within a second.
    """
    from eddyline.cli import show
    from eddyline.cli.load import load
    from eddyline.views.operate import roll_back

    loaded = load(file, store)
    who = author if author is not None else getpass.getuser()
    change, running = roll_back(loaded.pipeline, loaded.store, version, author=who, reason=reason)
    if as_json:
        show.json_document({**show.plain(change), "by_running_engine": running})
        return
    champion = change.rollout.champion or "the learner"
    took = "the running engine took it" if running else "applied; no engine runs on the store"
    show.console().print(
        f"{champion} answers since rollout {change.rollout.revision}, block {change.block}, "
        f"with the learner at position {change.learner} ({took})",
        soft_wrap=True,
    )
