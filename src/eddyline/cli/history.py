"""`eddyline history`: what was in production when, who put it there and why; every decision; and each made again."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import job_asked, on_flink_too
from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.connectors.kafka import Connection
    from eddyline.pipeline import Pipeline
    from eddyline.pipeline.loading import Loaded
    from eddyline.store.database import Store
    from eddyline.views.ledger import Check, Clock, Declaration, Entered, Held, Tenure

SOUND, CHANGED, NOT_CLAIMED = 0, 1, 7


@click.command("history", short_help="What was in production, since when, who put it there, and why.")
@pipeline_file
@click.option("--at", metavar="TIME", help="Only what was in production then: 2026-03-02, 2026-03-02T14:30Z.")
@click.option("--wall", is_flag=True, help="TIME is of the wall clock, when it was committed; not event time.")
@click.option("--decisions", is_flag=True, help="List every decision.")
@click.option("--check", is_flag=True, help="Make every decision again, from its evidence and from the journal.")
@on_flink_too
@as_json
def command(file: str, store: str | None, at: str | None, wall: bool, decisions: bool, check: bool, as_json: bool) -> int:
    """Show who answered, one after the other: by which decision, on what grounds, in event time and on the wall clock.

    With --check every decision is made again: its verdict from the sums in its evidence, and the decision itself from the
    journal, by the policies of FILE; where the declaration was changed, from the last change on. Exit code 0 when all are
    the same, 1 when one differs, 7 when this machine computes otherwise than the one that decided: then nothing is claimed.

    With --brokers it is the history of the job on Flink, from its topics: rollouts, decisions and --check, which plays what
    was taken again in its recorded order. Not there: which version gave the last answer before a time.
    """
    from eddyline.pipeline.loading import load
    from eddyline.store.database import Store
    from eddyline.views import ledger

    loaded = load(file, store)
    connection = job_asked(loaded)
    if connection is not None:
        return _of_job(loaded, connection, at, wall, decisions, check, as_json)
    with closing(Store.read(loaded.store)) as opened:
        if check:
            return _check(opened, loaded.pipeline, as_json)
        if at is not None:
            when, clock = _when(at, wall)
            return _held(ledger.in_production(opened, loaded.pipeline, when, clock=clock), at, as_json)
        past, made, held_by = ledger.tenures(opened, loaded.pipeline), ledger.decisions(opened), ledger.declarations(opened)
    _told(past, made, decisions, as_json, held_by)
    return SOUND


def _of_job(
    loaded: Loaded, connection: Connection, at: str | None, wall: bool, decisions: bool, check: bool, as_json: bool
) -> int:
    """The same, from the topics of a job on Flink."""
    from eddyline.views import ledger_of_job as ledger

    if check:
        return _verdict(ledger.check(loaded.pipeline, connection), as_json)
    told = ledger.annals(loaded.pipeline, connection)
    if at is None:
        _told(ledger.tenures(told, loaded.pipeline), ledger.decisions(told), decisions, as_json)
        return SOUND
    when, clock = _when(at, wall)
    return _held(ledger.in_production(told, loaded.pipeline, when, clock=clock), at, as_json)


def _told(
    past: list[Tenure], made: list[Entered], decisions: bool, as_json: bool, declarations: list[Declaration] | None = None
) -> None:
    from eddyline.cli import show

    if as_json:
        more = {} if declarations is None else {"declarations": declarations}
        show.json_document({"tenures": past, "decisions": made, **more})
    elif decisions:
        _decisions(made)
    else:
        _tenures(past)
        if declarations is not None and len(declarations) > 1:
            _declarations(declarations)


def _declarations(found: list[Declaration]) -> None:
    from eddyline.cli.asking import event_time, told, wall_clock

    rows = []
    for number, one in enumerate(found):
        by = f"by {one.author}{': ' if one.reason else ''}{one.reason}" if one.block else None
        committed = f"after {one.answers:,} answers; committed {wall_clock(one.received_at)}, block {one.block}"
        rows.append((str(number), event_time(one.at), [one.digest, by, *one.says, committed if one.block else None]))
    told("how it was watched and decided, by declaration", rows)


def _when(text: str, wall: bool) -> tuple[float, Clock]:
    """A time as the ledger is asked about it: in s of the wall clock, or in µs of event time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a time; write 2026-03-02 or 2026-03-02T14:30Z", param_hint="--at") from error
    at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    return (at, "wall") if wall else (at * 1e6, "event")


