"""The report as one HTML page: no script, no request, light and dark, on a phone and on paper.

Says first who answers and what is wrong, then shows quality, labels, drift, versions and what was refused.
Each chart has its numbers in a table under it. Every text goes through `safe`; the page's own policy forbids
scripts and requests on top of that. A pure function of `ReportData`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from eddyline.records import Alert
from eddyline.records.time import DAY_US
from eddyline.views.axes import drawn_days
from eddyline.views.charts import (
    FATES,
    alerts_by_time,
    coverage_by_day,
    figure,
    label_delays,
    lane_name,
    quality_by_day,
    strip,
)
from eddyline.views.deciding_page import by_line, deciding_sections, descents
from eddyline.views.facts import Day, Quality, ReportData, RolloutRow, Row
from eddyline.views.markup import duration, moment, number, percent, plural, safe, whole
from eddyline.views.tables import DRAWN, ROWS, Cell, hidden, section, table

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
LANES = 20
"""Things that drifted, as the chart draws them."""
CHANGES = 12
"""Sentences of the last change of declaration that are shown."""
NEWEST = 12
"""Alerts that are seen without opening anything."""


def render(report: ReportData) -> str:
    """The page."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    sections = (
        deciding_sections(report, _days_drawn(report)),
        _quality(report),
        _labels(report),
        _drift(report),
        _versions(report),
        _refused(report),
        _also(report),
    )
    body = f"{_head(report)}<main>{''.join(sections)}</main>{_foot(report)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="referrer" content="no-referrer">'
        f"<title>{safe(report.pipeline)} – Eddyline report</title>"
        f"<style>\n{style}</style></head>\n<body>{body}</body></html>\n"
    )


# Head and foot


def _head(report: ReportData) -> str:
    written = "" if report.received_at is None else f", the last written {_wall(report.received_at)}"
    span = "no event was answered yet"
    if report.first_at is not None and report.last_at is not None:
        span = f"events from {moment(report.first_at)} to {moment(report.last_at)}"
    return (
        f"<header><h1>{safe(report.pipeline)}</h1>"
        f'<p class="under">pipeline <code>{safe(report.digest)}</code>, {span}<br>'
        f"{_kept(report)}{written}</p>"
        f'<p class="now"><strong>{safe(report.answering)}</strong> answers now, {_since(_put_there(report), report.job)}</p>'
        f'{_behind(report)}<dl class="facts">{_facts(report)}</dl></header>'
    )


def _kept(report: ReportData) -> str:
    """Where all this is from."""
    if report.job:
        return f"job on Flink, topics <code>{safe(report.pipeline)}.*</code> at <code>{safe(report.job)}</code>"
    return f"store <code>{safe(report.store)}</code>, {plural(report.blocks, 'block')}"


def _put_there(report: ReportData) -> RolloutRow:
    """The rollout by which the champion came: where lines sit beside it, later ones may have changed only their seats."""
    put = report.rollout
    for row in reversed(report.rollouts if report.deciding is not None else []):
        if row.answers != put.answers:
            break
        put = row
    return put


def _since(rollout: RolloutRow, job: str) -> str:
    live = "as it is learned" if job else "the live learner"
    who = live if rollout.answers == "live" else "fixed by a rollout"
    if rollout.revision == 0:
        return f"{who}, since the start"
    since = "from the next answer on" if rollout.at is None else f"since the event of {moment(rollout.at)}"
    why = f": “{safe(rollout.reason)}”" if rollout.reason else ""
    return f"{who}, {since} (rollout {rollout.revision} by {safe(rollout.author)}{why})"


def _behind(report: ReportData) -> str:
    if report.job:
        said = "".join(f"<li>{safe(one, 500)}</li>" for one in report.unknown)
        return (
            f'<p class="note">What its topics cannot tell, or tell otherwise than a store:</p><ul class="note">{said}</ul>'
            if said
            else ""
        )
    if report.as_of == report.blocks:
        return ""
    return (
        f'<p class="warn">Measurements are as of block {whole(report.as_of)} of {whole(report.blocks)}: '
        f"{safe(report.behind)}. Everything else is as of the last block.</p>"
    )


