"""A job's life on the real Flink and the real Kafka: whatever an operator does, nothing is lost and nothing is doubled.

One pipeline goes through all of it; each test starts from a job that runs and ends with the books in order.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from tests.cluster.fixtures import need_jars

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import operate
from eddyline.engines.flink.job import Settings
from eddyline.engines.flink.operate import Job
from eddyline.engines.flink.rest import ENDED, FlinkError, Rest
from eddyline.engines.flink.standing import Standing, status
from eddyline.engines.flink.steering import roll_back
from eddyline.pipeline.loading import Loaded, load
from eddyline.records.errors import NotFound, StoreLocked, StoreMismatch

PATIENCE_S = 120.0
NAME = "operated"
FILE = """
from river import linear_model, preprocessing
from eddyline import EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Sum, Truth, Versions, hours, jsonl

class Payment(Event):
    id: Id
    card: Key
    at: EpochSeconds
    amount: float

class Chargeback(Label):
    id: Id
    at: EpochSeconds
    fraud: Truth[bool]

def features(payment: Payment, spent: float) -> dict[str, float]:
    return {"amount": payment.amount, "spent": spent}

operated = Pipeline(
    name="operated",
    events=jsonl("payments.jsonl", Payment),
    labels=jsonl("chargebacks.jsonl", Chargeback),
    aggregates={"spent": Sum("amount", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(500)),
    versions=Versions(every=1_000),
)
"""


def until(enough: Callable[[], bool], what: Callable[[], object]) -> None:
    """Waits for what other processes do; there is nothing else to wait on."""
    end = time.monotonic() + PATIENCE_S
    while not enough():
        assert time.monotonic() < end, what()
        time.sleep(0.2)


class Shop:
    """The pipeline, what was fed to it, and what is in its topics."""

    def __init__(self, brokers: str, rest: str, folder: Path) -> None:
        self.connection = Connection(brokers)
        self.brokers, self.rest, self.folder = brokers, rest, folder
        self.loaded = self.file("operated.py")
        self.fed = 0

    def file(self, name: str, change: Callable[[str], str] = lambda text: text) -> Loaded:
        """The pipeline's file under another name, changed."""
        path = self.folder / name
        path.write_text(change(FILE))
        return load(str(path))

    def job(self) -> Job:
        """The running job, submitted or resumed when there is none."""
        if not operate.running(Rest(self.rest), NAME):
            before = "latest" if self.fed else None
            operate.submit(self.loaded, self.connection, Settings(checkpoint_ms=300), self.rest, before)
        return operate.the_job(Rest(self.rest), NAME)

    def feed(self, many: int = 300) -> None:
        """So many events more, each with its label."""
        producer = Producer({"bootstrap.servers": self.brokers})
        for number in range(self.fed, self.fed + many):
            amount = random.Random(number).uniform(1, 100)
            event = {"id": f"p-{number}", "card": f"c-{number % 50}", "at": 10 * number, "amount": amount}
            label = {"id": f"p-{number}", "at": 10 * number + 5, "fraud": amount > 60}
            producer.produce(f"{NAME}.events", msgspec.json.encode(event), key=f"c-{number % 50}")
            producer.produce(f"{NAME}.labels", msgspec.json.encode(label), key=f"p-{number}")
        assert producer.flush(30) == 0
        self.fed += many

    def committed(self, stream: str) -> list[Message]:
        """What a read_committed reader sees in one of the topics; shares no code with ours."""
        topic, found = f"{NAME}.{stream}", []
        settings = {"bootstrap.servers": self.brokers, "group.id": uuid.uuid4().hex, "isolation.level": "read_committed"}
        consumer = Consumer({**settings, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
        parts = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic).topics[topic].partitions]
        consumer.assign(parts)
        ended = 0
        while ended < len(parts):
            for message in consumer.consume(1_000, 1.0):
                ended += message.error() is not None
                found += [message] if message.error() is None else []
        consumer.close()
        return found

    def balance(self) -> None:
        """Waits until all that was fed is answered and learned; then each event once, and positions without a gap."""
        until(lambda: len(self.committed("examples")) >= self.fed, lambda: (self.fed, len(self.committed("examples"))))
        answered = [msgspec.json.decode(one.value() or b"")["event_id"] for one in self.committed("predictions")]
        assert sorted(answered) == sorted(f"p-{number}" for number in range(self.fed))
        positions = [msgspec.json.decode(one.value() or b"")["position"] for one in self.committed("examples")]
        assert sorted(positions) == list(range(1, self.fed + 1))
        assert self.committed("dead-letters") == []

    def standing(self) -> Standing:
        """How the one job stands."""
        (found,) = status(NAME, self.rest)
        return found


@pytest.fixture(scope="module")
def shop(kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    need_jars("flink-kafka")
    made = Shop(kafka_broker.brokers, flink_cluster.rest, tmp_path_factory.mktemp("shop"))
    made.job()
    made.feed()
    yield made
    for one in Rest(made.rest).jobs():
        if one["state"] not in ENDED:
            Rest(made.rest).cancel(one["jid"])


def test_status_says_how_far_a_job_is(shop: Shop) -> None:
    job = shop.job()
    shop.balance()
    until(lambda: not any(shop.standing().lag.values()), lambda: shop.standing())
    seen = shop.standing()
    assert (seen.job, seen.state, seen.parallelism, seen.restarts, seen.problem) == (job.id, "RUNNING", 1, 0, None)
    assert seen.read == {f"{NAME}.events": shop.fed, f"{NAME}.labels": shop.fed}
    assert (seen.version, seen.learner, seen.champion) == (f"{NAME}@{shop.fed}", shop.fed, None)
    assert seen.checkpoint is not None
    assert seen.checkpoint.bytes > 0
    assert seen.checkpoint.age_s < PATIENCE_S
    assert seen.checkpoints_begun.newest > 0
    assert (seen.checkpoints_begun.failed, seen.checkpoints_begun.why) == (0, None)


def test_a_pipeline_that_runs_is_not_submitted_a_second_time(shop: Shop) -> None:
    job = shop.job()
    with pytest.raises(StoreLocked, match=rf"runs already, as job {job.id}[\s\S]*eddyline flink upgrade"):
        operate.submit(shop.loaded, shop.connection, None, shop.rest)


def test_a_savepoint_is_files_of_rocksdb_which_are_not_read_back_row_by_row(shop: Shop) -> None:
    job = shop.job()
    operate.savepoint(NAME, shop.rest)
    until = time.monotonic() + 30.0
    while (told := Rest(shop.rest).get(f"/jobs/{job.id}/checkpoints")["latest"]["savepoint"]) is None:
        assert time.monotonic() < until, "Flink looks at its checkpoints every three seconds"
        time.sleep(0.2)
    assert told["savepointFormat"] == "NATIVE"


def test_a_job_goes_on_from_where_it_was_stopped_and_never_without_its_state(shop: Shop) -> None:
    shop.job()
    shop.feed()
    kept = operate.savepoint(NAME, shop.rest)
    path = operate.stop(NAME, shop.rest)
    assert Path(path.removeprefix("file:")).is_dir()
    assert path != kept
    shop.feed()
    with pytest.raises(
        StoreMismatch, match=r"ran before[\s\S]*operated.predictions holds what it gave[\s\S]*--savepoint latest"
    ):
        operate.submit(shop.loaded, shop.connection, None, shop.rest)
    other = shop.file("narrower.py", lambda text: text.replace("hours(1)", "hours(2)"))
    with pytest.raises(StoreMismatch, match="does not fit pipeline operated: it changed in aggregates"):
        operate.submit(other, shop.connection, None, shop.rest, "latest")
    operate.submit(shop.loaded, shop.connection, Settings(checkpoint_ms=300), shop.rest, path)
    shop.feed()
    shop.balance()


def test_rescaling_to_two_and_back_neither_loses_nor_doubles(shop: Shop) -> None:
    before = shop.job()
    for parallelism in (2, 1):
        shop.feed()
        moved = operate.rescale(NAME, parallelism, shop.rest)
        assert (moved.before, shop.standing().job, shop.standing().parallelism) == (before.id, moved.job, parallelism)
        before = shop.job()
    shop.balance()


def test_a_job_too_wide_for_the_cluster_says_so_and_runs_on_as_it_was(shop: Shop) -> None:
    shop.job()
    shop.feed()
    with pytest.raises(FlinkError, match=r"needs 3 slots, and \d (is|are) free of 2[\s\S]*cluster up[\s\S]*nothing was lost"):
        operate.rescale(NAME, 3, shop.rest, patience_s=8)
    assert shop.standing().parallelism == 1
    shop.balance()


def test_an_upgrade_that_the_state_would_not_fit_is_refused_before_anything_is_stopped(shop: Shop) -> None:
    before = shop.job()
    other = shop.file("other_features.py", lambda text: text.replace('"spent": spent', '"spent": spent / 2'))
    with pytest.raises(StoreMismatch, match=r"it changed in features[\s\S]*the model was trained on the old features"):
        operate.upgrade(other, shop.connection, None, shop.rest)
    assert shop.job() == before


def test_an_upgrade_goes_on_with_new_code(shop: Shop) -> None:
    before = shop.job()
    shop.feed()
    newer = shop.file("newer.py", lambda text: text.replace("every=1_000", "every=500"))
    moved = operate.upgrade(newer, shop.connection, None, shop.rest)
    assert (moved.before, moved.changed) == (before.id, ("versions",))
    assert shop.standing().digest == newer.pipeline.digest
    shop.feed()
    shop.balance()
    shop.loaded = newer


def test_code_that_fails_on_the_worker_is_told_in_its_own_words_and_what_ran_runs_again(shop: Shop) -> None:
    shop.job()
    digest = shop.standing().digest
    (shop.folder / "rates.csv").write_text("1")
    reading = "\nfrom pathlib import Path\nRATES = Path(__file__).with_name('rates.csv').read_text()\n"
    broken = shop.file("broken.py", lambda text: text + reading)
    with pytest.raises(FlinkError, match=r"on the worker[\s\S]*broken.py, line \d+: FileNotFoundError[\s\S]*nothing was lost"):
        operate.upgrade(broken, shop.connection, None, shop.rest)
    assert shop.standing().digest == digest
    shop.feed()
    shop.balance()


def test_a_version_that_was_published_answers_again(shop: Shop) -> None:
    shop.job()
    shop.balance()
    with pytest.raises(NotFound, match=rf"no version {NAME}@7 was published[\s\S]*{NAME}@\d+"):
        roll_back(shop.loaded.pipeline, shop.connection, f"{NAME}@7", author="ann")
    names = sorted((one.key() or b"" for one in shop.committed("versions")), key=lambda key: int(key.rpartition(b"@")[2]))
    first = names[0].decode()
    rollout = roll_back(shop.loaded.pipeline, shop.connection, first, author="ann", reason="to see", patience_s=60)
    assert (rollout.champion, rollout.author, rollout.reason) == (first, "ann", "to see")
    until(lambda: shop.standing().champion == first, shop.standing)
    live = roll_back(shop.loaded.pipeline, shop.connection, "live", author="ann", patience_s=60)
    assert (live.champion, live.revision) == (None, rollout.revision + 1)
    shop.feed()
    shop.balance()


def test_run_follows_the_job_and_ctrl_c_stops_it_with_a_savepoint(shop: Shop) -> None:
    shop.job()
    operate.stop(NAME, shop.rest)
    shop.feed()
    run = ["run", str(shop.loaded.file), "--engine", "flink", "--brokers", shop.brokers, "--rest", shop.rest]
    command = [sys.executable, "-m", "eddyline.cli", *run, "--savepoint", "latest", "--every", "0.5", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "behind in" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, (lines, err)
    assert Path(msgspec.json.decode(out)["savepoint"].removeprefix("file:")).is_dir()
    assert operate.running(Rest(shop.rest), NAME) == []
    shop.job()
    shop.balance()


def test_after_a_killed_jobmanager_the_pipeline_goes_on_from_its_last_checkpoint(shop: Shop, flink_cluster: Flink) -> None:
    shop.job()
    shop.feed()
    shop.balance()
    flink_cluster.jobmanager.kill()
    flink_cluster.restart_jobmanager()
    assert operate.running(Rest(shop.rest), NAME) == []
    shop.feed()
    shop.job()
    shop.feed()
    shop.balance()
