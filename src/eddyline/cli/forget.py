"""`eddyline forget`: the models, as if they had never learned certain events; with the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

import click

from eddyline.cli.asking import who
from eddyline.cli.beside import beside
from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.views.forget import Forgotten


@click.command("forget", short_help="Unlearn events, and prove it.")
@pipeline_file
@click.option("--events", metavar="ID[,ID...]", help="The events to forget, by id.")
@click.option("--from", "listed", type=click.File(), metavar="LIST", help="A file with one event id a line.")
@click.option("--author", metavar="NAME", help="Who asks for it.  [default: your user name]")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the ledger.")
@beside
@as_json
def command(
    file: str, store: str | None, events: str | None, listed: TextIO | None, author: str | None, reason: str,
    brokers: str | None, kafka_config: str | None, work: str | None, hold: int | None, as_json: bool,
) -> int:  # fmt: skip
    """Make every model that answers for FILE forget some events: poisoned ones, or those of somebody who is to be erased.

    Each line that learned them is folded again without them and takes its own place, while whoever runs goes on. Events
    that were answered and still wait for their truth may be named too: a label that comes later is not learned. Where
    one version answers (after `rollback FILE fraud@15320`), the successor of its whole line answers from then on. The proof
    is another fold, from the first version, that never saw them: the digests must be equal. The journal keeps the events;
    features of other events that their aggregates entered stay as they were served. Exit code 1 when a proof fails.

    With --brokers it is done in the job on Flink, beside it, while events flow; the proof is a fold of the topics.
    """
    from eddyline.cli.beside import workshop
    from eddyline.pipeline.loading import load
    from eddyline.records.errors import EddylineError
    from eddyline.views.forget import forget
    from eddyline.views.forget_beside import forget_beside

    wanted = [one for one in (events or "").split(",") if one]
    wanted += [line.strip() for line in listed or () if line.strip()]
    if not wanted:
        raise EddylineError("no events are named\nwrite --events p-1,p-2, or --from LIST with one id a line")
    loaded, author = load(file, store), who(author or None)
    if brokers is None:
        forgot = forget(loaded.pipeline, loaded.store, wanted, author=author, reason=reason)
    else:
        with workshop(loaded, brokers, kafka_config, work, hold) as shop:
            forgot = forget_beside(shop, wanted, author=author, reason=reason)
    return _told(forgot, as_json)


def _told(forgot: list[Forgotten], as_json: bool) -> int:
    """Prints what forgot, and the proofs."""
    from eddyline.cli import show

    if as_json:
        show.json_document([{**_plain(one), "proved": one.proved} for one in forgot])
    else:
        if not forgot:
            click.echo("no line that answers has learned them; the pinned versions that had are not asked any more")
        for one in forgot:
            said = "proved" if one.proved else "NOT PROVED"
            many = one.examples or "none"
            click.echo(f"{one.line} has learned {many} of them; {one.successor} has its place, and never learns any: {said}")
            click.echo(f"  {one.successor} {one.digest}, a fold that never saw them {one.proof}")
    return 0 if all(one.proved for one in forgot) else 1


def _plain(one: object) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(one)
    return plain
