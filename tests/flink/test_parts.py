"""Serve and learn as two jobs of one pipeline: versions and rollouts travel by topic, and the audit finds one loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.flink.conftest import Run
from tests.flink.duel import START, visits
from tests.flink.generated import stream

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink import job, operate, taken
from eddyline.engines.flink.audit import audit
from eddyline.engines.flink.job import Part, Settings
from eddyline.engines.flink.positions import readings
from eddyline.pipeline.loading import Loaded, load
from eddyline.records.errors import NotFound, StoreLocked

HERE = Path(__file__).parent
SEED, ORDERS, FAILING = 20_261_124, 3_000, 5
PARTITIONS = 2


def settings(part: Part) -> Settings:
    """How a part runs: on one of the two slots."""
    return Settings(parts=(part,), idle_ms=600_000)


@dataclass
class Apart:
    """Two jobs of one pipeline."""

    serve: Run
    learn: Run

    def all_learned(self) -> None:
        """Waits until learn has read what serve wrote; a partition ends with a transaction's mark, which nobody reads."""
        document = job.remembered(self.learn.rest.about(self.learn.id))
        self.learn.until(
            lambda: (
                sum(one.lag for one in readings(self.learn.connection, document) if one.stream == "predictions") <= PARTITIONS
            ),
            "read all answers",
        )

    def stop(self) -> None:
        """Brings both to rest, when everything was read: first serve, then learn."""
        self.serve.taken()
        self.learn.taken()
        name = self.serve.loaded.pipeline.name
        operate.stop(f"{name}.serve", self.serve.rest.url, drain=True)
        self.all_learned()
        operate.stop(f"{name}.learn", self.learn.rest.url, drain=True)


@contextmanager
def apart(loaded: Loaded, kafka: Kafka, flink: Flink) -> Iterator[Apart]:
    """A pipeline in two jobs, each on one of the two slots."""
    serve = Run.of(loaded, kafka, flink, settings("serve"))
    try:
        learn = Run.of(loaded, kafka, flink, settings("learn"))
        try:
            yield Apart(serve, learn)
        finally:
            learn.end()
    finally:
        serve.end()


def changed(folder: Path, file: str, changes: dict[str, str]) -> Loaded:
    """A pipeline of this room with other words in it."""
    text = (HERE / file).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path = folder / f"parted_{file}"
    path.write_text(text)
    return load(str(path))


def test_serve_apart_from_learn_is_the_same_loop_and_answers_with_the_versions_that_travel(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path: Path
) -> None:
    print("seed", SEED)
    loaded = changed(tmp_path, "generated.py", {'name="generated"': 'name="parted"'})
    with apart(loaded, kafka_broker, flink_cluster) as both:
        older = swapped(both)
        both.stop()
    serve = both.serve
    done = audit(loaded.pipeline, serve.connection)
    assert done.faults == []
    assert done.sound, done
    assert done.answered_again >= done.predictions > 0.9 * ORDERS
    assert done.learned > 1_000
    answered: dict[int, set[int]] = {}
    for message in serve.of_stream("predictions"):
        prediction = wire.decode_prediction(message.value)
        answered.setdefault(prediction.revision, set()).add(prediction.position)
    assert sorted(answered) == [0, 1, 2]
    assert answered[1] == {older}
    assert max(answered[2]) > older


def swapped(both: Apart) -> int:
    """The generated stream with a rollback in its middle; gives the position of the version that answered there."""
    serve, learn, sent = both.serve, both.learn, stream(SEED, ORDERS)
    third = len(sent) // 3
    messages = [(one.topic, one.key, one.value) for one in sent]
    serve.send(messages[:third])
    serve.taken()
    learn.until(lambda: len(learn.of_stream("versions")) >= 2, "published two versions")
    with pytest.raises(StoreLocked, match="runs already"):
        operate.submit(serve.loaded, serve.connection, settings("serve"), serve.rest.url)
    with pytest.raises(NotFound, match="runs as 2 jobs"):
        operate.stop("parted", serve.rest.url)
    older = learn.of_stream("versions")[0].value
    learn.command(wire.decode_version(older)[0].name, older)
    learn.until(lambda: len(learn.of_stream("rollouts")) == 1, "recorded the rollout")
    serve.send(messages[third : 2 * third])
    serve.taken()
    learn.command("live")
    learn.until(lambda: len(learn.of_stream("rollouts")) == 2, "recorded the second rollout")
    serve.send(messages[2 * third :])
    return wire.decode_version(older)[0].position


def test_who_learns_apart_decides_by_answers_and_failures_that_travel(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path: Path
) -> None:
    words = {
        'name="duel"': 'name="parted-duel"',
        "    model=naive_bayes.GaussianNB(),": "    model=Touchy(),",
        "\nduel = ": TOUCHY,
    }
    loaded = changed(tmp_path, "duel.py", words)
    with apart(loaded, kafka_broker, flink_cluster) as both:
        sent = 0
        both.serve.send(("events", "p-1", failing(number)) for number in range(FAILING))

        def promoted() -> bool:
            nonlocal sent
            both.serve.send(visits(SEED, sent, 60))
            sent += 60
            return bool(both.learn.of_stream("rollouts"))

        both.learn.until(promoted, "promoted anybody")
        both.serve.send(visits(SEED, sent, 200))
        both.stop()
    run = both.serve.recorded()
    made = [wire.decode_decision(message.value) for message in run["decisions"]]
    assert ("promote", "parted-duel.seeing") in {(one.action, one.subject) for one in made}
    answered_by = {wire.decode_prediction(message.value).model for message in run["predictions"]}
    assert answered_by == {"parted-duel", "parted-duel.seeing"}
    heard = [one for message in run["taken"] for one in taken.decode(message.value).inputs if isinstance(one, taken.Failure)]
    assert len(heard) == FAILING
    done = audit(loaded.pipeline, both.serve.connection)
    assert done.faults == []
    assert done.sound, done


TOUCHY = """
class Touchy(naive_bayes.GaussianNB):
    def predict_proba_one(self, x):
        if x["noise"] == 9:
            raise ValueError("not that one")
        return super().predict_proba_one(x)


duel = """


def failing(number: int) -> bytes:
    """A visit that the champion does not answer."""
    visit = {"id": f"failing-{number}", "visitor": "p-1", "at": START + 10 * number, "pages": 1.0, "noise": 9.0}
    return msgspec.json.encode(visit)
