"""`eddyline incidents`: what went wrong, what was done about it, and whether it is over."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.views.incidents import Incident

OVER, OPEN = 0, 1


@click.command("incidents", short_help="What went wrong, what was done about it, and whether it is over.")
@pipeline_file
@click.argument("number", metavar="[ID]", type=click.IntRange(min=1), required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those that go on; exit code 1 when there are any.")
@click.option("--markdown", metavar="FILE", type=click.Path(dir_okay=False), help="Write incident ID as a page of Markdown.")
@as_json
def command(file: str, store: str | None, number: int | None, only_open: bool, markdown: str | None, as_json: bool) -> int:
    """List the incidents of the pipeline of FILE, or show incident ID with its evidence and timeline.

    They are derived from the journal: roll backs, frozen learning, quarantines, guardrails, alerts that somebody was told
    of, bursts of dead letters. With --open, exit code 0 when all are over and 1 when one goes on.
    """
    from pathlib import Path

    from eddyline.cli import show
    from eddyline.cli.training import make_room
    from eddyline.pipeline.loading import load
    from eddyline.store.database import Store
    from eddyline.views.incident_page import markdown as page_of
    from eddyline.views.incidents import incident, incidents

    if markdown is not None and number is None:
        raise click.UsageError("--markdown writes one incident: say which, eddyline incidents FILE 3 --markdown 3.md")
    loaded = load(file, store)
    with closing(Store.read(loaded.store)) as opened:
        if number is not None:
            one = incident(opened, loaded.pipeline, number)
            if markdown is not None:
                make_room(markdown)
                Path(markdown).write_text(page_of(one, loaded.pipeline.name), encoding="utf-8")
            if as_json:
                show.json_document({**show.plain(one), **({"markdown": markdown} if markdown else {})})
            elif markdown is not None:
                click.echo(f"incident {number} written to {markdown}")
            else:
                _page(one)
            return OVER
        found = incidents(opened, loaded.pipeline)
    going_on = [one for one in found if one.open]
    shown = going_on if only_open else found
    if as_json:
        show.json_document({"incidents": shown})
    else:
        _table(shown, only_open)
    return OPEN if only_open and going_on else OVER


def _table(found: list[Incident], only_open: bool) -> None:
    from eddyline.cli import show
    from eddyline.cli.asking import event_time, told, wall_clock

    if not found:
        show.console().print("no incident is open" if only_open else "no incidents")
        return
    rows = []
    for one in found:
        when = "-" if one.opened_at is None else event_time(one.opened_at)
        status = "open" if one.closed_by is None else f"over: {one.closed_by}"
        rows.append(
            (str(one.number), when, [f"{one.title}; committed {wall_clock(one.opened_received_at)}", one.reason, status])
        )
    told("incidents", rows)


def _page(one: Incident) -> None:
    from eddyline.cli import show
    from eddyline.cli.asking import event_time, told, wall_clock
    from eddyline.views.incident_page import number

    show.facts(
        f"incident {one.number}: {one.title}",
        [
            ("opened", "-" if one.opened_at is None else event_time(one.opened_at)),
            ("committed", f"{wall_clock(one.opened_received_at)}, block {one.block}"),
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
        rows.append((moment.what, when, [f"{moment.said}; committed {wall_clock(moment.received_at)}, block {moment.block}"]))
    told("timeline", rows)
