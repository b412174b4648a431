"""`eddyline flink status`: how the jobs stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eddyline.cli.flink_options import kafka_config, rest
from eddyline.cli.options import as_json

if TYPE_CHECKING:
    from eddyline.engines.flink.standing import Begun, Standing


@click.command("status", short_help="How jobs stand: state, checkpoints, lag, learner.")
@click.argument("name", metavar="[NAME]", required=False)
@kafka_config
@rest
@as_json
def command(name: str | None, kafka_config: str | None, rest: str, as_json: bool) -> None:
    """Show the jobs that have not ended: those of the pipeline NAME (or of its FILE), or all of ours.

    Lag and checkpoint are as of the last checkpoint. The exit code is 0 when every job shown runs, has lost no answers, and
    its topics can be looked at, else 1.
    """
    from eddyline.cli import show
    from eddyline.cli.flink_options import named, security
    from eddyline.engines.flink.rest import Rest
    from eddyline.engines.flink.standing import status

    place = Rest(rest).place
    found = status(named(name) if name else None, rest, security(kafka_config))
    if as_json:
        show.json_document({"rest": place, "jobs": found})
    for one in found:
        if not as_json:
            _page(one)
    if not found and not as_json:
        click.echo(f"no job of {name or 'ours'} runs at {place}; start one: eddyline flink submit FILE")
    if not found or any(one.problem is not None or one.unseen is not None or one.given_up for one in found):
        raise click.exceptions.Exit(1)


def _page(one: Standing) -> None:
    from eddyline.cli import show

    made = one.checkpoint
    rows = [
        ("state", one.state if one.problem is None else f"{one.state}: {one.problem}"),
        ("parallelism", one.parallelism),
        ("parts", one.parts.replace("+", " and ") or None),
        *([("lost", _lost(one))] if one.given_up else []),
        ("up for", f"{one.uptime_s:,.0f} s, {show.count(one.restarts, 'restart')}"),
        ("checkpoints", f"{one.checkpoints:,}; {_failed(one.checkpoints_begun)}"),
        ("last one", made and f"{made.age_s:.1f} s ago, {show.size(made.bytes)} in {made.took_ms:,} ms"),
        ("kept in", made and made.path),
        *((f"behind in {topic}", f"{lag:,} of {one.read[topic] + lag:,}") for topic, lag in one.lag.items()),
        *(_of_topics(one) if one.unseen is None else [("topics", one.unseen)]),
    ]
    show.facts(f"{one.name}, job {one.job}", rows)


def _lost(one: Standing) -> str:
    """What became of transactions that the broker gave up, and what to type."""
    from eddyline.cli import show

    many = show.count(one.given_up, "transaction")
    return (
        f"{many} of answers: the broker ended them before the job could commit them, because "
        "it was away for longer than --transaction-timeout; nobody can read these answers, and they are not given again\n"
        "which events: eddyline verify FILE --brokers HOST:PORT; for a longer outage: "
        "eddyline flink upgrade FILE --transaction-timeout 3600"
    ) + (_WAITING.format(name=one.pipeline) if one.per_key else "")


_WAITING = (
    "\nmodels per key whose examples were among them wait for those, and learn nothing: once newer examples are there, "
    "eddyline flink stop {name}, then eddyline flink submit FILE --savepoint latest --skip-deleted"
)


def _failed(begun: Begun) -> str:
    """How many failed of those that Flink remembers."""
    if not begun.newest:
        return "the first is still to come"
    said = f"of the newest {begun.newest} {begun.failed or 'none'} failed"
    return f"{said}: {begun.why}" if begun.why else said


def _of_topics(one: Standing) -> list[tuple[str, str]]:
    own = "each key's own model" if one.per_key else "the newest version"
    answers = ("answers", f"{one.champion or own} (rollout {one.revision})")
    others = [("of other lines", ", ".join(one.beside))] if one.beside else []
    return [*others, answers] if one.per_key else [("newest version", one.version or "none yet"), *others, answers]


def line(one: Standing) -> str:
    """One job in one line, for who follows it."""
    from eddyline.cli import show

    age = f", checkpoint {one.checkpoint.age_s:.0f} s ago" if one.checkpoint else ", no checkpoint yet"
    behind = ", ".join(f"{lag:,} behind in {topic}" for topic, lag in one.lag.items())
    newest = "" if one.per_key else f"newest {one.version or 'version: none yet'}"
    lost = f"answers of {show.count(one.given_up, 'transaction')} lost: eddyline flink status" if one.given_up else ""
    words = [f"{one.name} {one.state}{age}", behind, newest, lost, one.problem or ""]
    return "; ".join(word for word in words if word)
