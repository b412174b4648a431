"""`eddyline approve`: carry out what a policy proposed."""

from __future__ import annotations

import click

from eddyline.cli.asking import by, on_flink_too


@click.command("approve", short_help="Carry out what a policy proposed.")
@by
@on_flink_too
@click.argument("number", type=click.IntRange(min=1))
def command(file: str, store: str | None, number: int, author: str | None, reason: str, as_json: bool) -> None:
    """Carry out the decision NUMBER, which waits for approval: those that wait are in `eddyline challengers FILE`."""
    from eddyline.cli.asking import carry_out, who
    from eddyline.stages.commands import Command

    carry_out(file, store, Command(do="approve", number=number, author=who(author), reason=reason), as_json)
