"""What `retrain`, `forget` and `explain` share beside a job on Flink: how it is reached, and where the work lies.

No command of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eddyline.cli.options import kafka_for

if TYPE_CHECKING:
    from pathlib import Path

    from eddyline.connectors.kafka import Connection
    from eddyline.engines.flink.beside import KafkaJob
    from eddyline.pipeline.loading import Loaded
    from eddyline.records import Place
    from eddyline.views.beside import Workshop

F = TypeVar("F", bound=Callable[..., Any])
MODES = ("shadow", "canary", "split")


def beside(function: F) -> F:
    """--brokers, --kafka-config, --work and --hold: beside the job on Flink, not on the store."""
    function = click.option(
        "--hold", type=click.IntRange(min=1), default=None, metavar="N",
        help="With --brokers: examples that the job keeps for the newcomer meanwhile.  [default: 50000]",
    )(function)  # fmt: skip
    function = click.option(
        "--work", metavar="DIR", type=click.Path(file_okay=False),
        help="With --brokers: where the copy of the log and the trainings lie.  [default: <pipeline>.beside, next to FILE]",
    )(function)  # fmt: skip
    return kafka_for("Beside the job on Flink that reads from this Kafka, not on the store.")(function)


def trainer_hint(loaded: Loaded) -> str | None:
    """Who carries out what this pipeline's policies decide about retraining; None where they decide nothing of it."""
    from eddyline.policies import Retrain

    if not any(isinstance(policy, Retrain) for policy in loaded.pipeline.decide):
        return None
    return (
        f"its Retrain policies decide, and another process trains: eddyline retrain {loaded.file.name} --follow --brokers ..."
    )


def job_and_folder(loaded: Loaded, connection: Connection, work: str | None) -> tuple[KafkaJob, Path]:
    """The job of a pipeline, and where the copy of its log lies."""
    from pathlib import Path

    from eddyline.engines.flink.beside import KafkaJob

    folder = Path(work) if work is not None else loaded.base / f"{loaded.pipeline.name}.beside"
    return KafkaJob(loaded.pipeline, connection), folder


@contextmanager
def workshop(loaded: Loaded, brokers: str, kafka_config: str | None, work: str | None, hold: int | None) -> Iterator[Workshop]:
    """Where models are made beside the job of a pipeline."""
    from eddyline.cli.flink_options import connection_for
    from eddyline.engines.flink.copying import LogCopy
    from eddyline.views.beside import COPY, Workshop

    job, folder = job_and_folder(loaded, connection_for(loaded, brokers, kafka_config), work)
    with LogCopy(loaded.pipeline, folder / COPY) as copy:
        yield Workshop(job, copy, loaded.base, folder, hold=hold or 0)


def seat_of(text: str) -> Place | None:
    """The seat that people type: shadow, canary:0.1, split:0.5, or champion (None: it answers from here on).

    >>> seat_of("canary:0.1")
    Place(who='', mode='canary', share=0.1, since=0)
    """
    from eddyline.records import Place

    mode, _, share = text.partition(":")
    if text == "champion":
        return None
    try:
        if mode not in MODES or (mode == "shadow") == bool(share):
            raise ValueError
        return Place("", mode, float(share) if share else 0.0)  # type: ignore[arg-type]
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no seat; write shadow, canary:0.1, split:0.5, champion or nobody", param_hint="--seat"
        ) from error
