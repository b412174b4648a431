"""The state of a pipeline as data and as one page: for whoever is paged at night.

`report_data` gathers what the page shows, from the store alone, and `write_report` writes the page. Nothing
here reads a clock: the same store gives the same bytes. Reads only, and sees the store as it was at one
moment while a runner goes on writing. It refuses to know how a page looks: see `page`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eddyline.engines.loop import States
from eddyline.monitors.days import day_name
from eddyline.monitors.delay import DelayHistogram, _middle
from eddyline.monitors.metrics import Average, Gauge
from eddyline.monitors.quality import Series
from eddyline.pipeline import Pipeline, Plan
from eddyline.records import Alert, DeadLetter, Measurement, Rollout
from eddyline.records.time import DAY_US
from eddyline.store import blocks
from eddyline.store.database import Store
from eddyline.store.declarations import first_rollout
from eddyline.views.current import current
from eddyline.views.deciding import deciding
from eddyline.views.facts import (
    AlertLane,
    Better,
    CoverageDay,
    Day,
    Delays,
    Fates,
    Quality,
    Refused,
    ReportData,
    RolloutRow,
    Row,
)
from eddyline.views.history import standing
from eddyline.views.ledger import declarations
from eddyline.views.letters import letters
from eddyline.views.page import render

__all__ = ["ReportData", "report_data", "write_report"]
ALERTS = 1_000
"""How many alerts a report holds, the newest; all of them are counted."""
WORST = 100
"""How many of those whose effect on labelled loss is known, the largest."""


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
    page = render(report_data(store, pipeline))
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
        refused = _refused(letters(still))
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
            fates=_fates(states, refused),
            quality=_quality(plan, states),
            coverage=_coverage(states),
            delays=_delays(states.watch.delay),
            alerts=list(alerts.newest),
            alerted=alerts.count,
            lanes=alerts.lanes(),
            worst=alerts.worst(),
            deciding=deciding(still, pipeline, plan.watch.quality.gauges),
            also=_also(plan, states),
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


def _noted(store: Store, plan: Plan) -> tuple[_Alerts, list[RolloutRow]]:
    """The alerts and rollouts that blocks have noted, in order; the first rollout is the pipeline's start."""
    alerts = _Alerts()
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


