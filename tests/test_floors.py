"""Below the engines there is no clock, randomness, file, socket, thread or global state: read off the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "eddyline"
PURE = ("records", "stages", "monitors", "policies")
FORBIDDEN = {
    "asyncio", "concurrent", "multiprocessing", "os", "pathlib", "queue", "random", "secrets", "select", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "uuid",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
ALONE = [ROOT / "statistics.py", ROOT / "class_order.py"]
FILES = [*ALONE, *(path for room in PURE for path in sorted((ROOT / room).rglob("*.py")))]


def offences(tree: ast.AST) -> Iterator[str]:
    """What a pure file must not do, as sentences."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] in FORBIDDEN:
                yield f"line {node.lineno} imports {name}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Global):
            yield f"line {node.lineno} writes the global {node.names}"
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in CLOCKS:
                yield f"line {node.lineno} reads a clock with .{called.attr}()"
            if isinstance(called, ast.Name) and called.id == "open":
                yield f"line {node.lineno} opens a file"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pure_rooms_know_no_world(path: Path) -> None:
    assert list(offences(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "planted", ["import time", "from os import path", "open('x')", "datetime.now()", "def f():\n global x"]
)
def test_an_offence_would_be_seen(planted: str) -> None:
    assert list(offences(ast.parse(planted)))


def test_nothing_asks_which_engine_runs_it() -> None:
    asked = [path for path in ROOT.rglob("*.py") if "if engine ==" in path.read_text()]
    assert asked == []
