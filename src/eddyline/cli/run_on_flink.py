"""`eddyline run --engine flink`: submits the job of a pipeline, follows it, and stops it with a savepoint on Ctrl-C."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from eddyline.cli.flink_options import patience, rest
from eddyline.records.errors import EddylineError

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded

_POLL_S = 0.2


@dataclass(frozen=True)
class FlinkOptions:
    """What the options about Flink say."""

    rest: str
    parallelism: int | None
    savepoint: str | None
    detach: bool
    patience_s: float


def on_flink(function: Callable[..., Any]) -> Callable[..., Any]:
    """--engine, and what goes with --engine flink, which comes as the one argument `flink`."""

    @functools.wraps(function)
    def taken(
        *, rest: str, parallelism: int | None, savepoint: str | None, detach: bool, patience_s: float, **others: Any
    ) -> Any:
        options = FlinkOptions(rest, parallelism, savepoint, detach, patience_s)
        given = parallelism is not None or savepoint is not None or detach
        if others["on_engine"] != "flink" and given:
            raise click.UsageError("--parallelism, --savepoint and --detach go with --engine flink")
        return function(flink=options, **others)

    made = patience(rest(taken))
    made = click.option("--detach", is_flag=True, help="On Flink: return when it runs, and leave it running.")(made)
    made = click.option("--savepoint", metavar="PATH", help="On Flink: go on from there, or from the `latest` state.")(made)
    made = click.option(
        "--parallelism", type=click.IntRange(1, 128), metavar="N", help="On Flink: instances that answer.  [default: 1]"
    )(made)
    return click.option(
        "--engine",
        "on_engine",
        type=click.Choice(["embedded", "flink"]),
        default="embedded",
        help="Who runs the stages.  [default: embedded]",
    )(made)


def follow_on_flink(
    loaded: Loaded, brokers: str | None, kafka_config: str | None, flink: FlinkOptions, every: float, as_json: bool
) -> None:
    """Submits, says how it stands every few seconds until somebody asks to stop, then stops with a savepoint."""
    from eddyline.cli import show
    from eddyline.cli.beside import trainer_hint
    from eddyline.cli.flink_options import connection_for, say, security
    from eddyline.cli.stop import stopping
    from eddyline.engines.flink.job import Settings
    from eddyline.engines.flink.operate import stop, submit
    from eddyline.engines.flink.rest import Rest

    name, connection = loaded.pipeline.name, connection_for(loaded, brokers, kafka_config)
    settings = Settings(parallelism=flink.parallelism or 1)
    document: dict[str, Any] = {"pipeline": name, "rest": Rest(flink.rest).place}
    with stopping() as asked:
        document["job"] = submit(
            loaded, connection, settings, flink.rest, flink.savepoint, patience_s=flink.patience_s, say=say
        )
        if (hint := trainer_hint(loaded)) is not None:
            say(hint)
        if not flink.detach:
            say(f"{name} runs as job {document['job']}; Ctrl-C stops it with a savepoint")
            _follow(document["job"], flink, security(kafka_config), every, asked)
            document["savepoint"] = stop(name, flink.rest, say=say)
    if as_json:
        show.json_document(document)
    elif flink.detach:
        click.echo(document["job"])
        say(f"{name} runs; look at it: eddyline flink status {name}; end it: eddyline flink stop {name}")
    else:
        click.echo(document["savepoint"])
        say(f"to go on: eddyline run {loaded.file.name} --engine flink --savepoint latest")


def _follow(job: str, flink: FlinkOptions, settings: dict[str, str], every: float, asked: Callable[[], bool]) -> None:
    """Says how it stands. Brokers or a Flink that do not answer for a while are said too; for too long, they are an error."""
    seen = time.monotonic()
    while not asked():
        try:
            words = _look(job, flink.rest, settings)
            seen = time.monotonic()
        except EddylineError as error:
            if isinstance(error, _EndedError) or time.monotonic() - seen > flink.patience_s:
                raise
            words = f"cannot be seen for {time.monotonic() - seen:.0f} s: {str(error).splitlines()[0]}"
        click.echo(words, err=True)
        until = time.monotonic() + every
        while time.monotonic() < until and not asked():
            time.sleep(_POLL_S)


def _look(job: str, url: str, settings: dict[str, str]) -> str:
    from eddyline.cli.flink_status import line
    from eddyline.engines.flink.operate import running
    from eddyline.engines.flink.rest import Rest
    from eddyline.engines.flink.standing import standing

    rest = Rest(url)
    found = [one for one in running(rest) if one.id == job]
    if not found:
        raise _EndedError(
            f"job {job} has ended, and not because of this command\n{rest.problem(job)}\n"
            "where somebody stopped it, or once it is mended, go on with: --savepoint latest"
        )
    return line(standing(rest, found[0], settings))


class _EndedError(EddylineError):
    """The job that is followed has ended."""
