"""`eddyline resume`: let everybody learn again."""

from __future__ import annotations

import click

from eddyline.cli.asking import by, on_flink_too


@click.command("resume", short_help="Let everybody learn again.")
@by
@on_flink_too
def command(file: str, store: str | None, author: str | None, reason: str, as_json: bool) -> None:
    """Let everybody learn again. What came while learning was frozen is not learned by it."""
    from eddyline.cli.asking import carry_out, who
    from eddyline.stages.commands import Command

    carry_out(file, store, Command(do="resume", author=who(author), reason=reason), as_json)
