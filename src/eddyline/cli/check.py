"""`eddyline check`: what the pipeline is, and how its first records fare; nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded
    from eddyline.views.rehearse import Rehearsal, Tryout


@click.command("check", short_help="Read FILE, and try the first record of each source.")
@pipeline_file
@as_json
def command(file: str, store: str | None, as_json: bool) -> int:
    """Read FILE, say what the pipeline is, and try the first event and the first label.

    The event is answered as a run would answer it, in a store of its own that is thrown away. A `note:` is about what
    is allowed and has an effect that is easily overlooked. The model learns that event with the truth of the first label;
    each challenger answers and learns it, too. Exit code 5 when the first record of a source is refused, or one of them fails.
    """
    from eddyline.cli import show
    from eddyline.models.compiled import form
    from eddyline.pipeline.loading import load
    from eddyline.records.errors import Rejected
    from eddyline.views import unmade
    from eddyline.views.rehearse import odd_times, other_names, rehearse, tryouts

    loaded = load(file, store)
    found = rehearse(loaded.pipeline, loaded.base)
    own, *beside = tryouts(loaded.pipeline, found) or (None,)
    first = next((one.prediction for one in found if one.prediction is not None), None)
    declared = loaded.pipeline
    notes = [*declared.notes(), *unmade.notes(declared, first), *odd_times(declared, found), *other_names(declared, found)]
    if as_json:
        pipeline = loaded.pipeline
        show.json_document(
            {
                "pipeline": pipeline.name,
                "digest": pipeline.digest,
                "parts": pipeline.parts(),
                "store": loaded.store,
                "described": pipeline.describe().splitlines(),
                "notes": notes,
                "arithmetic": form(),
                "records": [_document(loaded, one) for one in found],
                "learns": own and {"failed": own.failed},
                "challengers": beside,
            }
        )
    else:
        _page(loaded, found, notes)
        if own is not None and own.failed:
            show.facts("its model, taught the first truth", [(own.line, f"FAILS: {own.failed}")])
        _beside(beside)
    failed = any(one.refused is not None for one in found) or any(one is not None and one.failed for one in (own, *beside))
    return Rejected.exit_code if failed else 0


def _document(loaded: Loaded, one: Rehearsal) -> dict[str, Any]:
    from eddyline.records.time import show_instant

    return {
        "stream": one.stream,
        "raw": one.raw,
        "record": one.record,
        "at": None if one.at is None else show_instant(one.at),
        "prediction": one.prediction,
        "refused": one.refused and {"reason": one.refused.reason, "detail": one.refused.detail, "next": _advice(loaded, one)},
    }


def _page(loaded: Loaded, found: list[Rehearsal], notes: list[str]) -> None:
    from eddyline.cli import show

    out = show.console()
    out.print(loaded.pipeline.describe(), soft_wrap=True)
    out.print(f"  store     {loaded.store}", soft_wrap=True)
    for note in notes:
        first, *more = note.splitlines()
        out.print(f"note: {first}", soft_wrap=True)
        for line in more:
            out.print(f"      {line}", soft_wrap=True)
    out.print()
    for one in found:
        if one.raw is None:
            out.print(f"{one.stream}: no record yet")
        elif one.refused is not None:
            refused = [("refused", one.refused.reason), ("because", one.refused.detail), ("next", _advice(loaded, one))]
            show.facts(f"the first of {one.stream}", [("bytes", show.text(one.raw[:500])), *refused])
        else:
            assert one.record is not None
            show.values(f"the first of {one.stream}", one.record)
        if one.prediction is not None:
            show.values("its features, as the model sees them", one.prediction.features)
            answer = [("answer", show.exactly(one.prediction.value)), ("by", one.prediction.version)]
            show.facts("its answer", answer)


def _advice(loaded: Loaded, one: Rehearsal) -> str | None:
    """What to write instead of what was refused."""
    from eddyline.records.advice import advice

    assert one.refused is not None
    schema = loaded.pipeline.event_schema if one.stream == "events" else loaded.pipeline.label_schema
    return advice(schema, one.refused.reason, one.refused.detail, one.refused.raw)


def _beside(beside: list[Tryout]) -> None:
    from eddyline.cli import show

    rows = [(one.line, f"FAILS: {one.failed}" if one.failed else f"answers {show.exactly(one.answer)}") for one in beside]
    if rows:
        show.facts("its challengers, asked the same, and taught the first truth", rows)
