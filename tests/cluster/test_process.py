"""A process is found again by its files, and signals reach it and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eddyline.cluster.process import Process
from eddyline.records.errors import EddylineError


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, "sleeper")
    process.start([sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"])
    yield process
    process.kill()


def test_another_process_stops_exactly_it(sleeper: Process, tmp_path: Path) -> None:
    bystander = Process(tmp_path, "bystander")
    bystander.start(["sleep", "600"])
    program = "import sys; from eddyline.cluster.process import *; Process(Path(sys.argv[1]), 'sleeper').stop()"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    assert sleeper.pid is None
    assert bystander.running
    assert bystander.stop()


def test_a_pid_file_left_by_a_dead_process_signals_nobody(sleeper: Process, tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    sleeper.kill()
    (tmp_path / "sleeper.pid").write_text(str(bystander.pid))  # as if the system had given the pid away
    assert sleeper.pid is None
    assert sleeper.stop()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_process_killed_from_outside_is_seen_as_ended(sleeper: Process) -> None:
    assert sleeper.pid is not None
    os.kill(sleeper.pid, signal.SIGKILL)
    sleeper.kill()  # waits for the end
    assert not sleeper.running


def test_a_second_start_is_refused_while_it_runs(sleeper: Process, tmp_path: Path) -> None:
    with pytest.raises(EddylineError, match=f"runs already, as process {sleeper.pid}"):
        Process(tmp_path, "sleeper").start(["sleep", "600"])


def test_one_that_ignores_the_request_is_killed_and_said_so(tmp_path: Path) -> None:
    deaf = Process(tmp_path, "deaf")
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    deaf.start(["sh", "-c", f"trap '' TERM; echo yes > {ready}; while :; do sleep 0.1; done"])
    assert ready.read_text() == "yes\n"
    assert deaf.stop(within=0.3) is False
    assert not deaf.running


def test_a_paused_one_runs_and_can_be_stopped(sleeper: Process) -> None:
    sleeper.pause()
    assert sleeper.running
    assert sleeper.stop() is True


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EddylineError, match="no-such-program cannot be started"):
        Process(tmp_path, "nothing").start(["no-such-program"])
