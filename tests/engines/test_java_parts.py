"""What a source on Flink reads from a message and what its clock makes of it, in Java, beside what Python makes of the same.

The classes are those of the job's jar; no cluster is needed. Where the two disagree an event is in the wrong shard, or does
not move event time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from river import linear_model
from tests.cluster.fixtures import need_jars, worker_python

from eddyline import Count, EpochSeconds, Event, Id, Key, Label, Pipeline, Time, Truth, hours, memory
from eddyline.cluster import jars
from eddyline.connectors.kafka import Connection
from eddyline.engines.flink import javac, job
from eddyline.engines.flink.environment import package_folder
from eddyline.engines.flink.jar import jar
from eddyline.engines.flink.job import Settings
from eddyline.pipeline.loading import Loaded
from eddyline.records.schema import Schema
from eddyline.stages.aggregates import _owner

NEVER = -(2**63)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Probe = Callable[[Sequence[Sequence[object]]], list[list[str]]]


class Visit(Event):
    """What happens, in words."""

    id: Id
    at: Time
    who: Key = "somebody"
    shop: str | None = None
    hall: int = 7
    zone: ClassVar[str] = "America/New_York"


class Tick(Event):
    """What happens, in numbers."""

    id: Id
    at: EpochSeconds


class Bought(Label):
    """What is found out."""

    id: Id
    at: EpochSeconds
    bought: Truth[bool]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """Sends lines to `Probe.java`, and gives what it answers."""
    need_jars("flink-kafka")
    python = worker_python()
    if shutil.which("javac") is None:
        pytest.skip("DID NOT RUN: there is no javac on PATH")
    connector = jars.ready("flink-kafka")
    path = [*javac.flink_jars(package_folder(python, "pyflink")), *connector, jar(python, connector)]
    classes = tmp_path_factory.mktemp("classes")
    found = os.pathsep.join(map(str, [classes, *path]))
    source = Path(__file__).parent / "java" / "Probe.java"
    subprocess.run(["javac", "-d", classes, "-cp", found, source], check=True, capture_output=True, timeout=300)

    def ask(lines: Sequence[Sequence[object]]) -> list[list[str]]:
        given = "".join("\t".join(map(str, line)) + "\n" for line in lines)
        done = subprocess.run(
            ["java", "-cp", found, "Probe"], input=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    return ask


by_key = Pipeline(
    name="shop",
    events=memory([], Visit),
    labels=memory([], Bought),
    aggregates={"many": Count(over=hours(1))},
    features=lambda visit, many: {"many": many},
    model=linear_model.LogisticRegression(),
)
by_shop = by_key.replace(aggregates={"many": Count(over=hours(1), by="shop")})
by_hall = by_key.replace(aggregates={"many": Count(over=hours(1), by="hall")})
ticks = by_key.replace(events=memory([], Tick), aggregates={}, features=lambda tick: {"one": 1.0})


def fields(pipeline: Pipeline) -> list[object]:
    """What a job tells its source of events: the names of key and time, unit, zone and the usual key."""
    loaded = Loaded(pipeline, Path(__file__), Path("shop.eddyline"))
    told = job.specification(loaded, Connection("kafka:9092"), Settings(), Path("python"))["fields"]["events"]
    return [told[name] for name in ("key", "at", "unit", "zone", "usual")]


MOMENTS = [
    "2026-01-01T00:00:00Z",
    "2026-01-01t00:00:00z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00+01:00",
    "2026-01-01T00:00:00+0100",
    "2026-01-01T00:00:00-0330",
    "2026-01-01T00:00:00.250+18:30",
    "2026-01-01T00:00:00-23:59",
    "2026-01-01T00:00:00",
    "2026-03-08T02:30:00",
    "2026-11-01T01:30:00",
    "0001-01-02T00:00:00Z",
    "9999-12-30T23:59:59.999999Z",
]


def test_whatever_python_takes_for_a_time_moves_the_clock_in_java(probe: Probe) -> None:
    bodies = [msgspec.json.encode({"id": "v", "who": "w", "at": at}) for at in MOMENTS]
    found = probe([("read", *fields(by_key), body.hex()) for body in bodies])
    expected = [Schema.of(Visit).decode(body).at for body in bodies]
    assert dict(zip(MOMENTS, [int(at) for _, _, at, _ in found], strict=True)) == dict(zip(MOMENTS, expected, strict=True))


def test_a_time_that_nobody_can_read_moves_nothing_and_costs_nothing(probe: Probe) -> None:
    bodies = [b'{"id":"v","at":"yesterday"}', b'{"id":"v","at":"2026-01-01T00:00:00+1"}', b'{"id":"v"', b"", b"[1]"]
    assert [int(at) for _, _, at, _ in probe([("read", *fields(by_key), body.hex()) for body in bodies])] == [NEVER] * 5
    (huge,) = probe([("read", *fields(ticks), b'{"id":"v","at":1e999999999}'.hex())])
    assert int(huge[2]) in (0, NEVER)


@pytest.mark.parametrize(
    ("pipeline", "by"), [(by_key, None), (by_shop, "shop"), (by_hall, "hall")], ids=["by key", "by shop", "by hall"]
)
def test_an_event_that_leaves_its_key_out_is_in_the_shard_of_the_default(
    probe: Probe, pipeline: Pipeline, by: str | None
) -> None:
    said = [
        b"",
        b',"who":"somebody"',
        b',"who":"me"',
        b',"shop":null',
        b',"shop":"x"',
        b',"hall":7',
        b',"hall":-0',
        b',"hall":0',
    ]
    bodies = [b'{"id":"v","at":"2026-01-01T00:00:00Z"' + more + b"}" for more in said]
    keys = [key for key, *_ in probe([("read", *fields(pipeline), body.hex()) for body in bodies])]
    arrivals = [Schema.of(Visit).decode(body) for body in bodies]
    owners = [one.key if by is None else _owner(getattr(one.value, by)) or "" for one in arrivals]
    assert keys == owners


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (TRACE.encode().hex(), TRACE),
        ("null", ""),
        (b"00-1|17.3".hex(), ""),
        ((b"x" * 300).hex(), "x" * 256),
    ],
    ids=["a trace", "no value", "a bar", "too long"],
)
def test_no_header_of_a_stranger_ends_the_job_or_is_taken_for_ours(probe: Probe, header: str, kept: str) -> None:
    ((_, event_id, _, headers),) = probe([("read", *fields(ticks), b'{"id":"v","at":1}'.hex(), header)])
    assert (event_id, headers) == ("v", kept)


DAY, YEAR = 86_400_000, 365 * 86_400_000
NOW, WRONG = 56 * YEAR, 8_000 * YEAR


@pytest.mark.parametrize(
    ("times", "mark"),
    [
        ([NOW], NOW),
        ([NOW, NOW + 5], NOW + 5),
        ([NOW + 5, NOW], NOW + 5),
        ([NOW, NOW + 1, WRONG, NOW + 9], NOW + 9),
        ([NOW, NOW + 1, 2**62, -(2**62)], NOW + 1),
        ([-(2**63), NOW, -(2**63), NOW + 5], NOW + 5),
    ],
    ids=["one", "two in order", "two in disorder", "a wrong year later", "beyond any date", "no time"],
)
def test_no_record_moves_time_that_is_dated_too_far_after_those_before_it(probe: Probe, times: list[int], mark: int) -> None:
    ((found,),) = probe([("clock", 1_000, 10 * YEAR, "", *times)])
    assert int(found) == mark - 1_000 - 1


@pytest.mark.parametrize(
    ("past", "times", "mark"),
    [
        ([NOW], [WRONG], NOW),
        ([NOW], [WRONG, NOW + 7], NOW + 7),
        ([NOW, NOW + 9, NOW + 3], [NOW + 5], NOW + 9),
        ([NOW, WRONG, NOW + 9], [WRONG + 1], NOW + 9),
        ([NOW, WRONG], [NOW + 2], NOW + 2),
        ([NOW, 0], [NOW + 2], NOW + 2),
        ([NOW + n * 9 * YEAR for n in range(7)], [NOW + 60 * YEAR], NOW + 60 * YEAR),
        ([2**62, -(2**62), NOW], [WRONG], NOW),
        ([NOW], [NOW + 9 * YEAR], NOW + 9 * YEAR),
    ],
    ids=[
        "a wrong year first",
        "and then a right one",
        "disorder",
        "a wrong year before",
        "two",
        "1970",
        "far apart",
        "beyond any date",
        "long ago",
    ],
)
def test_a_wrong_year_that_is_read_first_after_a_restart_is_compared_with_those_before_it(
    probe: Probe, past: list[int], times: list[int], mark: int
) -> None:
    ((found,),) = probe([("clock", 1_000, 10 * YEAR, ",".join(map(str, past)), *times)])
    assert int(found) == mark - 1_000 - 1
