"""`eddyline cluster`: a real Kafka and a real Flink on this machine, up, down and seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json

if TYPE_CHECKING:
    from eddyline.cluster.session import Cluster, Part

PYTHON_VARIABLE = "EDDYLINE_FLINK_PYTHON"
"""Names another interpreter for Flink's workers than the one `eddyline flink env` made."""

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where it lives: data, checkpoints, logs.  [default: cluster, in the cache]",
)


@click.group("cluster", short_help="A Kafka and a Flink on this machine: up, down, status.")
def command() -> None:
    """Run a real single-node Kafka and a Flink session cluster on 127.0.0.1, without Docker.

    Needs Java 17 and, the first time, Apache Maven (mvn) and the network: jars are fetched once, checked against pinned
    checksums and kept in $EDDYLINE_CACHE (~/.cache/eddyline). For a laptop and for tests: one node replicates nothing.
    """


@command.command("up", short_help="Start it and wait until it is ready.")
@_folder
@click.option("--kafka-only", is_flag=True, help="Start no Flink.")
@click.option("--taskmanagers", type=click.IntRange(min=1), metavar="N", help="Flink's worker processes.  [default: 2]")
@click.option("--slots", type=click.IntRange(min=1), metavar="N", help="Parallel pipelines in each of them.  [default: 1]")
@click.option("--kafka-port", type=click.IntRange(0, 65_535), metavar="PORT", help="0 takes a free one.  [default: 9092]")
@click.option("--rest-port", type=click.IntRange(0, 65_535), metavar="PORT", help="0 takes a free one.  [default: 8081]")
@as_json
def up(
    folder: Path | None,
    kafka_only: bool,
    taskmanagers: int | None,
    slots: int | None,
    kafka_port: int | None,
    rest_port: int | None,
    as_json: bool,
) -> None:
    """Start what does not run, wait until all of it is ready, and leave it running.

    Up already is a success. What an earlier `up` in the same folder was told holds until told otherwise; ports,
    workers and slots change only while it is down. Workers use the environment of `eddyline flink env`, or the
    interpreter named by $EDDYLINE_FLINK_PYTHON.
    """
    from eddyline.cluster.session import default_folder, planned

    where = folder or default_folder()
    cluster = planned(
        where,
        python=None if kafka_only else _worker,
        taskmanagers=taskmanagers,
        slots=slots,
        kafka_port=kafka_port,
        rest_port=rest_port,
    )
    already = cluster.ready()
    if not already:
        click.echo(f"starting in {cluster.folder}; the first time, jars are fetched", err=True)
        cluster.up()
    click.echo("it is up already" if already else "it is up; stop it with: eddyline cluster down", err=True)
    _show(cluster, as_json)


@command.command("down", short_help="Stop what `up` started; keep its data.")
@_folder
@as_json
def down(folder: Path | None, as_json: bool) -> None:
    """Stop exactly the processes that `up` started; data, checkpoints and logs stay."""
    from eddyline.cli import show
    from eddyline.cluster.session import Cluster, default_folder

    cluster = Cluster.found(folder or default_folder())
    running = [part.name for part in cluster.status() if part.pid is not None] if cluster else []
    killed = cluster.down() if cluster else []
    if as_json:
        show.json_document({"stopped": running, "killed": killed})
        return
    click.echo(f"stopped {', '.join(running)}" if running else "nothing was running")
    if killed:
        click.echo(f"{', '.join(killed)} did not end by itself and was killed", err=True)


@command.command("status", short_help="Processes, addresses, ready or not.")
@_folder
@as_json
def status(folder: Path | None, as_json: bool) -> None:
    """Show each process; the exit code is 0 when all of it is up and ready, 1 otherwise."""
    from eddyline.cli import show
    from eddyline.cluster.session import Cluster, default_folder

    where = folder or default_folder()
    cluster = Cluster.found(where)
    if cluster is None:
        if as_json:
            show.json_document({"folder": where, "ready": False, "processes": []})
        else:
            click.echo(f"no cluster was brought up in {where}; start one with: eddyline cluster up")
        raise click.exceptions.Exit(1)
    if not all(part.ready for part in _show(cluster, as_json)):
        raise click.exceptions.Exit(1)


def _worker() -> Path:
    """The interpreter of Flink's workers."""
    from eddyline.engines.flink import environment

    chosen = os.environ.get(PYTHON_VARIABLE)
    return Path(chosen) if chosen else environment.ready()


def _show(cluster: Cluster, as_json: bool) -> list[Part]:
    from eddyline.cli import show

    parts = cluster.status()
    if as_json:
        ready = all(part.ready for part in parts)
        show.json_document({"folder": cluster.folder, "ready": ready, "processes": parts})
        return parts
    table = show.table("process", "pid", "address", "ready", right=["pid"])
    for part in parts:
        table.add_row(part.name, str(part.pid or "-"), part.address, "yes" if part.ready else "no")
    show.titled(f"cluster in {cluster.folder}", table)
    return parts
