"""What a report says of several lines as HTML: seats and verdicts, incidents, decisions, quality by line, lineage.

Says first what goes on and what waits for somebody, then what was; evidence is folded, tables are bounded, every text goes
through `safe`. A pure function of `ReportData`; gives nothing for a pipeline with one line and nobody to decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from eddyline.records.time import DAY_US
from eddyline.views.charts import figure
from eddyline.views.deciding_charts import (
    DRAWN_LINES,
    SEATS,
    evidence_strip,
    gain_strip,
    key_of,
    lines_by_day,
    seats_by_time,
)
from eddyline.views.facts import Deciding, Descent, LineQuality, ReportData, Spell
from eddyline.views.incidents import Incident, Moment
from eddyline.views.ledger import Entered
from eddyline.views.markup import moment, number, plural, safe, whole
from eddyline.views.seats import Seat, Standing
from eddyline.views.tables import DRAWN, ROWS, Cell, hidden, section, table

LANES = 12
"""Lines and versions that are drawn in event time: those that had a seat last."""
NEWEST = 12
"""Decisions that are seen without opening anything."""
FOLDED = 300
"""Decisions whose evidence is on the page."""
PAINTED = (("labelled", "answered"), ("absent", "for a share of keys"), ("waiting", "in the shadow"))
"""What the colours of seats mean."""
FACTS = 40
"""Lines of evidence, or of a timeline, that are shown."""
_LEGEND = (
    '<p class="note">E is the evidence for better (blue) and for worse (orange), on a logarithmic scale; where it reaches its '
    "line, that is the verdict, however often one looked. Gain is the champion's loss less the challenger's, an event; each "
    "end of its interval is wrong, at any look, with probability at most 1 in the E that decides.</p>"
)
Span = tuple[int, int]


def deciding_sections(report: ReportData, span: Span | None) -> str:
    """Who answers and who is asked beside, what went wrong, what was decided. `span` is the UTC days of the events."""
    found = report.deciding
    if found is None:
        return ""
    return _seats(found, span, report.file) + _incidents(found, report) + _decisions(found, report)


# Seats


def _seats(found: Deciding, span: Span | None, file: str) -> str:
    seats = found.seats
    where = "" if seats.position is None or "@" in seats.champion else f", its learner at position {whole(seats.position)}"
    former = "" if seats.former is None else f" Before it: {safe(seats.former)}."
    words = f"<p><strong>{safe(seats.champion)}</strong> answers{where}.{former}</p>{_standing_out(found, file)}"
    words += _LEGEND if any(seat.contests for seat in seats.seats) else ""
    beside = "".join(_seat(seat, counted=seats.counted) for seat in seats.seats) or '<p class="note">Nobody sits beside it.</p>'
    return section("Who answers, and who is asked beside", words + beside + _past(found, span))


def _standing_out(found: Deciding, file: str) -> str:
    """What somebody has to know, or to do."""
    seats = found.seats
    said = []
    if not seats.counted:
        said.append(f"How they do, what learns and what waits for approval is not known: {safe(seats.behind, 500)}.")
    elif seats.frozen_since is not None:
        said.append(f"Learning is frozen since {moment(seats.frozen_since)}; let it go on: <code>eddyline resume {file}</code>")
    elif not seats.learns:
        said.append(f"{safe(seats.champion)} does not learn.")
    quarantined = sorted(seats.quarantined.items())
    for segment, since in quarantined[:ROWS]:
        said.append(f"In quarantine since {moment(since)}: {safe(segment or 'everything')}.")
    for one in seats.waiting[:ROWS]:
        what = f"{safe(one.action)} {safe(one.subject)}"
        said.append(
            f"Decision {one.number} waits for approval: {what} ({safe(one.reason)}): "
            f"<code>eddyline approve {file} {one.number}</code>"
        )
    more = max(len(quarantined) - ROWS, 0) + max(len(seats.waiting) - ROWS, 0)
    if more:
        said.append(f"{whole(more)} more: <code>eddyline challengers {file}</code>")
    return "".join(f'<p class="warn">{one}</p>' for one in said)


def _seat(seat: Seat, *, counted: bool) -> str:
    """One challenger: how it is asked, how it does, and how each of its contests stands."""
    place = seat.place
    share = f" for {100 * place.share:g} % of keys" if place.mode != "shadow" else ""
    since = moment(place.since) if place.since else "the start"
    if not counted:
        return f"<h3>{safe(place.who)}</h3><p>{place.mode}{share}, since {since}.</p>"
    learner = "" if seat.position is None or "@" in place.who else f"; its learner is at position {whole(seat.position)}"
    learns = "" if seat.learns or "@" in place.who else " and does not learn"
    failed = f"{whole(seat.exceptions)} raised, {whole(seat.not_finite)} were not finite"
    latency = "" if seat.latency_ms is None else f", the slowest took {number(seat.latency_ms)} ms"
    health = f"Of its newest {plural(seat.answers, 'answer')} {failed}{latency}."
    ill = ' class="warn"' if seat.exceptions or seat.not_finite else ' class="note"'
    contests = _contests(seat.contests) if seat.contests else ""
    nobody = '<p class="note">No policy compares it: declare decide=(Promote(),).</p>'
    return (
        f"<h3>{safe(place.who)}</h3><p>{place.mode}{share}, since {since}{learner}{learns}.</p>"
        f"{contests or nobody}<p{ill}>{health}</p>"
    )


def _contests(contests: Sequence[Standing]) -> str:
    """Each verdict as a sentence, and under them evidence and gains, drawn."""
    sentences = "".join(f"<p>{safe(one.loss, 40)}: <strong>{safe(one.sentence)}</strong></p>" for one in contests)
    rows: list[list[Cell]] = []
    for one in contests:
        verdict = one.verdict
        found = verdict.e_worse if verdict.outcome == "worse" else verdict.e_better
        rows.append(
            [
                ("w", safe(one.loss, 40)),
                ("s", evidence_strip(verdict)),
                ("n", f"{found:.3g} of {verdict.evidence_needed:g}"),
                ("s", gain_strip(verdict)),
                ("n", f"{verdict.low:.3g} to {verdict.high:.3g}"),
            ]
        )
    heads = [("w", "loss"), ("s", "E from 1, tick: decides"), ("n", "E"), ("s", "mean gain, tick: 0"), ("n", "interval")]
    return sentences + table(heads, rows, of=len(rows), stack=True)


def _past(found: Deciding, span: Span | None) -> str:
    """Who sat where in event time, drawn and as a table."""
    if span is None or not found.spells:
        return ""
    lanes: dict[str, list[Spell]] = {}
    for spell in found.spells:
        lanes.setdefault(spell.who, []).append(spell)
    newest = sorted(lanes, key=lambda who: max(_end(spell) for spell in lanes[who]), reverse=True)[:LANES]
    shown = [(who, several) for who, several in lanes.items() if who in newest]
    made = [one.decision for one in found.decisions if one.decision.status in ("done", "approved")]
    first, last = span
    last = max((one.at // DAY_US for one in made if last < one.at // DAY_US <= 2 * last - first + 31), default=last)
    said = "; ".join(f"{who} {several[-1].mode}" for who, several in shown)
    drawn = figure(
        "seats", "Who answered and who was asked beside, in event time", f"The last seat of each: {said}",
        lambda width: seats_by_time(shown, made, (first, last), width),
    )  # fmt: skip
    rows = [
        [("w", _when(spell.since, "the start")), ("w", _when(spell.until, "now")), ("w", safe(spell.who)), ("", _mode(spell))]
        for spell in reversed(found.spells)
    ]
    heads = [("w", "from"), ("w", "until"), ("w", "who"), ("", "as")]
    modes = {SEATS[spell.mode] for _, several in shown for spell in several}
    key = "".join(f'<li><i class="{kind}"></i>{words}</li>' for kind, words in PAINTED if kind in modes)
    left = f"Drawn: {LANES} of {whole(len(lanes))}. " if len(lanes) > LANES else ""
    note = f"{left}A triangle is a decision about that line; it points up where somebody was let in or put in charge."
    return (
        f'<h3>In event time</h3><ul class="key">{key}</ul><figure>{drawn}<figcaption class="note">{note}</figcaption></figure>'
        f"{hidden('the seats as a table', heads, rows)}"
    )


def _end(spell: Spell) -> float:
    return float("inf") if spell.until is None else spell.until


def _when(at: int | None, otherwise: str) -> str:
    return otherwise if at is None else moment(at)


def _mode(spell: Spell) -> str:
    return f"{spell.mode} for {100 * spell.share:g} % of keys" if spell.share else str(spell.mode)


# Incidents and decisions


def _incidents(found: Deciding, report: ReportData) -> str:
    if not found.happened:
        return section("Incidents", '<p class="note">None.</p>')
    many = sum(one.open for one in found.incidents)
    on = f"{whole(many)} of them {'goes' if many == 1 else 'go'} on" if many else "all are over"
    words = (
        f"<p>{plural(found.happened, 'incident')}, {on}. The error is the mean over up to 500 labelled answers before and "
        f"after. In full: <code>eddyline incidents {report.file} NUMBER</code></p>"
    )
    ordered = sorted(found.incidents, key=lambda one: (not one.open, -one.number))
    heads = [("n", "no."), ("w", "opened"), ("", "what, and what was done"), ("n", "error before"), ("n", "after")]
    rows = [_incident(one) for one in ordered]
    newest = table(heads, rows[:NEWEST], of=len(rows[:NEWEST]), stack=True)
    older = table(heads, rows[NEWEST:], of=found.happened - NEWEST, stack=True)
    rest = f"<details><summary>older incidents</summary>{older}</details>" if len(rows) > NEWEST else ""
    return section("Incidents", words + newest + rest)


def _incident(one: Incident) -> list[Cell]:
    over = "<strong>goes on</strong>" if one.closed_by is None else f"over: {safe(one.closed_by)}"
    done = [each.removesuffix(f": {one.reason}") for each in one.mitigation[:3]]
    more = f" and {len(one.mitigation) - 3} more" if len(one.mitigation) > 3 else ""
    mitigated = f"<br>done: {'; '.join(safe(each, 200) for each in done)}{more}" if done else ""
    told = f"<br>{safe(one.reason)}"
    return [
        ("n", whole(one.number)),
        ("w", "–" if one.opened_at is None else moment(one.opened_at)),
        ("", f"<strong>{safe(one.title, 120)}</strong>{told}{mitigated}<br>{over}{_timeline(one.timeline)}"),
        ("n", number(one.error_before)),
        ("n", number(one.error_after)),
    ]


def _timeline(moments: Sequence[Moment]) -> str:
    lines = [
        f"{'' if each.at is None else moment(each.at) + ' '}{safe(each.what)}: {safe(each.said, 200)}"
        for each in moments[:FACTS]
    ]
    return _folded("timeline", lines, len(moments))


def _decisions(found: Deciding, report: ReportData) -> str:
    if not found.decided:
        return section("Decisions", '<p class="note">Nothing was decided yet.</p>')
    where = f"<code>{safe(report.pipeline)}.decisions</code>" if report.job else "the journal"
    words = (
        f"<p>{plural(found.decided, 'decision')}, the newest first. Each is in {where} with what it was made on; make them "
        f"again: <code>eddyline history {report.file} --check</code></p>"
    )
    heads = [("n", "no."), ("w", "event time"), ("", "what"), ("", "by"), ("", "why")]
    rows = [_decision(one) for one in reversed(found.decisions[-FOLDED:])]
    newest = table(heads, rows[:NEWEST], of=len(rows[:NEWEST]), stack=True)
    older = table(heads, rows[NEWEST:], of=found.decided - NEWEST, stack=True, most=FOLDED)
    rest = f"<details><summary>older decisions</summary>{older}</details>" if len(rows) > NEWEST else ""
    return section("Decisions", words + newest + rest)


def _decision(entered: Entered) -> list[Cell]:
    one = entered.decision
    status = "" if one.status == "done" else f" ({safe(one.status)})"
    return [
        ("n", whole(one.number)),
        ("w", moment(one.at)),
        ("", f"<strong>{safe(one.action)}</strong> {safe(one.subject, 80)}{status}"),
        ("", safe(one.made_by, 80)),
        ("", f"{safe(one.reason)}{_evidence(one.evidence)}"),
    ]


def _evidence(evidence: Mapping[str, Any]) -> str:
    """What it was decided on, a line each, folded."""
    lines = [f"{safe(name, 60)}: {safe(_plain(value), 200)}" for name, value in list(evidence.items())[:FACTS]]
    return _folded("evidence", lines, len(evidence))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _folded(what: str, lines: Sequence[str], of: int) -> str:
    """Lines that open when somebody asks; nothing where there are none."""
    if not lines:
        return ""
    more = f"<br>and {whole(of - len(lines))} more" if of > len(lines) else ""
    return f'<details><summary>{what}</summary><span class="raw">{"<br>".join(lines)}{more}</span></details>'


# Lines


def by_line(report: ReportData, span: Span | None) -> str:
    """Quality by line and day of the event, over events to which several lines spoke; nothing where none did."""
    found, quality = report.deciding, report.quality
    if found is None or quality is None or span is None or not found.lines:
        return ""
    lines = sorted(found.lines, key=lambda line: (line.name != found.seats.champion, -line.count, line.name))
    drawn = lines[:DRAWN_LINES]
    said = ", ".join(f"{line.name} {number(line.value)} over {whole(line.count)}" for line in drawn)
    title = f"{quality.metric} of each line by day"
    chart = figure("lines", title, said, lambda width: lines_by_day(drawn, quality.few, span, width))
    since = ""
    if found.lines_since > 1:
        some = f"from block {whole(found.lines_since)} on"
        since = f" Measured {'over the newest examples, not over all' if report.job else some}."
    left = f" Drawn: {DRAWN_LINES} of {whole(len(lines))}." if len(lines) > DRAWN_LINES else ""
    note = (
        f"{safe(quality.metric)} by day of the event, where more than one line was asked; the champion first. Lines that "
        f"were asked on different days are not to be compared by their totals.{since}{left}"
    )
    heads = [("w", "line"), ("n", safe(quality.metric)), ("n", "truths"), ("n", "days")]
    rows: list[list[Cell]] = [
        [("w", safe(line.name, 60)), ("n", number(line.value)), ("n", whole(line.count)), ("n", whole(len(line.days)))]
        for line in lines
    ]
    return (
        f'<h3>By line</h3><p class="note">{note}</p>{key_of(drawn)}<figure>{chart}</figure>'
        f"{table(heads, rows, of=len(rows))}{_line_days(drawn)}"
    )


def _line_days(lines: Sequence[LineQuality]) -> str:
    """The curves as numbers, the newest day first."""
    rows = {line.name: {day.number: day for day in line.days} for line in lines}
    names = {day.number: day.day for line in lines for day in line.days}
    heads: list[Cell] = [("w", "UTC day"), *chain.from_iterable((("n", safe(name, 40)), ("n", "truths")) for name in rows)]
    body: list[list[Cell]] = []
    for at in sorted(names, reverse=True)[:DRAWN]:
        cells: list[Cell] = [("w", safe(names[at]))]
        for days in rows.values():
            day = days.get(at)
            cells += [("n", "" if day is None else number(day.value)), ("n", "" if day is None else whole(day.count))]
        body.append(cells)
    return hidden("the numbers by line and day", heads, body)


def descents(report: ReportData) -> str:
    """Where lines come from that nobody declared; nothing where all were declared."""
    found = report.deciding
    if found is None or not found.descents:
        return ""
    heads = [("w", "first version"), ("", "made by"), ("w", "continues"), ("", "of which examples"), ("n", "learned")]
    rows = [_descent(one) for one in reversed(found.descents)]
    return f"<h3>Lines that were made on the way</h3>{table(heads, rows, of=len(rows), stack=True)}"


def _descent(one: Descent) -> list[Cell]:
    span = "" if one.first_at is None or one.last_at is None else f"events from {moment(one.first_at)} to {moment(one.last_at)}"
    facts = [
        ("digest of its first version", one.digest),
        ("digest of the examples", one.examples_digest),
        ("which are", span or None),
        ("held back", one.held_back),
        ("seed", one.seed),
    ]
    lines = [f"{name}: {safe(value)}" for name, value in facts if value is not None]
    return [
        ("w", safe(one.version, 60)),
        ("", safe(one.created_by, 80)),
        ("w", safe(one.parent or "nothing", 60)),
        ("", f"{safe(one.examples or '–')}{_folded('lineage', lines, len(lines))}"),
        ("n", "–" if one.learned is None else whole(one.learned)),
    ]
