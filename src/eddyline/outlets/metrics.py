"""The registry of metrics: each one is declared here once, and everything that names it is made from this.

The endpoint, the recording and alerting rules and the dashboard take names, labels and help from these values. Names are in
base units (seconds, ratio, total), as Prometheus wants them. Labels are bounded: versions and days are never labels,
and a metric keeps at most `MOST` series. Knows nothing of engines, nor of any client library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from eddyline.records import Reason

MOST = 200
"""The most series that one metric of one pipeline has; what is beyond is left out, and counted in `eddyline_series_dropped`."""
DELAYS_S = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 30 * 86400.0)
"""The upper bounds of the buckets of delays, in seconds."""
Kind = Literal["counter", "gauge", "histogram"]
Row = Literal["Answers", "Quality", "Labels", "Models", "Decisions", "Stream"]
ROWS: tuple[Row, ...] = get_args(Row)
"""The rows of the dashboard, from the top."""
ACTIONS = (
    *("promote", "roll_back", "retire", "retrain", "freeze", "resume", "quarantine", "release", "alert"),
    *("roll_out", "enter", "forget"),
)
STATUSES = ("done", "proposed", "dry run", "approved", "rejected", "lapsed")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, what it is in a sentence, its type, its labels beside `pipeline`, its row and its unit in Grafana.

    `known` are label values that are shown as 0 from the start, because a counter that first appears at 1 has no increase.

    >>> ANSWERS.name, ANSWERS.kind, SEGMENT_QUALITY.labels
    ('eddyline_answers_total', 'counter', ('metric', 'better', 'segment'))
    """

    name: str
    help: str
    kind: Kind
    row: Row
    labels: tuple[str, ...] = ()
    unit: str = "short"
    known: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    @property
    def is_moment(self) -> bool:
        """Whether it is a moment (Unix time), which people read as its age."""
        return self.name.endswith("_timestamp_seconds")


