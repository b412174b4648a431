"""`eddyline flink env`: builds the Python environment in which Flink's workers run our stages."""

from __future__ import annotations

from pathlib import Path

import click

from eddyline.cli.options import as_json


@click.command("env", short_help="Build the workers' Python environment.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where it goes.  [default: one in $EDDYLINE_CACHE or ~/.cache/eddyline, named by the lock]",
)
@click.option("--python", metavar="PATH", help="The interpreter to build with, 3.11 or 3.12.  [default: this one]")
@as_json
def command(folder: Path | None, python: str | None, as_json: bool) -> None:
    """Build the environment of Flink's workers from the lock for this Python, and show what is in it.

    Takes a minute or more and 1.1 GB the first time; a build that was interrupted starts again with what was fetched, and
    a finished one is left as it is. The interpreter's path is the first line on stdout.
    """
    from eddyline.cli import show
    from eddyline.engines.flink.environment import build, versions

    interpreter = build(folder, python, say=lambda what: click.echo(what, err=True))
    has = versions(interpreter)
    if as_json:
        show.json_document({"interpreter": str(interpreter), "versions": has})
        return
    click.echo(str(interpreter))
    show.facts("versions", has.items())
    if folder is not None:
        click.echo(f"to submit with it: export EDDYLINE_FLINK_PYTHON={interpreter}", err=True)
