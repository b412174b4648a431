"""The health check against a real engine: alive while it runs, and not before, after, or while it stands."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.tools import DEPLOY

from eddyline.cli.main import main

PATIENCE_S = 60.0


def probe(store: Path) -> tuple[int, str]:
    """What the container's health check says."""
    command = [sys.executable, str(DEPLOY / "docker/alive.py"), str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout


def until(store: Path, code: int) -> str:
    """Asks again until the answer has this exit code, for a minute at most."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found, said = probe(store)
        if found == code or time.monotonic() > end:
            assert found == code, said
            return said


@pytest.fixture
def store(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path / "shop")]) == 0
    return tmp_path / "shop.eddyline"


@pytest.fixture
def engine(store: Path) -> Iterator[subprocess.Popen[bytes]]:
    file = store.with_suffix("") / "pipeline.py"
    command = [sys.executable, "-m", "eddyline.cli", "run", str(file), "--store", str(store)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield running
    running.kill()
    running.wait()


def test_a_store_that_no_engine_opened_is_not_alive(store: Path) -> None:
    assert probe(store) == (1, "not alive: no engine has opened the store yet: there is no shop.eddyline-lock\n")


def test_a_running_engine_is_alive_and_a_stopped_one_is_not(store: Path, engine: subprocess.Popen[bytes]) -> None:
    assert f"alive: process {engine.pid} holds" in until(store, 0)
    engine.terminate()
    assert engine.wait(PATIENCE_S) == 0
    assert "is gone" in until(store, 1)


def test_an_engine_that_stands_still_is_not_alive(store: Path, engine: subprocess.Popen[bytes]) -> None:
    until(store, 0)
    engine.send_signal(signal.SIGSTOP)
    assert "is stopped by a signal" in until(store, 1)
    engine.send_signal(signal.SIGCONT)
    until(store, 0)


def test_another_process_with_the_old_number_is_not_alive(store: Path, engine: subprocess.Popen[bytes]) -> None:
    until(store, 0)
    engine.kill()
    engine.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        lock = store.with_name(store.name + "-lock")
        lock.write_text(lock.read_text().replace(str(engine.pid), str(other.pid)))
        assert "does not hold the store" in until(store, 1)
        other.communicate(b"\n")


def test_the_probe_does_not_turn_a_starting_engine_away(store: Path, engine: subprocess.Popen[bytes]) -> None:
    looks = 0
    while probe(store)[0]:
        looks += 1
        assert engine.poll() is None
    assert looks > 0
    assert engine.poll() is None
