"""The harness of the fire: a stream that does not stop, a reader that only believes what is committed, and faults by seed.

Everything that can be killed is a real process of this harness' own. `Fire` strikes, mends as a supervisor would (starts the
process again, submits the job from its newest checkpoint) and measures how long committed answers stood still. It does not
judge the books: the tests do, when the run is at rest.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.cluster.overview import connected
from eddyline.cluster.process import Process
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import job, operate
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.positions import readings
from eddyline.engines.flink.rest import FlinkError, Rest
from eddyline.pipeline import Pipeline
from eddyline.pipeline.loading import Loaded, load

NAME = "fire"
FILE = """
from river import linear_model, preprocessing
from eddyline import EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Sum, Truth, Versions, hours, memory, minutes

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
    if payment.amount < 0:
        raise ValueError(f"a payment of {payment.amount}")
    return {"amount": payment.amount, "spent": spent}

fire = Pipeline(
    name="fire",
    events=memory([], Payment),
    labels=memory([], Chargeback),
    aggregates={"spent": Sum("amount", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(3), absent=False, lateness=minutes(30)),
    lateness=minutes(10),
    versions=Versions(every=500),
)
"""
START = 1_700_000_000
CARDS = 2_000
TIMED = ("events", "labels")
LABEL_S = 600.0
"""How long a truth takes, on average, in event time: an event is one second."""
PATIENCE_S = 300.0
"""When a run that does not move is given up. What a recovery may take is the test's to say."""
TRIES = 20
"""For what has to happen within milliseconds."""


# What is sent --------------------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """One message, and the number of the event it is about; `first` when the event comes for the first time, whole."""

    when: float
    number: int
    stream: str
    key: str
    value: bytes
    first: bool = False


def stream(seed: int) -> Iterator[Sent]:
    """Payments one second apart without end; their truths later or never; repeats, conflicts and poison among them."""
    waiting: list[Sent] = []
    number = 0
    while True:
        dice = random.Random(seed * 1_000_003 + number)
        for one in _about(dice, number):
            heapq.heappush(waiting, one)
        number += 1
        while waiting and waiting[0].when < number:
            yield heapq.heappop(waiting)


def _about(dice: random.Random, number: int) -> Iterator[Sent]:
    """Everything that will ever be said about one event."""
    name, card = f"e-{number}", f"c-{dice.randrange(CARDS)}"
    amount = round(dice.expovariate(0.02), 2)
    event = {"id": name, "card": card, "at": START + number, "amount": amount}
    kind = dice.random()
    if kind < 0.005:
        wrong = dice.choice(['{"id": "' + name, json.dumps(event | {"amount": -1.0}), json.dumps(event | {"amount": "much"})])
        yield Sent(number, number, "events", card, wrong.encode())
        return
    yield Sent(number, number, "events", card, json.dumps(event).encode(), first=True)
    if kind < 0.03:
        yield Sent(number + dice.expovariate(0.01), number, "events", card, json.dumps(event).encode())
    elif kind < 0.035:
        yield Sent(number + dice.expovariate(0.01), number, "events", card, json.dumps(event | {"amount": 5.5}).encode())
    if dice.random() < 0.8:
        yield from _truths(dice, number, name, amount)


def _truths(dice: random.Random, number: int, name: str, amount: float) -> Iterator[Sent]:
    delay = min(dice.expovariate(1 / LABEL_S), 9_000.0)
    label = {"id": name, "at": START + int(number + delay), "fraud": (amount > 60) != (dice.random() < 0.1)}
    body, kind = json.dumps(label).encode(), dice.random()
    yield Sent(number + delay, number, "labels", name, body[:-5] if kind < 0.003 else body)
    if kind > 0.97:
        yield Sent(number + delay + 40, number, "labels", name, body)


class Feeder(threading.Thread):
    """Sends the stream at a pace, come what may: an idempotent producer that tries again until the broker is back."""

    def __init__(self, brokers: str, messages: Iterator[Sent], events: int, per_second: float, name: str = NAME) -> None:
        super().__init__(name="feeder", daemon=True)
        self.messages, self.events, self.per_second, self.prefix = messages, events, per_second, name
        self.number = -1
        self.counts = {"events": 0, "labels": 0}
        self.whole: set[int] = set()
        self.refused: list[str] = []
        self.error: BaseException | None = None
        self.producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "delivery.timeout.ms": 600_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 2,  # that a broker which was killed refuses connections needs no saying
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 2,
            }
        )

    def run(self) -> None:
        """Sends until the last event is sent, and its truths as far as they come before it."""
        try:
            due = time.monotonic()
            for one in self.messages:
                if one.number >= self.events and one.stream == "events":
                    break
                if one.number > self.number:
                    due = max(due + 1 / self.per_second, time.monotonic() - 1.0)
                    time.sleep(max(0.0, due - time.monotonic()))
                self._send(one)
            assert self.producer.flush(120) == 0, "the broker did not take all messages"
        except BaseException as error:
            self.error = error
            raise

    def _send(self, one: Sent) -> None:
        self.producer.produce(f"{self.prefix}.{one.stream}", one.value, one.key, on_delivery=self._told)
        self.producer.poll(0)
        self.counts[one.stream] += 1
        self.number = max(self.number, one.number)
        if one.first:
            self.whole.add(one.number)

    def _told(self, problem: object, _: object) -> None:
        if problem is not None:
            self.refused.append(str(problem))


