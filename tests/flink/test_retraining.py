"""Beside a job on the real Flink and Kafka: models are made from its topics and enter, events are forgotten; all proven."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from tests.flink.conftest import Run
from tests.flink.duel import visits

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.beside import KafkaJob
from eddyline.engines.flink.copying import LogCopy
from eddyline.engines.flink.job import Settings
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import Decision, Example, Place
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.store.rebuild import StoredLines, caught_up, kept_entries
from eddyline.store.training import trained_in
from eddyline.views.beside import COPY, Workshop
from eddyline.views.retraining import Request

SEED = 20_261_122
FEW, PACE_S = 10, 0.2
BAD = ("v-40", "v-41", "v-160")
SETTINGS = Settings(parallelism=2, checkpoint_ms=500, idle_ms=600_000)
Messages = dict[str, list[Message]]


class Done(NamedTuple):
    """A run at rest, what it recorded, where the work beside it lies, and what the commands said."""

    loaded: Loaded
    run: Messages
    work: Path
    said: dict[str, Any]


class Flowing(threading.Thread):
    """Visits that go on coming until somebody says stop."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self.run_, self.sent, self.done = run, 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(PACE_S):
            self.run_.send(visits(SEED, self.sent, FEW))
            self.sent += FEW

    def stop(self) -> None:
        """No more."""
        self.done.set()
        self.join()


class Struck(KafkaJob):
    """A job that is struck when it has begun to hold."""

    strike: Callable[[], None]

    def ask(self, command: Command, version: bytes = b"") -> Decision:
        decision = super().ask(command, version)
        if command.do == "hold":
            self.strike()
        return decision


