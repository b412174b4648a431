"""Charts of several lines as SVG: who sat where in event time, quality by line, evidence against its line, gains.

They share axes, colours and manners with `charts`: each in two widths, all text through `safe`, days with few truths hollow.
Lines beyond the first two are told apart by dashes, so that print and colour-blind readers see them. Knows nothing of stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from eddyline.policies.verdict import Verdict
from eddyline.records import Decision
from eddyline.records.time import DAY_US
from eddyline.views.charts import Days, curve, scale, spread, words_at
from eddyline.views.facts import LineQuality, Spell
from eddyline.views.markup import moment, number, safe

SEATS = {"champion": "labelled", "canary": "absent", "split": "absent", "shadow": "waiting"}
"""What a seat is painted as."""
DRAWN_LINES = 6
STROKES = (("first", ""), ("second", ""), ("first", "7 4"), ("second", "7 4"), ("first", "2 3"), ("second", "2 3"))
"""Colour and dashes of each line in a chart."""
UP = ("promote", "roll_out", "enter", "resume", "release")
"""Decisions that let somebody in; all others point down."""
LANE = 42.0


def seats_by_time(
    lanes: Sequence[tuple[str, Sequence[Spell]]], decisions: Sequence[Decision], span: tuple[int, int], width: float
) -> tuple[float, str]:
    """A lane for each line or version: when it answered and when it sat beside, with a triangle for each decision about it."""
    axis = Days(*span, 12, width - 12)
    body, y = "", 6.0
    for name, spells in lanes:
        body += words_at(axis.left, y + 10, name, "lane", "start")
        body += f'<path class="grid" d="M{axis.left} {y + 26:.1f}H{axis.right}"/>'
        body += "".join(_spell(spell, axis, y + 18) for spell in spells)
        body += "".join(_mark(one, axis, y + 26) for one in decisions if one.subject == name)
        y += LANE
    return y + 28, body + f'<path class="base" d="M{axis.left} {y}H{axis.right}"/>' + axis.ticks(y)


def _spell(spell: Spell, axis: Days, y: float) -> str:
    """A bar as long as the spell lasted."""
    start = axis.left if spell.since is None else _within(axis, spell.since)
    end = axis.right if spell.until is None else _within(axis, spell.until)
    share = f" for {100 * spell.share:g} % of keys" if spell.share else ""
    since = "the start" if spell.since is None else moment(spell.since)
    until = "now" if spell.until is None else moment(spell.until)
    said = f"{spell.who}: {spell.mode}{share}, {since} to {until}"
    return (
        f'<rect class="{SEATS[spell.mode]}" x="{start:.1f}" y="{y}" width="{max(end - start, 1.0):.1f}" height="16">'
        f"<title>{safe(said)}</title></rect>"
    )


def _within(axis: Days, at: int) -> float:
    return min(max(axis.x(at / DAY_US), axis.left), axis.right)


def _mark(decision: Decision, axis: Days, y: float) -> str:
    """A triangle at a decision, as tall as the bars; up where somebody is let in."""
    tip, foot = (-7, 5) if decision.action in UP else (7, -5)
    said = f"{decision.number}: {decision.action} {decision.subject}, {decision.status}: {decision.reason}"
    return (
        f'<path class="arrow second" d="M{_within(axis, decision.at):.1f} {y + tip:.1f}l5 {foot - tip}h-10z">'
        f"<title>{safe(said)}</title></path>"
    )


def lines_by_day(lines: Sequence[LineQuality], few: int, span: tuple[int, int], width: float) -> tuple[float, str]:
    """The metric by day of the event, a curve for each line."""
    axis = Days(*span, 52, width - 116)
    top, bottom = 12.0, 182.0
    drawn = [(line, [day for day in line.days if axis.drawn(day.number)]) for line in lines[:DRAWN_LINES]]
    values = [day.value for _, days in drawn for day in days if day.value is not None and day.count >= few]
    seen = values or [day.value for _, days in drawn for day in days if day.value is not None] or [0.0]
    y, body = scale(seen, axis, top, bottom)
    ends: list[tuple[float, str, str]] = []
    for (line, days), (kind, dashes) in reversed(list(zip(drawn, STROKES, strict=False))):
        body += curve(days, few, axis, y, kind, dashes)
        known = [day.value for day in days if day.value is not None and day.count >= few]
        if known:
            ends.append((y(known[-1]), line.name, kind))
    body += spread(ends, axis.right + 8, bottom)
    return 210, body + f'<path class="base" d="M{axis.left} {bottom}H{axis.right}"/>' + axis.ticks(bottom)


def key_of(lines: Sequence[LineQuality]) -> str:
    """What each curve is, as HTML."""
    parts = []
    for line, (kind, dashes) in zip(lines, STROKES, strict=False):
        stroke = f'<path class="line {kind}" stroke-dasharray="{dashes or "none"}" d="M0 6H30"/>'
        parts.append(f'<li><svg width="30" height="12" aria-hidden="true">{stroke}</svg> {safe(line.name, 60)}</li>')
    return f'<ul class="key">{"".join(parts)}</ul>'


def evidence_strip(verdict: Verdict) -> str:
    """E for better (above) and for worse (below) on a logarithmic scale from 1; the tick is the line at which it decides."""
    needed = log10(max(verdict.evidence_needed, 1.001))

    def share(e: float) -> float:
        return 2 + 90 * min(max(log10(max(e, 1.0)) / needed, 0.0), 1.06)

    body = '<line class="grid" x1="2%" x2="98%" y1="9" y2="9"/>'
    for e, y, kind in ((verdict.e_better, 6, "first"), (verdict.e_worse, 12, "second")):
        body += f'<rect class="bar {kind}" x="2%" y="{y - 2}" width="{max(share(e) - 2, 0.4):.1f}%" height="4"/>'
    body += '<line class="overall" x1="92%" x2="92%" y1="0" y2="18"/>'
    return f'<svg class="strip" aria-hidden="true">{body}</svg>'


def gain_strip(verdict: Verdict) -> str:
    """The interval of the mean gain with the mean that was seen; the tick is no gain."""
    reach = max(abs(verdict.low), abs(verdict.high), abs(verdict.mean_gain)) or 1.0

    def share(gain: float) -> float:
        return 50 + 46 * gain / reach

    body = '<line class="grid" x1="0" x2="100%" y1="9" y2="9"/>'
    body += f'<line class="reach" x1="{share(verdict.low):.1f}%" x2="{share(verdict.high):.1f}%" y1="9" y2="9"/>'
    body += '<line class="overall" x1="50%" x2="50%" y1="1" y2="17"/>'
    body += f'<circle class="dot first" cx="{share(verdict.mean_gain):.1f}%" cy="9" r="4"/>'
    said = f"{number(verdict.low)} to {number(verdict.high)}"
    return f'<svg class="strip" role="presentation"><title>{safe(said)}</title>{body}</svg>'
