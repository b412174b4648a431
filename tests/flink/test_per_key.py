"""One model per key in a job on the real Flink and Kafka: it learns where it is served, through a kill and a rescale.

It also goes back to a position, and does so through both.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.flink.conftest import Run
from tests.flink.ovens import batches

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import operate
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.beside import KafkaJob
from eddyline.engines.flink.copying import LogCopy
from eddyline.engines.flink.job import Settings
from eddyline.engines.flink.steering import roll_back
from eddyline.models import adapt
from eddyline.pipeline.loading import Loaded, load
from eddyline.ports import Model
from eddyline.records import KEY_FEATURE, Prediction
from eddyline.records.errors import NotFound
from eddyline.views.explain_beside import explain_beside

SEED = 20_261_122
FEW, PACE_S = 40, 0.2
BACK = 60
SETTINGS = Settings(parallelism=2, checkpoint_ms=500, idle_ms=600_000)
Messages = dict[str, list[Message]]


@pytest.fixture(scope="module")
def baked(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Loaded, Messages]]:
    """A run at a parallelism of 2, then of 1; stopped when event time had come to its end.

    It goes back to a position that was not published; then a TaskManager is killed and the job rescaled, and the line answers
    again.
    """
    print("seed", SEED)
    file = tmp_path_factory.mktemp("ovens") / "ovens.py"
    shutil.copy(Path(__file__).with_name("ovens.py"), file)  # a user's file is alone in its folder
    loaded = load(str(file))
    run = Run.of(loaded, kafka_broker, flink_cluster, SETTINGS)
    sent = 0

    def flows(seconds: float) -> None:
        nonlocal sent
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            run.send(batches(SEED, sent, FEW))
            sent += FEW
            time.sleep(PACE_S)

    def learned() -> bool:
        flows(1.0)
        return any(answer.position > 100 for answer in answers_of(run.of_stream("predictions")))

    def answered_in(revision: int) -> Callable[[], bool]:
        def answered() -> bool:
            flows(1.0)
            return any(answer.revision == revision for answer in answers_of(run.of_stream("predictions")))

        return answered

    try:
        run.until(learned, "answered by what it had learned")
        with pytest.raises(NotFound, match=r"the examples in ovens\.examples end at ovens@"):
            roll_back(loaded.pipeline, run.connection, "ovens@1000000", author="a test")
        assert roll_back(loaded.pipeline, run.connection, f"ovens@{BACK}", author="a test").champion == f"ovens@{BACK}"
        run.until(answered_in(1), "answered by the version it went back to")
        flink_cluster.taskmanager(0).kill()
        flink_cluster.start_taskmanager(0)
        flows(2.0)
        run.taken()  # it recovered, and a checkpoint holds all of that
        run.id = operate.rescale(loaded.pipeline.name, 1, flink_cluster.rest).job
        flows(4.0)
        assert roll_back(loaded.pipeline, run.connection, "live", author="a test").champion is None
        run.until(answered_in(2), "answered by its learner again")
        run.taken()
        run.stop(drain=True)
        yield loaded, run.recorded()
    finally:
        run.end()


def answers_of(messages: list[Message]) -> list[Prediction]:
    return [wire.decode_prediction(message.value) for message in messages]


def test_the_audit_learns_every_key_again_and_gives_every_answer_to_the_byte(baked: tuple[Loaded, Messages]) -> None:
    loaded, run = baked
    done = examine(loaded.pipeline, run)
    assert done.faults == []
    assert done.sound
    assert done.answered_again == done.predictions > 500
    assert done.learned > 300


def test_every_answer_of_a_key_is_that_of_a_model_trained_on_its_truths_alone(baked: tuple[Loaded, Messages]) -> None:
    loaded, run = baked
    numbered = sorted((wire.decode_example(message.value) for message in run["examples"]), key=lambda one: one[1])
    asked = answers_of(run["predictions"])
    for key in ("o-1", "o-7", "o-39"):
        model, reached = adapt(loaded.pipeline.model), 0
        learned = iter([one for one in numbered if one[1] > 0 and one[0].prediction.key == key])
        live = [answer for answer in asked if answer.key == key and answer.revision != 1]
        mine = sorted(live, key=lambda answer: answer.position)
        assert mine[-1].position > 0
        for answer in mine:
            while reached < answer.position:
                example, reached = next(learned)
                model.learn(seen(example.prediction), example.truth)
            assert reached == answer.position, "an answer names the last position that its key learned"
            output = model.predict(seen(answer))
            assert (answer.value, answer.scores) == (output.value, output.scores)


def seen(answer: Prediction) -> dict[str, float | int | str | bool | None]:
    assert answer.features[KEY_FEATURE] == answer.key
    return {name: value for name, value in answer.features.items() if name != KEY_FEATURE}


def test_the_answers_of_one_key_change_after_its_labels_and_of_one_without_they_do_not(baked: tuple[Loaded, Messages]) -> None:
    asked = answers_of(baked[1]["predictions"])
    dark = [answer for answer in asked if answer.key == "o-dark"]
    assert dark
    assert {(answer.position, str(answer.scores)) for answer in dark} == {
        (0, "{False: 0.5, True: 0.5}"),
        (BACK, "{False: 0.5, True: 0.5}"),
    }
    hot = [answer.scores for answer in asked if answer.key == "o-1" and answer.position > 0 and answer.revision != 1]
    assert hot
    assert all(scores != {False: 0.5, True: 0.5} for scores in hot)


def test_answers_are_explained_from_the_topics_and_given_again(
    baked: tuple[Loaded, Messages], kafka_broker: Kafka, tmp_path: Path
) -> None:
    loaded, run = baked
    by_revision: dict[int, list[str]] = {}
    for answer in answers_of(run["predictions"]):
        by_revision.setdefault(answer.revision, []).append(answer.event_id)
    assert by_revision.keys() == {0, 1, 2}
    job = KafkaJob(loaded.pipeline, Connection(kafka_broker.brokers))
    with LogCopy(loaded.pipeline, tmp_path / "copy.eddyline") as copy:
        job.fetch(copy)
        for event_id in (ids[place] for ids in by_revision.values() for place in (0, len(ids) // 2, -1)):
            assert explain_beside(job, loaded.pipeline, copy.store, event_id).again == "equal", event_id


def test_a_job_that_goes_back_answers_every_key_by_what_it_was_there(baked: tuple[Loaded, Messages]) -> None:
    loaded, run = baked
    models: dict[str, Model] = {}
    for example, position in sorted(
        (wire.decode_example(message.value) for message in run["examples"]), key=lambda one: one[1]
    ):
        if 0 < position <= BACK:
            key = example.prediction.key
            if key not in models:
                models[key] = adapt(loaded.pipeline.model)
            models[key].learn(seen(example.prediction), example.truth)
    back = [answer for answer in answers_of(run["predictions"]) if answer.revision == 1]
    assert len(back) > 100
    assert len({answer.key for answer in back} & models.keys()) > 10
    for answer in back:
        output = models.get(answer.key, adapt(loaded.pipeline.model)).predict(seen(answer))
        assert (answer.version, answer.value, answer.scores) == (f"ovens@{BACK}", output.value, output.scores)


def test_no_version_is_published_but_the_fresh_one_and_the_one_that_was_asked_for(baked: tuple[Loaded, Messages]) -> None:
    told = [wire.peek_version(message.value) for message in baked[1]["versions"]]
    assert {(one.model, one.position) for one in told} == {("ovens", 0), ("ovens", BACK)}
