"""`eddyline reject`: leave undone what a policy proposed."""

from __future__ import annotations

import click

from eddyline.cli.asking import by, on_flink_too


@click.command("reject", short_help="Leave undone what a policy proposed.")
@by
@on_flink_too
@click.argument("number", type=click.IntRange(min=1))
def command(file: str, store: str | None, number: int, author: str | None, reason: str, as_json: bool) -> None:
    """Leave undone the decision NUMBER, which waits for approval. The policy may propose it again under another rollout."""
    from eddyline.cli.asking import carry_out, who
    from eddyline.stages.commands import Command

    carry_out(file, store, Command(do="reject", number=number, author=who(author), reason=reason), as_json)
