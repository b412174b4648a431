"""`eddyline cluster` in processes of its own: what one brings up, another sees and takes down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.fixtures import need_jars, worker_python

from eddyline.cluster.kafka import Kafka
from eddyline.cluster.session import Cluster

PROGRAM = "import sys; from eddyline.cli.cluster import command; command(prog_name='eddyline cluster')"
PATIENCE_S = 400.0


def eddyline_cluster(*arguments: str, folder: Path) -> tuple[int, Any, str]:
    """Exit code, the JSON document and stderr of one command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--folder", str(folder), "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    need_jars("kafka")
    yield tmp_path
    cluster = Cluster.found(tmp_path)
    if cluster is not None:
        cluster.down()


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_down_stops_exactly_what_up_started(folder: Path, kafka_broker: Kafka) -> None:
    code, document, errors = eddyline_cluster("up", "--kafka-only", "--kafka-port", "0", folder=folder)
    assert (code, document["ready"]) == (0, True), errors
    pid = document["processes"][0]["pid"]
    os.kill(pid, 0)
    code, again, errors = eddyline_cluster("up", "--kafka-only", folder=folder)
    assert (code, again) == (0, document)
    assert "up already" in errors
    assert eddyline_cluster("status", folder=folder)[:2] == (0, document)
    assert eddyline_cluster("down", folder=folder)[:2] == (0, {"stopped": ["kafka"], "killed": []})
    assert eddyline_cluster("status", folder=folder)[1]["processes"][0]["pid"] is None
    assert eddyline_cluster("status", folder=folder)[0] == 1
    assert gone(pid)
    assert kafka_broker.ready()


def test_another_port_is_refused_while_it_runs(folder: Path) -> None:
    with Cluster(folder) as cluster:
        code, _, errors = eddyline_cluster("up", "--kafka-only", "--kafka-port", "1", folder=folder)
    assert code != 0
    assert f"runs with --kafka-port {cluster.kafka.port}, and 1 was asked for" in errors


def test_status_of_what_was_never_up_says_so(tmp_path: Path) -> None:
    assert eddyline_cluster("status", folder=tmp_path)[:2] == (
        1,
        {"folder": str(tmp_path), "ready": False, "processes": []},
    )


def test_up_starts_what_is_missing_and_down_ends_all_of_it(folder: Path) -> None:
    need_jars("flink-kafka")
    worker_python()
    ports = ("--kafka-port", "0", "--rest-port", "0", "--taskmanagers", "1")
    code, whole, errors = eddyline_cluster("up", *ports, folder=folder)
    assert (code, [part["name"] for part in whole["processes"]]) == (0, ["kafka", "jobmanager", "taskmanager-0"]), errors
    cluster = Cluster.found(folder)
    assert cluster is not None
    cluster.flink.taskmanager(0).kill()
    assert eddyline_cluster("status", folder=folder)[0] == 1
    code, mended, errors = eddyline_cluster("up", folder=folder)
    assert (code, mended["ready"]) == (0, True), errors
    same = ("kafka", "jobmanager")
    assert [part for part in mended["processes"] if part["name"] in same] == whole["processes"][:2]
    stopped = eddyline_cluster("down", folder=folder)[1]
    assert stopped == {"stopped": ["kafka", "jobmanager", "taskmanager-0"], "killed": []}
    assert not cluster.flink.processes()
    assert not cluster.kafka.process.running
