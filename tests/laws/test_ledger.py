"""The ledger in memory and the ledger on disk are one ledger: every question has one answer, whatever was saved between.

I21: what the ledger on disk keeps in memory is bounded; old ids, chunks and predictions come from the store.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, Payment, pipeline

from eddyline.records import Arrival, Prediction, Rollout
from eddyline.store import blocks
from eddyline.store.blocks import Input, Kind, Notes
from eddyline.store.database import Store
from eddyline.store.ledger import CHUNK, DiskLedger
from eddyline.testing import MemoryLedger

SCHEMA = pipeline("live").event_schema
WAIT_US = 1_000
Step = Literal["answer", "settle", "time passes", "save", "save and restore"]
STEPS: list[Step] = ["answer", "answer", "answer", "settle", "settle", "time passes", "save", "save and restore"]


class Both:
    """Two ledgers that are told the same and asked the same."""

    def __init__(self, store: Store, random: Random, *, cached: int, bulk: int, young: int = 20) -> None:
        self.store, self.random = store, random
        self.sizes = {"cached": cached, "bulk": bulk, "young": young}
        self.memory = MemoryLedger(WAIT_US)
        self.disk = DiskLedger(store, WAIT_US, SCHEMA.decode, **self.sizes)
        self.watermark = 0

    def answer(self, many: int) -> None:
        """Answers so many events in one commit, of which some happened earlier than those before."""
        start = len(self.memory.marks)
        ats = [self.watermark + i // 8 + self.random.randrange(WAIT_US) for i in range(many)]
        payments = [Payment(id=f"p-{start + i}", card="c", at=at, amount=float(i), shop="s") for i, at in enumerate(ats)]
        arrivals = [SCHEMA.arrival(payment) for payment in payments]
        self.disk.expect(arrivals)
        assert self.disk.find(f"p-{start}") is None
        predictions = [prediction_of(arrival) for arrival in arrivals]
        for prediction, arrival in zip(predictions, arrivals, strict=True):
            self.memory.add(prediction, arrival)
            self.disk.add(prediction, arrival)
        self._commit([Input(Kind.EVENT, SCHEMA.encode(payment)) for payment in payments], predictions)

    def _commit(self, inputs: list[Input], predictions: Sequence[Prediction]) -> None:
        parts = (
            blocks.encode_inputs(inputs),
            blocks.encode_predictions(predictions),
            blocks.encode_examples([]),
            blocks.encode_dead([]),
        )
        with self.store.transaction():
            self.store.append(parts, 0, len(predictions), 0, Notes({}, 0, Rollout(0, None, "", ""), time.time()))
        self.disk.committed()

    def settle(self, many: int) -> None:
        """Settles some at random; half of the questions are about the newest."""
        count = len(self.memory.marks)
        for _ in range(many if count else 0):
            slot = self.random.randrange(max(0, count - 50) if self.random.random() < 0.5 else 0, count)
            mark = self.random.randrange(2, 9)
            assert self.memory.settle(slot, mark) == self.disk.settle(slot, mark)
        self.disk.committed()

    def pass_time(self) -> None:
        """Moves the watermark, and settles what is due."""
        self.watermark += self.random.choice([0, 1, 50, 400, 3 * WAIT_US])
        due = self.memory.due(self.watermark)
        assert self.disk.next_at() <= self.memory.next_at()
        assert self.disk.due(self.watermark) == due
        for slot in due:
            assert (self.memory.settle(slot, 1), self.disk.settle(slot, 1)) == (0, 0)
        assert self.disk.due(self.watermark) == []
        self.disk.committed()

    def save(self, *, restore: bool) -> None:
        """Saves the ledger on disk, and goes on with it or with a new one that is told what was saved."""
        with self.store.transaction():
            saved = self.disk.save(self.watermark)
        if restore:
            saved = msgspec.msgpack.decode(msgspec.msgpack.encode(saved), type=dict[str, int])
            self.disk = DiskLedger(self.store, WAIT_US, SCHEMA.decode, **self.sizes)
            self.disk.restore(saved, self.watermark)

    def compare(self) -> None:
        """Asks both everything about some events."""
        count = len(self.memory.marks)
        for slot in self.random.sample(range(count), min(count, 60)):
            name = f"p-{slot}"
            assert self.disk.find(name) == self.memory.find(name) == slot
            assert self.disk.prediction(slot) == self.memory.prediction(slot)
            assert self.disk.arrival(slot) == self.memory.arrival(slot)
        assert self.disk.find("nobody") is None
        assert len(self.disk.predictions) <= self.sizes["cached"]
        assert len(self.disk.reader.groups) <= self.disk.reader.limit


def prediction_of(arrival: Arrival) -> Prediction:
    return Prediction(arrival.id, arrival.key, arrival.at, {"a": 1.0}, None, True, {True: 1.0}, "m", 0, 0)


def play(steps: list[Step], random: Random, *, cached: int, bulk: int, many: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.write(Path(folder) / "ledger.eddyline", pipeline="live")
        store.db.execute("PRAGMA synchronous=OFF")
        both = Both(store, random, cached=cached, bulk=bulk)
        for step in steps:
            match step:
                case "answer":
                    both.answer(random.randint(1, many))
                case "settle":
                    both.settle(random.randint(1, many // 2))
                case "time passes":
                    both.pass_time()
                case "save" | "save and restore":
                    both.save(restore=step == "save and restore")
            both.compare()
        both.save(restore=True)
        for slot in range(len(both.memory.marks)):
            assert both.memory.settle(slot, 9) == both.disk.settle(slot, 9)
        store.close()


@LAW
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_both_ledgers_answer_alike_whatever_is_saved_flushed_and_forgotten(steps: list[Step], random: Random) -> None:
    play(steps, random, cached=16, bulk=40, many=60)


def test_both_ledgers_answer_alike_over_several_chunks() -> None:
    for seed in range(3):
        random = Random(seed)
        steps = random.choices(STEPS, k=16)
        play(["answer", *steps], random, cached=500, bulk=3_000, many=CHUNK)


def test_ids_that_left_memory_are_still_found_and_new_ones_still_new() -> None:
    steps: list[Step] = ["answer", "save", "answer", "save", "answer", "save and restore", "answer"]
    play(steps, Random(7), cached=4, bulk=1, many=30)


def test_what_is_settled_after_its_chunk_was_saved_stays_settled() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.write(Path(folder) / "ledger.eddyline", pipeline="live")
        both = Both(store, Random(1), cached=100, bulk=10**9)
        both.answer(CHUNK + 10)
        both.save(restore=False)
        assert both.disk.settle(5, 3) == 0
        both.save(restore=True)
        assert both.disk.settle(5, 4) == 3
        assert both.disk.find("p-5") == 5
        store.close()


def test_chunks_whose_horizon_passed_leave_memory_when_they_are_saved() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.write(Path(folder) / "ledger.eddyline", pipeline="live")
        both = Both(store, Random(1), cached=100, bulk=10**9)
        for _ in range(3):
            both.answer(CHUNK)
        assert len(both.disk.chunks) == 3
        both.watermark += 10 * WAIT_US
        both.pass_time()
        both.save(restore=False)
        assert both.disk.chunks == {}
        assert both.disk.settle(0, 5) == both.memory.settle(0, 5) == 1
        store.close()
