"""The report's charts as SVG, drawn from numbers: quality and coverage by day, label delays, drift alerts.

Each chart is drawn twice, for a wide and for a narrow screen, so that its text is readable on a phone; each
has a title and a description for those who do not see it. Colours are classes, so that the page's style
decides them. All text goes through `safe`. Keeps its axes honest: counts start at zero, ticks are round, days
with few truths are hollow and do not bend the line. Knows nothing of stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10

from eddyline.records import Alert
from eddyline.records.time import DAY_US
from eddyline.views.axes import LOG_TICKS, day_ticks, log_bins, round_ticks
from eddyline.views.facts import AlertLane, CoverageDay, Day, Delays, Quality
from eddyline.views.markup import duration, number, plural, safe, tick, whole

WIDE, NARROW = 760, 340
FATES = (
    ("labelled", "labelled"),
    ("absent", "by absence"),
    ("expired", "unlabelled"),
    ("waiting", "waiting"),
)
"""The parts of a day's answers, with the words the page uses."""


@dataclass(frozen=True, slots=True)
class Days:
    """A horizontal axis of UTC days (since 1970-01-01), first to last, between two edges in pixels."""

    first: int
    last: int
    left: float
    right: float

    @property
    def width(self) -> float:
        """Pixels a day."""
        return (self.right - self.left) / (self.last - self.first + 1)

    def x(self, day: float) -> float:
        """Where a day begins; fractions are its hours."""
        return self.left + (day - self.first) * self.width

    def middle(self, day: int) -> float:
        """Where a day's mark stands."""
        return self.x(day + 0.5)

    def drawn(self, day: int) -> bool:
        """Whether the day lies on the axis."""
        return self.first <= day <= self.last

    def ticks(self, y: float) -> str:
        """Its dates below y. The last name is left out where it would be cut."""
        parts = []
        for day, name in day_ticks(self.first, self.last, round((self.right - self.left) / 80)):
            x = self.middle(day) if self.width > 12 else self.x(day)
            parts.append(f'<path class="tick" d="M{x:.1f} {y:.1f}v5"/>')
            if x + 3.2 * len(name) <= self.right + 40:
                parts.append(words_at(x, y + 18, name, "axis", "middle" if x - 3.2 * len(name) > 0 else "start"))
        return "".join(parts)


def figure(name: str, title: str, description: str, draw: Callable[[float], tuple[float, str]]) -> str:
    """A chart in both widths; `draw` gives height and content for a width in pixels."""
    parts = []
    for kind, width in (("wide", WIDE), ("narrow", NARROW)):
        height, body = draw(width)
        key = f"{name}-{kind}"
        parts.append(
            f'<svg class="{kind}" viewBox="0 0 {width} {height:.0f}" role="img" '
            f'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{safe(title)}</title>'
            f'<desc id="{key}-d">{safe(description, 1000)}</desc>{body}</svg>'
        )
    return "".join(parts)


def scale(seen: Sequence[float], axis: Days, top: float, bottom: float) -> tuple[Callable[[float], float], str]:
    """Where a value stands between two edges in pixels, so that all that was `seen` fits; and the rules at round values."""
    ticks = round_ticks(min(seen), max(seen))

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return bottom - min(max(share, -0.02), 1.02) * (bottom - top)

    return y, "".join(rule(axis, y(at), tick(at)) for at in ticks)


def quality_by_day(quality: Quality, span: tuple[int, int], width: float) -> tuple[float, str]:
    """The metric by day of event and by day of label, above the count of truths by day of event."""
    few, overall = quality.few, quality.overall[0].value
    axis = Days(*span, 52, width - 86)
    top, bottom = 12.0, 182.0
    days = [day for day in quality.days if axis.drawn(day.number)]
    label_days = [day for day in quality.label_days if axis.drawn(day.number)]
    seen = [day.value for day in (*days, *label_days) if day.value is not None and day.count >= few]
    seen += [overall] if overall is not None else []
    if not seen:
        seen = [day.value for day in (*days, *label_days) if day.value is not None] or [0.0]
    y, body = scale(seen, axis, top, bottom)
    ends: list[tuple[float, str, str]] = []
    if overall is not None:
        body += f'<path class="overall" d="M{axis.left:.1f} {y(overall):.1f}H{axis.right:.1f}"/>'
        ends.append((y(overall), "overall", "muted"))
    for rows, kind, words in ((label_days, "second", "day of label"), (days, "first", "day of event")):
        body += curve(rows, few, axis, y, kind)
        known = [row for row in rows if row.value is not None and row.count >= few]
        if known and known[-1].value is not None:
            ends.append((y(known[-1].value), words, kind))
    body += spread(ends, axis.right + 8, bottom)
    return 278, body + _counts(days, few, axis, 206, 250) + axis.ticks(250)


