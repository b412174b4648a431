"""`eddyline run`: takes what the sources hold and what is added to them, until it is told to stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, held_up, kafka, pipeline_file
from eddyline.cli.run_on_flink import FlinkOptions, on_flink
from eddyline.cli.run_outlets import OutletOptions, Outlets, on_outlets, telling

if TYPE_CHECKING:
    from eddyline.engines.embedded import Engine, Progress
    from eddyline.engines.embedded.publish import Publisher


@click.command("run", short_help="Follow the sources as they grow, until stopped.")
@pipeline_file
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=5.0,
    metavar="SECONDS",
    help="Between status lines.  [default: 5]",
)
@held_up
@kafka
@on_flink
@on_outlets
@as_json
def command(
    file: str,
    store: str | None,
    every: float,
    held_up: float,
    brokers: str | None,
    kafka_config: str | None,
    on_engine: str,
    flink: FlinkOptions,
    outlets: OutletOptions,
    as_json: bool,
) -> None:
    """Take what the sources of FILE hold and what is added to them, until Ctrl-C or SIGTERM.

    Stopping commits, checkpoints and exits with 0; the next run goes on from there. Status goes to stderr:
    one line that changes on a terminal, else a line every few seconds. Requests of `eddyline rollback` take
    effect while it runs. With --brokers, events and labels come from topics, and everything that follows from
    them is published to topics, each record exactly once. With --engine flink, a job does all of it; Ctrl-C
    stops that with a savepoint, from which --savepoint latest goes on. A model that does not come back from an event
    is named on stderr, with its line of code and what to type.
    """
    from eddyline.cli import show
    from eddyline.cli.options import on_kafka
    from eddyline.cli.run_on_flink import follow_on_flink
    from eddyline.cli.stop import stopping
    from eddyline.cli.totals import document, print_totals
    from eddyline.engines.embedded import Engine, follow
    from eddyline.engines.embedded.publish import publishing
    from eddyline.engines.embedded.trainer import Trainer
    from eddyline.engines.embedded.watchdog import Watchdog
    from eddyline.pipeline.loading import load
    from eddyline.views.summary import summarize

    loaded = load(file, store)
    if on_engine == "flink":
        follow_on_flink(loaded, brokers, kafka_config, flink, every, as_json)
        return
    pipeline = on_kafka(loaded.pipeline, brokers, kafka_config)
    dog = Watchdog(lambda said: click.echo(said, err=True), limit_s=held_up)
    with stopping() as stop, dog, Engine(pipeline, loaded.store) as engine:
        click.echo(f"{pipeline.name} runs on {loaded.store}; Ctrl-C stops it", err=True)
        with (
            publishing(engine) as publisher,
            Trainer(engine, file) as trainer,
            telling(engine, loaded.base, outlets) as told,
        ):
            told.watched_by(dog)
            status = _status(engine, every, publisher, told)
            progress = follow(engine, loaded.base, stop=stop, on_progress=status, publisher=publisher, trainer=trainer)
        say_behind(publisher)
        told.check()
        for trouble in told.trouble():
            click.echo(f"{trouble}: what it did not take, the next run tells it", err=True)
        summary = summarize(engine)
    if as_json:
        show.json_document(document(summary, progress, stopped=True))
        return
    print_totals(summary, progress, file)


def _status(engine: Engine, every: float, publisher: Publisher | None, told: Outlets) -> Callable[[Progress], None]:
    """Says how it goes every few seconds: over the last line on a terminal, one below the other elsewhere."""
    from eddyline.cli.totals import moment

    on_terminal = sys.stderr.isatty()
    last, inputs = time.monotonic(), 0

    def status(progress: Progress) -> None:
        nonlocal last, inputs
        told.progress(progress)
        now = time.monotonic()
        if now - last < every:
            return
        lately = (progress.inputs - inputs) / (now - last)
        last, inputs = now, progress.inputs
        line = "; ".join(
            (moment(engine, progress), f"{lately:,.0f}/s lately", *_on_topics(progress, publisher), *told.trouble())
        )
        click.echo(f"\r\x1b[K{line}" if on_terminal else line, err=True, nl=not on_terminal)

    return status


def _on_topics(progress: Progress, publisher: Publisher | None) -> list[str]:
    """How far behind Kafka we are, and how far Kafka is behind us."""
    words = [] if progress.lag is None else [f"{progress.lag:,} behind the topics"]
    if publisher is not None:
        trouble = f" ({publisher.state.trouble})" if publisher.state.trouble else ""
        words.append(f"{publisher.behind():,} blocks to publish{trouble}")
    return words


def say_behind(publisher: Publisher | None) -> None:
    """At the end: raises what made publishing impossible; says what Kafka did not take, which the next run publishes."""
    if publisher is None:
        return
    publisher.check()
    if publisher.behind():
        why = publisher.state.trouble or "Kafka took too long"
        click.echo(f"{publisher.behind():,} blocks are not published yet ({why}); the next run publishes them", err=True)
