"""one-writer: a second runner on the same store is refused, and told who runs. I19."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.laws.drawn import Payment, pipeline

import eddyline
from eddyline import Engine, StoreLocked
from eddyline.store.database import Store

WRITE = """
import sys
from pathlib import Path
from eddyline.store.database import Store
store = Store.write(Path(sys.argv[1]), pipeline="live")
print("writing", flush=True)
sys.stdin.read()
"""
PAYMENT = Payment(id="p-1", card="c-1", at=0, amount=1.0, shop="north")


def writer(path: Path) -> subprocess.Popen[str]:
    """Another process that opens the store for writing and then waits."""
    source = str(Path(eddyline.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)],
        env={**os.environ, "PYTHONPATH": source},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_engine_in_this_process_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "live.eddyline"
    holder = rf"process {os.getpid()} on host {re.escape(socket.gethostname())}"
    with Engine(pipeline("live"), path), pytest.raises(StoreLocked, match=holder):
        Engine(pipeline("live"), path)
    Engine(pipeline("live"), path).close()


def test_a_second_engine_in_another_process_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "live.eddyline"
    with Engine(pipeline("live"), path) as engine:
        out, err = writer(path).communicate(timeout=60)
        assert out == ""
        assert f"StoreLocked: store live.eddyline: process {os.getpid()} on host {socket.gethostname()}" in err
        assert engine.answer(PAYMENT).position == 0


def test_the_store_of_a_killed_process_opens_at_once(tmp_path: Path) -> None:
    path = tmp_path / "live.eddyline"
    other = writer(path)
    assert other.stdout is not None
    assert other.stdout.readline() == "writing\n"
    with pytest.raises(StoreLocked, match=f"process {other.pid} on host"):
        Engine(pipeline("live"), path)
    other.send_signal(signal.SIGKILL)
    other.communicate(timeout=60)
    with Engine(pipeline("live"), path) as engine:
        assert engine.answer(PAYMENT).position == 0


def test_looking_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "live.eddyline"
    with Engine(pipeline("live"), path) as engine:
        engine.answer(PAYMENT)
        store = Store.read(path)
        assert [p.event_id for block in store.blocks() for p in block.predictions] == ["p-1"]
        store.close()
