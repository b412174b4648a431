"""The workflow for GitHub Actions and the page about gates: what they say is valid, and works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner

from eddyline.cli.main import COMMANDS
from eddyline.cli.test import command
from eddyline.pipeline.loading import Loaded

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "deploy" / "ci" / "model-tests.yml"
PAGE = ROOT / "docs" / "gates.md"


def snippet() -> str:
    """The candidate on the page, for the shop."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1].replace("fraud.py", "shop.py")


def step(name: str) -> dict[str, Any]:
    """A step of the workflow by its name."""
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["gates"]["steps"]
    (found,) = [one for one in steps if one.get("name") == name]
    return dict(found)


def test_the_workflow_is_one() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    if not checker.exists():
        pytest.skip("did not run: check-jsonschema is not installed")
    arguments = [str(checker), "--builtin-schema", "vendor.github-workflows"]
    ran = subprocess.run([*arguments, str(WORKFLOW)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_a_workflow_that_is_none_would_be_seen(tmp_path: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    if not checker.exists():
        pytest.skip("did not run: check-jsonschema is not installed")
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOW.read_text().replace("runs-on:", "runs_on:"))
    arguments = [str(checker), "--builtin-schema", "vendor.github-workflows", str(broken)]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == 1


@pytest.mark.usefixtures("forgotten")
def test_the_candidate_on_the_page_passes_on_the_shop(shop: Loaded) -> None:
    path = shop.base / "candidate_page.py"
    path.write_text(snippet())
    result = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert result.exception is None
    assert result.return_value == 0, result.stdout


@pytest.mark.parametrize(("bad", "code"), [(False, 0), (True, 1)])
def test_the_steps_of_the_workflow_do_what_they_say(shop: Loaded, tmp_path: Path, bad: bool, code: int) -> None:
    if "test" not in COMMANDS:
        pytest.skip("did not run: `eddyline test` is not among the commands")
    if not Path(sys.executable).with_name("eddyline").exists():
        pytest.skip("did not run: the command eddyline is not installed beside this Python")
    for name in ("shop.py", "visits.jsonl", "sales.jsonl"):
        shutil.copy(shop.base / name, tmp_path / name)
    (tmp_path / "candidates").mkdir()
    text = snippet().replace("shop.py", "../shop.py")
    (tmp_path / "candidates" / "good.py").write_text(text)
    if bad:
        (tmp_path / "candidates" / "worse.py").write_text(text.replace("at_least=0.75", "at_least=0.99"))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIPELINE": "shop.py",
        "CANDIDATES": "candidates/*.py",
        "STORE_URL": "",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "page.md"),
    }
    codes = []
    for name in ("Take the recorded past", "Lead every candidate through its gates"):
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]]
        ran = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        codes.append(ran.returncode)
    assert codes == [0, code], ran.stderr
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == (
        ["good.xml", "worse.xml"] if bad else ["good.xml"]
    )
    assert ("did not pass" in (tmp_path / "page.md").read_text()) is bad
