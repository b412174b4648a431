"""`eddyline retrain`: makes a new model from the examples log, beside whatever runs, and leads it through its gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eddyline.cli.beside import beside
from eddyline.cli.options import as_json, moment, pipeline_file

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded
    from eddyline.views.beside import Workshop

PASSED, CLOSED = 0, 1
PAUSE_S = 2.0


@click.command("retrain", short_help="Make a new model from the examples log.")
@pipeline_file
@click.option("--name", metavar="LINE", help="What the new line is called.  [default: <pipeline>.retrained]")
@click.option("--window", metavar="SPAN", help="Learn from so much event time back: 30d, 12h, 90m.")
@click.option(
    "--from-at", type=moment, metavar="TIME", help="Learn from events since then: 2026-03-02T14:30Z, or µs since 1970."
)
@click.option("--examples", type=click.IntRange(min=1), metavar="N", help="Learn from the newest N examples.")
@click.option("--since", type=click.IntRange(min=0), metavar="POSITION", help="Learn from what came after this position.")
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE", help="Of these, a share.")
@click.option("--held-back", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, metavar="SHARE")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the sample.")
@click.option(
    "--challenger", metavar="NAME", help="Take the recipe of this line: deep, fraud.deep, fraud.  [default: the champion's]"
)
@click.option("--continue-from", "continues", metavar="VERSION", help="Go on from fraud@15320 instead of starting fresh.")
@click.option("--unlearned", is_flag=True, help="Also from examples that came while learning was frozen.")
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Where it works.  [default: <store>-LINE]")
@click.option(
    "--nice", type=click.IntRange(0, 19), default=19, show_default=True, help="How far it steps back: serving goes first."
)
@beside
@click.option(
    "--seat", default="shadow", show_default=True, metavar="SEAT",
    help="With --brokers, what it gets when its gates are open: shadow, canary:0.1, split:0.5, champion or nobody.",
)  # fmt: skip
@click.option("--author", metavar="NAME", help="With --brokers: who asks for it.  [default: your user name]")
@click.option("--follow", is_flag=True, help="With --brokers: go on, and carry out what Retrain policies decide.")
@as_json
def command(
    file: str, store: str | None, out: str | None, nice: int, brokers: str | None, kafka_config: str | None,
    work: str | None, hold: int | None, seat: str, author: str | None, follow: bool, as_json: bool, **asked: Any,
) -> int:  # fmt: skip
    """Make a new model for the pipeline of FILE from its examples log, and lead it through its gates.

    It is the champion's recipe, made anew from what the champion's line saw, unless --challenger names another. It only
    reads the store, at low priority, and goes on where it was when it is interrupted: call it again. In DIR are then
    model.bin, the state of the new version, trained.json, its lineage, and gates.json. Nothing is rolled out; it takes a seat
    with `eddyline challengers FILE --enter DIR`. Gates are those of the pipeline, by default no regression against what was
    answered. Exit code 0 when every gate is open, 1 when one is closed.

    With --brokers it is made from the topics of the job on Flink, beside it. When its gates are open it catches up with
    what the job learned meanwhile, to the example, and takes its seat while events flow. With --follow it waits for what
    Retrain policies decide, and makes that, until it is stopped; the decisions topic says what is done, so a restart
    forgets nothing and does nothing twice.
    """
    import os

    from eddyline.cli.beside import workshop
    from eddyline.pipeline.loading import load

    os.nice(nice)
    loaded = load(file, store)
    if brokers is None:
        if follow or work is not None:
            raise click.UsageError(
                "--follow and --work are for a job on Flink: add --brokers; `eddyline run` retrains by itself"
            )
        return _on_store(loaded, out, asked, as_json)
    if out is not None:
        raise click.UsageError("with --brokers the work lies in a folder for all trainings: write --work instead of --out")
    with workshop(loaded, brokers, kafka_config, work, hold) as shop:
        return _follow(shop, seat) if follow else _beside(shop, seat, author, asked, as_json)


def _on_store(loaded: Loaded, out: str | None, asked: dict[str, Any], as_json: bool) -> int:
    from contextlib import closing
    from pathlib import Path

    from eddyline.cli.test import say
    from eddyline.cli.training import bar
    from eddyline.store.database import Store
    from eddyline.views.retraining import asked_for, retrain

    request = asked_for(loaded.pipeline, **asked)
    folder = Path(out) if out is not None else loaded.store.with_name(f"{loaded.store.name}-{request.name}")
    with closing(Store.read(loaded.store)) as opened, bar(silent=as_json) as on_progress:
        tried = retrain(opened, loaded.pipeline, request, loaded.base, folder, on_progress=on_progress)
    more = {"folder": str(folder)}
    if tried.passed:
        more["let it in"] = f"eddyline challengers {loaded.file.name} --enter {folder}"
    say(tried, as_json=as_json, more=more)
    return PASSED if tried.passed else CLOSED


def _beside(shop: Workshop, seat: str, author: str | None, asked: dict[str, Any], as_json: bool) -> int:
    from eddyline.cli.asking import who
    from eddyline.cli.beside import seat_of
    from eddyline.cli.test import say
    from eddyline.cli.training import bar
    from eddyline.views.retraining import asked_for

    request = asked_for(shop.pipeline, **asked)
    seated = seat != "nobody"
    place = seat_of(seat) if seated else None
    with bar(silent=as_json) as on_progress:
        made = shop.retrain(request, place, author=who(author), seated=seated, on_progress=on_progress)
    entered = None if made.decision is None else made.decision.number
    say(made.tried, as_json=as_json, more={"folder": made.folder, "entered_by_decision": entered})
    return PASSED if made.tried.passed else CLOSED


def _follow(shop: Workshop, seat: str) -> int:
    """Carries out decisions until it is interrupted; says each on stderr."""
    import time

    from eddyline.cli.beside import seat_of
    from eddyline.views.beside import Follower, check_seat

    place = seat_of(seat) if seat != "nobody" else None
    if place is None:
        raise click.BadParameter(
            "what policies asked for takes a seat beside the champion; Promote decides on it", param_hint="--seat"
        )
    check_seat(shop.pipeline, place)
    follower = Follower(shop, place)
    click.echo(f"following the decisions of {shop.pipeline.name}; stop with Ctrl-C", err=True)
    while True:
        decision = follower.step()
        if decision is None:
            time.sleep(PAUSE_S)
        else:
            click.echo(f"decision {decision.number}: {decision.action} {decision.subject}: {decision.reason}", err=True)
