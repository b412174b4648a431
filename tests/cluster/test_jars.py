"""A cluster runs the pinned bytes and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cluster.fixtures import need_jars

from eddyline.cluster import jars, java
from eddyline.records.errors import EddylineError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own with the Kafka connector's jars in it."""
    need_jars("flink-kafka")
    filled = jars.cache()
    monkeypatch.setenv("EDDYLINE_CACHE", str(tmp_path))
    own = jars.cache()
    own.mkdir()
    for jar in jars.pinned("flink-kafka"):
        shutil.copy(filled / jar.file, own / jar.file)
    return own


def test_a_changed_jar_in_the_cache_is_refused(cache: Path) -> None:
    jar = next(jar for jar in jars.pinned("flink-kafka") if jar.artifact == "kafka-clients")
    with (cache / jar.file).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EddylineError, match=rf"{jar} is not the one that was pinned[\s\S]*{jar.sha256}"):
        jars.ready("flink-kafka")


def test_a_missing_jar_is_fetched_again(cache: Path) -> None:
    if shutil.which("mvn") is None:
        pytest.skip("DID NOT RUN: there is no mvn to fetch a jar")
    jar = next(jar for jar in jars.pinned("flink-kafka") if jar.artifact == "flink-connector-kafka")
    (cache / jar.file).unlink()
    assert cache / jar.file in jars.ready("flink-kafka")
    assert (cache / jar.file).exists()


def test_without_maven_the_error_says_what_to_install(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = jars.pinned("flink-kafka")[0]
    (cache / jar.file).unlink()
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(EddylineError, match=rf"{jar}[\s\S]*install Apache Maven"):
        jars.ready("flink-kafka")


def test_without_java_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EddylineError, match=r"no `java` on PATH[\s\S]*install Java 17"):
        java.program()


def test_no_two_jars_of_a_set_are_the_same_library() -> None:
    for name in ("kafka", "flink-kafka"):
        libraries = [(jar.group, jar.artifact) for jar in jars.pinned(name)]
        assert len(set(libraries)) == len(libraries)
