"""`eddyline challengers`: who has a seat beside the champion, and how its contest stands; seats are given and taken here."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import by, on_flink_too

if TYPE_CHECKING:
    from eddyline.pipeline import Pipeline
    from eddyline.pipeline.loading import Loaded
    from eddyline.records import Decision, Mode, Place
    from eddyline.views.seats import Seat, Seats, Standing, Unseated


@click.command("challengers", short_help="Who has a seat beside the champion, and how it does.")
@by
@on_flink_too
@click.option(
    "--enter",
    metavar="NAME",
    help="Give a seat to a version (fraud@1200), a line (deep, fraud.deep), or to what `eddyline retrain` left in a folder.",
)
@click.option("--leave", metavar="NAME", help="Take its seat from a version or a line.")
@click.option("--shadow", is_flag=True, help="With --enter: asked of every event, never returned.  [default]")
@click.option("--canary", type=float, metavar="SHARE", help="With --enter: its answer is returned for a share of the keys.")
@click.option("--split", type=float, metavar="SHARE", help="With --enter: asked for a share of the keys only.")
@click.option("--unforget", is_flag=True, help="With --enter: even if it learned events that were to be forgotten.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked for, and ask for nothing.")
def command(
    file: str,
    store: str | None,
    enter: str | None,
    leave: str | None,
    shadow: bool,
    canary: float | None,
    split: float | None,
    unforget: bool,
    dry_run: bool,
    author: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Show who is asked beside the champion: how, since when, the verdict so far, and how it does.

    With --enter somebody who is there gets a seat, or another one; with --leave it is asked no more. --enter DIR lets in the
    model that `eddyline retrain` made in DIR (or by the name of its line), where its gates are open: its digest is checked, and
    it catches up with what was learned since. What policies
    proposed and nobody approved yet stands below; approve it with `eddyline approve FILE NUMBER`.

    With --brokers they are those of the job on Flink. Who is asked, and the numbers, are made again from its topics: everything
    that learn and decide took is played once more, which costs what learning it costs, and disk for a copy of the topics.
    """
    from eddyline.cli import show
    from eddyline.cli.asking import carry_out, job_asked, who
    from eddyline.pipeline.loading import load
    from eddyline.stages.commands import Command
    from eddyline.store.database import Store
    from eddyline.views.entering import entering, folder_of

    if enter is None and (shadow or canary is not None or split is not None):
        raise click.UsageError("--shadow, --canary and --split say how somebody is asked: name who, with --enter NAME")
    loaded = load(file, store)
    on_flink = job_asked(loaded) is not None
    if enter is None and leave is None:
        found = _asked(loaded)
        if as_json:
            show.json_document(found)
        else:
            _page(found, "FILE --brokers HOST:PORT" if on_flink else "FILE")
        return
    if enter is not None and leave is not None:
        raise click.UsageError("--enter and --leave are two requests: make them one after the other")
    version = None
    if leave is not None:
        wanted = Command(do="leave", to=_named(loaded.pipeline, leave), author=who(author), reason=reason)
    elif on_flink:
        seat = _place(loaded.pipeline, enter or "", shadow, canary, split)
        wanted = Command(do="enter", place=seat, author=who(author), reason=reason, unforget=unforget)
    else:
        place = _place(loaded.pipeline, enter or "", shadow, canary, split)
        folder = folder_of(loaded.store, enter or "")
        with closing(Store.read(loaded.store)) as opened:
            if folder is not None and place.who.partition("@")[0] not in opened.lines():
                wanted, version = entering(opened, loaded.pipeline, folder, place, author=who(author), reason=reason)
            else:
                wanted = Command(do="enter", place=place, author=who(author), reason=reason, unforget=unforget)
    if dry_run:
        _would(wanted, as_json)
        return
    carry_out(file, store, wanted, as_json, version)


def _asked(loaded: Loaded) -> Seats:
    """Who is asked, by the job where one is meant, else by the store."""
    from eddyline.cli.asking import job_asked
    from eddyline.store.database import Store
    from eddyline.views.seats import seats

    connection = job_asked(loaded)
    if connection is not None:
        from eddyline.views.seats_of_job import seats_of_job

        return seats_of_job(loaded.pipeline, connection)
    with closing(Store.read(loaded.store)) as opened:
        return seats(opened, loaded.pipeline)


def _would(wanted: object, as_json: bool) -> None:
    from eddyline.cli import show

    if as_json:
        show.json_document({"would_ask": wanted})
    else:
        show.console().print(f"would ask for: {wanted}", soft_wrap=True)


def _place(pipeline: Pipeline, name: str, shadow: bool, canary: float | None, split: float | None) -> Place:
    """The seat that the options describe."""
    from eddyline.pipeline import Canary, Shadow, Split
    from eddyline.records import Place

    if shadow + (canary is not None) + (split is not None) > 1:
        raise click.UsageError("--shadow, --canary and --split exclude each other")
    for word, share in (("--canary", canary), ("--split", split)):
        if share is not None and not 0 < share < 1:
            raise click.UsageError(f"{word} {share:g}: the share of keys is between 0 and 1; write {word} 0.05")
    how = Shadow() if canary is None and split is None else Canary(canary) if canary is not None else Split(split or 0.0)
    mode: Mode = how.mode
    return Place(_named(pipeline, name), mode, how.share)