class Reader(threading.Thread):
    """Reads committed answers as they become visible: which event is the newest answered, and when answers came last."""

    def __init__(self, brokers: str, name: str = NAME) -> None:
        super().__init__(name="reader", daemon=True)
        self.newest = -1
        self.answers = 0
        self.revisions: set[int] = set()
        self.over = threading.Event()
        self.consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "fire.reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "reconnect.backoff.max.ms": 500,
                "log_level": 2,  # that a broker which was killed refuses connections needs no saying
            }
        )
        # Assigned, not subscribed: a group whose coordinator was away would begin again at the beginning.
        parts = self.consumer.list_topics(f"{name}.predictions").topics[f"{name}.predictions"].partitions
        self.consumer.assign([TopicPartition(f"{name}.predictions", part, 0) for part in parts])

    def where(self) -> str:
        """How far it read, for who wants to know why it stands."""
        return f"{self.answers} answers so far, the newest to e-{self.newest}"

    def run(self) -> None:
        """Reads until it is told that the run is over."""
        while not self.over.is_set():
            for message in self.consumer.consume(2_000, 0.1):
                if message.error() is None:  # what is said of a broker that is away is no answer
                    answer = json.loads(message.value() or b"")
                    self.newest = max(self.newest, int(answer["event_id"].removeprefix("e-")))
                    self.revisions.add(answer["revision"])
                    self.answers += 1
        self.consumer.close()


# What goes wrong -----------------------------------------------------------------------------------------------------