def _facts(report: ReportData) -> str:
    fates, quality = report.fates, report.quality
    facts: list[tuple[str, str, str]] = []
    if quality is not None:
        overall = quality.overall[0]
        facts.append((safe(overall.name), number(overall.value), f"over {_counted(quality)}"))
        latest = _latest(quality)
        if latest is not None:
            facts.append(("latest day", number(latest.value), f"{safe(latest.day)}, {plural(latest.count, 'truth')}"))
    known = fates.labelled + fates.absent
    said = f"{whole(fates.labelled)} labelled" + (f", {whole(fates.absent)} by absence" if fates.absent else "")
    last = f"last {moment(report.alerts[-1].at)}" if report.alerts else "nothing drifted"
    facts += [
        ("events answered", whole(fates.answered), f"on {plural(len(report.coverage), 'day')}"),
        ("truth known", percent(known, fates.answered), said),
        ("waiting", whole(fates.waiting), "for their truth"),
        ("unlabelled", whole(fates.expired), "the horizon passed"),
        ("drift alerts", whole(report.alerted), last),
        (
            "dead letters",
            whole(fates.dead),
            f"{plural(len(report.refused), 'reason')}" if fates.dead else "nothing refused",
        ),
    ]
    return "".join(f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>" for name, value, more in facts)


def _latest(quality: Quality) -> Day | None:
    """The newest day whose value says something."""
    return next((day for day in reversed(quality.days) if day.count >= quality.few and day.value is not None), None)


def _foot(report: ReportData) -> str:
    if report.job:
        return (
            "<footer><strong>How to verify this page</strong><p><code>eddyline verify FILE --brokers HOST:PORT</code><br>"
            "reads what this page was made of, plays it through the same stages, and asks every version each answer again; "
            "the job has to be at rest.</p>"
            f"<dl><dt>pipeline digest</dt><dd><code>{safe(report.digest)}</code></dd></dl></footer>"
        )
    return (
        "<footer><strong>How to verify this page</strong><p>"
        f"<code>eddyline verify FILE.py --store {safe(report.store)} --head {safe(report.head)}</code><br>"
        "checks the chain of blocks, rebuilds every version and asks it each answer again. The head names all "
        "that was recorded when this page was made: note it, and nothing before it can change unseen.</p>"
        f"<dl><dt>chain head</dt><dd><code>{safe(report.head)}</code></dd>"
        f"<dt>block</dt><dd>{whole(report.blocks)}</dd>"
        f"<dt>numeric fingerprint</dt><dd><code>{safe(report.fingerprint)}</code></dd>"
        f"<dt>pipeline digest</dt><dd><code>{safe(report.digest)}</code></dd></dl></footer>"
    )


# Quality


def _counted(quality: Quality) -> str:
    """Over which truths the first metric is."""
    many, window = quality.overall[0].count, quality.window
    last = "" if window is None or window >= many else f"the last {whole(window)} of "
    return f"{last}{plural(many, 'truth')}"


def _quality(report: ReportData) -> str:
    quality = report.quality
    if quality is None:
        return section("Quality", '<p class="note">No metric is declared: write watch=Watch(metrics=(...)).</p>')
    declared = _declared(report)
    if not quality.overall[0].count:
        none = f"No truth has come since {safe(quality.metric)} is counted" if declared else "No truth has come yet"
        return section("Quality", f'<p class="note">{none}.</p>{declared}')
    overall = quality.overall[0]
    others = ", ".join(f"{safe(row.name)} {number(row.value)}" for row in quality.overall[1:])
    ways = {"higher": "Higher is better. ", "lower": "Lower is better. ", "unknown": ""}[quality.better]
    span, stray = _span(quality.days)
    words = (
        f"<p>{safe(quality.metric)} {number(overall.value)} over {_counted(quality)}"
        f"{'; ' + others if others else ''}. {ways}By the day an event happened, and by the day its truth "
        "came: how good the answers of a day were, and what was found out on a day.</p>"
    )
    span = _stretched(span, [day.number for day in quality.label_days])
    title = f"{quality.metric} by day"
    desc = f"{title} of event and by day of label, with counts of truths. Overall {number(overall.value)}."
    drawn = figure(
        "quality", title, desc,
        lambda width: quality_by_day(quality, span, width),
    )  # fmt: skip
    hollow = f"Hollow: fewer than {plural(quality.few, 'truth')}; such days do not bend the line. "
    any_few = any(day.count < quality.few for day in (*quality.days, *quality.label_days))
    note = (hollow if any_few else "") + stray
    chart = f'<figure>{drawn}<figcaption class="note">{note}</figcaption></figure>{_days_table(quality)}'
    lines = by_line(report, _days_drawn(report))
    return section("Quality", words + declared + chart + lines + _by_version(quality) + _by_segment(quality))


def _declared(report: ReportData) -> str:
    """What the last change of declaration changed; nothing where there is one declaration."""
    if len(report.declarations) < 2:
        return ""
    last = report.declarations[-1]
    said = "".join(f"<li>{safe(line, 300)}</li>" for line in last.says[:CHANGES])
    more = f"<li>and {len(last.says) - CHANGES} more</li>" if len(last.says) > CHANGES else ""
    where = f"in block {whole(last.block)}, after {plural(last.answers, 'answer')}, by {safe(last.author)}"
    if report.job:
        where = f"at {'the start' if last.at is None else moment(last.at)}, by {safe(last.author)}"
    return f'<p class="note">What is measured and who decides changed {where}:</p><ul class="note">{said}{more}</ul>'


def _days_table(quality: Quality) -> str:
    labels = {day.number: day for day in quality.label_days}
    events = {day.number: day for day in quality.days}
    rows = [
        [("w", safe((events.get(day) or labels[day]).day)), *_pair(events.get(day)), *_pair(labels.get(day))]
        for day in sorted(events.keys() | labels.keys(), reverse=True)
    ]
    heads = [("w", "UTC day"), ("n", "of event"), ("n", "truths"), ("n", "of label"), ("n", "truths")]
    return hidden("the numbers by day", heads, rows)


def _pair(day: Day | None) -> list[Cell]:
    return [("n", ""), ("n", "")] if day is None else [("n", number(day.value)), ("n", whole(day.count))]


def _by_version(quality: Quality) -> str:
    if not quality.versions:
        return ""
    rows = quality.versions[::-1]
    return '<h3>By version</h3><p class="note">Answers given from this version up to the next; the newest first.</p>' + _strips(
        "version", rows, quality
    )


def _by_segment(quality: Quality) -> str:
    if not quality.segments:
        return ""
    order = "The largest first" if quality.better == "unknown" else "The worst first"
    return (
        f"<h3>By segment</h3><p class='note'>{order}; "
        f"those with fewer than {plural(quality.few, 'truth')} come last.</p>" + _strips("segment", quality.segments, quality)
    )


def _strips(what: str, rows: Sequence[Row], quality: Quality) -> str:
    """A table of groups with a dot for each value; the tick is the value over all."""
    overall = quality.overall[0].value
    shown = rows[:ROWS]
    seen = [row.value for row in shown if row.value is not None and row.count >= quality.few]
    seen += [] if overall is None else [overall]
    if len(set(seen)) < 2:
        seen += [row.value for row in shown if row.value is not None] or [0.0]
    low, high = min(seen), max(seen)
    body = [
        [
            ("w", safe(row.name, 40)),
            ("s", strip(row.value, overall, low, high, hollow=row.count < quality.few)),
            ("n", number(row.value)),
            ("n", whole(row.count)),
        ]
        for row in shown
    ]
    scale = f"{number(low)} to {number(high)}, tick: overall"
    heads = [("w", what), ("s", scale), ("n", safe(quality.metric)), ("n", "truths")]
    return table(heads, body, of=len(rows))


# Labels


def _labels(report: ReportData) -> str:
    if not report.coverage:
        return section("Labels", '<p class="note">No event was answered yet.</p>')
    fates = report.fates
    known = fates.labelled + fates.absent
    words = (
        f"<p>The truth is known for {percent(known, fates.answered)} of {plural(fates.answered, 'answer')}; "
        f"{whole(fates.waiting)} wait for it, {whole(fates.expired)} never got one.</p>"
    )
    return section("Labels", words + _coverage(report) + _delays(report))


def _coverage(report: ReportData) -> str:
    rows = report.coverage
    days = [Day(row.day, row.number, None, row.answered) for row in rows]
    span, stray = _span(days)
    used = [(kind, words) for kind, words in FATES if any(getattr(row, kind) for row in rows)]
    key = "".join(f'<li><i class="{kind}"></i>{words}</li>' for kind, words in used)
    desc = "Answers by UTC day of the event, in parts: " + ", ".join(words for _, words in used)
    drawn = figure("coverage", "Answers by day and what became of them", desc, lambda w: coverage_by_day(rows, span, w))
    heads = [("w", "UTC day"), ("n", "answered"), *(("n", words) for _, words in FATES), ("n", "truth known")]
    parts: list[list[Cell]] = [
        [
            ("w", safe(row.day)),
            ("n", whole(row.answered)),
            *(("n", whole(getattr(row, kind))) for kind, _ in FATES),
            ("n", percent(row.labelled + row.absent, row.answered)),
        ]
        for row in reversed(rows)
    ]
    caption = f'<figcaption class="note">{stray}</figcaption>' if stray else ""
    return (
        f'<h3>Answers by day of the event, and what became of them</h3><ul class="key">{key}</ul>'
        f"<figure>{drawn}{caption}</figure>{hidden('the numbers by day', heads, parts)}"
    )


def _delays(report: ReportData) -> str:
    delays = report.delays
    if not delays.count:
        return '<h3>How long labels take</h3><p class="note">No label has come yet.</p>'
    early = sum(count for value, count in delays.bins if value <= 0)
    quantiles = [*delays.quantiles(), ("all", delays.largest or 0)]
    said = ", ".join(f"{name} within {duration(value)}" for name, value in quantiles)
    note = f"From the event to the moment its truth was known, on a logarithmic axis: {said}."
    note += (
        f" {plural(early, 'truth')} known at or before the event {'is' if early == 1 else 'are'} not drawn." if early else ""
    )
    drawn = ""
    if early < delays.count:
        drawn = figure(
            "delays",
            "How long labels take",
            f"Histogram of label delays: {said}",
            lambda w: label_delays(delays, w),
        )
    heads = [("w", "share of labels"), ("n", "known within")]
    rows = [[("w", name), ("n", duration(value))] for name, value in quantiles]
    return (
        f'<h3>How long labels take</h3><figure>{drawn}<figcaption class="note">{note}</figcaption></figure>'
        f"{hidden('the quantiles', heads, rows)}"
    )


# Drift, versions, dead letters


def _drift(report: ReportData) -> str:
    if not report.alerts:
        return section("Drift", '<p class="note">No alert.</p>')
    span = _days_drawn(report) or (report.alerts[-1].at // DAY_US,) * 2
    span = _stretched(span, [day for lane in report.lanes for day, _ in lane.days])
    lanes = report.lanes[:LANES]
    many = plural(report.alerted, "alert")
    drawn = figure(
        "drift", "Drift alerts in event time", f"{many}; the tables say them in words.",
        lambda width: alerts_by_time(lanes, report.alerts, span, width),
    )  # fmt: skip
    rows = [_alert(alert) for alert in reversed(report.alerts)]
    heads = [("w", "event time"), ("", "what"), ("n", "before"), ("n", "after"), ("n", "position"), ("", "")]
    newest = table(heads, rows[:NEWEST], of=len(rows[:NEWEST]), stack=True)
    older = table(heads, rows[NEWEST:], of=report.alerted - NEWEST, stack=True, most=5 * ROWS)
    others = f"<details><summary>older alerts</summary>{older}</details>" if len(rows) > NEWEST else ""
    words = (
        f"<p>{many} about {plural(len(report.lanes), 'thing')}. A triangle is one alert and points where the "
        "mean went; bars are alerts a day. Position is that of the version that answered.</p>"
    )
    body = f"{words}<figure>{drawn}</figure>{_worst(report)}<h3>The newest alerts</h3>{newest}{others}"
    return section("Drift", body)


def _worst(report: ReportData) -> str:
    """Alerts by what they cost, where that is known."""
    if not report.worst:
        return ""
    rows = [
        [
            ("n", number(alert.effect)),
            ("", safe(lane_name(alert.monitor, alert.subject), 60)),
            ("", safe(alert.segment, 40) if alert.segment is not None else ""),
            ("w", moment(alert.at)),
            ("", safe(alert.reason)),
        ]
        for alert in report.worst
    ]
    heads = [("n", "effect"), ("", "what"), ("", "segment"), ("w", "event time"), ("", "")]
    words = '<p class="note">Effect is the change of the mean labelled loss that came with it; the worst first.</p>'
    shown = table(heads, rows, of=len(rows), most=NEWEST, stack=True)
    return f"<h3>Alerts by effect</h3>{words}{shown}"


def _alert(alert: Alert) -> list[Cell]:
    return [
        ("w", moment(alert.at)),
        ("", safe(lane_name(alert.monitor, alert.subject), 60)),
        ("n", number(alert.before)),
        ("n", number(alert.after)),
        ("n", whole(alert.position)),
        ("", _own_words(alert)),
    ]


def _own_words(alert: Alert) -> str:
    """The reason, where the other cells do not say it already."""
    return "" if alert.monitor in ("error_drift", "feature_drift") else safe(alert.reason)


def _versions(report: ReportData) -> str:
    rollouts = [
        [
            ("n", whole(row.revision)),
            ("w", safe(row.answers)),
            ("", safe(row.author)),
            ("", safe(row.reason)),
            (
                "w",
                "the start" if row.revision == 0 else "the next answer" if row.at is None else moment(row.at),
            ),
            ("n", "–" if row.position is None else whole(row.position)),
        ]
        for row in reversed(report.rollouts)
    ]
    heads = [
        ("n", "revision"),
        ("w", "answers"),
        ("", "author"),
        ("", "reason"),
        ("w", "from event"),
        ("n", "learner at"),
    ]
    versions = [
        [
            ("w", safe(version.name)),
            ("w", f"<code>{safe(version.digest[:16])}</code>"),
            ("", safe(version.created_by)),
            ("w", safe(version.parent or "–")),
        ]
        for version in reversed(report.versions)
    ]
    kept = [("w", "version"), ("w", "digest"), ("", "created by"), ("w", "parent")]
    return section(
        "Versions and rollouts",
        "<h3>Who answered</h3>"
        + table(heads, rollouts, of=len(rollouts), stack=True)
        + descents(report)
        + "<h3>Versions kept</h3>"
        + table(kept, versions, of=len(versions)),
    )


def _refused(report: ReportData) -> str:
    if not report.refused:
        return section("Dead letters", '<p class="note">Nothing was refused.</p>')
    rows = [
        [
            ("n", whole(letter.count)),
            ("w", f"{safe(letter.stream)}: <strong>{safe(letter.reason)}</strong>"),
            ("", _example(letter.event_id, letter.origin, letter.detail, letter.raw)),
        ]
        for letter in report.refused
    ]
    one = "such as" if report.job else "first"
    words = (
        f"<p>What was refused, by stream and reason, with {'one' if report.job else 'the first'} of each. "
        f"List them: <code>eddyline dead-letters {report.file}</code></p>"
    )
    return section(
        "Dead letters",
        words + table([("n", "count"), ("w", "reason"), ("", one)], rows, of=len(rows), stack=True),
    )


def _example(event_id: str | None, origin: str, detail: str, raw: str) -> str:
    place = ", ".join(chain((f"id {safe(event_id, 80)}",) if event_id else (), (safe(origin),) if origin else ()))
    return f'{safe(detail)}{f" ({place})" if place else ""}<br><span class="raw">{safe(raw, 240)}</span>'


def _also(report: ReportData) -> str:
    if not report.also:
        return ""
    rows: list[list[Cell]] = [
        [("", safe(one.metric)), ("n", number(one.value)), ("n", whole(one.count))] for one in report.also
    ]
    return section("Also measured", table([("", "what"), ("n", "value"), ("n", "count")], rows, of=len(rows)))


# Pieces


def _span(days: Sequence[Day]) -> tuple[tuple[int, int], str]:
    """The days to draw, and a sentence about those that are left out."""
    first, last = drawn_days((day.number, day.count) for day in days)
    stray = [day for day in days if not first <= day.number <= last]
    said = ""
    if stray:
        many = whole(sum(day.count for day in stray))
        said = f"Not drawn: {many} on {plural(len(stray), 'stray day')}, such as {safe(stray[0].day)}. "
    if last - first >= DRAWN:
        first = last - DRAWN + 1
        said += f"Drawn: the last {DRAWN} days."
    return (first, last), said


def _days_drawn(report: ReportData) -> tuple[int, int] | None:
    """The days of the events; None where nothing was answered."""
    days = [Day("", row.number, None, row.answered) for row in report.coverage]
    return _span(days)[0] if days else None


def _stretched(span: tuple[int, int], days: Sequence[int]) -> tuple[int, int]:
    """The span, longer where labels and alerts come after the last event; not for those that are far away."""
    first, last = span
    return first, max((day for day in days if last < day <= 2 * last - first + 31), default=last)


def _wall(seconds: float) -> str:
    return moment(int(seconds * 1_000_000))
