"""`eddyline release`: let a segment's examples be learned again."""

from __future__ import annotations

import click

from eddyline.cli.asking import by, on_flink_too


@click.command("release", short_help="Let a segment's examples be learned again.")
@by
@on_flink_too
@click.argument("segment")
def command(file: str, store: str | None, segment: str, author: str | None, reason: str, as_json: bool) -> None:
    """Let the examples of SEGMENT be learned again."""
    from eddyline.cli.asking import carry_out, who
    from eddyline.stages.commands import Command

    carry_out(file, store, Command(do="release", to=segment, author=who(author), reason=reason), as_json)
