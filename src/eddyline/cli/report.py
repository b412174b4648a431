"""`eddyline report`: one page of HTML about a store, or about a job on Flink."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import job_asked, on_flink_too
from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded


@click.command("report", short_help="Write one page of HTML about the store.")
@pipeline_file
@on_flink_too
@click.option("--out", metavar="PATH", help="Where to.  [default: NAME.html beside FILE]")
@as_json
def command(file: str, store: str | None, out: str | None, as_json: bool) -> None:
    """Write one page of HTML that needs no network: quality, coverage, versions, alerts, dead letters.

    With --brokers it is the page of the job on Flink: its answers, truths and dead letters are read from its topics and
    measured again. Where policies decide, contests are counted again, which costs what learning everything costs; and disk
    for a copy of the topics, which is deleted at the end. What the topics cannot tell is said at the top of the page.
    """
    from eddyline.cli import show
    from eddyline.pipeline.loading import load
    from eddyline.records.errors import EddylineError

    loaded = load(file, store)
    target = Path(out) if out else loaded.base / f"{loaded.pipeline.name}.html"
    try:
        written = _written(loaded, target)
    except OSError as error:
        raise EddylineError(
            f"the report cannot be written to {target} ({error.strerror or error})\n"
            "name a file in a folder that can be written and has room: --out PATH"
        ) from error
    if as_json:
        show.json_document({"report": written})
    else:
        show.console().print(f"wrote {written}", soft_wrap=True)


def _written(loaded: Loaded, target: Path) -> Path:
    """The page, of the job where one is meant, else of the store."""
    from eddyline.store.database import Store
    from eddyline.views.report import write_page, write_report

    connection = job_asked(loaded)
    if connection is not None:
        from eddyline.views.report_of_job import report_of_job

        return write_page(report_of_job(loaded.pipeline, connection), target)
    with closing(Store.read(loaded.store)) as opened:
        return write_report(opened, loaded.pipeline, target)
