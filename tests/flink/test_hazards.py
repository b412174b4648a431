"""What a job meets in its second year, on the real Flink and Kafka: topics emptied or made anew, a broker that did not wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.flink.conftest import PATIENCE_S, Run

from eddyline.cli.main import main
from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink import operate
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.rest import FlinkError
from eddyline.engines.flink.standing import status
from eddyline.pipeline.loading import load
from eddyline.records.errors import StoreMismatch

FILE = """
from river import linear_model
from eddyline import EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Truth, hours, memory

class Visit(Event):
    id: Id
    who: Key
    at: EpochSeconds
    pages: float

class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]

{name} = Pipeline(
    name="{name}",
    events=memory([], Visit),
    labels=memory([], Sale),
    features=lambda visit: {{"pages": visit.pages}},
    model=linear_model.LogisticRegression(),
    join=Join(wait=hours(100), absent=False),
)
"""
START, FAR = 1_700_000_000, 250_000_000_000
SETTINGS = Settings(checkpoint_ms=300, idle_ms=500)


def visit(number: int, at: int | None = None) -> bytes:
    """An event; those of even numbers are sent to one partition, the others to the other one."""
    return msgspec.json.encode(
        {"id": f"v-{number}", "who": f"w-{number % 7}", "at": START + number if at is None else at, "pages": number % 5}
    )


def sale(number: int, at: int | None = None) -> bytes:
    """Its truth."""
    return msgspec.json.encode({"id": f"v-{number}", "at": START + number + 60 if at is None else at, "bought": True})


@dataclass
class Shop:
    """A pipeline that is stopped and started again, and what its topics hold."""

    run: Run
    brokers: str
    asked: int = 5_000

    @property
    def name(self) -> str:
        """The pipeline's."""
        return self.run.loaded.pipeline.name

    def send(self, stream: str, numbers: range, make: Callable[[int], bytes]) -> None:
        """Sends one record for each number, by number to one of the two partitions."""
        producer = Producer({"bootstrap.servers": self.brokers})
        for number in numbers:
            producer.produce(f"{self.name}.{stream}", make(number), partition=number % 2)
        assert producer.flush(30) == 0

    def remake(self, stream: str) -> None:
        """Deletes a topic, and makes another one of its name."""
        name, admin = f"{self.name}.{stream}", self.run.connection.admin()
        admin.delete_topics([name])[name].result(30)
        until(lambda: name not in self.run.connection.known_topics(), self.run.connection.known_topics)
        JobTopics.of(self.run.loaded.pipeline).ensure(self.run.connection, 2)

    def again(self, settings: Settings = SETTINGS) -> None:
        """Goes on from where it was stopped."""
        self.run.id = operate.submit(self.run.loaded, self.run.connection, settings, self.run.rest.url, "latest")

    def answered(self) -> list[str]:
        """The ids of the answers, sorted."""
        return sorted(wire.decode_prediction(one.value).event_id for one in self.run.of_stream("predictions"))

    def checkpoints(self, many: int) -> None:
        """Waits until so many more are complete."""
        before = self.run.rest.completed(self.run.id)
        until(lambda: self.run.rest.completed(self.run.id) >= before + many, self.problem)

    def problem(self) -> str:
        """What status says is wrong with the job."""
        return "".join(one.problem or "" for one in status(self.name, self.run.rest.url))

    def both(self, numbers: range) -> None:
        """Sends events, and their truths once those are read."""
        for stream, make in (("events", visit), ("labels", sale)):
            self.send(stream, numbers, make)
            self.run.taken()

    def reached(self) -> set[int]:
        """How far the models of the seven keys have learned, as one more answer of each says."""
        asked = ids(*range(self.asked, self.asked + 7))
        self.send("events", range(self.asked, self.asked + 7), visit)
        self.asked += 7
        until(lambda: set(asked) <= set(self.answered()), self.answered)
        answers = [wire.decode_prediction(one.value) for one in self.run.of_stream("predictions")]
        return {one.position for one in answers if one.event_id in asked}

    def uncommitted(self, stream: str = "predictions") -> int:
        """How many messages of a topic lie behind the beginning of an open transaction."""
        found = 0
        for isolation, sign in (("read_uncommitted", 1), ("read_committed", -1)):
            settings = {"bootstrap.servers": self.brokers, "group.id": "a look", "isolation.level": isolation}
            with closing(Consumer(settings)) as consumer:
                for number in range(2):
                    part = TopicPartition(f"{self.name}.{stream}", number)
                    found += sign * consumer.get_watermark_offsets(part, timeout=30)[1]
        return found

    def learned(self) -> list[tuple[str, str]]:
        """Which events were learned, and how the truth was known."""
        examples = [wire.decode_example(one.value)[0] for one in self.run.of_stream("examples")]
        return sorted((one.prediction.event_id, one.known) for one in examples)


