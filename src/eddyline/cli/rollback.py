"""`eddyline rollback`: another version answers from here on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import INSTEAD, who
from eddyline.cli.options import as_json, kafka_for, pipeline_file

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded
    from eddyline.stages.commands import Command
    from eddyline.views.dropping import Dropped


@click.command("rollback", short_help="Let another version answer from here on.")
@pipeline_file
@click.argument("version")
@click.option("--drop", is_flag=True, help="Drop what was learned since: VERSION answers, and learns on from there.")
@click.option("--dry-run", is_flag=True, help="Say whether it could be done, and what it would come to; ask for nothing.")
@click.option("--unforget", is_flag=True, help="Even if VERSION learned events that were to be forgotten.")
@click.option("--author", metavar="NAME", help="Who decides.  [default: your user name]")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the rollout.")
@kafka_for(INSTEAD)
@as_json
def command(
    file: str,
    store: str | None,
    version: str,
    drop: bool,
    dry_run: bool,
    unforget: bool,
    author: str | None,
    reason: str,
    brokers: str | None,
    kafka_config: str | None,
    as_json: bool,
) -> None:
    """Let VERSION (fraud@15320) answer from here on, a line (fraud.deep), or `live` for the learner again.

    A version that learned events which `eddyline forget` was asked to forget is refused, but with --unforget.

    Lines learn on as long as somebody is asked who sees the same features; --dry-run says where each stands, and which have
    stopped. With --drop learning goes on from VERSION: that becomes a line of its own (fraud.b1), which answers and
    learns, and the line it came from learns no more; nothing is erased, and who asks twice has it done once. It is one
    record in the journal: no restart, nothing lost, nothing doubled. Where a run owns the store, that run takes the request
    within a second. With --brokers, the job on Flink takes it, and scorers hear of it at the next checkpoint; there, VERSION
    is one that was published, or, with one model per key, any position: it is made again from the examples.
    """
    from eddyline.cli import show
    from eddyline.pipeline.loading import load
    from eddyline.stages.commands import Command
    from eddyline.views.dropping import Dropped, drop_back
    from eddyline.views.operate import roll_back

    loaded = load(file, store)
    if brokers is not None and (drop or dry_run):
        raise click.UsageError("--drop and --dry-run are for a store; on Flink the line learns on behind who answers")
    if dry_run:
        _dry_run(loaded, version, drop, unforget, as_json)
        return
    if brokers is not None:
        _on_flink(loaded, brokers, kafka_config, Command(to=version, author=who(author), reason=reason), as_json)
        return
    back = drop_back if drop else roll_back
    change, running = back(loaded.pipeline, loaded.store, version, author=who(author), reason=reason, unforget=unforget)
    if as_json:
        show.json_document({**show.plain(change), "by_running_engine": running})
        return
    if isinstance(change, Dropped) and change.before:
        show.console().print(_again(change, version), soft_wrap=True)
        return
    champion = change.rollout.champion or "the learner"
    took = "the running engine took it" if running else "applied; no engine runs on the store"
    show.console().print(
        f"{champion} answers since rollout {change.rollout.revision}, block {change.block}, "
        f"with the learner at position {change.learner} ({took})",
        soft_wrap=True,
    )


def _again(known: Dropped, version: str) -> str:
    """Words for what was asked for before."""
    from eddyline.cli import show

    line, rollout = known.rollout.champion, known.rollout
    since = ""
    if known.since:
        many = show.count(known.since, "example")
        since = f"; to drop the {many} that it learned since: eddyline rollback FILE {known.began} --drop"
    return (
        f"nothing was done again: {version} answers and learns on as {line} since rollout {rollout.revision}, "
        f"block {known.block}, by {rollout.author}{since}"
    )


def _dry_run(loaded: Loaded, version: str, drop: bool, unforget: bool, as_json: bool) -> None:
    """Says what would be asked for; refuses what would be refused."""
    from contextlib import closing

    from eddyline.cli import show
    from eddyline.stages.commands import version_of
    from eddyline.store.database import Store
    from eddyline.views.dropping import branch, dropped
    from eddyline.views.lines import lines
    from eddyline.views.operate import check_target, position_of

    check_target(loaded.pipeline, loaded.store, version, pinned=drop, unforget=unforget)
    with closing(Store.read(loaded.store)) as store:
        said = "; ".join([f"{version} would answer", *(f"now {one.sentence()}" for one in lines(store, loaded.pipeline))])
        known = dropped(loaded.pipeline, store, version) if drop else None
        if known is not None:
            said = _again(known, version)
        elif drop:
            name = branch(loaded.pipeline, store, version, author="", reason="").to
            line, position = version_of(version)
            since = show.count(position_of(store, line) - position, "example")
            said = f"{version} would answer and learn on as {name}; {line} learns no more; {since} dropped"
    if as_json:
        show.json_document({"would": said})
    else:
        show.console().print(said, soft_wrap=True)


def _on_flink(loaded: Loaded, brokers: str, kafka_config: str | None, asked: Command, as_json: bool) -> None:
    from eddyline.cli import show
    from eddyline.cli.flink_options import connection_for
    from eddyline.engines.flink.steering import roll_back

    connection = connection_for(loaded, brokers, kafka_config)
    say = functools.partial(show.console(err=True).print, soft_wrap=True)
    rollout = roll_back(loaded.pipeline, connection, asked.to, author=asked.author, reason=asked.reason, say=say)
    if as_json:
        show.json_document({"rollout": rollout, "by_running_engine": True})
        return
    show.console().print(f"{rollout.champion or 'the learner'} answers since rollout {rollout.revision}", soft_wrap=True)
