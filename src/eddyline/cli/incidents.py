"""`eddyline incidents`: what went wrong, what was done about it, and whether it is over."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import job_asked, on_flink_too
from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.connectors.kafka import Connection
    from eddyline.pipeline.loading import Loaded
    from eddyline.views.incidents import Incident

OVER, OPEN = 0, 1
JOB = "FILE --brokers HOST:PORT"


@click.command("incidents", short_help="What went wrong, what was done about it, and whether it is over.")
@pipeline_file
@click.argument("number", metavar="[ID]", type=click.IntRange(min=1), required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those that go on; exit code 1 when there are any.")
@click.option("--markdown", metavar="FILE", type=click.Path(dir_okay=False), help="Write incident ID as a page of Markdown.")
@on_flink_too
@as_json
def command(file: str, store: str | None, number: int | None, only_open: bool, markdown: str | None, as_json: bool) -> int:
    """List the incidents of the pipeline of FILE, or show incident ID with its evidence and timeline.

    They are derived from the journal: roll backs, frozen learning, quarantines, guardrails, alerts that somebody was told
    of, bursts of dead letters. With --open, exit code 0 when all are over and 1 when one goes on.

    With --brokers they are those of the job on Flink, from its topics, by the same rules; it costs reading them, and disk for a
    copy, which is deleted at the end. Bursts of dead letters are not among them: the topics do not tell between which inputs a
    record was refused.
    """
    from eddyline.pipeline.loading import load
    from eddyline.views.incidents import numbered

    if markdown is not None and number is None:
        raise click.UsageError("--markdown writes one incident: say which, eddyline incidents FILE 3 --markdown 3.md")
    loaded = load(file, store)
    connection = job_asked(loaded)
    found = _found(loaded, connection)
    if number is not None:
        where = f"in {loaded.store.name}" if connection is None else f"of the job of {loaded.pipeline.name}"
        called = "FILE" if connection is None else JOB
        _one(numbered(found, number, where, called), loaded.pipeline.name, called, markdown, as_json)
        return OVER
    going_on = [one for one in found if one.open]
    _all(going_on if only_open else found, only_open, as_json, of_job=connection is not None)
    return OPEN if only_open and going_on else OVER


def _found(loaded: Loaded, connection: Connection | None) -> list[Incident]:
    """Every incident, of the job where one is meant, else of the store."""
    from eddyline.store.database import Store
    from eddyline.views.incidents import incidents

    if connection is not None:
        from eddyline.views.incidents_of_job import incidents_of_job

        return incidents_of_job(loaded.pipeline, connection)
    with closing(Store.read(loaded.store)) as opened:
        return incidents(opened, loaded.pipeline)


def _one(one: Incident, pipeline: str, file: str, markdown: str | None, as_json: bool) -> None:
    """Shows one incident, or writes its page; `file` is how commands call what they are asked about."""
    from pathlib import Path

    from eddyline.cli import show
    from eddyline.cli.training import make_room
    from eddyline.views.incident_page import markdown as page_of

    if markdown is not None:
        make_room(markdown)
        Path(markdown).write_text(page_of(one, pipeline, file), encoding="utf-8")
    if as_json:
        show.json_document({**show.plain(one), **({"markdown": markdown} if markdown else {})})
    elif markdown is not None:
        click.echo(f"incident {one.number} written to {markdown}")
    else:
        _page(one)


def _all(shown: list[Incident], only_open: bool, as_json: bool, *, of_job: bool) -> None:
    """Lists them, and says what the topics of a job do not tell."""
    from eddyline.cli import show

    unknown = []
    if of_job:
        from eddyline.views.incidents_of_job import UNKNOWN

        unknown = [f"{UNKNOWN} To count them: eddyline dead-letters {JOB}"]
    if as_json:
        show.json_document({"incidents": shown, **({"unknown": unknown} if of_job else {})})
        return
    _table(shown, only_open)
    for sentence in unknown:
        show.console().print(sentence, soft_wrap=True)


def _table(found: list[Incident], only_open: bool) -> None:
    from eddyline.cli import show
    from eddyline.cli.asking import event_time, told
    from eddyline.views.incident_page import committed

    if not found:
        show.console().print("no incident is open" if only_open else "no incidents")
        return
    rows = []
    for one in found:
        when = "-" if one.opened_at is None else event_time(one.opened_at)
        status = "open" if one.closed_by is None else f"over: {one.closed_by}"
        title = _joined(one.title, committed(one.opened_received_at, 0))
        rows.append((str(one.number), when, [title, one.reason, status]))
    told("incidents", rows)


def _page(one: Incident) -> None:
    from eddyline.cli import show
    from eddyline.cli.asking import event_time, told
    from eddyline.views.incident_page import committed, number

    show.facts(
        f"incident {one.number}: {one.title}",
        [
            ("opened", "-" if one.opened_at is None else event_time(one.opened_at)),
            ("committed", committed(one.opened_received_at, one.block).removeprefix("committed ") or None),
            ("because", one.reason),
            ("decision", one.decision),
            ("status", "open" if one.closed_by is None else f"over: {one.closed_by}"),
            ("mean error", f"{number(one.error_before)} before, {number(one.error_after)} after"),
        ],
    )
    show.facts("what was done", [(said, "") for said in one.mitigation] or [("nothing yet", "")])
    show.values("evidence", one.evidence)
    rows = []
    for moment in one.timeline:
        when = "-" if moment.at is None else event_time(moment.at)
        rows.append((moment.what, when, [_joined(moment.said, committed(moment.received_at, moment.block))]))
    told("timeline", rows)


def _joined(said: str, committed: str) -> str:
    return f"{said}; {committed}" if committed else said
