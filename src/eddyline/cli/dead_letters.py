"""`eddyline dead-letters`: what was refused and why, and driving it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from eddyline.cli.asking import job_asked, on_flink_too
from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.connectors.kafka import Connection
    from eddyline.pipeline.loading import Loaded
    from eddyline.records import DeadLetter
    from eddyline.views.letters import Pile, Redriven


@click.command("dead-letters", short_help="What was refused and why; drive it again.")
@pipeline_file
@click.option("--reason", metavar="CODE", help="Only letters refused for this reason.")
@click.option("--stream", metavar="NAME", help="Only letters of this stream: events, labels, examples or commands.")
@click.option("--show", "shown", type=click.IntRange(min=1), metavar="N", help="Print the first N with their bytes.")
@click.option("--redrive", is_flag=True, help="Take refused events and labels as new inputs.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Look at the first N letters only.")
@on_flink_too
@as_json
def command(
    file: str,
    store: str | None,
    reason: str | None,
    stream: str | None,
    shown: int | None,
    redrive: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """Count what was refused, show it, or drive it through the engine again.

    Redriving is journaled like any other input and needs the store for itself. What was answered or known
    meanwhile is left alone, and so is what would be refused again. Where the pipeline itself has to be mended
    (features, a zone, a limit), the past would not follow from it any more: replay into a new store.
    With --json: the counts, or one letter a line with --show.

    With --brokers they are those of the job on Flink, from its topic. To drive one again, send its bytes to the topic of
    events or labels once more.
    """
    from eddyline.pipeline.loading import load
    from eddyline.store.database import Store
    from eddyline.views.letters import letters

    _check_words(reason, stream)
    loaded = load(file, store)
    connection = job_asked(loaded)
    if connection is not None:
        if redrive:
            raise click.UsageError(
                "--redrive is for a store; a job takes what is sent to its topics again: see the bytes with --show"
            )
        found = _of_job(loaded, connection, stream, reason)
        _print(loaded, islice(found, limit), shown, as_json=as_json)
        return
    if redrive:
        _print_redriven(_redriven(loaded, stream, reason, limit), as_json=as_json)
        return
    with closing(Store.read(loaded.store)) as opened:
        _print(loaded, islice(letters(opened, stream=stream, reason=reason), limit), shown, as_json=as_json)


def _of_job(loaded: Loaded, connection: Connection, stream: str | None, reason: str | None) -> Iterator[DeadLetter]:
    from eddyline.engines.flink.fetching import refused

    for letter in refused(loaded.pipeline, connection):
        if stream in (None, letter.stream) and reason in (None, letter.reason):
            yield letter


def _print(loaded: Loaded, found: Iterator[DeadLetter], shown: int | None, *, as_json: bool) -> None:
    from eddyline.views.letters import piles

    if shown is None:
        _print_piles(piles(found), as_json=as_json)
    for letter in islice(found, shown or 0):
        _print_letter(letter, _advice(loaded, letter), as_json=as_json)


def _print_piles(counted: list[Pile], *, as_json: bool) -> None:
    from eddyline.cli import show

    total = sum(pile.count for pile in counted)
    if as_json:
        show.json_document({"total": total, "dead_letters": counted})
        return
    made = show.table("stream", "reason", "count", "the newest says", right=("count",))
    for pile in counted:
        made.add_row(pile.stream, pile.reason, f"{pile.count:,}", pile.newest[:300])
    show.titled(show.count(total, "dead letter"), made)


def _check_words(reason: str | None, stream: str | None) -> None:
    from eddyline.records import Reason

    codes = [one.value for one in Reason]
    if reason is not None and reason not in codes:
        raise click.BadParameter(f"{reason!r} is not a reason; they are: {', '.join(codes)}", param_hint="--reason")
    streams = ("events", "labels", "examples", "commands")
    if stream is not None and stream not in streams:
        raise click.BadParameter(f"{stream!r} is not a stream; they are: {', '.join(streams)}", param_hint="--stream")


def _redriven(loaded: Loaded, stream: str | None, reason: str | None, limit: int | None) -> Redriven:
    from eddyline.engines.embedded import Engine
    from eddyline.records.errors import StoreMismatch
    from eddyline.store.database import Store
    from eddyline.views.letters import letters, redrive

    Store.read(loaded.store).close()  # says so when there is no store, instead of making one
    try:
        engine = Engine(loaded.pipeline, loaded.store)
    except StoreMismatch as changed:
        raise StoreMismatch(
            f"{changed}\n"
            "letters are driven again by the declaration that refused them; the new one takes all records anew:\n"
            f"  eddyline replay {loaded.file.name} --store NEW.eddyline"
        ) from changed
    with engine:
        return redrive(engine, islice(letters(engine.store, stream=stream, reason=reason), limit))


def _print_redriven(result: Redriven, *, as_json: bool) -> None:
    from eddyline.cli import show

    if as_json:
        show.json_document(result)
        return
    words = (
        ("accepted now", result.accepted),
        ("refused again", result.refused),
        ("answered or known already", result.settled),
        ("unreadable as before", result.unreadable),
        ("kept only in part", result.cut),
        ("the same bytes again", result.repeated),
        ("not an event or label", result.derived),
    )
    rows = [(name, f"{number:,}") for name, number in words if number or name == "accepted now"]
    show.facts("driven again", rows)


def _advice(loaded: Loaded, letter: DeadLetter) -> str | None:
    """What to write, so that such a record is taken."""
    from eddyline.records.advice import advice

    schemas = {"events": loaded.pipeline.event_schema, "labels": loaded.pipeline.label_schema}
    if letter.stream == "examples" and letter.size == len(letter.raw):
        import msgspec

        from eddyline.views.failing import mend

        return mend(letter.detail, msgspec.json.decode(letter.raw)["features"])
    if letter.stream not in schemas:
        return None
    return advice(schemas[letter.stream], letter.reason, letter.detail, letter.raw)


def _print_letter(letter: DeadLetter, next_step: str | None, *, as_json: bool) -> None:
    from eddyline.cli import show

    if as_json:
        show.json_document(letter)
        return
    cut = f", the first {len(letter.raw):,} are kept" if letter.size != len(letter.raw) else ""
    rows: list[tuple[str, Any]] = [
        ("because", letter.detail),
        ("next", next_step),
        ("id", letter.event_id),
        ("from", letter.origin or None),
        ("size", f"{show.count(letter.size, 'byte')}{cut}"),
        ("bytes", show.text(letter.raw[:2000])),
    ]
    show.facts(f"{letter.stream}: {letter.reason}", rows)
