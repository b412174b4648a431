"""A job on the real Flink and Kafka goes back to a version of 20 MB: commands, the learner and scorers take so much."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.flink.conftest import Run

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.job import Settings
from eddyline.engines.flink.steering import roll_back
from eddyline.pipeline.loading import load
from eddyline.records import Prediction

NAME = "ballast"
FILE = f"""
from random import Random
from eddyline import CustomModel, EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Task, Truth
from eddyline import every, hours, memory, seconds

class Page(Event):
    id: Id
    site: Key
    at: EpochSeconds

class Verdict(Label):
    id: Id
    at: EpochSeconds
    bad: Truth[bool]

class Ballast(CustomModel):
    task = Task.CLASSIFICATION

    def __init__(self):
        self.bad, self.seen = 0, 0
        self.ballast = Random(1).randbytes(15_000_000)

    def predict(self, features):
        return 2 * self.bad > self.seen

    def learn(self, features, truth):
        self.seen += 1
        self.bad += truth

{NAME} = Pipeline(
    name="{NAME}",
    events=memory([], Page),
    labels=memory([], Verdict),
    model=Ballast(),
    join=Join(wait=hours(1), lateness=seconds(600)),
    publish=every(100),
)
"""


def pages(first: int, many: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(first, first + many):
        at = 1_700_000_000 + number
        yield "events", f"s-{number % 7}", json.dumps({"id": f"p-{number}", "site": f"s-{number % 7}", "at": at}).encode()
        yield "labels", f"p-{number}", json.dumps({"id": f"p-{number}", "at": at + 1, "bad": number % 3 == 0}).encode()


def test_a_job_goes_back_to_a_version_of_twenty_megabytes(kafka_broker: Kafka, flink_cluster: Flink, tmp_path: Path) -> None:
    file = tmp_path / f"{NAME}.py"
    file.write_text(FILE)
    loaded, sent = load(str(file)), 0
    run = Run.of(loaded, kafka_broker, flink_cluster, Settings(checkpoint_ms=1_000, idle_ms=600_000))

    def answers() -> list[Prediction]:
        nonlocal sent
        run.send(pages(sent, 50))
        sent += 50
        return [wire.decode_prediction(message.value) for message in run.of_stream("predictions")]

    try:
        run.until(lambda: any(one.version == f"{NAME}@200" for one in answers()), "answered by its second version")
        rollout = roll_back(loaded.pipeline, run.connection, f"{NAME}@100", author="a test", patience_s=60)
        assert rollout.champion == f"{NAME}@100"
        run.until(lambda: any(one.revision == 1 for one in answers()), "answered by the version it went back to")
        run.taken()
        run.stop(drain=True)
        recorded = run.recorded()
    finally:
        run.end()
    assert max(len(message.value) for message in recorded["versions"]) > 20_000_000
    done = examine(loaded.pipeline, recorded)
    assert done.faults == []
    assert done.sound
    back = [one for one in map(wire.decode_prediction, (m.value for m in recorded["predictions"])) if one.revision == 1]
    assert back
    assert {one.version for one in back} == {f"{NAME}@100"}
