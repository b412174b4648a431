"""The session cluster comes up whole, and loses and regains its parts one by one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eddyline.cluster.flink import Flink
from eddyline.cluster.overview import connected
from eddyline.records.errors import EddylineError

RECOVERY_S = 120.0
"""Patience on a busy machine; on a quiet one a loss is noticed in ten seconds."""


def until_connected(flink: Flink, names: set[str]) -> None:
    """Waits for what the JobManager sees; there is nothing else to wait on."""
    until = time.monotonic() + RECOVERY_S
    while set(connected(flink.rest)) != names:
        assert time.monotonic() < until, f"after {RECOVERY_S} s the JobManager sees {connected(flink.rest)}"
        time.sleep(0.2)


def test_it_comes_up_with_two_taskmanagers_and_two_slots(flink_cluster: Flink) -> None:
    seen = flink_cluster.overview()
    assert seen is not None
    assert (seen.taskmanagers, seen.slots, seen.free) == (2, 2, 2)
    assert [process.name for process in flink_cluster.processes()] == ["jobmanager", "taskmanager-0", "taskmanager-1"]


def test_a_killed_taskmanager_is_missed_and_its_successor_is_seen(flink_cluster: Flink) -> None:
    flink_cluster.taskmanager(1).kill()
    until_connected(flink_cluster, {"taskmanager-0"})
    assert flink_cluster.start_taskmanager() == 1
    assert set(connected(flink_cluster.rest)) == {"taskmanager-0", "taskmanager-1"}


def test_a_successor_started_at_once_is_not_taken_for_the_dead_one(flink_cluster: Flink) -> None:
    before = connected(flink_cluster.rest)
    flink_cluster.taskmanager(0).kill()
    flink_cluster.start_taskmanager(0)
    after = connected(flink_cluster.rest)
    assert after["taskmanager-0"] != before["taskmanager-0"]
    assert after["taskmanager-1"] == before["taskmanager-1"]


def test_a_taskmanager_paused_too_long_is_missed_and_comes_back(flink_cluster: Flink) -> None:
    flink_cluster.taskmanager(1).pause()
    try:
        until_connected(flink_cluster, {"taskmanager-0"})
    finally:
        flink_cluster.taskmanager(1).resume()
    until_connected(flink_cluster, {"taskmanager-0", "taskmanager-1"})


def test_a_restarted_jobmanager_finds_the_taskmanagers_again(flink_cluster: Flink) -> None:
    before = {process.name: process.pid for process in flink_cluster.processes()}
    flink_cluster.jobmanager.kill()
    flink_cluster.restart_jobmanager()
    after = {process.name: process.pid for process in flink_cluster.processes()}
    assert after.pop("jobmanager") != before.pop("jobmanager")
    assert after == before
    assert set(connected(flink_cluster.rest)) == {"taskmanager-0", "taskmanager-1"}


def test_an_environment_without_flink_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(EddylineError, match=r"no apache-flink[\s\S]*eddyline flink env"):
        Flink(tmp_path, python=tmp_path / "bin" / "python").start()