def curve(rows: Sequence[Day], few: int, axis: Days, y: Callable[[float], float], kind: str, dashes: str = "") -> str:
    """A line through days with enough truths, broken where days are missing; hollow marks for the others."""
    solid = [row for row in rows if row.count >= few and row.value is not None]
    gaps = sorted(b.number - a.number for a, b in pairwise(solid))
    longest = 3 * gaps[len(gaps) // 2] if gaps else 1
    path, last = [], None
    for row in solid:
        move = "M" if last is None or row.number - last > longest else "L"
        path.append(f"{move}{axis.middle(row.number):.1f} {y(row.value or 0.0):.1f}")
        last = row.number
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    body = f'<path class="line {kind}"{dashed} d="{"".join(path)}"/>' if path else ""
    marked = rows if len(rows) <= 150 else [row for row in rows if row.count < few]
    for row in marked:
        if row.value is None:
            continue
        hollow = row.count < few
        said = f"{row.day}: {number(row.value)} over {plural(row.count, 'truth')}"
        body += (
            f'<circle class="{"hollow" if hollow else "dot"} {kind}" cx="{axis.middle(row.number):.1f}" '
            f'cy="{y(row.value):.1f}" r="{2.4 if hollow else 1.8}"><title>{safe(said)}</title></circle>'
        )
    return body


def _counts(days: Sequence[Day], few: int, axis: Days, top: float, bottom: float) -> str:
    """Small bars from zero: how many truths each day's value rests on."""
    most = max((day.count for day in days), default=0)
    body = words_at(axis.left, top - 8, "truths a day", "axis", "start")
    body += words_at(axis.left - 6, top + 4, whole(most), "axis", "end") + words_at(axis.left - 6, bottom, "0", "axis", "end")
    for day in days:
        height = (bottom - top) * day.count / most if most else 0.0
        body += _bar(axis, day.number, bottom - height, height, "faint" if day.count < few else "count")
    return body + f'<path class="base" d="M{axis.left:.1f} {bottom}H{axis.right:.1f}"/>'


def coverage_by_day(rows: Sequence[CoverageDay], span: tuple[int, int], width: float) -> tuple[float, str]:
    """Answers by day of the event as bars from zero, in parts: what became of them."""
    axis = Days(*span, 52, width - 10)
    top, bottom = 14.0, 176.0
    rows = [row for row in rows if axis.drawn(row.number)]
    ticks = round_ticks(0, max((row.answered for row in rows), default=1) or 1, 3)
    scale = (bottom - top) / ticks[-1]
    body = "".join(rule(axis, bottom - at * scale, tick(at)) for at in ticks)
    for row in rows:
        at = bottom
        for kind, _ in FATES:
            height = max(getattr(row, kind), 0) * scale
            at -= height
            body += _bar(axis, row.number, at, height, kind) if height else ""
    return 204, body + f'<path class="base" d="M{axis.left} {bottom}H{axis.right}"/>' + axis.ticks(bottom)


def label_delays(delays: Delays, width: float) -> tuple[float, str]:
    """How long truths took, in bins of equal width on a logarithmic axis, with the quantiles that matter."""
    left, right, top, bottom = 52.0, width - 14, 56.0, 190.0
    edges, counts = log_bins([(value, count) for value, count in delays.bins if value > 0], 36 if width > 500 else 24)
    low, high = log10(edges[0]), log10(edges[-1])

    def x(us: float) -> float:
        return left + (log10(us) - low) / (high - low) * (right - left)

    ticks = round_ticks(0, max(counts), 3)
    scale = (bottom - top) / ticks[-1]
    body = "".join(
        f'<path class="grid" d="M{left} {bottom - at * scale:.1f}H{right}"/>'
        + words_at(left - 6, bottom - at * scale + 4, tick(at), "axis", "end")
        for at in ticks
    )
    for (start, end), count in zip(pairwise(edges), counts, strict=True):
        height = count * scale
        said = f"{duration(start)} to {duration(end)}: {plural(count, 'truth')}"
        body += (
            f'<rect class="labelled" x="{x(start) + 0.5:.1f}" y="{bottom - height:.1f}" '
            f'width="{x(end) - x(start) - 1:.1f}" height="{height:.1f}"><title>{safe(said)}</title></rect>'
        )
    body += f'<path class="base" d="M{left} {bottom}H{right}"/>' + _log_ticks(x, edges, bottom)
    known = [(f"{name}: {duration(us)}", x(us)) for name, us in delays.quantiles() if us > 0]
    return 220, body + _quantiles(known, left, right, bottom)


def _log_ticks(x: Callable[[float], float], edges: list[float], y: float) -> str:
    """Durations that people know; where none is in view, the edges."""
    within = [(us, name) for us, name in LOG_TICKS if edges[0] <= us <= edges[-1] and name]
    ticks = within if len(within) > 1 else [(edge, duration(edge)) for edge in (edges[0], edges[-1])]
    body, free = "", -1e9
    for us, name in ticks:
        body += f'<path class="tick" d="M{x(us):.1f} {y}v5"/>'
        if x(us) - 3.5 * len(name) >= free:
            body += words_at(x(us), y + 18, name, "axis", "middle")
            free = x(us) + 3.5 * len(name) + 6
    return body


def _quantiles(known: Sequence[tuple[str, float]], left: float, right: float, bottom: float) -> str:
    """Lines with words beside them: to their right, or all to their left where that runs out of the chart.

    The line that the others' words point away from is the longest, so that no words cross a line.
    """
    fits = all(x + 5 + 6.4 * len(words) < right for words, x in known)
    body = ""
    for i, (words, x) in enumerate(known if fits else known[::-1]):
        y = 12.0 + 15 * i
        rightwards = fits or x - 5 - 6.4 * len(words) < left - 44
        body += f'<path class="quantile" d="M{x:.1f} {y - 8:.1f}V{bottom}"/>'
        body += words_at(x + (5 if rightwards else -5), y, words, "mark", "start" if rightwards else "end")
    return body


def alerts_by_time(
    lanes: Sequence[AlertLane], alerts: Sequence[Alert], span: tuple[int, int], width: float
) -> tuple[float, str]:
    """Alerts in event time, one lane for each thing that drifted.

    A mark an alert, pointing where the mean went; where there are too many to tell apart, bars of their count
    a day.
    """
    axis = Days(*span, 12, width - 12)
    body, y = "", 4.0
    for lane in lanes:
        kind = "second" if lane.monitor == "error_drift" else "first"
        of_lane = [alert for alert in alerts if (alert.monitor, alert.subject) == (lane.monitor, lane.subject)]
        one_by_one = len(of_lane) == lane.count <= width / 12
        most = max(count for _, count in lane.days)
        said = plural(lane.count, "alert") + ("" if one_by_one else f", at most {whole(most)} a day")
        body += words_at(axis.left, y + 10, lane_name(lane.monitor, lane.subject), "lane", "start")
        body += words_at(axis.right, y + 10, said, "axis", "end")
        body += f'<path class="grid" d="M{axis.left} {y + 38}H{axis.right}"/>'
        if one_by_one:
            shown = [alert for alert in of_lane if axis.drawn(alert.at // DAY_US)]
            body += "".join(_arrow(axis.x(alert.at / DAY_US), y + 29, alert, kind) for alert in shown)
        else:
            shares = [(day, 20 * count / most) for day, count in lane.days if axis.drawn(day)]
            body += "".join(_bar(axis, day, y + 38 - share, share, f"bar {kind}") for day, share in shares)
        y += 52
    return y + 20, body + f'<path class="base" d="M{axis.left} {y - 8}H{axis.right}"/>' + axis.ticks(y - 8)


def lane_name(monitor: str, subject: str) -> str:
    """What drifted, in words."""
    return {"error_drift": "the error", "feature_drift": f"feature {subject}"}.get(monitor, f"{monitor}: {subject}")


def _arrow(x: float, y: float, alert: Alert, kind: str) -> str:
    up = alert.after >= alert.before
    tip, foot = (-7, 5) if up else (7, -5)
    return (
        f'<path class="arrow {kind}" d="M{x:.1f} {y + tip:.1f}l5 {foot - tip}h-10z"><title>{safe(alert.reason)}</title></path>'
    )


def strip(value: float | None, reference: float | None, low: float, high: float, *, hollow: bool) -> str:
    """A dot on a line from `low` to `high` with a tick at the reference, as wide as its cell of a table."""
    if value is None:
        return ""

    def share(number: float) -> float:
        return 50.0 if high == low else 4 + 92 * (number - low) / (high - low)

    x = share(min(max(value, low), high))
    body = '<line class="grid" x1="0" x2="100%" y1="9" y2="9"/>'
    if reference is not None:
        middle = share(reference)
        if not hollow:
            body += f'<line class="reach" x1="{min(x, middle):.1f}%" x2="{max(x, middle):.1f}%" y1="9" y2="9"/>'
        body += f'<line class="overall" x1="{middle:.1f}%" x2="{middle:.1f}%" y1="1" y2="17"/>'
    kind = "hollow" if hollow else "dot"
    body += f'<circle class="{kind} first" cx="{x:.1f}%" cy="9" r="4"/>'
    return f'<svg class="strip" aria-hidden="true">{body}</svg>'


def spread(ends: list[tuple[float, str, str]], x: float, bottom: float) -> str:
    """Words at the ends of lines, moved apart where they would cover each other."""
    body, free = "", 0.0
    rows = sorted(ends)
    excess = 0.0
    for y, _, _ in rows:
        free = max(y + 4, free)
        excess = max(excess, free - bottom)
        free += 14
    free = 0.0
    for y, words, kind in rows:
        at = max(y + 4 - excess, free)
        body += words_at(x, at, words, f"mark {kind}", "start")
        free = at + 14
    return body


def rule(axis: Days, y: float, name: str) -> str:
    """A faint line across a chart with its value at the left."""
    line = f'<path class="grid" d="M{axis.left:.1f} {y:.1f}H{axis.right:.1f}"/>'
    return line + words_at(axis.left - 6, y + 4, name, "axis", "end")


def _bar(axis: Days, day: int, y: float, height: float, kind: str) -> str:
    width = max(axis.width * 0.8, 0.5)
    x = axis.middle(day) - width / 2
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def words_at(x: float, y: float, words: str, kind: str, anchor: str) -> str:
    """Words at a place; `anchor` is start, middle or end."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe(words, 60)}</text>'
