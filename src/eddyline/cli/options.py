"""The parts of a command line that several commands share: FILE, --store, --json and how Kafka is reached, spelled once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from eddyline.pipeline import Pipeline

F = TypeVar("F", bound=Callable[..., Any])


def moment(said: str | int) -> int:
    """An instant of event time in µs: given as ISO 8601 (UTC where it says no zone), or as µs since 1970."""
    from eddyline.records.time import instant

    if isinstance(said, int) or said.removeprefix("-").isdecimal():
        return int(said)
    try:
        when = datetime.fromisoformat(said)
    except ValueError as error:
        raise click.BadParameter(f"{said!r} is not a time; write 2026-03-02 or 2026-03-02T14:30Z") from error
    return instant(when if when.tzinfo is not None else when.replace(tzinfo=UTC))


def pipeline_file(function: F) -> F:
    """FILE, the Python file with the pipeline in it, and where its store is."""
    function = click.option(
        "--store", metavar="PATH", help="The store.  [default: <name of the pipeline>.eddyline beside FILE]"
    )(function)
    return click.argument("file", metavar="FILE")(function)


def as_json(function: F) -> F:
    """--json: one JSON document on stdout instead of tables."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")(function)


def kafka_for(wanted: str, envvar: str | None = None, **both: Any) -> Callable[[F], F]:
    """--brokers, whose help says what is `wanted`, and --kafka-config. `both` is told to click of each."""

    def add(function: F) -> F:
        function = click.option(
            "--kafka-config",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Settings of the Kafka client (librdkafka's), name=value a line: security.protocol, sasl.*, ssl.*.",
            **both,
        )(function)
        return click.option("--brokers", envvar=envvar, metavar="HOST:PORT,...", help=wanted, **both)(function)

    return add


kafka = kafka_for(
    "Read the topics <name>.events and <name>.labels of this Kafka instead of files, and publish to <name>.*.",
    envvar="EDDYLINE_BROKERS",
)
"""--brokers and --kafka-config: read topics instead of files, and publish to topics."""


def held_up(function: F) -> F:
    """--held-up: after how long a model that does not come back is spoken of."""
    return click.option(
        "--held-up",
        type=click.FloatRange(min=0.1),
        default=30.0,
        metavar="SECONDS",
        help="Say which model does not come back from an event, after so long.  [default: 30]",
    )(function)


def on_kafka(pipeline: Pipeline, brokers: str | None, kafka_config: str | None) -> Pipeline:
    """The pipeline on the topics that the options name, which are made where they are missing; else as it is."""
    from eddyline.connectors.kafka import connection_of, make_topics, on_topics, read_properties

    if brokers is None and connection_of(pipeline) is None:
        return pipeline
    moved = on_topics(pipeline, brokers, read_properties(Path(kafka_config)) if kafka_config else None)
    make_topics(moved)
    return moved
