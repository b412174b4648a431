"""`eddyline rollback`: another version answers from here on."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded
    from eddyline.stages.decide import Command


@click.command("rollback", short_help="Let another version answer from here on.")
@pipeline_file
@click.argument("version")
@click.option("--author", metavar="NAME", help="Who decides.  [default: you]")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the rollout.")
@click.option("--brokers", metavar="HOST:PORT,...", help="Ask the job on Flink that reads from this Kafka, not the store.")
@click.option(
    "--kafka-config", type=click.Path(dir_okay=False), metavar="FILE", help="librdkafka's settings, name=value a line."
)
@as_json
def command(
    file: str,
    store: str | None,
    version: str,
    author: str | None,
    reason: str,
    brokers: str | None,
    kafka_config: str | None,
    as_json: bool,
) -> None:
    """Let VERSION (fraud@15320) answer from here on, or `live` for the learner again. Learning goes on.

    It is one record in the journal: no restart, nothing lost, nothing doubled. Where a run owns the store,
    that run takes the request within a second. With --brokers, the job on Flink takes it, and scorers hear of it
    at the next checkpoint; there, VERSION is one that was published.
    """
    from eddyline.cli import show
    from eddyline.cli.load import load
    from eddyline.stages.decide import Command
    from eddyline.views.operate import roll_back

    loaded = load(file, store)
    who = author if author is not None else getpass.getuser()
    if brokers is not None:
        _on_flink(loaded, brokers, kafka_config, Command(to=version, author=who, reason=reason), as_json)
        return
    change, running = roll_back(loaded.pipeline, loaded.store, version, author=who, reason=reason)
    if as_json:
        show.json_document({**show.plain(change), "by_running_engine": running})
        return
    champion = change.rollout.champion or "the learner"
    took = "the running engine took it" if running else "applied; no engine runs on the store"
    show.console().print(
        f"{champion} answers since rollout {change.rollout.revision}, block {change.block}, "
        f"with the learner at position {change.learner} ({took})",
        soft_wrap=True,
    )


def _on_flink(loaded: Loaded, brokers: str, kafka_config: str | None, asked: Command, as_json: bool) -> None:
    from eddyline.cli import show
    from eddyline.cli.flink_options import connection_for
    from eddyline.engines.flink.steering import roll_back

    connection = connection_for(loaded, brokers, kafka_config)
    rollout = roll_back(loaded.pipeline, connection, asked.to, author=asked.author, reason=asked.reason)
    if as_json:
        show.json_document({"rollout": rollout, "by_running_engine": True})
        return
    show.console().print(f"{rollout.champion or 'the learner'} answers since rollout {rollout.revision}", soft_wrap=True)
