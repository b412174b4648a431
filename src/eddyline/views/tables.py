"""Sections and tables of a page as HTML, with a word about the rows that are left out.

Cells hold HTML: whoever makes one has put every text through `safe`. Every table is bounded. Knows nothing of reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eddyline.views.markup import whole

DRAWN = 400
"""Days that are drawn, and that the tables under the charts hold: the newest."""
ROWS = 60
"""Rows of a table on the page."""
Cell = tuple[str, str]
"""A cell: its class (n: number, w: one line, s: strip, or nothing) and its HTML."""


def section(title: str, body: str) -> str:
    """A part of the page under a heading.

    >>> section("Labels", "<p>None.</p>")
    '<section><h2>Labels</h2><p>None.</p></section>'
    """
    return f"<section><h2>{title}</h2>{body}</section>"


def hidden(what: str, heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """A table of at most `DRAWN` rows that opens when somebody asks: the numbers under a chart."""
    return f"<details><summary>{what}</summary>{table(heads, rows, of=len(rows), most=DRAWN)}</details>"


def table(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], *, of: int, most: int = ROWS, stack: bool = False) -> str:
    """A table of at most so many rows, with a word about the rest. `stack`: on a phone rows become blocks."""
    shown = rows[:most]
    head = "".join(f'<th scope="col"{_kind(kind)}>{name}</th>' for kind, name in heads)
    body = "".join(f"<tr>{_cells(row, heads if stack else ())}</tr>" for row in shown)
    more = f'<p class="note">These are {whole(len(shown))} of {whole(of)}.</p>'
    name = ' class="stack"' if stack else ""
    return (
        f'<div class="scroll"><table{name}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f"{more if of > len(shown) else ''}"
    )


def _cells(row: Iterable[Cell], labels: Sequence[Cell]) -> str:
    names = [f' data-label="{name}"' if name else "" for _, name in labels] or [""] * 20
    return "".join(f"<td{_kind(kind)}{label}>{body}</td>" for (kind, body), label in zip(row, names, strict=False))


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
