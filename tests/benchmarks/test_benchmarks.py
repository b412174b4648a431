"""The benchmarks run, and the page tells what they found. How fast they are is for people to read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ELECTRICITY = ROOT.parent / "shared" / "data" / "elec2" / "elec2.csv.gz"


def run(into: Path, name: str) -> str:
    """Runs one benchmark on next to nothing; the page as it is then."""
    command = [sys.executable, "benchmarks/run.py", "--tiny", "--only", name, "--into", str(into)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (into / "results.md").read_text()


@pytest.mark.skipif(not ELECTRICITY.exists(), reason="the electricity stream is not beside the repository")
def test_the_durable_loop_and_the_bare_ones_reach_the_same_accuracy(tmp_path: Path) -> None:
    assert "all reach accuracy" in run(tmp_path, "electricity")


@pytest.mark.skipif(not ELECTRICITY.exists(), reason="the electricity stream is not beside the repository")
def test_what_watching_costs_is_told_part_by_part(tmp_path: Path) -> None:
    assert "| ten monitors and a metric |" in run(tmp_path, "watching")
    found = json.loads((tmp_path / "results.json").read_text())["watching"]["found"][0]
    assert found["monitors"] == 10
    assert 0.0 < found["watch_and_decide_share"] < 1.0
    assert found["stages_cpu_us_per_event"]["decide"] > 0.0


def test_what_waits_is_opened_again_and_told(tmp_path: Path) -> None:
    assert "## 10,000 predictions that wait" in run(tmp_path, "waiting")
    assert json.loads((tmp_path / "results.json").read_text())["waiting"]["found"]["labels"] == 200


def test_growth_is_told_at_every_size_and_another_benchmark_leaves_it_there(tmp_path: Path) -> None:
    for page in (run(tmp_path, "flat"), run(tmp_path, "latency")):
        assert "| 16,000 |" in page
        assert "| 32,000 |" in page
    assert "append 4 KiB, fsync" in page