class _Alerts:
    """Alerts counted as they are read: the newest and the worst are held, all are counted by subject and by day."""

    def __init__(self) -> None:
        self.newest: deque[Alert] = deque(maxlen=ALERTS)
        self.count = 0
        self.days: dict[tuple[str, str], Counter[int]] = {}
        self.last: dict[tuple[str, str], Alert] = {}
        self.known: list[Alert] = []
        """those whose effect is known, at most twice as many as are shown"""

    def add(self, alert: Alert) -> None:
        """Takes one more, in order."""
        about = alert.monitor, alert.subject
        self.newest.append(alert)
        self.count += 1
        self.days.setdefault(about, Counter())[alert.at // DAY_US] += 1
        self.last[about] = alert
        if alert.effect is not None:
            self.known.append(alert)
            if len(self.known) >= 2 * WORST:
                self.known = self.worst()

    def worst(self) -> list[Alert]:
        """Those that came with the largest rise of labelled loss, the worst first."""
        return sorted(self.known, key=lambda alert: -(alert.effect or 0.0))[:WORST]

    def lanes(self) -> list[AlertLane]:
        """One for each thing that drifted: the error first, then by name."""
        return [
            AlertLane(*about, sum(days.values()), sorted(days.items()), self.last[about])
            for about, days in sorted(self.days.items(), key=lambda lane: (lane[0][0] != "error_drift", lane[0]))
        ]


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


def _fates(states: States, refused: list[Refused]) -> Fates:
    answered, labelled, absent, expired = states.watch.coverage.total()
    return Fates(
        answered=answered,
        labelled=labelled,
        absent=absent,
        expired=expired,
        waiting=answered - labelled - absent - expired,
        dead=sum(pile.count for pile in refused),
    )


def _coverage(states: States) -> list[CoverageDay]:
    return [
        CoverageDay(day_name(day), day, answered, labelled, absent, expired, answered - labelled - absent - expired)
        for day, (answered, labelled, absent, expired) in sorted(states.watch.coverage.rows.items())
    ]


def _quality(plan: Plan, states: States) -> Quality | None:
    gauges = plan.watch.quality.gauges
    if not gauges:
        return None
    state = states.watch.quality
    names = [gauge.name for gauge in gauges]
    days = _days(state.days)
    counts = sorted(day.count for day in days)
    better = _better(gauges[0])
    few = max(30, counts[len(counts) // 2] // 10) if counts else 30
    segments = [Row(str(name), *row[0]) for name, row in state.segments.rows() if row[0][1]]
    return Quality(
        metric=names[0],
        better=better,
        overall=[Row(name, *row) for name, row in zip(names, state.overall.numbers(), strict=True)],
        days=days,
        label_days=_days(state.label_days),
        versions=[Row(f"{model}@{position}", *row[0]) for (model, position), row in state.versions.rows() if row[0][1]],
        segments=worst_first(segments, better, few),
        few=few,
        window=gauges[0].window,
    )


def _days(series: Series) -> list[Day]:
    """The first metric by day, but for days before it was declared, of which it counted nothing."""
    return [Day(day_name(day), day, *row[0]) for day, row in series.rows() if row[0][1]]


def _better(gauge: Gauge) -> Better:
    """Which way is good: as River's metric says, and down for a function, which is a loss."""
    bigger = getattr(gauge.template, "bigger_is_better", None)
    if bigger is None:
        return "lower" if isinstance(gauge.template, Average) else "unknown"
    return "higher" if bigger else "lower"


def worst_first(rows: Iterable[Row], better: Better, few: int) -> list[Row]:
    """Rows with enough truths, the worst first, then those with few; by count where neither way is good.

    >>> rows = [Row("a", 0.9, 500), Row("b", 0.5, 500), Row("c", 0.1, 3)]
    >>> [row.name for row in worst_first(rows, "higher", few=30)]
    ['b', 'a', 'c']
    """

    def rank(row: Row) -> tuple[bool, float, str]:
        if better == "unknown" or row.value is None:
            return row.count < few, -row.count, row.name
        return row.count < few, row.value if better == "higher" else -row.value, row.name

    return sorted(rows, key=rank)


def _delays(histogram: DelayHistogram) -> Delays:
    return Delays(
        count=histogram.count,
        bins=[(_middle(index), many) for index, many in sorted(histogram.bins.items())],
        p50=histogram.quantile(0.5),
        p90=histogram.quantile(0.9),
        p99=histogram.quantile(0.99),
        largest=histogram.largest,
    )


def _also(plan: Plan, states: States) -> list[Measurement]:
    """The numbers without a place of their own: what was left out of metrics, and the user's own monitors."""
    shown = {
        *plan.watch.quality.measurements(states.watch.quality),
        *states.watch.coverage.measurements(),
        *states.watch.delay.measurements(),
    }
    left_out = [
        one for one in plan.watch.quality.measurements(states.watch.quality) if one.metric.endswith((" unanswered", " failed"))
    ]
    return left_out + [one for one in plan.watch.measurements(states.watch) if one not in shown]


def _refused(found: Iterable[DeadLetter]) -> list[Refused]:
    """The dead letters by stream and reason, the most frequent first, each with its first example."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], DeadLetter] = {}
    for letter in found:
        kind = letter.stream, letter.reason
        counts[kind] += 1
        first.setdefault(kind, letter)
    return [_example_of(first[kind], many) for kind, many in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def _example_of(letter: DeadLetter, count: int) -> Refused:
    return Refused(
        stream=letter.stream,
        reason=letter.reason,
        count=count,
        detail=letter.detail,
        event_id=letter.event_id,
        origin=letter.origin,
        raw=letter.raw[:1000].decode("utf-8", "backslashreplace"),
    )
