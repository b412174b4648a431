"""An incident as a page of Markdown: what happened, the evidence, what was done, and the timeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from eddyline.records.time import show_instant
from eddyline.views.incidents import Incident


def markdown(found: Incident, pipeline: str, file: str = "FILE") -> str:
    """The page. Text from the journal is never taken for Markdown of its own.

    `file` is how commands call what they are asked about.
    """
    status = "open" if found.closed_by is None else f"closed: {_safe(found.closed_by)}"
    opened = committed(found.opened_received_at, found.block)
    lines = [
        f"# Incident {found.number} of {pipeline}: {_safe(found.title)}",
        "",
        f"- Opened: {_when(found.opened_at)}{f', {opened}' if opened else ''}",
        f"- Status: {status}",
        f"- Because: {_safe(found.reason)}",
        f"- Mean error of labelled answers: {number(found.error_before)} before, {number(found.error_after)} after",
        "",
        "## What was done",
        "",
        *([f"- {_safe(one)}" for one in found.mitigation] or ["Nothing yet."]),
        "",
        "## Timeline",
        "",
        "| event time | committed | block | what | |",
        "|---|---|---|---|---|",
        *(
            f"| {_when(one.at)} | {wall(one.received_at)} | {one.block or '-'} | {one.what} | {_safe(one.said)} |"
            for one in found.timeline
        ),
        "",
        "## Evidence",
        "",
        "```json",
        json.dumps(found.evidence, indent=2, sort_keys=True),
        "```",
        "",
        _again(found, file),
        "",
    ]
    return "\n".join(lines)


def _again(found: Incident, file: str) -> str:
    if found.decision is None:
        return f"The refused records with their bytes: `eddyline dead-letters {file} --show 20`."
    return f"This is decision {found.decision} of the ledger; every decision made again: `eddyline history {file} --check`."


def committed(seconds: float, block: int) -> str:
    """When something was committed, and where, as far as it is known: a job on Flink has no blocks.

    >>> committed(0.5, 7), committed(0.5, 0), committed(0.0, 0)
    ('committed 1970-01-01T00:00:00Z, block 7', 'committed 1970-01-01T00:00:00Z', '')
    """
    where = f", block {block}" if block else ""
    return f"committed {wall(seconds)}{where}" if seconds or block else ""


def wall(seconds: float) -> str:
    """A time of the wall clock, to the second, in UTC; - where it is not known."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if seconds else "-"


def number(value: float | None) -> str:
    """A mean error, in short."""
    return "not known" if value is None else f"{value:.4g}"


def _when(at: int | None) -> str:
    return "-" if at is None else show_instant(at)


def _safe(text: str) -> str:
    """Text without what Markdown reads.

    >>> _safe("a | b <i> `c`\\nd")
    'a \\\\| b &lt;i&gt; \\\\`c\\\\` d'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|":
        text = text.replace(mark, f"\\{mark}")
    return text