ANSWERS = Metric("eddyline_answers_total", "Events answered.", "counter", "Answers", unit="ops")
SETTLED = Metric(
    "eddyline_answers_settled_total",
    "Answers of which no truth is awaited any more: labelled, absent (known by absence) or expired.",
    "counter",
    "Labels",
    ("fate",),
    "ops",
    (("labelled",), ("absent",), ("expired",)),
)
WAITING = Metric("eddyline_waiting_predictions", "Answers that still wait for their truth.", "gauge", "Labels")
REPEATED = Metric(
    "eddyline_repeated_events_total",
    "Events that came again and got their first answer again.",
    "counter",
    "Answers",
    unit="ops",
)
DEAD = Metric(
    "eddyline_dead_letters_total",
    "Records refused, by stream and reason.",
    "counter",
    "Answers",
    ("stream", "reason"),
    "ops",
    tuple((stream, reason.value) for stream in ("events", "labels") for reason in Reason),
)
QUALITY = Metric(
    "eddyline_quality",
    "The pipeline's metrics over all examples so far, in their own unit.",
    "gauge",
    "Quality",
    ("metric", "better"),
)
QUALITY_EXAMPLES = Metric(
    "eddyline_quality_examples_total", "Examples that a metric measured.", "counter", "Quality", ("metric", "better"), "ops"
)
QUALITY_SUM = Metric(
    "eddyline_quality_sum_total",
    "A metric that is a mean, times its examples: its rate over that of the examples is the mean of a while.",
    "counter",
    "Quality",
    ("metric", "better"),
)
NEWEST_QUALITY = Metric(
    "eddyline_newest_version_quality",
    "The metrics over what the newest version of each line said.",
    "gauge",
    "Quality",
    ("metric", "better", "line"),
)
LINE_QUALITY = Metric(
    "eddyline_line_quality",
    "The metrics of champion and challengers over the examples to which several of them spoke.",
    "gauge",
    "Quality",
    ("metric", "better", "line"),
)
SEGMENT_QUALITY = Metric(
    "eddyline_segment_quality",
    "The metrics over all examples of a segment.",
    "gauge",
    "Quality",
    ("metric", "better", "segment"),
)
MEASUREMENT = Metric(
    "eddyline_measurement", "Every other number that watch keeps, by its name.", "gauge", "Quality", ("metric", "segment")
)
COVERAGE = Metric(
    "eddyline_label_coverage_ratio", "The share of answers whose truth is known.", "gauge", "Labels", unit="percentunit"
)
DELAY = Metric(
    "eddyline_label_delay_seconds",
    "From an event to its truth, in event time, of the labels that were told; bucket edges within 1 %.",
    "histogram",
    "Labels",
    unit="s",
)
LEARNER = Metric("eddyline_learner_position", "How many examples a learner has learned.", "gauge", "Models", ("line",))
ANSWERING = Metric("eddyline_answering_position", "The position of the version that answers.", "gauge", "Models", ("line",))
SHARE = Metric(
    "eddyline_share_ratio",
    "The share of keys that the champion and each challenger answer.",
    "gauge",
    "Models",
    ("line", "mode"),
    "percentunit",
)
VERSIONS = Metric("eddyline_versions_kept", "Versions that are kept as bytes.", "gauge", "Models")
REVISION = Metric("eddyline_rollout_revision", "The revision of the rollout in force.", "gauge", "Models")
ALERTS = Metric(
    "eddyline_alerts_total",
    "Alerts raised, by monitor.",
    "counter",
    "Decisions",
    ("monitor",),
    known=(("error_drift",), ("feature_drift",)),
)
ALERTED = Metric(
    "eddyline_alert_timestamp_seconds",
    "When a monitor last raised an alert, by the wall clock; 0 for never.",
    "gauge",
    "Decisions",
    ("monitor",),
    "s",
    (("error_drift",), ("feature_drift",)),
)
DECISIONS = Metric(
    "eddyline_decisions_total",
    "Decisions in the ledger, by action and status.",
    "counter",
    "Decisions",
    ("action", "status"),
    known=tuple((action, status) for action in ACTIONS for status in STATUSES),
)
DECIDED = Metric(
    "eddyline_decision_timestamp_seconds",
    "When an action was last done, by the wall clock; 0 for never.",
    "gauge",
    "Decisions",
    ("action",),
    "s",
    tuple((action,) for action in ACTIONS),
)
PROPOSED = Metric("eddyline_proposed_decisions", "Decisions that wait for a person's approval.", "gauge", "Decisions")
FROZEN = Metric("eddyline_learning_frozen", "Whether learning is frozen: 1 for yes.", "gauge", "Decisions")
QUARANTINED = Metric(
    "eddyline_quarantined_segments", "Segments whose examples are held back from learning.", "gauge", "Decisions"
)
EVENT_TIME = Metric("eddyline_event_time_timestamp_seconds", "How far event time has come.", "gauge", "Stream", unit="s")
COMMITTED = Metric("eddyline_last_commit_timestamp_seconds", "When the last block was committed.", "gauge", "Stream", unit="s")
BLOCKS = Metric("eddyline_journal_blocks_total", "Blocks committed to the journal.", "counter", "Stream", unit="ops")
UNREAD = Metric(
    "eddyline_journal_unread_blocks",
    "Blocks that were not counted yet: until it is 0 once, dead letters, alerts and decisions are not shown.",
    "gauge",
    "Stream",
)
SOURCE = Metric("eddyline_source_position", "How far a source, or a part of one, was read.", "gauge", "Stream", ("source",))
LAG = Metric(
    "eddyline_source_lag_records", "Records in the topics that were not taken yet; only with Kafka.", "gauge", "Stream"
)
HELD_UP = Metric(
    "eddyline_held_up_seconds",
    "For how long one model has been working on one event, where that is longer than a second or two; 0 otherwise.",
    "gauge",
    "Stream",
    unit="s",
)
LOOK = Metric("eddyline_look_seconds", "How long the last look kept the loop waiting.", "gauge", "Stream", unit="s")
DROPPED = Metric("eddyline_series_dropped", f"Series left out because a metric has more than {MOST}.", "gauge", "Stream")

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order in which they are shown."""

Series = dict[tuple[str, ...], float]


@dataclass(slots=True)
class Delays:
    """A histogram: counts up to each bound of `DELAYS_S` and over all, and the sum in seconds."""

    up_to: tuple[int, ...]
    count: int
    total_s: float


@dataclass(slots=True)
class Readings:
    """What the metrics of one pipeline are now. Values beyond `MOST` series are counted and left out.

    >>> now = Readings("fraud")
    >>> now.set(ANSWERS, 3)
    >>> now.set(DEAD, 1, "labels", "label_late")
    >>> now.series[ANSWERS], now.series[DEAD][("labels", "label_late")], now.series[DEAD][("events", "malformed")]
    ({(): 3.0}, 1.0, 0.0)
    """

    pipeline: str
    series: dict[Metric, Series] = field(default_factory=dict)
    delays: Delays | None = None
    dropped: int = 0

    def start(self, *metrics: Metric) -> None:
        """Shows the known series of metrics, at 0 where nothing else is said."""
        for metric in metrics:
            self.series.setdefault(metric, dict.fromkeys(metric.known, 0.0))

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """One value, with the metric's labels in their order."""
        assert len(labels) == len(metric.labels), f"{metric.name} has the labels {metric.labels}, not {labels}"
        self.start(metric)
        of = self.series[metric]
        if labels not in of and len(of) >= MOST:
            self.dropped += 1
            return
        of[labels] = float(value)
