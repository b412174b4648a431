"""Real parts for tests: a broker and a Flink session cluster, started once a session on free ports and taken down after it.

A room of tests that needs them imports them in its conftest, as tests/cluster/conftest.py does; each such room has its own.
Where Java, Maven or the jars are missing, the tests are skipped and the reason says that they did not run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from eddyline.cluster import jars, java
from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.engines.flink import environment
from eddyline.records.errors import EddylineError


def worker_python() -> Path:
    """The interpreter of Flink's workers; skips where none was built."""
    chosen = os.environ.get("EDDYLINE_FLINK_PYTHON")
    try:
        return Path(chosen) if chosen else environment.ready()
    except EddylineError as error:
        return pytest.skip(f"DID NOT RUN: Flink's workers have no environment here ({_first_line(error)})")


def need_jars(name: str) -> None:
    """Skips where Java or the jars of a set cannot be had; a jar that is not the pinned one fails."""
    try:
        java.program()
    except EddylineError as error:
        pytest.skip(f"DID NOT RUN: {_first_line(error)}")
    missing = [jar for jar in jars.pinned(name) if not (jars.cache() / jar.file).exists()]
    if missing and shutil.which("mvn") is None:
        pytest.skip(f"DID NOT RUN: {len(missing)} jars are not cached and there is no mvn to fetch them")
    try:
        jars.ready(name)
    except EddylineError as error:
        if "could not fetch" not in str(error):
            raise
        pytest.skip(f"DID NOT RUN: {_first_line(error)}")


def _first_line(error: EddylineError) -> str:
    return str(error).splitlines()[0]


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this session. Tests share it: give topics and groups names of your own."""
    need_jars("kafka")
    with Kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """A session cluster of two TaskManagers with one slot each. Leave it as it was: both TaskManagers up, no job running."""
    need_jars("flink-kafka")
    with Flink(tmp_path_factory.mktemp("flink"), python=worker_python()) as flink:
        yield flink
