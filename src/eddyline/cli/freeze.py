"""`eddyline freeze`: stop learning; answers go on."""

from __future__ import annotations

import click

from eddyline.cli.asking import by, on_flink_too


@click.command("freeze", short_help="Stop learning; answers go on.")
@by
@on_flink_too
def command(file: str, store: str | None, author: str | None, reason: str, as_json: bool) -> None:
    """Stop everybody's learning until `eddyline resume FILE`. Answers go on; truths are measured and kept."""
    from eddyline.cli.asking import carry_out, who
    from eddyline.stages.commands import Command

    carry_out(file, store, Command(do="freeze", author=who(author), reason=reason), as_json)
