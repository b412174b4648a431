"""`eddyline report`: one page of HTML about a store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from eddyline.cli.options import as_json, pipeline_file


@click.command("report", short_help="Write one page of HTML about the store.")
@pipeline_file
@click.option("--out", metavar="PATH", help="Where to.  [default: NAME.html beside FILE]")
@as_json
def command(file: str, store: str | None, out: str | None, as_json: bool) -> None:
    """Write one page of HTML that needs no network: quality, coverage, versions, alerts, dead letters."""
    from eddyline.cli import show
    from eddyline.pipeline.loading import load
    from eddyline.records.errors import EddylineError
    from eddyline.store.database import Store
    from eddyline.views.report import write_report

    loaded = load(file, store)
    target = Path(out) if out else loaded.base / f"{loaded.pipeline.name}.html"
    try:
        with closing(Store.read(loaded.store)) as opened:
            written = write_report(opened, loaded.pipeline, target)
    except OSError as error:
        raise EddylineError(
            f"the report cannot be written to {target} ({error.strerror or error})\n"
            "name a file in a folder that can be written and has room: --out PATH"
        ) from error
    if as_json:
        show.json_document({"report": written})
    else:
        show.console().print(f"wrote {written}", soft_wrap=True)