def _named(pipeline: Pipeline, name: str) -> str:
    """A declared challenger by the name of its line."""
    declared = {one.name for one in pipeline.challengers}
    return f"{pipeline.name}.{name}" if name in declared else name


def _page(found: Seats, file: str) -> None:
    """Prints who is asked; `file` is how commands about them call what they are asked about."""
    from eddyline.cli import show
    from eddyline.records.time import show_instant

    where = "" if found.position is None or "@" in found.champion else f", its learner at position {found.position:,}"
    out = show.console()
    still = "; it does not learn" if found.counted and not found.learns else ""
    out.print(f"{found.champion} answers{where}{still}", soft_wrap=True)
    if found.former is not None:
        out.print(f"before it: {found.former}", soft_wrap=True)
    if found.frozen_since is not None:
        out.print(f"learning is frozen since {show_instant(found.frozen_since)}; let it go on: eddyline resume {file}")
    for segment, since in found.quarantined.items():
        out.print(f"in quarantine since {show_instant(since)}: {segment or 'everything'}", soft_wrap=True)
    if not found.seats:
        out.print(
            f"nobody sits beside it; give somebody a seat: eddyline challengers {file} --enter NAME@POSITION", soft_wrap=True
        )
    for seat in found.seats:
        show.facts(seat.place.who, _facts(seat) if found.counted else _facts(seat)[:2])
    for one in found.unseated:
        _left(one, file)
    for fault, many in found.uncounted.items():
        out.print(_uncounted(fault, many, found.first_uncounted.get(fault), file), soft_wrap=True)
    for decision in found.waiting:
        out.print(
            f"decision {decision.number} waits for approval: {decision.action} {decision.subject} ({decision.reason})",
            soft_wrap=True,
        )
    if not found.counted:
        out.print(f"how they do, what learns and what waits for approval is not known: {found.behind}", soft_wrap=True)
    elif found.behind:
        out.print(f"as of the last checkpoint: {found.behind}", soft_wrap=True)


def _uncounted(fault: str, many: int, first: Decision | None, file: str) -> str:
    """How often a policy or its loss failed under this rollout, what that costs, and where it began."""
    from eddyline.cli import show

    said = f"{fault}: {show.count(many, 'time')} since this rollout"
    if first is None:
        return f"{said}; see what the ledger says: eddyline history {file} --decisions"
    cost = f"and each cost the clip of {first.evidence['clip']:g}"
    event = f"first on event {first.evidence['event']!r} (decision {first.number})"
    return f"{said}, {cost}; {event}; what was answered to it: eddyline explain {file} {first.evidence['event']}"


def _left(one: Unseated, file: str) -> None:
    """Why a declared challenger is not asked, and how one like it comes back."""
    from eddyline.cli import show

    decision, name = one.decision, one.line.partition(".")[2]
    again = f"it learns no more; as it was then, it can be asked: eddyline challengers {file} --enter {one.version}"
    if one.failed:
        again = (
            "what it raises: eddyline check FILE; a job takes no other challengers, and trains one like it: eddyline retrain"
        )
    if one.failed and file == "FILE":
        again = (
            "what it raises: eddyline check FILE; mended, it is another recipe and needs a name of its own, "
            f'such as Challenger("{name}-2", ...): eddyline change FILE'
        )
    who = f"{decision.made_by} (decision {decision.number}): {decision.reason}".rstrip(": ")
    show.console().print(f"{one.line} has no seat: {decision.action} by {who}; {again}", soft_wrap=True)


def _contest(contest: Standing) -> list[tuple[str, str]]:
    """The verdict, and where it says none yet the gain so far: a promotion needs the lower bound above `better_by`."""
    from eddyline.policies.verdict import outweighed

    rows, verdict = [(contest.loss, contest.sentence)], contest.verdict
    if verdict.outcome == "inconclusive" and verdict.pairs:
        rows.append(("gain so far", f"{verdict.mean_gain:.3g} on average ({verdict.low:.3g} to {verdict.high:.3g})"))
        if outweighed(verdict):
            rows.append(("in its way", f"{verdict.unlabelled:,} events without a label may have cost more than it gained"))
    return rows


def _facts(seat: Seat) -> list[tuple[str, str | None]]:
    from eddyline.records.time import show_instant

    place = seat.place
    share = "" if place.mode == "shadow" else f" for {100 * place.share:g} % of keys"
    failed = f"{seat.exceptions} raised, {seat.not_finite} were not finite"
    return [
        ("asked as", f"{place.mode}{share}, since {show_instant(place.since) if place.since else 'the start'}"),
        ("cases", "the first event of each key" if place.mode == "split" else None),
        ("learner at", None if "@" in place.who else f"{seat.position:,}{'' if seat.learns else ', not learning'}"),
        *(row for contest in seat.contests for row in _contest(contest)),
        ("verdict", None if seat.contests else "nobody compares it: declare decide=(Promote(),)"),
        ("health", f"of its newest {seat.answers:,} answers {failed}"),
        ("latency", None if seat.latency_ms is None else f"at most {seat.latency_ms:g} ms"),
    ]
