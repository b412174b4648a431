"""`eddyline explain`: what one answer was made from, on a page."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from eddyline.cli.asking import job_asked, on_flink_too
from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.connectors.kafka import Connection
    from eddyline.pipeline.loading import Loaded
    from eddyline.views.explain import Beside, Explanation


@click.command("explain", short_help="What one answer was made from.")
@pipeline_file
@click.argument("event_id", metavar="ID")
@on_flink_too
@click.option(
    "--work",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="With --brokers: where the copy of the job's log lies.  [default: <pipeline>.beside, next to FILE]",
)
@as_json
def command(file: str, store: str | None, event_id: str, work: str | None, as_json: bool) -> None:
    """Show the answer to event ID: who gave it, what that version saw, the truth, and the answer once more.

    The version that answered is rebuilt and asked again, from the features it saw.

    With --brokers it is an answer of the job on Flink, from its topics, which are read until ID is found. What the job learned
    is copied to DIR first, as for `retrain`; the next time only what came since.
    """
    from eddyline.cli import show
    from eddyline.pipeline.loading import load
    from eddyline.store.database import Store
    from eddyline.views.explain import explain

    loaded = load(file, store)
    connection = job_asked(loaded)
    if connection is not None:
        found = _of_job(loaded, connection, work, event_id)
    elif work is not None:
        raise click.UsageError("--work is for a job on Flink: add --brokers")
    else:
        with closing(Store.read(loaded.store)) as opened:
            found = explain(opened, loaded.pipeline, event_id)
    if as_json:
        show.json_document(_document(found))
    else:
        _page(found)


def _of_job(loaded: Loaded, connection: Connection, work: str | None, event_id: str) -> Explanation:
    """The same, of an answer of a job on Flink."""
    from eddyline.cli.beside import job_and_folder
    from eddyline.engines.flink.copying import LogCopy
    from eddyline.records.errors import StoreLocked
    from eddyline.store.database import Store
    from eddyline.views.beside import COPY
    from eddyline.views.explain_beside import explain_beside

    job, folder = job_and_folder(loaded, connection, work)
    with suppress(StoreLocked), LogCopy(loaded.pipeline, folder / COPY) as copy:  # who works there keeps it up to date
        job.fetch(copy)
    with closing(Store.read(folder / COPY)) as log:
        return explain_beside(job, loaded.pipeline, log, event_id)


def _document(found: Explanation) -> dict[str, Any]:
    from eddyline.cli import show
    from eddyline.records.time import show_instant

    document: dict[str, Any] = show.plain(found)
    document["prediction"]["at"] = show_instant(found.prediction.at)
    document["received_at"] = _wall(found.received_at)
    for truth, learned in zip(document["truths"], found.truths, strict=True):
        truth["at"] = show_instant(learned.at)
    return document


def _wall(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _page(found: Explanation) -> None:
    from eddyline.cli import show
    from eddyline.records import KEY_FEATURE
    from eddyline.records.time import show_instant

    prediction = found.prediction
    seen = {name: value for name, value in prediction.features.items() if name != KEY_FEATURE}
    own = f", its model of key {prediction.key!r}" if KEY_FEATURE in prediction.features else ""
    scores = (prediction.scores or {}).items()
    show.facts(
        f"event {prediction.event_id}",
        [
            ("answer", show.exactly(prediction.value)),
            ("probabilities", ", ".join(f"{key!r}: {value:.6g}" for key, value in scores) or None),
            ("by", f"{found.version}{own}, rollout {prediction.revision}"),
            ("happened at", show_instant(prediction.at)),
            ("answered at", f"{_wall(found.received_at)}{f', in block {found.block}' if found.block else ''}"),
            ("key", prediction.key or None),
            ("segment", prediction.segment),
            ("answered again", f"{found.again}, {found.again_detail}"),
        ],
    )
    show.values("the event", found.event or {"": "its topic does not hold it any more"})
    if prediction.aggregates:
        show.values("what history contributed", prediction.aggregates)
    show.values("features, as the model saw them", seen)
    if found.beside:
        show.facts("what the others said", [(one.version, _heard(one)) for one in found.beside])
    show.facts("the truth", _truths(found) or [("none yet", "")])
    if found.forgotten:
        show.console().print("forgotten: no line that answers now has learned it; the journal keeps it\n")
    for letter in found.refused:
        show.facts(f"refused: {letter.stream}, {letter.reason}", [("because", letter.detail)])


def _heard(one: Beside) -> str:
    from eddyline.cli import show

    if one.fault is None:
        return show.exactly(one.value)
    return f"no answer, {one.fault}{f': {one.why}' if one.why else ''}"


def _after(us: int) -> str:
    """How long a truth took: exact where that is short to say."""
    from eddyline.policies.verdict import about_us
    from eddyline.records.time import show_duration

    exact = show_duration(us // 1_000_000 * 1_000_000)
    return f"about {about_us(us)}" if exact.endswith("seconds") and us >= 7_200_000_000 else exact


def _truths(found: Explanation) -> list[tuple[str, str]]:
    """Each truth in a line: what, when it was known, how, and what was learned from it."""
    from eddyline.cli import show
    from eddyline.records.time import show_instant

    rows = []
    for truth in found.truths:
        how = "a label" if truth.known == "label" else "the absence of a label"
        after = _after(truth.at - found.prediction.at)
        into = f"learned into {truth.version}" if truth.version else "not learned"
        revised = f", correction {truth.revision}" if truth.revision else ""
        said = f"known at {show_instant(truth.at)} ({after} after the event) by {how}{revised}; {into}"
        rows.append((show.exactly(truth.truth), said))
    return rows
