"""What an autoscaler may do to a job: Flink's adaptive scheduler gives stages that nobody partitions a second slot.

It is asked for through the same REST request with which the Flink Kubernetes Operator asks.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.cluster.fixtures import need_jars, worker_python
from tests.flink.conftest import PATIENCE_S, Run
from tests.flink.test_hazards import FILE, SETTINGS, Shop, sale, until, visit

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.rest import Rest
from eddyline.engines.flink.standing import status
from eddyline.pipeline.loading import load

NAME = "widened"


@pytest.fixture
def adaptive(tmp_path: Path) -> Iterator[Flink]:
    """A cluster whose scheduler rescales jobs while they run."""
    need_jars("flink-kafka")
    settings = {"jobmanager.scheduler": "adaptive"}
    with Flink(tmp_path / "flink", python=worker_python(), taskmanagers=1, slots=2, settings=settings) as flink:
        yield flink


def widths(rest: Rest, job: str) -> dict[str, tuple[str, int]]:
    """The vertices of a job: by id their name and how many instances run."""
    return {one["id"]: (one["name"], one["parallelism"]) for one in rest.get(f"/jobs/{job}")["vertices"]}


def ask(rest: Rest, job: str, wanted: dict[str, int]) -> None:
    """Asks for so many instances of each vertex."""
    body = {vertex: {"parallelism": {"lowerBound": 1, "upperBound": many}} for vertex, many in wanted.items()}
    request = urllib.request.Request(
        f"{rest.url}/jobs/{job}/resource-requirements",
        data=msgspec.json.encode(body),
        method="PUT",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def test_a_second_slot_for_the_learner_stands_idle_and_stops_no_checkpoint(
    kafka_broker: Kafka, adaptive: Flink, tmp_path: Path
) -> None:
    path = tmp_path / f"{NAME}.py"
    path.write_text(FILE.format(name=NAME))
    shop = Shop(Run.of(load(str(path)), kafka_broker, adaptive, SETTINGS), kafka_broker.brokers)
    rest, job = shop.run.rest, shop.run.id
    alone = [vertex for vertex, (name, _) in widths(rest, job).items() if name.startswith(("learn", "watch"))]
    assert len(alone) == 2, widths(rest, job)
    shop.send("events", range(40), visit)
    shop.send("labels", range(40), sale)
    until(lambda: len(shop.learned()) == 40, lambda: status(NAME, rest.url))

    ask(rest, job, {vertex: 2 if vertex in alone else 1 for vertex in widths(rest, job)})
    until(lambda: all(widths(rest, job)[vertex][1] == 2 for vertex in alone), lambda: widths(rest, job))
    end = time.monotonic() + PATIENCE_S
    restarts = status(NAME, rest.url)[0].restarts
    shop.send("events", range(40, 80), visit)
    shop.send("labels", range(40, 80), sale)
    while len(shop.learned()) < 80:
        assert time.monotonic() < end, rest.problem(job)
        assert status(NAME, rest.url)[0].restarts <= restarts + 1, rest.problem(job)
        time.sleep(0.5)
    positions = sorted(wire.decode_example(one.value)[1] for one in shop.run.of_stream("examples"))
    assert positions == list(range(1, 81))
    shop.run.end()
