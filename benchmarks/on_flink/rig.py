"""A real Kafka and a real Flink for a benchmark: topics to fill and to count, and what the processes cost."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.engines.flink import environment

BEGAN = 1_700_000_000_000
"""When the first event happened, in milliseconds."""
_TICKS = os.sysconf("SC_CLK_TCK")


def payments(count: int, start: int, seed: int = 7, step_ms: int = 1_000) -> Iterator[tuple[str, bytes]]:
    """Events of about 270 bytes, a second apart or as said, of ten thousand cards: (key, value)."""
    dice = random.Random(seed * 1_000_003 + start)
    for i in range(start, start + count):
        card = f"card-{dice.randrange(10_000):05}"
        event = {
            "id": f"payment-{i:08}",
            "card": card,
            "at": BEGAN + i * step_ms,
            "amount": round(dice.expovariate(0.02), 2) + 0.01,
            "country": dice.choice(("CH", "DE", "FR", "IT")),
            "merchant": f"merchant-{dice.randrange(5_000):05}",
            "device": uuid.UUID(int=dice.getrandbits(128)).hex,
            "session": f"{dice.getrandbits(64):016x}",
            "lat": round(dice.uniform(45, 48), 5),
            "lon": round(dice.uniform(6, 10), 5),
            "age_days": float(dice.randrange(4_000)),
            "tries": float(dice.randrange(3)),
        }
        yield card, json.dumps(event, separators=(",", ":")).encode()


class Rig:
    """A broker and a session cluster, up while the block lasts."""

    def __init__(self, kafka: Kafka, flink: Flink) -> None:
        self.kafka = kafka
        self.flink = flink
        self.brokers = kafka.brokers
        self.names = itertools.count()

    def topic(self, name: str, partitions: int) -> None:
        """Makes a topic that is not there."""
        admin = AdminClient({"bootstrap.servers": self.brokers})
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)

    def drop(self, prefix: str) -> None:
        """Deletes the topics that start so."""
        admin = AdminClient({"bootstrap.servers": self.brokers})
        found = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
        for future in (admin.delete_topics(found) if found else {}).values():
            future.result(20)
        groups = [
            group.group_id for group in admin.list_consumer_groups().result(20).valid if group.group_id.startswith(prefix)
        ]
        for future in (admin.delete_consumer_groups(groups) if groups else {}).values():
            future.result(20)
        time.sleep(1)

    def produce(self, topic: str, made: Iterable[tuple[str, bytes]], per_second: float = inf) -> None:
        """Puts messages into a topic at a pace, else as fast as it goes: a list of them faster than any job takes them."""
        producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
        began = time.monotonic()
        for i, (key, value) in enumerate(made):
            producer.produce(topic, value, key=key)
            if i % 1000 == 0:
                producer.poll(0)
            if (early := began + i / per_second - time.monotonic()) > 0.01:
                producer.flush(early)
                time.sleep(max(0.0, began + i / per_second - time.monotonic()))
        assert producer.flush(120) == 0, "not everything was produced"

    def cpu(self) -> float:
        """Processor seconds of the JobManager, the TaskManagers and all their children, living or gone."""
        pids = [process.pid for process in self.flink.processes()]
        return sum(_seconds(pid) for pid in _with_children([pid for pid in pids if pid is not None]))

    def resident(self) -> int:
        """Bytes of memory that the TaskManagers hold, with the Python in them."""
        pages = sum(int(Path(f"/proc/{one.pid}/statm").read_text().split()[1]) for one in self.flink.taskmanagers())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def compiling(self) -> float:
        """Processor seconds that the compilers of the JVMs have taken so far."""
        return sum(
            sum(_times(stat)[:2]) / _TICKS
            for process in self.flink.processes()
            for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")
            if "CompilerThre" in stat.read_text()
        )


class Counter:
    """Counts the committed messages of a topic."""

    def __init__(self, brokers: str, topic: str) -> None:
        self.consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": uuid.uuid4().hex,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        partitions = self.consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self.consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self.count = 0

    def until(self, count: int, seconds: float = 600) -> None:
        """Until so many messages were seen in all."""
        until = time.monotonic() + seconds
        while self.count < count:
            for message in self.consumer.consume(5_000, 0.2):
                assert message.error() is None, message.error()
                self.count += 1
            assert time.monotonic() < until, f"{self.count} of {count} messages after {seconds} s"


@contextmanager
def rig(folder: Path, taskmanagers: int = 1, settings: Mapping[str, str] | None = None) -> Iterator[Rig]:
    """Starts both, and stops both; `settings` are Flink's own."""
    flink = Flink(folder / "flink", python=environment.ready(), taskmanagers=taskmanagers, settings=settings)
    with Kafka(folder / "kafka") as kafka, flink:
        yield Rig(kafka, flink)


def _with_children(pids: list[int]) -> list[int]:
    found, ahead = [], list(pids)
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        said = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
        ahead += [int(child) for child in said.split()]
    return found


def _seconds(pid: int) -> float:
    """Of a process, with its children that are gone."""
    try:
        return sum(_times(Path(f"/proc/{pid}/stat"))) / _TICKS
    except OSError:
        return 0.0


def _times(stat: Path) -> list[int]:
    """Ticks in user and in system mode, and those of children that are gone."""
    return [int(field) for field in stat.read_text().rpartition(")")[2].split()[11:15]]
