"""`eddyline test`: a candidate is made from the log and led through its gates, for CI and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eddyline.cli.options import as_json

if TYPE_CHECKING:
    from pathlib import Path

    from eddyline.views.trial import Tried

PASSED, CLOSED = 0, 1


@click.command("test", short_help="Try a candidate model on the recorded past: gates, for CI.")
@click.argument("file", metavar="CANDIDATE")
@click.option("--store", metavar="PATH", help="The store.  [default: <name of the pipeline>.eddyline beside its file]")
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Train here: can be interrupted and goes on.")
@click.option("--junit", metavar="FILE", type=click.Path(dir_okay=False), help="Write JUnit XML, a test case for each gate.")
@click.option("--markdown", metavar="FILE", type=click.Path(dir_okay=False), help="Write a summary in Markdown.")
@as_json
def command(file: str, store: str | None, out: str | None, junit: str | None, markdown: str | None, as_json: bool) -> int:
    """Train the Candidate of CANDIDATE (a Python file) on the store's past and lead it through its gates.

    Nothing that runs is touched: the store is only read. On GitHub Actions the summary is added to the job's page.
    Exit code 0 when every gate is open, 1 when one is closed, 2 and above when it could not be tried.
    """
    import time
    from contextlib import closing
    from pathlib import Path

    from eddyline.cli.training import bar, make_room, write_reports
    from eddyline.store.database import Store
    from eddyline.views.trial import load_candidate, try_candidate

    make_room(junit, markdown)
    candidate, loaded = load_candidate(file, store)
    started = time.monotonic()
    with closing(Store.read(loaded.store)) as opened, bar(silent=as_json) as on_progress:
        tried = try_candidate(
            opened,
            loaded.pipeline,
            candidate,
            _folder(file),
            out_dir=Path(out) if out is not None else None,
            on_progress=on_progress,
        )
    write_reports(tried, time.monotonic() - started, junit, markdown)
    say(tried, as_json=as_json)
    return PASSED if tried.passed else CLOSED


def _folder(file: str) -> Path:
    from pathlib import Path

    path, colon, _ = file.rpartition(":")
    return Path(path if colon and not Path(file).exists() else file).absolute().parent


def say(tried: Tried, *, as_json: bool, more: dict[str, Any] | None = None) -> None:
    """Prints how a candidate fared."""
    from eddyline.cli import show
    from eddyline.views.trial_report import facts

    if as_json:
        show.json_document({**show.plain(tried), **(more or {})})
        return
    show.facts(f"{tried.name} for {tried.pipeline}", facts(tried))
    made = show.table("", "gate", "result")
    for result, sentence in zip(tried.gates, tried.asked, strict=True):
        made.add_row("open" if result.passed else "CLOSED", sentence, result.said)
    show.titled("gates" if tried.gates else "no gates", made)
    out = show.console()
    out.print("passed" if tried.passed else "NOT PASSED: it may not even shadow")
    for name, value in (more or {}).items():
        out.print(f"{name}: {value}", soft_wrap=True)
