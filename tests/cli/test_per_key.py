"""One model per key on the command line: the same file with `per="key"` in it, and every command works."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run


@pytest.fixture
def keyed(project: Path, run: Run) -> Path:
    """The starter's pipeline with one model for each key, after a replay."""
    project.write_text(project.read_text().replace("    model=", '    per="key",\n    model=', 1))
    assert run("replay", project).code == 0
    return project


def test_explain_says_whose_model_answered_and_shows_the_features_that_it_saw(keyed: Path, run: Run) -> None:
    page = run("explain", keyed, "parcel-190").out
    by = next(line for line in page.splitlines() if line.strip().startswith("by "))
    found = run("explain", keyed, "parcel-190", "--json").json
    key = found["prediction"]["key"]
    assert f"{found['version']}, its model of key {key!r}, rollout 0" in by
    assert found["prediction"]["features"]["@key"] == key
    assert "@key" not in page
    assert "equal, bit for bit" in page


def test_check_says_that_there_is_one_for_each_key(keyed: Path, run: Run) -> None:
    assert ", one for each key" in run("check", keyed).out


def test_verify_learns_every_key_again(keyed: Path, run: Run) -> None:
    ran = run("verify", keyed, "--json")
    assert ran.code == 0
    assert ran.json["faults"] == []
