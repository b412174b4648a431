"""The parts of a command line that the commands about Flink share: where it is, which job, and how a job runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import click

if TYPE_CHECKING:
    from eddyline.connectors.kafka import Connection
    from eddyline.engines.flink.job import Part
    from eddyline.pipeline.loading import Loaded

F = TypeVar("F", bound=Callable[..., Any])

rest = click.option(
    "--rest",
    envvar="EDDYLINE_FLINK_REST",
    default="http://127.0.0.1:8081",
    metavar="URL",
    help="Where Flink answers.  [default: http://127.0.0.1:8081]",
)
"""--rest: the address of Flink's REST interface."""

pipeline_name = click.argument("name", metavar="NAME")
"""NAME of a pipeline or job, or its FILE."""

folder = click.option(
    "--folder", metavar="URI", help="Where the savepoint goes.  [default: the cluster's execution.checkpointing.savepoint-dir]"
)
"""--folder: for savepoints."""

patience = click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=1),
    default=120.0,
    metavar="SECONDS",
    help="How long a job may take until all of it runs.  [default: 120]",
)
"""--patience: until a job runs."""

kafka_config = click.option(
    "--kafka-config",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Settings of the Kafka client (librdkafka's), name=value a line; a job does not tell them.",
)
"""--kafka-config: for commands that know the brokers from the job."""


def running(function: F) -> F:
    """How a job runs: none of it changes an answer."""
    function = click.option(
        "--skip-deleted",
        is_flag=True,
        help="Where a topic lost what was not read yet, or was made again, go on with what is there; else that is an error.",
    )(function)
    function = click.option(
        "--transaction-timeout",
        "transaction_timeout_s",
        type=click.IntRange(min=60),
        metavar="SECONDS",
        help="How long the broker keeps answers that wait for their commit: longer than any outage.  [default: 900]",
    )(function)
    function = click.option(
        "--idle-ms",
        type=click.IntRange(min=1),
        metavar="MS",
        help="How long a quiet topic holds event time back.  [default: 5000]",
    )(function)
    function = click.option(
        "--set", "flink", multiple=True, metavar="NAME=VALUE", help="A setting of Flink's, for this job; may be repeated."
    )(function)
    function = click.option(
        "--part",
        type=click.Choice(["serve", "learn"]),
        help="Only this part, in a job of its own; the other one needs its own job too.",
    )(function)
    function = click.option(
        "--checkpoint-ms",
        type=click.IntRange(min=10),
        metavar="MS",
        help="Between checkpoints: how soon what was done can be seen.  [default: 1000]",
    )(function)
    return click.option(
        "--parallelism", type=click.IntRange(1, 128), metavar="N", help="Instances that answer and join.  [default: 1]"
    )(function)


class Given(TypedDict, total=False):
    """What `running` was given on the command line."""

    parallelism: int | None
    checkpoint_ms: int | None
    idle_ms: int | None
    transaction_timeout_s: int | None
    part: Part | None
    skip_deleted: bool
    flink: tuple[str, ...]


def given(**options: Unpack[Given]) -> dict[str, Any]:
    """The fields of `Settings` that were given, and no others."""
    found: dict[str, Any] = {
        name: value for name in ("parallelism", "checkpoint_ms", "idle_ms") if (value := options.get(name)) is not None
    }
    if (seconds := options.get("transaction_timeout_s")) is not None:
        found["transaction_timeout_ms"] = 1_000 * seconds
    if (part := options.get("part")) is not None:
        found["parts"] = (part,)
    if options.get("skip_deleted"):
        found["skip_deleted"] = True
    if flink := options.get("flink", ()):
        wrong = [one for one in flink if "=" not in one]
        if wrong:
            raise click.BadParameter(f"{wrong[0]!r} is not NAME=VALUE", param_hint="--set")
        found["flink"] = dict(one.split("=", 1) for one in flink)
    return found


def connection_for(loaded: Loaded, brokers: str | None, kafka_config: str | None) -> Connection:
    """How the pipeline reaches Kafka: as it declares, and as the options say where it does not."""
    from eddyline.connectors.kafka import Connection, connection_of

    given = Connection(brokers, security(kafka_config))
    own = connection_of(loaded.pipeline)
    return given if own is None else own.filled(given)


def security(kafka_config: str | None) -> dict[str, str]:
    """The settings in a file; none without one."""
    from eddyline.connectors.kafka import read_properties

    return read_properties(Path(kafka_config)) if kafka_config else {}


def named(name: str) -> str:
    """The pipeline's name where a FILE was given; else what was given."""
    if not name.rpartition(":")[0].endswith(".py") and not name.endswith(".py"):
        return name
    from eddyline.pipeline.loading import load

    return load(name).pipeline.name


def say(words: str) -> None:
    """Progress, on stderr."""
    click.echo(words, err=True)
