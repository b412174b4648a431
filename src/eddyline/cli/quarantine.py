"""`eddyline quarantine`: keep a segment's examples from learning."""

from __future__ import annotations

import click

from eddyline.cli.asking import by, on_flink_too


@click.command("quarantine", short_help="Keep a segment's examples from learning.")
@by
@on_flink_too
@click.argument("segment")
def command(file: str, store: str | None, segment: str, author: str | None, reason: str, as_json: bool) -> None:
    """Keep the examples of SEGMENT from learning until `eddyline release FILE SEGMENT`; its events are answered as ever.

    Segments are those of Watch(segment=...); "" is all of them.
    """
    from eddyline.cli.asking import carry_out, who
    from eddyline.stages.commands import Command

    carry_out(file, store, Command(do="quarantine", to=segment, author=who(author), reason=reason), as_json)
