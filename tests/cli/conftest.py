"""A command line as a script sees it, here or in a process of its own, and a project to run it on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import eddyline
from eddyline.cli.main import main

PATIENCE_S = 60.0


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout, which must be one JSON document."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Runs a command line in this process; pipeline files it loaded are forgotten afterwards."""
    path, modules = list(sys.path), set(sys.modules)

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield run
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


class Launched:
    """A command line in a process of its own."""

    def __init__(self, *arguments: object, cwd: Path | None = None) -> None:
        source = str(Path(eddyline.__file__).parents[1])
        paths = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "eddyline.cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def line(self) -> str:
        """The next line of its stderr."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def send(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def finish(self) -> Ran:
        """What it left behind, when it has ended."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Ran(self.process.returncode, out, err)

    @staticmethod
    def wait_until(happened: Callable[[], bool]) -> None:
        """Looks again and again until something happened; fails when it does not within a minute."""
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline, "it did not happen within a minute"
            time.sleep(0.02)


@pytest.fixture
def launch() -> Iterator[Callable[..., Launched]]:
    """Starts command lines in processes of their own; none outlives the test."""
    launched: list[Launched] = []

    def launch(*arguments: object, cwd: Path | None = None) -> Launched:
        launched.append(Launched(*arguments, cwd=cwd))
        return launched[-1]

    yield launch
    for one in launched:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


@pytest.fixture
def project(tmp_path: Path, run: Run) -> Path:
    """The starter's pipeline file, in a folder with its data."""
    folder = tmp_path / "parcels"
    assert run("init", folder).code == 0
    return folder / "pipeline.py"


@pytest.fixture
def replayed(project: Path, run: Run) -> Path:
    """The starter's pipeline file, after a replay."""
    assert run("replay", project).code == 0
    return project