class Log:
    """What a process writes from now on."""

    def __init__(self, path: Path) -> None:
        self.lines = path.open("r", encoding="utf-8", errors="replace")
        self.lines.seek(0, os.SEEK_END)

    def says(self, words: str, seconds: float) -> str:
        """The line with these words that comes in time, lines before it are passed over; empty where none comes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if line := self.lines.readline():
                if words in line:
                    return line
            else:
                time.sleep(0.002)
        return ""


@dataclass(frozen=True)
class Struck:
    """One fault: what, and how many seconds from its end until an event sent after it was answered, committed."""

    fault: str
    seconds: float
    answers: int
    sent: int

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s  {self.fault}  ({self.answers} answers of {self.sent} events so far)"


class Fire:
    """A broker, a cluster of two TaskManagers and the loop on them; what can be done to them, and how it is mended."""

    def __init__(self, folder: Path, python: Path, seed: int, settings: Settings) -> None:
        self.dice = random.Random(seed)
        self.folder = folder
        self.settings = settings
        self.kafka = Kafka(folder / "kafka", heap_mb=320)
        self.flink = Flink(folder / "flink", python=python, taskmanagers=2, slots=1)
        self.connection = Connection(self.kafka.brokers)
        self.pipelines: list[Pipeline] = []
        self.loaded = self.file("fire.py", 500)
        self.parallelism = settings.parallelism
        self.job = ""
        self.moves = 0
        self.struck: list[Struck] = []
        self.missed: list[str] = []
        """savepoints that had to be asked for again"""

    def __enter__(self) -> Fire:
        self.kafka.start()
        try:
            self.flink.start()
            JobTopics.of(self.loaded.pipeline).ensure(self.connection, 2)
            self.job = operate.submit(self.loaded, self.connection, self.settings, self.flink.rest)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.flink.kill()
        self.kafka.kill()

    def file(self, name: str, every: int) -> Loaded:
        """The pipeline's file, with versions kept as often as said: a change that its state allows."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILE.replace("every=500", f"every={every}"))
        loaded = load(str(path))
        self.pipelines.append(loaded.pipeline)
        return loaded

    # Faults ----------------------------------------------------------------------------------------------------------

    def deck(self) -> list[Callable[[], str]]:
        """Every kind of fault, the likelier ones several times, in an order that the seed says."""
        faults = [
            *[self.a_taskmanager_is_killed] * 2,
            self.both_taskmanagers_are_killed,
            self.the_jobmanager_is_killed,
            *[self.the_broker_is_killed] * 2,
            *[self.something_is_paused] * 2,
            self.something_is_paused_for_30_seconds,
            self.a_taskmanager_is_killed_as_it_is_asked_for_a_checkpoint,
            *[self.a_taskmanager_is_killed_during_a_checkpoint] * 2,
            self.the_jobmanager_is_killed_during_a_checkpoint,
            self.the_broker_is_killed_during_a_checkpoint,
            *[self.a_taskmanager_is_killed_between_precommit_and_commit] * 2,
            self.the_jobmanager_is_killed_between_precommit_and_commit,
            self.the_broker_is_killed_between_precommit_and_commit,
            *[self.it_is_rescaled] * 3,
            self.it_is_stopped_and_resumed_with_new_code,
        ]
        self.dice.shuffle(faults)
        return faults

    def strike(self, fault: Callable[[], str], feeder: Feeder, reader: Reader) -> Struck:
        """Lets one fault happen while events flow, and waits until an event sent after its end is answered."""
        time.sleep(self.dice.uniform(0.0, 1.5))  # anywhere within an interval of checkpoints
        self._whole()
        self.ended_at = 0.0
        said = fault()
        ended_at, after = self.ended_at or time.monotonic(), feeder.number
        while reader.newest <= after:
            waited = time.monotonic() - ended_at
            assert feeder.error is None, feeder.error
            assert feeder.is_alive(), "the stream is over, and a fault needs it to go on"
            assert waited < PATIENCE_S, f"{said}: no answer for {waited:.0f} s of {reader.where()}; {self._words()}"
            self._supervise()
            time.sleep(0.02)
        struck = Struck(said, time.monotonic() - ended_at, reader.answers, feeder.counts["events"])
        self.struck.append(struck)
        return struck

    def _words(self) -> str:
        rest = Rest(self.flink.rest)
        newest = (rest.get(f"/jobs/{self.job}/checkpoints")["history"] or [{}])[0]
        checkpoint = f"checkpoint {newest.get('id')} is {newest.get('status')}"
        return f"the job is {rest.state(self.job)}, {checkpoint}: {rest.problem(self.job)}"

    def _end(self) -> None:
        """From here the clock of the recovery runs."""
        self.ended_at = time.monotonic()

    def a_taskmanager_is_killed(self) -> str:
        """SIGKILL, and the supervisor starts it again."""
        number = self._a_worker()
        self.flink.taskmanager(number).kill()
        self._end()
        self.flink.start_taskmanager(number)
        return f"taskmanager-{number} killed"

    def both_taskmanagers_are_killed(self) -> str:
        """The machine of all workers is gone."""
        for number in range(2):
            self.flink.taskmanager(number).kill()
        self._end()
        for number in range(2):
            self.flink.start_taskmanager(number)
        return "both taskmanagers killed"

    def the_jobmanager_is_killed(self) -> str:
        """It forgets the job, which is submitted again from the newest checkpoint that it left."""
        self.flink.jobmanager.kill()
        self._end()
        self._resubmit()
        return "jobmanager killed"

    def the_broker_is_killed(self) -> str:
        """And comes back on the same data."""
        self.kafka.kill()
        self._end()
        self.kafka.start()
        return "broker killed"

    def something_is_paused(self, seconds: float | None = None) -> str:
        """SIGSTOP for some seconds: everything stays connected and nothing answers."""
        worker = self.flink.taskmanager(self._a_worker())
        process = self.dice.choice([self.kafka.process, self.flink.jobmanager, worker, worker])
        seconds = self.dice.uniform(2.0, 8.0) if seconds is None else seconds
        self._pause(process, seconds)
        return f"{process.name} paused for {seconds:.1f} s"

    def something_is_paused_for_30_seconds(self) -> str:
        """Longer than a heartbeat is waited for: what wakes up was given up in the meantime."""
        return self.something_is_paused(30.0)

    def _pause(self, process: Process, seconds: float) -> None:
        process.pause()
        try:
            time.sleep(seconds)
        finally:
            process.resume()
        self._end()

    def a_taskmanager_is_killed_during_a_checkpoint(self) -> str:
        """Some of its instances may have stored their part, and others not."""
        number = self._a_worker()
        pending = self._checkpoint_begins()
        self.flink.taskmanager(number).kill()
        self._end()
        self.flink.start_taskmanager(number)
        return f"taskmanager-{number} killed during checkpoint {pending}"

    def a_taskmanager_is_killed_as_it_is_asked_for_a_checkpoint(self) -> str:
        """It never says that it was asked, so its sources are told nothing more, and what was to be told is lost with it.

        Frozen just before: between two alignments of event time, of which there are five a second, so some tries miss.
        """
        said = "killed, for all tries missed, at no moment in particular"
        for _ in range(TRIES):
            number = self._a_worker()
            worker, log = self.flink.taskmanager(number), Log(self.flink.folder / "jobmanager.log")
            time.sleep(max(0.0, self._next_checkpoint(log) - self.dice.uniform(0.005, 0.15) - time.monotonic()))
            worker.pause()
            if log.says("Triggering checkpoint", 0.5) and not log.says("pending events", 0.1):
                time.sleep(0.5)  # an alignment or two are held back
                said = "killed as it was asked for a checkpoint"
                break
            worker.resume()
        worker.kill()
        self._end()
        self.flink.start_taskmanager(number)
        return f"taskmanager-{number} {said}"

    def _next_checkpoint(self, log: Log) -> float:
        """When one is due, after the one that is completed next: an interval after that began, half of one after it ended."""
        interval = self.settings.checkpoint_ms / 1000
        assert log.says("Triggering checkpoint", PATIENCE_S), f"no checkpoint began; {self._words()}"
        begun = time.monotonic()
        assert log.says("Completed checkpoint", PATIENCE_S), f"no checkpoint was completed; {self._words()}"
        return max(begun + interval, time.monotonic() + interval / 2)

    def the_jobmanager_is_killed_during_a_checkpoint(self) -> str:
        """Nobody will ever complete it; what was written for it has to vanish."""
        pending = self._checkpoint_begins()
        self.flink.jobmanager.kill()
        self._end()
        self._resubmit()
        return f"jobmanager killed during checkpoint {pending}"

    def the_broker_is_killed_during_a_checkpoint(self) -> str:
        """While the sink writes out what it has."""
        pending = self._checkpoint_begins()
        self.kafka.kill()
        self._end()
        self.kafka.start()
        return f"broker killed during checkpoint {pending}"

    def a_taskmanager_is_killed_between_precommit_and_commit(self) -> str:
        """The broker is frozen the moment the checkpoint is whole, so the commit cannot arrive; then its sender dies."""
        number = self._a_worker()
        name = self._checkpoint_is_whole()
        self.kafka.pause()
        self.flink.taskmanager(number).kill()
        self.kafka.resume()
        self._end()
        self.flink.start_taskmanager(number)
        return f"taskmanager-{number} killed between pre-commit and commit of {name}"

    def the_jobmanager_is_killed_between_precommit_and_commit(self) -> str:
        """The checkpoint is whole, and those who have to commit may never have been told."""
        name = self._checkpoint_is_whole()
        self.flink.jobmanager.kill()
        self._end()
        self._resubmit()
        return f"jobmanager killed between pre-commit and commit of {name}"

    def the_broker_is_killed_between_precommit_and_commit(self) -> str:
        """The commit meets nobody, and has to be said again."""
        name = self._checkpoint_is_whole()
        self.kafka.kill()
        self._end()
        self.kafka.start()
        return f"broker killed between pre-commit and commit of {name}"

    def it_is_rescaled(self) -> str:
        """From two to one, or from one to two."""
        was, self.parallelism = self.parallelism, 3 - self.parallelism
        self._end()
        self.job = self._asked(lambda: operate.rescale(NAME, self.parallelism, self.flink.rest).job)
        return f"rescaled from {was} to {self.parallelism}"

    def it_is_stopped_and_resumed_with_new_code(self) -> str:
        """Stopped with a savepoint; the new file keeps versions at another pace."""
        self.moves += 1
        newer = self.file(f"fire_{self.moves}.py", 500 - 10 * (self.moves % 20))
        self._end()
        self.job = self._asked(lambda: operate.upgrade(newer, self.connection, asdict(self._settings()), self.flink.rest).job)
        self.loaded = newer
        return "stopped with a savepoint, resumed with new code"

    # Mending ---------------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """Starts a TaskManager again that ended by itself, as systemd or Kubernetes would; it has to be Flink that ended it.

        One that slept until its job was given to others wakes up with a transaction that they have fenced. Its sink raises
        while it is closed, and a task that cannot be closed ends the whole TaskManager.
        """
        for number in range(2):
            worker = self.flink.taskmanager(number)
            if not worker.running:
                words = worker.last_words()
                assert "Terminating TaskManagerRunner with exit code 1" in words, f"{worker.name} was lost: {words}"
                print(f"{worker.name} was ended by Flink, and is started again", flush=True)
                self.flink.start_taskmanager(number)

    def _whole(self) -> None:
        """Waits until the JobManager counts on both TaskManagers again."""
        self._supervise()
        until = time.monotonic() + PATIENCE_S
        while len(connected(self.flink.rest)) < 2:
            assert time.monotonic() < until, f"a TaskManager stays away; {self._words()}"
            self._supervise()
            time.sleep(0.1)

    def _settings(self) -> Settings:
        kept = {name: getattr(self.settings, name) for name in ("checkpoint_ms", "idle_ms", "drift_ms", "flink")}
        return Settings(parallelism=self.parallelism, **kept)

    def _asked(self, command: Callable[[], str]) -> str:
        """What an operator does: asks again while no savepoint can be made, because the job is just starting again."""
        until = time.monotonic() + PATIENCE_S
        while True:
            Rest(self.flink.rest).wait_until_running(self.job, PATIENCE_S)
            try:
                return command()
            except FlinkError as error:
                if "no savepoint was made, and it goes on" not in str(error) or time.monotonic() > until:
                    raise
                self.missed.append(str(error))
                print(error, flush=True)

    def _resubmit(self) -> None:
        self.flink.restart_jobmanager()
        self.job = operate.submit(self.loaded, self.connection, self._settings(), self.flink.rest, "latest")

    def _a_worker(self) -> int:
        """The number of a TaskManager on which the job runs: with one slot in use, the other one is no target."""
        rest, used = Rest(self.flink.rest), set()
        for vertex in rest.get(f"/jobs/{self.job}")["vertices"]:
            for task in rest.get(f"/jobs/{self.job}/vertices/{vertex['id']}")["subtasks"]:
                used.add(str(task["taskmanager-id"]))
        return self.dice.choice(sorted(int(name.rpartition("-")[2]) for name in used))

    def _checkpoint_begins(self) -> int:
        """Waits until a checkpoint begins; gives its number. It is over in 40 ms, which Flink's REST interface never shows."""
        words = "Triggering checkpoint "
        line = Log(self.flink.folder / "jobmanager.log").says(words, PATIENCE_S)
        assert line, f"no checkpoint began; {self._words()}"
        return int(line.partition(words)[2].split()[0])

    def _checkpoint_is_whole(self) -> str:
        """Waits for the file that makes the next checkpoint whole, which is written before anybody may commit."""
        folder, until = self.flink.checkpoints / NAME / self.job, time.monotonic() + PATIENCE_S
        known = set(folder.glob("chk-*/_metadata"))
        while True:
            fresh = sorted(set(folder.glob("chk-*/_metadata")) - known)
            if fresh:
                return fresh[-1].parent.name
            assert time.monotonic() < until, f"no checkpoint became whole; {self._words()}"
            time.sleep(0.001)

    # Rest ------------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Waits until a checkpoint holds all that was sent, then lets event time run to its end and stops the job."""
        rest, until = Rest(self.flink.rest), time.monotonic() + PATIENCE_S
        document = job.remembered(rest.about(self.job))
        while any(one.lag for one in readings(self.connection, document) if one.stream in TIMED):
            assert time.monotonic() < until, f"the stream was not taken; {self._words()}"
            time.sleep(0.5)
        self._asked(lambda: operate.stop(NAME, self.flink.rest, drain=True))

    def resumed_commits(self) -> int:
        """How often a commit was finished by another process than the one that wrote: as the TaskManagers' logs say."""
        logs = self.flink.folder.glob("taskmanager-*.log")
        return sum(log.read_text("utf-8", "replace").count("Attempting to resume transaction") for log in logs)
