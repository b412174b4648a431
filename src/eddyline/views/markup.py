"""Values as a person reads them, and any text as harmless HTML.

Everything that a user, an event or a dead letter could have written goes through `safe` before it enters a
page. Knows nothing of stores, reports and charts.
"""

from __future__ import annotations

import html
import unicodedata

from eddyline.records.time import show_instant

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_DURATIONS = (
    (86_400_000_000, 2, "days"),
    (3_600_000_000, 2, "hours"),
    (60_000_000, 2, "minutes"),
    (1_000_000, 1, "seconds"),
)


def safe(value: object, limit: int = 300) -> str:
    """Any value as HTML that shows it and does nothing else.

    Markup is escaped; characters that cannot be seen, or that turn the direction of what follows, are written
    as their code; what is longer than `limit` characters is cut.

    >>> safe('<b onclick="x">'), safe("a\\u202eb"), safe("abcdef", limit=3)
    ('&lt;b onclick=&quot;x&quot;&gt;', 'a\\\\u202eb', 'abc…')
    """
    text = str(value)
    if len(text) > limit:
        text = text[:limit] + "…"
    if not text.isprintable():
        text = "".join(f"\\u{ord(sign):04x}" if unicodedata.category(sign) in _HIDDEN else sign for sign in text)
    return html.escape(text, quote=True)


def whole(count: int) -> str:
    """A count with its thousands apart.

    >>> whole(60000)
    '60,000'
    """
    return f"{count:,}"


def number(value: float | None) -> str:
    """A measured number in four digits, so that a column of them lines up; a dash where there is none.

    >>> number(0.757), number(14.0), number(1049.33), number(None), number(0.0), number(0.0000123456)
    ('0.7570', '14.00', '1,049', '–', '0', '1.235e-05')
    """
    if value is None:
        return "–"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1:
        return f"{value:.4f}" if size >= 0.01 else f"{value:.4g}"
    return f"{value:#.4g}" if size < 999.95 else f"{value:,.0f}" if size < 1e12 else f"{value:.4g}"


def tick(value: float) -> str:
    """A round number at an axis, without needless digits.

    >>> tick(0.7), tick(1500.0), tick(2.5e13)
    ('0.7', '1,500', '2.5e+13')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:g}"


def percent(part: int, of: int) -> str:
    """A share in percent, never rounded up to all or down to none.

    >>> percent(1, 3), percent(99_999, 100_000), percent(1, 100_000), percent(0, 0)
    ('33.3 %', '> 99.9 %', '< 0.1 %', '–')
    """
    if not of:
        return "–"
    share = 100 * part / of
    if 99.95 <= share < 100:
        return "> 99.9 %"
    if 0 < share < 0.05:
        return "< 0.1 %"
    return f"{share:.1f} %" if 0 < share < 100 else f"{share:.0f} %"


def duration(us: float) -> str:
    """A measured duration in the unit in which it is short.

    >>> duration(10_440_000_000), duration(45_000_000), duration(7 * 86_400_000_000), duration(1500)
    ('2.9 hours', '45 seconds', '7 days', '1.5 ms')
    """
    for size, least, name in _DURATIONS:
        if abs(us) >= least * size:
            return f"{us / size:.3g} {name}"
    return f"{us / 1000:.3g} ms"


def moment(at: int) -> str:
    """An instant in UTC, to the minute.

    >>> moment(1_357_035_300_000_000)
    '2013-01-01 10:15 UTC'
    """
    said = show_instant(at)
    return f"{said[:10]} {said[11:16]} UTC" if said.endswith("Z") else said


def plural(count: int, one: str) -> str:
    """A count with its noun.

    >>> plural(1, "alert"), plural(1200, "alert")
    ('1 alert', '1,200 alerts')
    """
    return f"{whole(count)} {one}" if count == 1 else f"{whole(count)} {one}s"