@pytest.fixture(scope="module")
def done(kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """Events flow all the time: a person retrains, a trainer that is killed follows decisions, events are forgotten."""
    print("seed", SEED)
    folder = tmp_path_factory.mktemp("retrained")
    file = folder / "retrained_shop.py"
    shutil.copy(Path(__file__).with_name("retrained.py"), file)  # a user's file is alone in its folder
    loaded = load(str(file))
    run = Run.of(loaded, kafka_broker, flink_cluster, SETTINGS)
    flowing, job = Flowing(run), run.id
    try:
        flowing.start()
        run.until(lambda: len(run.of_stream("examples")) > 300, "learned 300 examples")
        said = {"retrain": _eddyline(folder, "retrain", file, kafka_broker, "--name", "retrained.mine", "--window", "10d")}
        run.until(lambda: len(_asked(_decisions(run.of_stream("decisions")))) >= 2, "asked for two trainings")
        _followed_by_one_who_is_killed(run, folder, file, kafka_broker)
        _retrained_through_a_kill(run, flink_cluster)
        for line in _entered(_decisions(run.of_stream("decisions"))):  # one stays, and forgets with the champion
            if line != "retrained.mine":
                _eddyline(folder, "challengers", file, kafka_broker, "--leave", line)
        said["forget"] = _eddyline(folder, "forget", file, kafka_broker, "--events", ",".join(BAD))
        time.sleep(3.0)
        said["explain while it runs"] = _eddyline(folder, "explain", file, kafka_broker, "v-250")
        flowing.stop()
        run.taken()
        assert (run.id, run.rest.state(job)) == (job, "RUNNING")
        run.stop(drain=True)
        said["check"] = _eddyline(folder, "history", file, kafka_broker, "--check")
        said["explain"] = _eddyline(folder, "explain", file, kafka_broker, f"v-{flowing.sent - 50}")
        said["history"] = _eddyline(folder, "history", file, kafka_broker)
        said["backtest"] = _eddyline(folder, "backtest", file, kafka_broker, "--pipeline", str(file))
        yield Done(loaded, run.recorded(), folder / "retrained.beside", said)
    finally:
        flowing.stop()
        run.end()


@pytest.mark.parametrize("when", ["explain while it runs", "explain"])
def test_an_answer_of_the_job_is_explained_and_given_again_from_its_topics(done: Done, when: str) -> None:
    told = done.said[when]
    assert told["event"]["id"] == told["prediction"]["event_id"]
    assert told["again"] == "equal"
    assert [truth["known"] for truth in told["truths"]] == ["label"]


def _eddyline(folder: Path, command: str, file: Path, kafka: Kafka, *more: str) -> Any:
    """What a command prints, as a program reads it; it has to succeed."""
    ran = subprocess.run(
        [sys.executable, "-m", "eddyline.cli", command, file, "--brokers", kafka.brokers, "--json", *more],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return json.loads(ran.stdout)


def _retrained_through_a_kill(run: Run, flink: Flink) -> None:
    """A TaskManager dies between the hold and the entry: what was held is in the checkpoint that the job goes on from."""

    def strike() -> None:
        held = len(run.of_stream("examples"))
        flink.taskmanager(0).kill()
        flink.start_taskmanager(0)
        run.until(lambda: len(run.of_stream("examples")) > held + 100, "learned on after a TaskManager was killed")

    job, work = Struck(run.loaded.pipeline, run.connection), run.loaded.base / "retrained.beside"
    job.strike = strike
    with LogCopy(run.loaded.pipeline, work / COPY) as copy:
        made = Workshop(job, copy, run.loaded.base, work).retrain(Request(name="retrained.struck"), Place(""), author="ann")
    assert made.decision is not None


def _followed_by_one_who_is_killed(run: Run, folder: Path, file: Path, kafka: Kafka) -> None:
    """Decisions are carried out by a trainer that is killed when it has begun, and by one that starts anew."""

    def follower() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "eddyline.cli", "retrain", str(file), "--brokers", kafka.brokers, "--follow"]
        return subprocess.Popen(command, cwd=folder, stderr=(folder / "follower.txt").open("ab"))

    first = follower()
    begun = f"retrained.r{_asked(_decisions(run.of_stream('decisions')))[0]}"
    run.until((folder / "retrained.beside" / begun / "plan.json").exists, f"began {begun}")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = follower()
    try:
        run.until(lambda: len(_entered(_decisions(run.of_stream("decisions")))) >= 3, "let in what was asked for")
        assert second.poll() is None, (folder / "follower.txt").read_text()
    finally:
        second.terminate()
        second.wait()


def _decisions(messages: list[Message]) -> list[Decision]:
    return sorted((wire.decode_decision(message.value) for message in messages), key=lambda one: one.number)


def _asked(decisions: list[Decision]) -> list[int]:
    return [one.number for one in decisions if one.action == "retrain"]


def _entered(decisions: list[Decision]) -> list[str]:
    return [one.subject for one in decisions if one.action == "enter"]


def test_the_audit_plays_the_whole_run_again(done: Done) -> None:
    audit = examine(done.loaded.pipeline, done.run)
    assert audit.faults == []
    assert audit.sound, audit
    assert audit.answered_again == len(done.run["events"])
    assert audit.versions == len(done.run["versions"])


def _learned(done: Done, line: str) -> list[tuple[int, Example]]:
    """What a line learned while it had its place, in order, each with where it stood then."""
    also = [(wire.decode_also(one.value).get(line, -1), wire.decode_example(one.value)[0]) for one in done.run["examples"]]
    return sorted(((at, example) for at, example in also if at > 0), key=lambda one: one[0])


def test_what_was_retrained_knows_every_example_once(done: Done) -> None:
    """Its bytes, what the trainer caught up with, and what the job held: the examples in their order, to the digest."""
    assert done.said["retrain"]["passed"]
    assert done.said["retrain"]["entered_by_decision"] > 0
    trained = trained_in(done.work / "retrained.mine")
    assert trained is not None
    model, known = done.loaded.pipeline.plan().model.restored(trained.state), trained.lineage.reached
    ordered = sorted((wire.decode_example(message.value)[::-1] for message in done.run["examples"]), key=lambda one: one[0])
    newest = _newest(done, "retrained.mine")
    after = [example for at, example in _learned(done, "retrained.mine") if at <= newest.position]
    missed = [example for at, example in ordered if at > known][: newest.position - trained.position - len(after)]
    for example in [*missed, *after]:
        model.learn(example.prediction.features, example.truth)
    assert newest.position == trained.position + len(missed) + len(after) > trained.position + 50
    assert newest.digest == model.digest()


@pytest.mark.parametrize("line", ["retrained.mine", "retrained.struck"])
def test_it_caught_up_in_two_steps_while_events_flowed(done: Done, line: str) -> None:
    held = next(one for one in _decisions(done.run["decisions"]) if one.action == "hold" and one.subject == line)
    with closing(Store.read(done.work / "log.eddyline")) as store:
        entry = next(one for one in kept_entries(store) if one.name == line)
        versions = store.versions(line)
        assert entry.after == f"retrained@{held.evidence['position']}"
        assert [one.created_by.split()[0] for one in versions][:2] == ["retrain", "entered"]
        entered = versions[1].position
        assert caught_up(StoredLines(store, done.loaded.pipeline.plan()), entry, entered).digest() == versions[1].digest


def test_decisions_to_retrain_came_to_one_line_each_though_the_trainer_was_killed(done: Done) -> None:
    decisions = _decisions(done.run["decisions"])
    made = [name for name in _entered(decisions) if name.startswith("retrained.r")]
    assert len(made) == len(set(made)) >= 2
    assert made == [f"retrained.r{number}" for number in _asked(decisions)][: len(made)]


def test_what_was_forgotten_is_proved_and_never_learned(done: Done) -> None:
    forgot = {one["line"]: one for one in done.said["forget"]}
    assert forgot["retrained"]["proved"]
    assert forgot["retrained"]["examples"] == len(BAD)
    assert forgot["retrained.mine"]["examples"] == len(BAD)
    assert all(one["proved"] for one in forgot.values())
    successor = forgot["retrained"]["successor"]
    newest = _newest(done, successor)
    model, position = done.loaded.pipeline.plan().model, 0
    model = model.restored(model.save())
    ordered = sorted((wire.decode_example(message.value)[::-1] for message in done.run["examples"]), key=lambda one: one[0])
    before = [example for at, example in ordered if at > 0 and example.prediction.event_id not in BAD]
    after = [example for _, example in _learned(done, successor)]
    entered = newest.position - len(after)
    for example in [*before[:entered], *after]:
        model.learn(example.prediction.features, example.truth)
        position += 1
    assert (position, model.digest()) == (newest.position, newest.digest)
    assert wire.decode_prediction(done.run["predictions"][-1].value).model in {successor, "retrained"}


def test_the_history_of_the_job_is_sound_and_names_who_did_what(done: Done) -> None:
    assert done.said["check"]["sound"]
    assert len(done.said["check"]["decisions"]) == len(done.run["decisions"])
    last = done.said["history"]["tenures"][-1]
    assert last["rollout"]["reason"] == f"forget {', '.join(sorted(BAD))}"


def test_a_backtest_of_its_own_policies_is_the_job(done: Done) -> None:
    told = done.said["backtest"]
    assert [one["decision"] for one in told["tried"]] == told["recorded"]
    assert len(told["recorded"]) == len(done.run["decisions"])


class Named(msgspec.Struct):
    """What a version's message says of it, whole or not."""

    model: str
    position: int
    digest: str


def _newest(done: Done, line: str) -> Named:
    """The newest version of a line that was published."""
    found = [msgspec.json.decode(message.value, type=Named) for message in done.run["versions"]]
    return max((one for one in found if one.model == line), key=lambda one: one.position)
