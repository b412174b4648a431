"""The page of Flink says what its numbers say, and a run of one benchmark leaves the other's chapter there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.on_flink import show

FOLDER = Path(__file__).parents[2] / "benchmarks"
CHAPTERS = {"run": "## Beside plain PyFlink", "waiting": "## Predictions that wait"}


def test_the_page_of_flink_says_what_its_numbers_say() -> None:
    assert show.page(json.loads((FOLDER / "flink.json").read_text())) == (FOLDER / "flink.md").read_text()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_benchmark_on_flink_writes_its_chapter_and_leaves_the_other_one(tmp_path: Path, name: str) -> None:
    found = json.loads((FOLDER / "flink.json").read_text())
    for other in CHAPTERS:
        show.write(tmp_path, other, {key: value for key, value in found[other].items() if key != "about"})
    before = (tmp_path / "flink.md").read_text()
    show.write(tmp_path, name, {key: value for key, value in found[name].items() if key != "about"})
    page, kept = (tmp_path / "flink.md").read_text(), json.loads((tmp_path / "flink.json").read_text())
    assert [line for line in page.splitlines() if line in CHAPTERS.values()] == list(CHAPTERS.values())
    assert page.count("\n| ") == before.count("\n| ")
    assert kept["run"]["rounds"] == found["run"]["rounds"]
    assert kept["waiting"]["sizes"] == found["waiting"]["sizes"]
