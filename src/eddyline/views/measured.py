"""What was measured, alerted and refused, as facts of a report: the same from a store and from a job's topics.

Pure functions of what the watch stage remembers, of alerts and of dead letters; they know neither where those were kept nor how
a page looks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from eddyline.monitors.days import day_name
from eddyline.monitors.delay import DelayHistogram, _middle
from eddyline.monitors.metrics import Average, Gauge
from eddyline.monitors.quality import QualityState, Series
from eddyline.records import Alert, DeadLetter, Measurement
from eddyline.records.time import DAY_US
from eddyline.stages.watch import WatchStage, WatchState
from eddyline.views.facts import AlertLane, Better, CoverageDay, Day, Delays, Fates, Quality, Refused, Row

ALERTS = 1_000
"""How many alerts a report holds, the newest; all of them are counted."""
WORST = 100
"""How many of those whose effect on labelled loss is known, the largest."""


class Alerts:
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


def fates_of(watch: WatchState, refused: list[Refused]) -> Fates:
    """What became of all answers."""
    answered, labelled, absent, expired = watch.coverage.total()
    return Fates(
        answered=answered,
        labelled=labelled,
        absent=absent,
        expired=expired,
        waiting=answered - labelled - absent - expired,
        dead=sum(pile.count for pile in refused),
    )


def coverage_of(watch: WatchState) -> list[CoverageDay]:
    """What became of the answers to the events of each day."""
    return [
        CoverageDay(day_name(day), day, answered, labelled, absent, expired, answered - labelled - absent - expired)
        for day, (answered, labelled, absent, expired) in sorted(watch.coverage.rows.items())
    ]


def quality_of(gauges: Sequence[Gauge], state: QualityState) -> Quality | None:
    """The metrics in every way they are kept; None where none is declared."""
    if not gauges:
        return None
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


def delays_of(histogram: DelayHistogram) -> Delays:
    """How long truths that were told took."""
    return Delays(
        count=histogram.count,
        bins=[(_middle(index), many) for index, many in sorted(histogram.bins.items())],
        p50=histogram.quantile(0.5),
        p90=histogram.quantile(0.9),
        p99=histogram.quantile(0.99),
        largest=histogram.largest,
    )


def also_of(stage: WatchStage, watch: WatchState) -> list[Measurement]:
    """The numbers without a place of their own: what was left out of metrics, and the user's own monitors."""
    shown = {
        *stage.quality.measurements(watch.quality),
        *watch.coverage.measurements(),
        *watch.delay.measurements(),
    }
    left_out = [one for one in stage.quality.measurements(watch.quality) if one.metric.endswith((" unanswered", " failed"))]
    return left_out + [one for one in stage.measurements(watch) if one not in shown]


def refused_of(found: Iterable[DeadLetter]) -> list[Refused]:
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
