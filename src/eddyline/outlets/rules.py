"""The recording and alerting rules for Prometheus, as values made from the registry, and as the file that Prometheus loads.

Every expression takes its names from the registry, so a metric that is renamed is renamed here. Thresholds are starting
points, to be changed in a copy. `python -m eddyline.outlets.generate` writes the file; `promtool` tests it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from eddyline.outlets import metrics as m


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes and keeps: level:metric:operation, as its manual names them."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alerting:
    """A condition, how long it must hold, how bad it is, and what a person is told."""

    name: str
    expr: str
    for_: str
    severity: str
    summary: str
    description: str


_SUM = "sum by (pipeline)"
ANSWERS_RATE = Recording("pipeline:eddyline_answers:rate5m", f"{_SUM} (rate({m.ANSWERS.name}[5m]))")
DEAD_RATE = Recording("pipeline:eddyline_dead_letters:rate5m", f"{_SUM} (rate({m.DEAD.name}[5m]))")
LABELS_RATE = Recording("pipeline:eddyline_labels:rate1h", f'{_SUM} (rate({m.SETTLED.name}{{fate="labelled"}}[1h]))')
DEAD_SHARE = Recording(
    "pipeline:eddyline_dead_letters:ratio_rate5m", f"{DEAD_RATE.name} / ({ANSWERS_RATE.name} + {DEAD_RATE.name})"
)
DELAY_P90 = Recording(
    "pipeline:eddyline_label_delay_seconds:p90_1d",
    f"histogram_quantile(0.9, sum by (pipeline, le) (rate({m.DELAY.name}_bucket[1d])))",
)


def _mean(window: str) -> Recording:
    """A metric that is a mean, over the examples of a while."""
    by = "sum by (pipeline, metric, better)"
    return Recording(
        f"pipeline_metric:eddyline_quality:mean{window}",
        f"{by} (rate({m.QUALITY_SUM.name}[{window}])) / ({by} (rate({m.QUALITY_EXAMPLES.name}[{window}])) > 0)",
    )


MEAN_HOUR, MEAN_DAY = _mean("1h"), _mean("1d")
RECORDINGS = (ANSWERS_RATE, DEAD_RATE, LABELS_RATE, DEAD_SHARE, DELAY_P90, MEAN_HOUR, MEAN_DAY)
WORSE = (
    f'{MEAN_HOUR.name}{{better="lower"}} > 1.25 * {MEAN_DAY.name}{{better="lower"}}'
    f' or {MEAN_HOUR.name}{{better="higher"}} < 0.9 * {MEAN_DAY.name}{{better="higher"}}'
)
ALERTINGS = (
    Alerting(
        "EddylineNoCommit",
        f"time() - {m.COMMITTED.name} > 900",
        "5m",
        "warning",
        "{{ $labels.pipeline }} has committed nothing for a quarter of an hour",
        "Nothing was answered and nothing was learned. Either nothing comes, or the engine does not take it.",
    ),
    Alerting(
        "EddylineHeldUp",
        f"{m.HELD_UP.name} > 30",
        "0m",
        "critical",
        "{{ $labels.pipeline }} is held up: a model has been at one event for {{ $value }} s",
        "Which model, which event and where in its code, and what to type, is in the output of eddyline run.",
    ),
    Alerting(
        "EddylineDeadLetters",
        f"{DEAD_SHARE.name} > 0.05",
        "10m",
        "warning",
        "{{ $labels.pipeline }} refuses {{ $value | humanizePercentage }} of its records",
        "See which and why: eddyline dead-letters FILE",
    ),
    Alerting(
        "EddylineFallsBehind",
        f"{m.LAG.name} > 10000 and deriv({m.LAG.name}[15m]) > 0",
        "15m",
        "warning",
        "{{ $labels.pipeline }} falls behind its topics: {{ $value }} records",
        "Events come faster than they are answered.",
    ),
    Alerting(
        "EddylineNoLabels",
        f"{LABELS_RATE.name} == 0 and on (pipeline) {ANSWERS_RATE.name} > 0",
        "6h",
        "warning",
        "{{ $labels.pipeline }} answers, and no labels come",
        "Quality is not measured and nothing is learned from labels while this lasts.",
    ),
    Alerting(
        "EddylineQualityWorse",
        WORSE,
        "15m",
        "critical",
        "{{ $labels.metric }} of {{ $labels.pipeline }} is worse in the last hour than over the day: {{ $value }}",
        "Ask for the evidence: eddyline report FILE. Put another version in charge: eddyline rollback FILE --to VERSION",
    ),
    Alerting(
        "EddylineAlert",
        f"time() - {m.ALERTED.name} < 3600",
        "0m",
        "info",
        "{{ $labels.monitor }} raised an alert about {{ $labels.pipeline }} in the last hour",
        "What drifted, and how far, is in eddyline report FILE.",
    ),
    Alerting(
        "EddylineActed",
        f'time() - {m.DECIDED.name}{{action=~"roll_back|freeze|quarantine|retire"}} < 3600',
        "0m",
        "critical",
        "{{ $labels.pipeline }} did {{ $labels.action }} by itself in the last hour",
        "Who decided, why, and on what evidence: eddyline history FILE",
    ),
    Alerting(
        "EddylineWaitsForApproval",
        f"{m.PROPOSED.name} > 0",
        "1h",
        "warning",
        "{{ $value }} decisions about {{ $labels.pipeline }} wait for a person",
        "See them with eddyline history FILE; say yes with eddyline approve FILE NUMBER.",
    ),
)


def rules_file() -> str:
    """The rules as Prometheus' YAML. Text is quoted as JSON, which is YAML too."""
    lines = ["# Made by: python -m eddyline.outlets.generate", "groups:", "- name: eddyline.records", "  rules:"]
    for recording in RECORDINGS:
        lines += [f"  - record: {recording.name}", f"    expr: {_said(recording.expr)}"]
    lines += ["- name: eddyline.alerts", "  rules:"]
    for alerting in ALERTINGS:
        lines += [
            f"  - alert: {alerting.name}",
            f"    expr: {_said(alerting.expr)}",
            f"    for: {alerting.for_}",
            "    labels:",
            f"      severity: {alerting.severity}",
            "    annotations:",
            f"      summary: {_said(alerting.summary)}",
            f"      description: {_said(alerting.description)}",
        ]
    return "\n".join(lines) + "\n"


def _said(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
