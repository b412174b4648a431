"""Exactly once under fire: whatever is killed or frozen, whenever, the committed records are those of a run without faults.

By default 200,000 events and every kind of fault once or more, as in `make test`. `EDDYLINE_FIRE` asks for another number of
faults, such as 5 or 100, or for hours, such as 4h. `EDDYLINE_FIRE_SEED` repeats a run, `EDDYLINE_FIRE_EVENTS` says how many
events at least.
"""

from __future__ import annotations

import collections
import itertools
import os
import random
import time
from collections.abc import Iterator

import msgspec
import pytest
from tests.cluster.fixtures import need_jars, worker_python
from tests.flink.fire import Feeder, Fire, Reader, stream

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit import Audit, examine
from eddyline.engines.flink.audit_topics import Message, recorded
from eddyline.engines.flink.job import TIMEOUT, Settings
from eddyline.engines.flink.learn import recipe_of
from eddyline.pipeline import Pipeline

pytestmark = pytest.mark.alone
SEED = int(os.environ.get("EDDYLINE_FIRE_SEED", "") or random.SystemRandom().randrange(10**6))
ASKED = os.environ.get("EDDYLINE_FIRE", "")
EVENTS = int(os.environ.get("EDDYLINE_FIRE_EVENTS", "") or 200_000)
RECOVERY_S = 60.0
SETTINGS = Settings(parallelism=2, checkpoint_ms=1_000, idle_ms=600_000, drift_ms=3_600_000, flink={TIMEOUT: "10 s"})
"""A quiet topic is waited for: whichever of the two comes late after a fault, no truth is overtaken by event time."""
FAULTS = 22
"""Every kind of fault, the likelier ones several times: one deck of `Fire`."""
EXPECTED_S = 15.0
"""What a fault takes at first; from there on the pace follows what they took."""


class Burnt:
    """What is left of the run: the harness, what was sent, and what a read_committed reader finds."""

    def __init__(self, fire: Fire, feeder: Feeder) -> None:
        self.fire, self.feeder = fire, feeder
        self.run: dict[str, list[Message]] = {
            name: list(messages) for name, messages in recorded(fire.loaded.pipeline, fire.connection).items()
        }


@pytest.fixture(scope="module")
def burnt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Burnt]:
    """The run under fire, brought to rest."""
    need_jars("kafka")
    need_jars("flink-kafka")
    print(f"seed {SEED}: EDDYLINE_FIRE_SEED={SEED} repeats it")
    with Fire(tmp_path_factory.mktemp("fire"), worker_python(), SEED, SETTINGS) as fire:
        feeder = Feeder(fire.kafka.brokers, stream(SEED), EVENTS, 500.0)
        reader = Reader(fire.kafka.brokers)
        feeder.start()
        reader.start()
        try:
            _burn(fire, feeder, reader)
            feeder.join()
            assert feeder.error is None
            fire.drain()
        finally:
            reader.over.set()
            reader.join()
        yield Burnt(fire, feeder)


def _burn(fire: Fire, feeder: Feeder, reader: Reader) -> None:
    """Fault after fault, while the events are paced so that they last."""
    until, began = _bound(), time.monotonic()
    while reader.newest < 0:
        assert feeder.error is None
        time.sleep(0.1)
    for number, fault in enumerate(itertools.chain.from_iterable(fire.deck() for _ in itertools.count())):
        if until(number):
            break
        each = (time.monotonic() - began) / number if number else EXPECTED_S
        left = until.left(number, each)
        feeder.per_second = max(50.0, (feeder.events - feeder.number) / (left + each))
        if feeder.events - feeder.number < 4 * each * feeder.per_second:
            feeder.events += int(4 * each * feeder.per_second)  # faults outlast what was planned: the stream goes on
        print(fire.strike(fault, feeder, reader), flush=True)
    feeder.per_second = 1e9


class _Bound:
    """How long the fire lasts: so many faults, or so many hours."""

    def __init__(self, faults: int | None, hours: float) -> None:
        self.faults, self.until = faults, time.monotonic() + 3600 * hours

    def __call__(self, number: int) -> bool:
        return number >= self.faults if self.faults is not None else time.monotonic() > self.until

    def left(self, number: int, each: float) -> float:
        """Seconds that are left, when a fault takes so long each."""
        return (self.faults - number) * each if self.faults is not None else self.until - time.monotonic()


def _bound() -> _Bound:
    if ASKED.endswith("h"):
        return _Bound(None, float(ASKED[:-1]))
    return _Bound(int(ASKED or FAULTS), 0.0)


def test_every_fault_was_survived_within_a_minute(burnt: Burnt) -> None:
    assert len(burnt.fire.struck) >= (20 if not ASKED else 1)
    assert burnt.feeder.counts["events"] >= EVENTS
    assert [str(one) for one in burnt.fire.struck if one.seconds > RECOVERY_S] == []


def test_commits_were_finished_by_others_than_began_them(burnt: Burnt) -> None:
    assert burnt.fire.resumed_commits() > 0, "no fault fell between pre-commit and commit: this run proves nothing about it"


def test_the_broker_kept_all_that_was_sent(burnt: Burnt) -> None:
    assert burnt.feeder.refused == []
    assert {name: len(burnt.run[name]) for name in burnt.feeder.counts} == burnt.feeder.counts


def test_each_event_is_answered_exactly_once(burnt: Burnt) -> None:
    answers = collections.Counter(wire.decode_prediction(one.value).event_id for one in burnt.run["predictions"])
    assert [name for name, count in answers.items() if count > 1] == []
    assert answers.keys() == {f"e-{number}" for number in burnt.feeder.whole}


def test_no_truth_is_applied_twice_and_positions_have_no_gap(burnt: Burnt) -> None:
    examples = [wire.decode_example(one.value) for one in burnt.run["examples"]]
    ids = [example.prediction.event_id for example, _ in examples]
    assert len(ids) == len(set(ids))
    assert sorted(position for _, position in examples) == list(range(1, len(examples) + 1))


def test_the_audit_finds_nothing(burnt: Burnt) -> None:
    done: Audit = examine(burnt.fire.loaded.pipeline, burnt.run | {"versions": _by_the_newest_code(burnt)})
    print(done)
    assert done.faults == []
    assert done.sound, done
    assert done.overtaken == 0
    assert done.examples == done.learned == done.predictions


def _by_the_newest_code(burnt: Burnt) -> list[Message]:
    """The versions as if all were made after the last upgrade: the audit knows one pipeline, and their recipes name several.

    Only that name is changed, and only where it is that of a pipeline which ran.
    """
    ran = {_recipe(pipeline) for pipeline in burnt.fire.pipelines}
    newest, said = _recipe(burnt.fire.loaded.pipeline), []
    for message in burnt.run["versions"]:
        version, state = wire.decode_version(message.value)
        assert version.recipe in ran, f"{version.name} was made by recipe {version.recipe}, expected one of {ran}"
        said.append(message._replace(value=wire.encode_version(msgspec.structs.replace(version, recipe=newest), state)))
    return said


def _recipe(pipeline: Pipeline) -> str:
    return recipe_of(pipeline.digest, pipeline.plan().model)
