"""From topic to topic at 1,000 events a second, and from a label to the first answer of a model that has learned it.

One job with the whole loop. An answer is seen twice: when it is written, by a reader that does not wait for the commit, and
when the checkpoint's transaction is committed. Clocks are those of this process: from `produce` to `consume`.
"""

from __future__ import annotations

import bisect
import json
import threading
import time
from typing import Any

from benchmarks.on_flink.rig import Rig, payments
from confluent_kafka import Consumer, Producer, TopicPartition


class Reader(threading.Thread):
    """Notes when each message of a topic was seen: (seconds, event id, position of the model that answered)."""

    def __init__(self, brokers: str, topic: str, isolation: str) -> None:
        super().__init__(daemon=True)
        self.consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"latency-{topic}-{isolation}",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
            }
        )
        known = self.consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self.consumer.assign([TopicPartition(topic, number, 0) for number in known])
        self.seen: list[tuple[float, str, int]] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            messages = self.consumer.consume(2_000, 0.01)
            now = time.perf_counter()
            for message in messages:
                assert message.error() is None, message.error()
                value = json.loads(message.value() or b"")
                self.seen.append((now, value["event_id"], value["position"]))

    def stop(self) -> list[tuple[float, str, int]]:
        """What was seen."""
        self.done.set()
        self.join()
        self.consumer.close()
        return self.seen


def measure(rig: Rig, seconds: int, rate: int = 1_000, warm: int = 30) -> dict[str, Any]:
    """Sends events at a steady rate, a label for every tenth a second later, and finds out how long it all took."""
    answers = Reader(rig.brokers, "bench.predictions", "read_uncommitted")
    committed = Reader(rig.brokers, "bench.predictions", "read_committed")
    examples = Reader(rig.brokers, "bench.examples", "read_committed")
    for reader in (answers, committed, examples):
        reader.start()
    told, labelled = _send(rig, rate, warm + seconds)
    time.sleep(5)
    seen, known = answers.stop(), committed.stop()
    first = warm * rate
    counted = {f"payment-{i:08}" for i in range(first, first + seconds * rate)}
    return {
        "events": len(counted),
        "written_ms": quantiles([at - told[name] for at, name, _ in seen if name in counted]),
        "committed_ms": quantiles([at - told[name] for at, name, _ in known if name in counted]),
        "label_to_model_ms": quantiles(_to_model(labelled, examples.stop(), seen, counted)),
    }


def _send(rig: Rig, rate: int, seconds: int) -> tuple[dict[str, float], dict[str, float]]:
    producer = Producer({"bootstrap.servers": rig.brokers, "linger.ms": 0})
    told: dict[str, float] = {}
    labelled: dict[str, float] = {}
    began = time.perf_counter()
    for i, (key, value) in enumerate(payments(rate * seconds, 0)):
        due = began + i / rate
        while (now := time.perf_counter()) < due:
            producer.poll(min(0.001, due - now))
        name = f"payment-{i:08}"
        told[name] = now
        producer.produce("bench.events", value, key=key)
        if i >= rate and i % 10 == 0:
            late = f"payment-{i - rate:08}"
            label = {"id": late, "at": 1_700_000_000_000 + (i - rate) * 1_000 + 1, "fraud": i % 7 == 0}
            labelled[late] = now
            producer.produce("bench.labels", json.dumps(label).encode(), key=late)
    assert producer.flush(60) == 0
    return told, labelled


def _to_model(
    labelled: dict[str, float], examples: list[tuple[float, str, int]], seen: list[tuple[float, str, int]], counted: set[str]
) -> list[float]:
    """From each label to the first answer by a version that has learned it."""
    best, positions, times = -1, [], []
    for at, _, position in seen:
        if position > best:
            best = position
            positions.append(position)
            times.append(at)
    took = []
    for _, name, position in examples:
        place = bisect.bisect_left(positions, position)
        if name in counted and place < len(times):
            took.append(times[place] - labelled[name])
    return took


def quantiles(seconds: list[float]) -> dict[str, float]:
    """p50, p99 and the largest, in milliseconds."""
    assert seconds, "nothing was seen"
    found = sorted(seconds)
    return {
        "p50": round(found[len(found) // 2] * 1e3, 1),
        "p99": round(found[len(found) * 99 // 100] * 1e3, 1),
        "max": round(found[-1] * 1e3, 1),
        "count": len(found),
    }
