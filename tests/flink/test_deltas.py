"""Versions by event time, told as what changed, on the real Flink and Kafka: through a killed worker, a stop and a rollback.

The model has two thousand weights, of which an event changes a few.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from tests.flink.conftest import Run

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.deltas import links
from eddyline.engines.flink import operate, steering
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.job import Settings
from eddyline.engines.flink.standing import status
from eddyline.pipeline.loading import load

NAME = "deltas"
SEED = 20_261_122
EVERY, SPAN_S, ROUND = 400, 300, 6
PART = 1_500
FILE = f"""
from river import linear_model
from eddyline import EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Truth, Versions, every, hours, memory, seconds

class Page(Event):
    id: Id
    site: Key
    at: EpochSeconds
    words: list[int]

class Verdict(Label):
    id: Id
    at: EpochSeconds
    bad: Truth[bool]

def features(page: Page) -> dict[str, float]:
    return {{f"{{word * 2_654_435_761 % 2**32:x}}": 1.0 / (1 + word) for word in page.words}}

{NAME} = Pipeline(
    name="{NAME}",
    events=memory([], Page),
    labels=memory([], Verdict),
    features=features,
    model=linear_model.LogisticRegression(),
    join=Join(wait=hours(1), absent=False, lateness=seconds(600)),
    lateness=seconds(300),
    publish=every({EVERY}, seconds({SPAN_S})),
    versions=Versions(every=1_000, whole_every={ROUND}),
)
"""
SETTINGS = Settings(parallelism=2, checkpoint_ms=500, idle_ms=600_000)


@dataclass
class Shown:
    """The run at rest."""

    run: Run
    messages: dict[str, list[Message]]
    back_to: str
    killed: int
    stopped: int

    @property
    def told(self) -> list[wire.Told]:
        """The versions, as they lie in the topic: those of one checkpoint in any order, because two sinks write."""
        return [wire.peek_version(message.value) for message in self.messages["versions"]]


def pages(first: int, many: int) -> Iterator[tuple[str, str, bytes]]:
    """Events one to two seconds apart in event time, and their truths a minute later; the first says every word."""
    dice = random.Random(SEED + first)
    for number in range(first, first + many):
        words = list(range(2_000)) if number == 0 else dice.choices(range(2_000), k=8)
        at = 1_700_000_000 + 2 * number - number % 2
        site = f"s-{dice.randrange(40)}"
        yield "events", site, msgspec.json.encode({"id": f"e-{number}", "site": site, "at": at, "words": words})
        truth = {"id": f"e-{number}", "at": at + 60, "bad": sum(words) % 3 == 0}
        yield "labels", f"e-{number}", msgspec.json.encode(truth)


@pytest.fixture(scope="module")
def shown(kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A run with a worker killed in the middle, a stop and a start again, and a rollback to a version told as a patch."""
    print("seed", SEED)
    path = tmp_path_factory.mktemp(NAME) / f"{NAME}.py"
    path.write_text(FILE)
    run = Run.of(load(str(path)), kafka_broker, flink_cluster, SETTINGS)
    try:
        run.send(pages(0, PART))
        run.until(lambda: len(run.of_stream("versions")) > ROUND, "published versions")
        flink_cluster.taskmanager(0).kill()
        run.send(pages(PART, PART))
        flink_cluster.start_taskmanager(0)
        run.taken()
        killed = status(NAME, run.rest.url)[0].restarts
        savepoint = operate.stop(NAME, run.rest.url)
        stopped = len(run.of_stream("versions"))
        run.send(pages(2 * PART, PART))
        run.id = operate.submit(run.loaded, run.connection, SETTINGS, run.rest.url, savepoint)
        run.taken()
        run.until(lambda: len(run.of_stream("versions")) > stopped + 1, "published after it was stopped")
        patches = [message.value for message in run.of_stream("versions") if not wire.peek_version(message.value).whole]
        back_to = msgspec.json.decode(patches[len(patches) // 2])["version"]
        steering.roll_back(run.loaded.pipeline, run.connection, back_to, author="ann", patience_s=60)
        time.sleep(3.0)  # scorers hear of it at the next checkpoint
        run.send(pages(3 * PART, 200))
        run.taken()
        run.stop(drain=True)
        yield Shown(run, run.recorded(), back_to, killed, stopped)
    finally:
        run.end()


def test_versions_travel_as_what_changed_and_whole_at_least_every_so_many(shown: Shown) -> None:
    patches = [one for one in shown.told if not one.whole]
    print(f"{len(shown.told)} versions, {len(patches)} of them as patches")
    print("bytes", [len(message.value) for message in shown.messages["versions"]])
    assert len(patches) > len(shown.told) / 2
    stored = dict[tuple[str, int], list[bytes]]()
    for message, one in zip(shown.messages["versions"], shown.told, strict=True):
        stored.setdefault((one.model, one.position), []).append(message.value)
    depths = {len(links(message.value, lambda *name: stored[name])) for message in shown.messages["versions"]}
    assert 1 < max(depths) <= ROUND


def test_after_a_stop_the_first_version_is_whole(shown: Shown) -> None:
    assert shown.killed >= 1
    before = max(one.position for one in shown.told[: shown.stopped])
    assert min((one for one in shown.told if one.position > before), key=lambda one: one.position).whole


def test_versions_fall_due_by_event_time_as_the_examples_tell_it(shown: Shown) -> None:
    """The rule once more, from the log of examples: a multiple of the examples, or so much time since the last version."""
    examples = sorted((wire.decode_example(message.value) for message in shown.messages["examples"]), key=lambda one: one[1])
    due, since = set[int](), None
    for example, position in examples:
        if position > 0:
            since = example.at if since is None else since
            if position % EVERY == 0 or example.at - since >= SPAN_S * 1_000_000:
                due.add(position)
                since = max(since, example.at)
    kept = {position for _, position in examples if position > 0 and position % 1_000 == 0}
    assert {one.position for one in shown.told} == due | kept
    assert len([position for position in due if position % EVERY]) > 10, "most fell due by time"


def test_a_version_told_as_a_patch_answers_again(shown: Shown) -> None:
    answers = [wire.decode_prediction(message.value) for message in shown.messages["predictions"]]
    late = [answer.version for answer in answers if int(answer.event_id.removeprefix("e-")) >= 3 * PART]
    assert set(late) == {shown.back_to}


def test_every_answer_names_a_version_that_was_published_and_the_audit_is_sound(shown: Shown) -> None:
    done = examine(shown.run.loaded.pipeline, shown.messages)
    assert done.faults == []
    assert done.sound, done
    assert done.learned == 3 * PART + 200
    assert done.versions == len(shown.told)
