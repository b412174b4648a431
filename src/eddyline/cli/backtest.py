"""`eddyline backtest`: what other policies would have done on the recorded past, before they may act."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import job_asked, on_flink_too
from eddyline.cli.options import as_json

if TYPE_CHECKING:
    from datetime import timedelta

    from rich.table import Table

    from eddyline.pipeline.loading import Loaded
    from eddyline.policies.policy import Policy
    from eddyline.views.backtest import Backtest, Tried


@click.command("backtest", short_help="What other policies would have done on the recorded past.")
@click.argument("policy", metavar="POLICY")
@click.option("--pipeline", "file", required=True, metavar="FILE", help="The pipeline on whose store they are tried.")
@click.option("--store", metavar="PATH", help="The store.  [default: <name of the pipeline>.eddyline beside FILE]")
@click.option("--since", metavar="SPAN", help="Only the last so much event time: 90d, 12h.  [default: all]")
@on_flink_too
@as_json
def command(policy: str, file: str, store: str | None, since: str | None, as_json: bool) -> None:
    """Let the policies of POLICY decide on the journal of FILE's pipeline; nothing is changed.

    POLICY is a Python file with decide = (Promote(...), RollBack(...)), as in a pipeline. Shown are the decisions they
    would have made, which of their moves gained nothing (false alarms), and what their answers would have cost beside those
    that were given, the best line, and the best line of each 500 events (the oracle). No model is asked: where nobody
    recorded what their champion would have said, it says so.

    With --brokers it is the record of the job on Flink, from its topics; the models are learned again on the way.
    """
    from pathlib import Path

    from eddyline.cli import show
    from eddyline.pipeline.loading import load
    from eddyline.views.backtest import policies_of
    from eddyline.views.retraining import span

    loaded = load(file, store)
    policies = policies_of(Path(policy).absolute())
    back = None if since is None else span(since)
    connection = job_asked(loaded)
    if connection is None:
        found = _on_store(loaded, policies, back, silent=as_json)
    else:
        from eddyline.views.backtest_of_job import backtest_job

        found = backtest_job(loaded.pipeline, connection, policies, since=back)
    if as_json:
        regret = None if found.sums is None else found.sums.regret
        show.json_document({**show.plain(found), "false_alarms": len(found.false_alarms), "regret": regret})
    else:
        _page(found)


def _on_store(loaded: Loaded, policies: tuple[Policy, ...], back: timedelta | None, *, silent: bool) -> Backtest:
    from rich.progress import Progress

    from eddyline.cli import show
    from eddyline.store.database import Store
    from eddyline.views.backtest import backtest

    console = show.console(err=True)
    with (
        closing(Store.read(loaded.store)) as opened,
        Progress(console=console, transient=True, disable=silent or not console.is_terminal) as bar,
    ):
        task = bar.add_task("deciding", total=None)
        return backtest(
            opened,
            loaded.pipeline,
            policies,
            since=back,
            on_progress=lambda done, of: bar.update(task, completed=done, total=of),
        )


def _page(found: Backtest) -> None:
    from eddyline.cli import show
    from eddyline.records.time import show_instant

    out = show.console()
    for sentence in found.policies:
        out.print(f"- {sentence}")
    out.print(f"on {found.records - found.record:,} answers and truths, since {show_instant(found.since)}\n")
    if found.changed_in or found.changed_by:
        began = f"block {found.changed_in:,}" if found.changed_in else f"decision {found.changed_by}"
        out.print(
            f"told from {began} on, where the declaration changed: what was measured and decided before it, "
            "only the declaration of that time could say\n",
            soft_wrap=True,
        )
    mine = [one for one in found.tried if not one.happened]
    theirs = [one for one in found.tried if one.happened]
    show.titled("what they would have done" if mine else "they would have done nothing", _table(mine))
    if theirs:
        show.titled("what happened in the run, asked for by people and the trainer, and was done here too", _table(theirs))
    out.print(f"the run itself made {show.count(len(found.recorded), 'decision')} in that time")
    moves = sum(one.gain is not None for one in found.tried)
    if moves:
        out.print(f"false alarms: {len(found.false_alarms)} of {show.count(moves, 'move')}")
    if found.sums is not None and found.sums.events:
        _sums(found)
    if found.not_followed and found.not_followed_since is not None:
        out.print(
            f"not followed: {found.not_followed:,} answers since {show_instant(found.not_followed_since)}; "
            "nobody recorded what their champion would have said",
            soft_wrap=True,
        )


def _table(tried: list[Tried]) -> Table:
    from eddyline.cli import show
    from eddyline.records.time import show_instant

    made = show.table("", "event time", "what", "gain", "of", "because", right=("", "gain", "of"))
    for one in tried:
        because = f"{one.decision.reason}\nno gain is told: {one.unsaid}" if one.unsaid else one.decision.reason
        made.add_row(str(one.decision.number), show_instant(one.decision.at), _what(one), *_gain(one), because.strip())
    return made


def _sums(found: Backtest) -> None:
    from eddyline.cli import show

    sums = found.sums
    assert sums is not None
    show.facts(
        f"mean {sums.loss} loss over the same {sums.events:,} events",
        [
            ("the run as it was", f"{sums.recorded:.4f}"),
            ("these policies", f"{sums.policy:.4f}"),
            ("the best line", f"{sums.best_line_loss:.4f} ({sums.best_line})"),
            ("the best line of each 500 events", f"{sums.oracle:.4f}"),
            ("regret", f"{sums.regret:.4f}"),
        ],
    )


def _what(one: Tried) -> str:
    decision = one.decision
    return f"{decision.action} {decision.subject}{'' if decision.status == 'done' else f', {decision.status}'}"


def _gain(one: Tried) -> tuple[str, str]:
    return ("", "") if one.gain is None else (f"{one.gain:+.4f}", f"{one.measured:,}")
