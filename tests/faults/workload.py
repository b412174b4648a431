"""The work that is killed: 200 payments and their chargebacks, two checkpoints, a rollback and the way back to live.

Every step that was acknowledged is written down at once. Whoever finds the store afterwards, in another process, goes on
where the notes end (`recover`) and must come to what a run came to that nobody disturbed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from river import linear_model, preprocessing
from tests.shops import Chargeback, Payment

from eddyline import (
    Count,
    Engine,
    Join,
    Pipeline,
    Sum,
    Versions,
    hours,
    memory,
    minutes,
)
from eddyline.records.errors import StoreError
from eddyline.store.database import Store, in_words
from eddyline.views.history import changes
from eddyline.views.verify import verify

EVENTS = 200


def features(payment: Payment, spent: float, often: int) -> dict[str, float]:
    """Two numbers of the payment and its past."""
    return {"amount": payment.amount, "share": payment.amount / (spent + payment.amount), "often": often}


FRAUD = Pipeline(
    name="fraud",
    events=memory([], Payment),
    labels=memory([], Chargeback),
    aggregates={"spent": Sum("amount", over=hours(1)), "often": Count(over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=minutes(50), absent=False),
    versions=Versions(every=20),
)


class Step(NamedTuple):
    """One call: what it is to be known by, and what is called."""

    name: str
    call: Callable[[Engine], bytes]


def steps() -> list[Step]:
    """All steps in their order, the same in every process."""
    dice = random.Random(7)
    due: list[tuple[int, Chargeback]] = []
    out: list[Step] = []
    for number in range(EVENTS):
        at = 60 * number
        while due and due[0][0] <= at:
            out.append(_tell(due.pop(0)[1]))
        card, amount = f"c-{dice.randrange(9)}", round(dice.lognormvariate(3, 1), 2)
        out.append(_answer(Payment(id=f"p-{number}", card=card, at=at, amount=amount)))
        if dice.random() < 0.7:
            known = at + 60 * dice.randrange(5, 20)
            due.append((known, Chargeback(id=f"p-{number}", at=known, fraud=amount > 25)))
            due.sort(key=lambda one: one[0])
        if number in (60, 150):
            out.append(Step(f"checkpoint {number}", _checkpoint))
        if number == 110:
            out.append(_rollback("fraud@40", "worse since noon"))
        if number == 170:
            out.append(_rollback("live", "mended"))
    return out


def _answer(payment: Payment) -> Step:
    return Step(f"answer {payment.id}", lambda engine: msgspec.msgpack.encode(engine.answer(payment)))


def _tell(chargeback: Chargeback) -> Step:
    def call(engine: Engine) -> bytes:
        engine.tell(chargeback)
        return b""

    return Step(f"tell {chargeback.id}", call)


def _checkpoint(engine: Engine) -> bytes:
    engine.checkpoint()
    return b""


def _rollback(to: str, reason: str) -> Step:
    """A command has no id: whoever is not sure that it was heard looks at what is recorded."""

    def call(engine: Engine) -> bytes:
        with in_words(engine.path), closing(Store.read(engine.path)) as store:
            if any(change.rollout.reason == reason for change in changes(store)):
                return b""
        engine.rollback(to, author="ops", reason=reason)
        return b""

    return Step(f"rollback {to}", call)


class Ack(NamedTuple):
    """A line of the notes: the number of the step, and what it gave."""

    step: int
    gave: bytes


def work(path: Path, notes: Path) -> None:
    """Does every step and notes each that was acknowledged. An error of the store is noted, and the call made again."""
    with open(notes, "wb", buffering=0) as out:

        def insist(call: Callable[[], Any]) -> Any:
            for _ in range(2):
                try:
                    return call()
                except StoreError:
                    out.write(b"error\n")
            return call()

        engine = insist(partial(Engine, FRAUD, path))
        for number, step in enumerate(steps()):
            gave = insist(partial(step.call, engine))
            out.write(f"{number} {gave.hex()}\n".encode())
        insist(engine.close)
        out.write(b"end\n")


def read_notes(notes: Path) -> tuple[list[Ack], int, bool]:
    """What was acknowledged, how many errors were raised, and whether the work came to its end."""
    lines = notes.read_bytes().split(b"\n")[:-1] if notes.exists() else []
    acks = [line.decode().split(" ") for line in lines if line not in (b"error", b"end")]
    return [Ack(int(n), bytes.fromhex(gave)) for n, gave in acks], lines.count(b"error"), b"end" in lines


class Result(msgspec.Struct):
    """What a store came to."""

    answers: list[bytes]
    digest: str
    versions: list[tuple[int, str]]
    positions: list[int]
    rollouts: list[tuple[int, str | None]]
    watch: bytes
    predictions: int
    sound: list[str]


def recover(path: Path, notes: Path | None = None) -> Result:
    """Opens the store as a new process would, sends what nobody acknowledged, then everything once more from the start."""
    acks = read_notes(notes)[0] if notes else []
    every = steps()
    with Engine(FRAUD, path) as engine:
        for step in every[len(acks) :]:
            step.call(engine)
        answers = [step.call(engine) for step in every]
        states = engine.loop.states
        digest, watch = states.learn.model.digest(), engine.plan.watch.save(states.watch)
    with closing(Store.read(path)) as store:
        verdict = verify(store, FRAUD)
        rows = [row for seq in range(1, store.seq + 1) for row in store.examples_of(seq)]
        return Result(
            answers=answers,
            digest=digest,
            versions=[(version.position, version.digest) for version in store.versions()],
            positions=[row.position for row in rows],
            rollouts=[(change.rollout.revision, change.rollout.champion) for change in changes(store)],
            watch=watch,
            predictions=store.slots,
            sound=verdict.faults if verdict.comparable else ["another fingerprint"],
        )


def complaints(found: Result, expected: Result, acks: Iterable[Ack]) -> list[str]:
    """What is not as it must be, in words."""
    wrong = [f"step {ack.step} was acknowledged with another answer" for ack in acks if found.answers[ack.step] != ack.gave]
    for name in expected.__struct_fields__:
        here, there = getattr(found, name), getattr(expected, name)
        if here != there:
            wrong.append(f"{name}: {here!r:.300} instead of {there!r:.300}")
    return wrong