def _held(held: Held, asked: str, as_json: bool) -> int:
    from eddyline.cli import show
    from eddyline.cli.asking import event_time, wall_clock

    if as_json:
        show.json_document(held)
        return SOUND
    put = held.put_there
    decision, rollout = put.decision, put.rollout
    made = None if decision is None else f"{decision.number}: {decision.action} {decision.subject}, by {decision.policy}"
    last = None if held.version is None else f"{held.version}, to an event of {event_time(held.answered_at)}"
    until = "now" if held.until_received_at is None else event_time(held.until)
    rows = [
        ("in production", f"{put.champion} (rollout {held.rollout.revision})"),
        ("the last answer", last),
        ("since", f"{event_time(put.at)} (committed {wall_clock(put.received_at)}{_in_block(put.block)})"),
        ("until", until),
        ("put there by", rollout.author),
        ("because", rollout.reason or None),
        ("decision", made),
        ("beside it", ", ".join(f"{place.who} ({place.mode})" for place in held.rollout.places) or "nobody"),
    ]
    show.facts(f"at {asked}", rows)
    return SOUND


def _in_block(block: int) -> str:
    """A job has no blocks."""
    return f", block {block}" if block else ""


def _tenures(past: list[Tenure]) -> None:
    from eddyline.cli.asking import event_time, told, wall_clock

    rows = []
    for one in past:
        rollout = one.rollout
        beside = ", ".join(f"{place.who} ({place.mode})" for place in rollout.places) or "nobody"
        committed = (
            f"committed {wall_clock(one.received_at)}{_in_block(one.block)}" if one.block or one.decision is not None else None
        )
        what = f"{one.champion} answers, beside it {beside}"
        why = f"by {rollout.author}{': ' if rollout.reason else ''}{rollout.reason}"
        rows.append((str(rollout.revision), event_time(one.at), [what, why, committed]))
    told("who answered, by rollout", rows)


def _decisions(found: list[Entered]) -> None:
    from eddyline.cli.asking import event_time, told, wall_clock

    rows = []
    for one in found:
        decision = one.decision
        by = decision.policy if decision.author == "eddyline" else f"{decision.author} ({decision.policy})"
        what = f"{decision.action} {decision.subject}".strip()
        head = f"{what}, {decision.status}, by {by}; committed {wall_clock(one.received_at)}"
        rows.append((str(decision.number), event_time(decision.at), [head, decision.reason]))
    told("decisions", rows)


def _check(store: Store, pipeline: Pipeline, as_json: bool) -> int:
    from rich.progress import Progress

    from eddyline.cli import show
    from eddyline.views.ledger import check

    console = show.console(err=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task("deciding again", total=None)
        done = check(store, pipeline, lambda block, of: bar.update(task, completed=block, total=of))
    return _verdict(done, as_json)


def _verdict(done: Check, as_json: bool) -> int:
    from eddyline.cli import show

    if as_json:
        show.json_document({**show.plain(done), "sound": done.sound})
    else:
        _checked(done)
    if not done.comparable:
        return NOT_CLAIMED
    return SOUND if done.sound else CHANGED


def _checked(done: Check) -> None:
    from eddyline.cli import show

    out = show.console()
    told = sum(one.evidence is not None for one in done.decisions if one.follows is not None)
    again = sum(one.follows is not None for one in done.decisions)
    for one in done.decisions:
        name = f"decision {one.decision.number} ({one.decision.action} {one.decision.subject})"
        if one.evidence is False:
            out.print(f"differs: {name}: its verdict does not follow from its evidence", soft_wrap=True)
        if one.follows is False:
            out.print(f"differs: {name} does not follow from the journal", soft_wrap=True)
    for decision in done.missing:
        out.print(f"missing: {decision.action} {decision.subject} follows from the journal after {decision.record:,} records")
    if done.changed_in or done.changed_by:
        began = f"block {done.changed_in:,}" if done.changed_in else f"decision {done.changed_by}"
        before = sum(one.follows is None for one in done.decisions)
        out.print(
            f"made again from {began} on, where the declaration changed; of the "
            f"{show.count(before, 'decision')} until there the verdicts alone: their policies are in no file any more",
            soft_wrap=True,
        )
    if not done.comparable:
        out.print("not claimed: this machine computes otherwise than the one that decided")
    elif done.sound:
        out.print(f"sound: {show.count(again, 'decision')} made again, {told:,} of them from a verdict")
