"""The drill's report: tables on the terminal, and the same as a page of Markdown. Knows no stream and no engine."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from examples.drill.learning import Learning
from examples.drill.measure import Row, when
from rich.console import Console
from rich.table import Table

HEAD = (
    "fault", "strikes at", "found by", "found after", "answered by", "answered after", "never", "policy", "oracle", "clean",
    "avoided of avoidable",
)  # fmt: skip
TOGETHER = ("fault", "answered", "never", "policy", "oracle", "clean", "avoided of avoidable")
UNITS = {"urls": "wrong answers", "flights": "sum of Brier scores"}


class Report(msgspec.Struct, frozen=True):
    """What the drill came to, with the machine, the date and the command."""

    rows: list[Row]
    learning: Learning | None
    machine: str
    command: str


def this_machine() -> str:
    """Where and when, in a line."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    cpu = names[0] if names else platform.processor()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{today}, {os.cpu_count()} cores ({cpu}), Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def cells(row: Row) -> list[str]:
    """A row as text. Time is in answers since the fault, and in event time."""
    losses = [f"{loss:,.0f}" for loss in (row.never, row.policy, row.oracle, row.clean)]
    worth = f"{row.avoided:+,.0f} of {row.avoidable:,.0f}"
    found = [row.detected_by or "-", when(row.detected_after, row.detected_us)]
    acted = [row.acted_by or "-", when(row.acted_after, row.acted_us)]
    return [row.fault, f"{row.place:,}", *found, *acted, *losses, worth]


def title(stream: str, rows: list[Row]) -> str:
    """What a table is about."""
    return f"{stream}: {UNITS[stream]} over the {rows[0].answers:,} answers since the fault"


def together(rows: list[Row]) -> list[list[str]]:
    """Each fault over all the places where it struck, as cells."""
    found = []
    for fault in dict.fromkeys(row.fault for row in rows):
        mine = [row for row in rows if row.fault == fault]
        losses = [sum(loss) for loss in zip(*((row.never, row.policy, row.oracle, row.clean) for row in mine), strict=True)]
        avoided, avoidable = losses[0] - losses[1], losses[0] - losses[2]
        acted = sum(row.acted_after is not None for row in mine)
        found.append(
            [fault, f"{acted} of {len(mine)}", *(f"{loss:,.0f}" for loss in losses), f"{avoided:+,.0f} of {avoidable:,.0f}"]
        )
    return found


def did(row: Row) -> str:
    """What policies and operators did since the fault, in a line; who came and went in the shadow is left out."""
    shown = ("roll_out", "roll_back", "freeze", "resume", "quarantine", "release", "retrain", "promote")
    acts = [f"{one['action']} {one['subject']} ({one['after']:,})" for one in row.decisions if one["action"] in shown]
    return f"{row.fault} at {row.place:,}: {', '.join(acts) or 'nothing'}"


def sentence(learning: Learning) -> str:
    """What learning on is worth."""
    points = 100 * (learning.frozen - learning.learning)
    return (
        f"{learning.stream}, {learning.events:,} events after the first fifth: the model that always learns is wrong for "
        f"{learning.learning:.2%}, {learning.version} as it stood for {learning.frozen:.2%}: {points:.1f} points more"
    )


def show(report: Report) -> None:
    """The tables on the terminal."""
    console = Console(width=None if Console().is_terminal else 200)
    for stream, rows in by_stream(report).items():
        table = Table(*HEAD, title=title(stream, rows))
        for row in rows:
            table.add_row(*cells(row))
        console.print(table)
        table = Table(*TOGETHER, title=f"{stream}: all places together")
        for line in together(rows):
            table.add_row(*line)
        console.print(table)
    if report.learning is not None:
        console.print(sentence(report.learning), soft_wrap=True)


def page(report: Report) -> str:
    """The page that the command writes."""
    lines = ["# What the drill came to", "", f"`{report.command}`, {report.machine}", ""]
    for stream, rows in by_stream(report).items():
        lines += [f"## {title(stream, rows)}", "", *_table(HEAD, [cells(row) for row in rows]), ""]
        lines += ["All places together:", "", *_table(TOGETHER, together(rows)), ""]
        lines += ["What the oracle did:", ""]
        lines += [*(f"- {row.fault} at {row.place:,}: {row.oracle_did}" for row in rows if row.avoidable > 0), ""]
        lines += ["What was done with policies, after how many answers:", "", *(f"- {did(row)}" for row in rows), ""]
    if report.learning is not None:
        lines += ["## Learning on", "", sentence(report.learning), ""]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def by_stream(report: Report) -> dict[str, list[Row]]:
    """The rows of each stream."""
    found: dict[str, list[Row]] = {}
    for row in report.rows:
        found.setdefault(row.stream, []).append(row)
    return found
