"""`eddyline run`: takes what the sources hold and what is added to them, until it is told to stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.engines.embedded import Engine, Progress


@click.command("run", short_help="Follow the sources as they grow, until stopped.")
@pipeline_file
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=5.0,
    metavar="SECONDS",
    help="Between status lines.  [default: 5]",
)
@as_json
def command(file: str, store: str | None, every: float, as_json: bool) -> None:
    """Take what the sources of FILE hold and what is added to them, until Ctrl-C or SIGTERM.

    Stopping commits, checkpoints and exits with 0; the next run goes on from there. Status goes to stderr:
    one line that changes on a terminal, else a line every few seconds. Requests of `eddyline rollback` take
    effect while it runs.
    """
    from eddyline.cli import show
    from eddyline.cli.load import load
    from eddyline.cli.stop import stopping
    from eddyline.cli.totals import document, print_totals
    from eddyline.engines.embedded import Engine, follow
    from eddyline.views.summary import summarize

    loaded = load(file, store)
    with stopping() as stop, Engine(loaded.pipeline, loaded.store) as engine:
        click.echo(f"{loaded.pipeline.name} runs on {loaded.store}; Ctrl-C stops it", err=True)
        progress = follow(engine, loaded.base, stop=stop, on_progress=_status(engine, every))
        summary = summarize(engine)
    if as_json:
        show.json_document(document(summary, progress, stopped=True))
        return
    print_totals(summary, progress)


def _status(engine: Engine, every: float) -> Callable[[Progress], None]:
    """Says how it goes every few seconds: over the last line on a terminal, one below the other elsewhere."""
    from eddyline.cli.totals import moment

    on_terminal = sys.stderr.isatty()
    last, inputs = time.monotonic(), 0

    def status(progress: Progress) -> None:
        nonlocal last, inputs
        now = time.monotonic()
        if now - last < every:
            return
        lately = (progress.inputs - inputs) / (now - last)
        last, inputs = now, progress.inputs
        line = f"{moment(engine, progress)}; {lately:,.0f}/s lately"
        click.echo(f"\r\x1b[K{line}" if on_terminal else line, err=True, nl=not on_terminal)

    return status
