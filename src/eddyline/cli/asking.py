"""What the commands of operators share: who asks and why, and what it came to as a sentence."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eddyline.cli.options import as_json, kafka_for, pipeline_file

if TYPE_CHECKING:
    from eddyline.connectors.kafka import Connection
    from eddyline.pipeline.loading import Loaded
    from eddyline.stages.commands import Command
    from eddyline.store.database import Registered

F = TypeVar("F", bound=Callable[..., Any])
INSTEAD = "Ask the job on Flink that reads from this Kafka, not the store."


def by(function: F) -> F:
    """FILE, --store, --author, --reason and --json: every request has somebody who made it."""
    function = click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the decision.")(
        as_json(function)
    )
    function = click.option("--author", metavar="NAME", help="Who asks.  [default: your user name]")(function)
    return pipeline_file(function)


def on_flink_too(function: F) -> F:
    """--brokers and --kafka-config: ask the job on Flink instead of the store."""

    def keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
        context.meta[f"eddyline.{option.name}"] = value

    return kafka_for(INSTEAD, expose_value=False, callback=keep)(function)


def job_asked(loaded: Loaded) -> Connection | None:
    """How the job is reached that is asked instead of the store; None where the store is."""
    from eddyline.cli.flink_options import connection_for

    meta = click.get_current_context().meta
    brokers = meta.get("eddyline.brokers")
    return None if brokers is None else connection_for(loaded, brokers, meta["eddyline.kafka_config"])


def who(author: str | None) -> str:
    """The person that asks."""
    return author if author is not None else getpass.getuser()


def carry_out(file: str, store: str | None, command: Command, as_json: bool, version: Registered | None = None) -> None:
    """Has a command taken, and prints what it came to. `version` is registered with it, for a newcomer."""
    from eddyline.cli import show
    from eddyline.engines.embedded.watchdog import Watchdog
    from eddyline.pipeline.loading import load
    from eddyline.views.operate import ask

    loaded = load(file, store)
    connection = job_asked(loaded)
    if connection is not None:
        _on_flink(loaded, connection, command, as_json)
        return
    with Watchdog(lambda said: click.echo(said, err=True)):  # where nobody runs, what was since the checkpoint is played again
        came = ask(loaded.pipeline, loaded.store, command, version=version)
    if as_json:
        show.json_document(came)
        return
    out = show.console()
    took = "the running engine took it" if came.by_running_engine else "applied; no engine runs on the store"
    for decision in came.decisions:
        what = f"{decision.action} {decision.subject}".strip()
        out.print(f"decision {decision.number}: {what}, {decision.status}, in block {came.block} ({took})", soft_wrap=True)
    if came.rollout is not None:
        champion = came.rollout.champion or "the learner"
        beside = ", ".join(f"{place.who} ({place.mode})" for place in came.rollout.places) or "nobody"
        out.print(f"rollout {came.rollout.revision}: {champion} answers, beside it {beside}", soft_wrap=True)


def _on_flink(loaded: Loaded, connection: Connection, command: Command, as_json: bool) -> None:
    from eddyline.cli import show
    from eddyline.engines.flink.steering import ask

    decision = ask(loaded.pipeline, connection, command)
    if as_json:
        show.json_document({"decision": decision, "by_running_engine": True})
        return
    what = f"{decision.action} {decision.subject}".strip()
    show.console().print(f"decision {decision.number}: {what}, {decision.status} (the job on Flink took it)", soft_wrap=True)


def told(title: str, rows: Iterable[tuple[str, str, Sequence[str | None]]]) -> None:
    """Prints what happened one after the other: a number, event time, and lines of words; lines that are None are left out."""
    from eddyline.cli import show

    made = show.table("", "event time", "what", right=("",))
    for column in made.columns[:2]:
        column.no_wrap = True
    for number, at, lines in rows:
        made.add_row(number, at, "\n".join(line for line in lines if line))
    show.titled(title, made)


def wall_clock(seconds: float) -> str:
    """A time of the wall clock, to the second, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if seconds else "-"


def event_time(at: int | None) -> str:
    """An instant of event time, to the second."""
    from eddyline.records.time import show_instant

    return "the start" if at is None else show_instant(at // 1_000_000 * 1_000_000)
