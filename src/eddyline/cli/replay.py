"""`eddyline replay`: takes everything that the sources hold, as fast as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, held_up, kafka, pipeline_file

if TYPE_CHECKING:
    from eddyline.engines.embedded import Engine, Progress


@click.command("replay", short_help="Take everything the sources hold, then stop.")
@pipeline_file
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Stop after N records; 0 only recovers.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=2_000,
    metavar="N",
    help="Records in a commit.  [default: 2000]",
)
@click.option(
    "--drain",
    is_flag=True,
    help="The streams are complete: what still waits for its truth reaches its horizon.",
)
@held_up
@kafka
@as_json
def command(
    file: str,
    store: str | None,
    limit: int | None,
    batch: int,
    drain: bool,
    held_up: float,
    brokers: str | None,
    kafka_config: str | None,
    as_json: bool,
) -> None:
    """Take everything that the sources of FILE hold, in event time, as fast as it goes.

    It goes on where the store stands: a second replay takes what was added since. Ctrl-C stops it after the
    current batch; nothing is lost and nothing is taken twice. With --brokers, events and labels come from
    topics, and what follows from them is published to topics. What a policy decides to retrain is trained meanwhile, and
    the stream stands still until it is done.
    """
    from eddyline.cli import show
    from eddyline.cli.options import on_kafka
    from eddyline.cli.run import say_behind
    from eddyline.cli.stop import stopping
    from eddyline.cli.totals import document, print_totals
    from eddyline.engines.embedded import Engine, replay
    from eddyline.engines.embedded.publish import publishing
    from eddyline.engines.embedded.trainer import Trainer
    from eddyline.engines.embedded.watchdog import Watchdog
    from eddyline.pipeline.loading import load
    from eddyline.views.summary import summarize

    loaded = load(file, store)
    pipeline = on_kafka(loaded.pipeline, brokers, kafka_config)
    dog = Watchdog(lambda said: click.echo(said, err=True), limit_s=held_up)
    with stopping() as stop, dog, Engine(pipeline, loaded.store) as engine:
        training = Trainer(engine, file, wait=True)
        with publishing(engine) as publisher, training as trainer, _bar(engine, silent=as_json) as shown:
            progress = replay(
                engine,
                loaded.base,
                batch=batch,
                limit=limit,
                drain=drain,
                stop=stop,
                on_progress=shown,
                publisher=publisher,
                trainer=trainer,
            )
        say_behind(publisher)
        summary, stopped = summarize(engine), stop()
    if as_json:
        show.json_document(document(summary, progress, stopped=stopped))
        return
    print_totals(summary, progress, file)
    if stopped:
        show.console(err=True).print("stopped; go on with the same command")


@contextmanager
def _bar(engine: Engine, *, silent: bool) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on a terminal; elsewhere nothing, because a log of bars helps nobody."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from eddyline.cli import show
    from eddyline.cli.totals import moment

    console = show.console(err=True)
    words = TextColumn("{task.description}", markup=False)
    with Progress(
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        words,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=silent or not console.is_terminal,
    ) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda progress: bar.update(
            task, completed=progress.done, total=progress.of or None, description=moment(engine, progress)
        )
