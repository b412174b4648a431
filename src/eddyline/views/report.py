"""The state of a pipeline as data and as one page: for whoever is paged at night.

`report_data` gathers what the page shows, from the store alone, and `write_report` writes the page. Nothing
here reads a clock: the same store gives the same bytes. Reads only, and sees the store as it was at one
moment while a runner goes on writing. It refuses to know how a page looks: see `page`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eddyline.pipeline import Pipeline, Plan
from eddyline.records import Rollout
from eddyline.store import blocks
from eddyline.store.database import Store
from eddyline.store.declarations import first_rollout
from eddyline.views.current import current
from eddyline.views.deciding import deciding
from eddyline.views.facts import ReportData, RolloutRow
from eddyline.views.history import standing
from eddyline.views.ledger import declarations
from eddyline.views.letters import letters
from eddyline.views.measured import Alerts, also_of, coverage_of, delays_of, fates_of, quality_of, refused_of
from eddyline.views.page import render

__all__ = ["ReportData", "report_data", "write_report"]


def write_report(store: Store, pipeline: Pipeline, out: Path) -> Path:
    """Writes the state of a pipeline as one HTML page that needs nothing else, and gives its path.

    The same store gives the same bytes. Whatever users, events or dead letters say is shown as text. Reading a
    store does not wait for its runner, nor keep it waiting.

    >>> import tempfile
    >>> from river import linear_model
    >>> from eddyline import Engine, EpochSeconds, Event, Id, Label, Truth, memory
    >>> class Payment(Event):
    ...     id: Id
    ...     at: EpochSeconds
    ...     amount: float
    >>> class Chargeback(Label):
    ...     id: Id
    ...     at: EpochSeconds
    ...     fraud: Truth[bool]
    >>> fraud = Pipeline(name="fraud", events=memory([], Payment), labels=memory([], Chargeback),
    ...                  model=linear_model.LogisticRegression())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fraud.eddyline"
    ...     with Engine(fraud, path) as engine:
    ...         answer = engine.answer(Payment(id="p-1", at=0, amount=12.0))
    ...         engine.tell(Chargeback(id="p-1", at=60, fraud=True))
    ...     store = Store.read(path)
    ...     page = write_report(store, fraud, Path(folder) / "report.html").read_text()
    ...     store.close()
    >>> "<strong>fraud@1</strong> answers now" in page, "script" in page
    (True, False)
    """
    return write_page(report_data(store, pipeline), out)


def write_page(report: ReportData, out: Path) -> Path:
    """Writes a report as its page, whatever it is of, and gives the path."""
    page = render(report)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8", newline="\n")
    return out


def report_data(store: Store, pipeline: Pipeline) -> ReportData:
    """What `write_report` shows, as plain data: `msgspec.json.encode` makes JSON of it.

    Measurements are brought up to the last block by replaying the inputs since the last checkpoint; that
    takes seconds when hundreds of thousands came since. Raises StoreCorrupt where the store cannot be read.
    """
    with unmoved(store) as still:
        plan = pipeline.plan()
        reached = current(still, pipeline, plan)
        alerts, rollouts = _noted(still, plan)
        refused = refused_of(letters(still))
        last = still.block(still.seq).notes if still.seq else None
        states, first = reached.states, still.prediction_group(0)[1] if still.slots else []
        return ReportData(
            pipeline=pipeline.name,
            digest=pipeline.digest,
            store=store.path.name,
            blocks=still.seq,
            as_of=reached.block,
            behind=reached.behind,
            received_at=last.received_at if last else None,
            first_at=min((prediction.at for prediction in first), default=None),
            last_at=states.serve.frontier if reached.block and still.slots else None,
            answering=standing(still, pipeline).version,
            rollout=rollouts[-1],
            fates=fates_of(states.watch, refused),
            quality=quality_of(plan.watch.quality.gauges, states.watch.quality),
            coverage=coverage_of(states.watch),
            delays=delays_of(states.watch.delay),
            alerts=list(alerts.newest),
            alerted=alerts.count,
            lanes=alerts.lanes(),
            worst=alerts.worst(),
            deciding=deciding(still, pipeline, plan.watch.quality.gauges),
            also=also_of(plan.watch, states.watch),
            versions=still.versions(),
            rollouts=rollouts,
            refused=refused,
            head=still.head.hex(),
            fingerprint=still.get("fingerprint") or "",
            declarations=declarations(still),
        )


@contextmanager
def unmoved(store: Store) -> Iterator[Store]:
    """The store as it is at one moment, whatever its writer does meanwhile; a writer's own as it is."""
    reads_only = store.db.execute("PRAGMA query_only").fetchone()[0]
    if not reads_only or store.db.in_transaction:
        yield store
        return
    store.db.execute("BEGIN")
    try:
        yield Store(store.path, store.db, None)
    finally:
        store.db.execute("ROLLBACK")


def _noted(store: Store, plan: Plan) -> tuple[Alerts, list[RolloutRow]]:
    """The alerts and rollouts that blocks have noted, in order; the first rollout is the pipeline's start."""
    alerts = Alerts()
    start = first_rollout(store, plan.decide.new_state().rollout)
    rollouts = [_rollout_row(store, start, block=0, position=0, answer=0, received_at=None)]
    for seq, answer, packed in store.db.execute("SELECT seq, first_slot, notes FROM blocks ORDER BY seq"):
        notes = blocks.decode_notes(packed)
        for alert in notes.alerts:
            alerts.add(alert)
        rollouts += [
            _rollout_row(store, each, block=seq, position=notes.learner, answer=answer, received_at=notes.received_at)
            for each in notes.rollouts
        ]
    return alerts, rollouts


def _rollout_row(
    store: Store, rollout: Rollout, *, block: int, position: int, answer: int, received_at: float | None
) -> RolloutRow:
    at = None
    if answer < store.slots:
        first, group = store.prediction_group(answer)
        at = group[answer - first].at
    return RolloutRow(
        revision=rollout.revision,
        answers=rollout.champion or "live",
        author=rollout.author,
        reason=rollout.reason,
        block=block,
        position=position,
        answer=answer,
        at=at,
        received_at=received_at,
    )
