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

    Segments are those of Watch(segment=...); "" is all of them. One that no answer was of is taken too, with a note.
    """
    from eddyline.cli.asking import carry_out, job_asked, who
    from eddyline.pipeline.loading import load
    from eddyline.stages.commands import Command
    from eddyline.views.segments import stranger

    carry_out(file, store, Command(do="quarantine", to=segment, author=who(author), reason=reason), as_json)
    loaded = load(file, store)
    if job_asked(loaded) is None:
        note = stranger(loaded.pipeline, loaded.store, segment)
        if note is not None:
            click.echo(
                "note: " + f"{note}, or let it go: eddyline release {file} {segment}".replace("\n", "\n      "), err=True
            )
