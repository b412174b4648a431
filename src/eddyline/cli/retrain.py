"""`eddyline retrain`: makes a new model from the examples log, beside whatever runs, and leads it through its gates."""

from __future__ import annotations

from typing import Any

import click

from eddyline.cli.options import as_json, pipeline_file

PASSED, CLOSED = 0, 1


@click.command("retrain", short_help="Make a new model from the examples log.")
@pipeline_file
@click.option("--name", metavar="LINE", help="What the new line is called.  [default: <pipeline>.retrained]")
@click.option("--window", metavar="SPAN", help="Learn from so much event time back: 30d, 12h, 90m.")
@click.option("--from-at", type=int, metavar="MICROS", help="Learn from events since this instant, in µs since 1970.")
@click.option("--examples", type=click.IntRange(min=1), metavar="N", help="Learn from the newest N examples.")
@click.option("--since", type=click.IntRange(min=0), metavar="POSITION", help="Learn from what came after this position.")
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE", help="Of these, a share.")
@click.option("--held-back", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, metavar="SHARE")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the sample.")
@click.option("--challenger", metavar="NAME", help="Take the recipe of this declared challenger.")
@click.option("--continue-from", "continues", metavar="VERSION", help="Go on from fraud@15320 instead of starting fresh.")
@click.option("--unlearned", is_flag=True, help="Also from examples that came while learning was frozen.")
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Where it works.  [default: <store>-LINE]")
@click.option(
    "--nice", type=click.IntRange(0, 19), default=19, show_default=True, help="How far it steps back: serving goes first."
)
@as_json
def command(file: str, store: str | None, out: str | None, nice: int, as_json: bool, **asked: Any) -> int:
    """Make a new model for the pipeline of FILE from its examples log, and lead it through its gates.

    It only reads the store, at low priority, and goes on where it was when it is interrupted: call it again. In DIR are
    then model.bin, the state of the new version, and trained.json, its lineage. Nothing is rolled out. Gates are those of
    the pipeline, by default no regression against what was answered. Exit code 0 when every gate is open, 1 when one is closed.
    """
    import os
    from contextlib import closing
    from pathlib import Path

    from eddyline.cli.load import load
    from eddyline.cli.test import say
    from eddyline.cli.training import bar
    from eddyline.store.database import Store
    from eddyline.views.retraining import asked_for, retrain

    os.nice(nice)
    loaded = load(file, store)
    request = asked_for(loaded.pipeline, **asked)
    folder = Path(out) if out is not None else loaded.store.with_name(f"{loaded.store.name}-{request.name}")
    with closing(Store.read(loaded.store)) as opened, bar(silent=as_json) as on_progress:
        tried = retrain(opened, loaded.pipeline, request, loaded.base, folder, on_progress=on_progress)
    say(tried, as_json=as_json, more={"folder": str(folder)})
    return PASSED if tried.passed else CLOSED