@pytest.fixture
def opened(kafka_broker: Kafka, flink_cluster: Flink, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Opens shops by name, and ends their jobs."""
    shops: list[Shop] = []

    def opening(name: str, more: str = "") -> Shop:
        path = tmp_path / f"{name}.py"
        path.write_text(FILE.format(name=name).replace("    join=", f"{more}    join="))
        shops.append(Shop(Run.of(load(str(path)), kafka_broker, flink_cluster, SETTINGS), kafka_broker.brokers))
        return shops[-1]

    yield opening
    for shop in shops:
        shop.run.end()


def until(done: Callable[[], bool], what: Callable[[], object]) -> None:
    """Waits for what other processes do."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, what()
        time.sleep(0.3)


def ids(*numbers: int) -> list[str]:
    """The ids of events, sorted."""
    return sorted(f"v-{number}" for number in numbers)


def trouble(shop: Shop) -> str:
    """What is wrong with a job that cannot go on: said when it does not come up, or by its status where it did at first."""
    try:
        shop.again()
    except FlinkError as error:
        return str(error)
    found: list[str] = []

    def fails() -> bool:
        found[:] = [one.problem for one in status(shop.name, shop.run.rest.url) if one.problem]
        return bool(found)

    until(fails, lambda: shop.answered())
    operate.cancel(shop.name, shop.run.rest.url)
    return found[0]


def test_events_that_were_deleted_before_they_were_read_stop_the_job_and_are_not_skipped(opened: Callable[..., Shop]) -> None:
    shop = opened("emptied")
    shop.send("events", range(40), visit)
    shop.run.taken()
    shop.run.stop(drain=False)
    shop.send("events", range(40, 80), visit)
    topic, admin = f"{shop.name}.events", shop.run.connection.admin()
    for future in admin.delete_records([TopicPartition(topic, 0, 30)]).values():
        future.result(30)
    assert "deleted before it was read" in (problem := trouble(shop)), problem
    assert "--skip-deleted" in problem
    assert set(shop.answered()) <= set(ids(*range(40), *range(41, 80, 2)))
    shop.again(replace(SETTINGS, skip_deleted=True))
    shop.run.taken()
    assert shop.answered() == ids(*range(40), *range(41, 80, 2), *range(60, 80, 2))


def test_no_job_goes_on_in_the_middle_of_a_topic_that_was_made_again(opened: Callable[..., Shop]) -> None:
    shop, skipping = opened("remade"), replace(SETTINGS, skip_deleted=True)
    shop.send("events", range(40), visit)
    shop.run.taken()
    shop.run.stop(drain=False)
    shop.remake("events")
    shop.send("events", range(20, 120), visit)
    with pytest.raises(StoreMismatch, match=r"topic remade.events is not the one[\s\S]*made again[\s\S]*--skip-deleted"):
        shop.again()
    shop.again(skipping)
    shop.run.taken()
    assert shop.answered() == ids(*range(120))
    shop.remake("events")  # under the running job
    shop.send("events", range(100, 300), visit)
    until(lambda: "made again, and positions in the old one mean nothing" in shop.problem(), shop.problem)
    operate.cancel(shop.name, shop.run.rest.url)
    with pytest.raises(StoreMismatch, match="made again"):
        shop.again()
    shop.again(skipping)
    shop.run.taken()
    shop.run.stop(drain=False)
    shop.again()
    shop.send("events", range(300, 310), visit)
    shop.run.taken()
    assert shop.answered() == ids(*range(310))


def test_a_wrong_year_that_a_partition_gives_first_after_a_restart_ends_no_wait(opened: Callable[..., Shop]) -> None:
    shop = opened("stray")
    shop.send("events", range(40), visit)
    shop.send("labels", range(10), sale)
    shop.run.taken()
    shop.run.stop(drain=False)
    shop.send("events", range(1_000, 1_002), lambda number: visit(number, FAR))
    shop.send("labels", range(2_000, 2_002), lambda number: sale(number, FAR))
    shop.again()
    shop.run.taken()
    shop.checkpoints(6)  # a watermark of the year 9892 would have come by now
    shop.send("events", range(40, 80), visit)
    shop.run.taken()
    shop.send("labels", range(10, 80), sale)
    shop.run.taken()
    until(lambda: len(shop.learned()) >= 80, shop.learned)
    assert shop.learned() == sorted((f"v-{number}", "label") for number in range(80))


def test_answers_that_the_broker_gave_up_while_the_job_was_away_are_told_by_its_status(
    opened: Callable[..., Shop], capsys: pytest.CaptureFixture[str]
) -> None:
    shop, brief_s = opened("lapsed"), 40
    rest = shop.run.rest
    shop.send("events", range(40), visit)
    shop.run.taken()
    shop.run.stop(drain=False)
    # A savepoint commits nothing: what was answered before it waits for the job that starts from there.
    shop.again(replace(SETTINGS, checkpoint_ms=600_000, transaction_timeout_ms=1_000 * brief_s))
    shop.send("events", range(40, 80), visit)
    until(lambda: shop.uncommitted() >= 40, shop.uncommitted)
    savepoint = rest.savepoint(shop.run.id)
    operate.cancel(shop.name, rest.url)
    until(lambda: shop.uncommitted() == 0, shop.uncommitted)
    shop.run.id = operate.submit(shop.run.loaded, shop.run.connection, SETTINGS, rest.url, savepoint)
    shop.send("events", range(80, 100), visit)
    shop.run.taken()
    assert shop.answered() == ids(*range(40), *range(80, 100))
    until(lambda: status(shop.name, rest.url)[0].given_up > 0, lambda: status(shop.name, rest.url))
    capsys.readouterr()
    assert main(["flink", "status", shop.name, "--rest", rest.url]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "1 transaction of answers: the broker ended them before the job could commit them" in said
    assert "eddyline flink upgrade FILE --transaction-timeout 3600" in said


def test_models_per_key_wait_for_what_the_broker_gave_up_until_somebody_says_go_on(
    opened: Callable[..., Shop], capsys: pytest.CaptureFixture[str]
) -> None:
    shop, brief_s = opened("keyed", '    per="key",\n'), 40
    rest = shop.run.rest
    shop.both(range(42))
    until(lambda: min(shop.reached()) > 0, shop.learned)
    shop.run.stop(drain=False)
    shop.again(replace(SETTINGS, checkpoint_ms=600_000, transaction_timeout_ms=1_000 * brief_s))
    shop.send("events", range(42, 84), visit)
    shop.send("labels", range(42, 84), sale)
    until(lambda: shop.uncommitted("examples") >= 42, lambda: shop.uncommitted("examples"))
    savepoint = rest.savepoint(shop.run.id)
    operate.cancel(shop.name, rest.url)
    until(lambda: shop.uncommitted("examples") == 0, lambda: shop.uncommitted("examples"))
    shop.run.id = operate.submit(shop.run.loaded, shop.run.connection, SETTINGS, rest.url, savepoint)
    shop.both(range(84, 126))
    until(lambda: status(shop.name, rest.url)[0].given_up > 0, lambda: status(shop.name, rest.url))
    shop.checkpoints(6)
    assert max(shop.reached()) <= 42, "every key waits for an example that nobody can read"
    capsys.readouterr()
    assert main(["flink", "status", shop.name, "--rest", rest.url]) == 1
    assert "--savepoint latest --skip-deleted" in " ".join(capsys.readouterr().out.split())
    shop.run.stop(drain=False)
    shop.again(replace(SETTINGS, skip_deleted=True))
    shop.both(range(126, 140))
    until(lambda: min(shop.reached()) > 84, shop.learned)
    shop.run.stop(drain=True)
    faults = examine(shop.run.loaded.pipeline, shop.run.recorded()).faults
    others = sorted(one for one in faults if "never answered" not in one)
    assert (len(faults) - len(others), len(others)) == (42, 2), "the audit names what was lost, and nothing else"
    assert others[0] == "input 84 was taken after 42 others: the order in which inputs were taken is not whole"
    assert others[1].endswith("has position 85, expected 43")
