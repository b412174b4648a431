"""A clean stream, five kinds of models, and what becomes of a run that something poisonous was slipped into.

Every test here has one shape: sixty clean payments with their truths, the poison, three hundred more. Those three hundred
answers, and the learner in the end, must be byte for byte those of a run that the poison never reached (I9, I10).
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import numpy as np
from river import linear_model, naive_bayes, preprocessing, tree
from tests.shops import Chargeback

from eddyline import (
    Count,
    Engine,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Label,
    Mean,
    Pipeline,
    Sklearn,
    Sum,
    Truth,
    hours,
    jsonl,
    memory,
    minutes,
)
from eddyline.engines.embedded import replay
from eddyline.records import DeadLetter
from eddyline.records.errors import Rejected
from eddyline.store.database import Store
from eddyline.views.letters import letters
from eddyline.views.verify import verify

BEFORE, AFTER = 60, 300
CARD = "c-1"


class Payment(Event):
    """What happens. `mood` is what the features function makes trouble by."""

    id: Id
    card: Key
    at: EpochSeconds
    amount: float
    hour: float
    mood: str = ""


class Settled(Label):
    """What is found out, where the truth is a number."""

    id: Id
    at: EpochSeconds
    loss: Truth[float]


class FeaturesError(Exception):
    """What the features function raises."""


def _deep(depth: int) -> int:
    return _deep(depth + 1)


MOODS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "nan": ("out_of_range", lambda f: f | {"amount": math.nan}),
    "inf": ("out_of_range", lambda f: f | {"amount": math.inf}),
    "-inf": ("out_of_range", lambda f: f | {"hour": -math.inf}),
    "1e308": ("out_of_range", lambda f: f | {"amount": 1e308}),
    "numpy nan": ("out_of_range", lambda f: f | {"amount": np.float64("nan")}),
    "numpy inf": ("out_of_range", lambda f: f | {"amount": np.float32("inf")}),
    "2**63": ("out_of_range", lambda f: f | {"amount": 2**63}),
    "10**5000": ("out_of_range", lambda f: f | {"amount": 10**5000}),
    "all 10**5000": ("out_of_range", lambda f: dict.fromkeys(f, 10**5000)),
    "raises": ("features_failed", lambda f: _raise(FeaturesError("no rate for XYZ"))),
    "divides by zero": ("features_failed", lambda f: f | {"amount": 1 / 0}),
    "misses a key": ("features_failed", lambda f: f["nothing"]),
    "recurses": ("features_failed", lambda f: _deep(0)),
    "none": ("features_failed", lambda f: None),
    "a list": ("features_failed", lambda f: [1.0, 2.0]),
    "a number": ("features_failed", lambda f: 3.0),
    "pairs": ("features_failed", lambda f: list(f.items())),
    "a set": ("features_failed", lambda f: set(f)),
    "a name that is no text": ("features_failed", lambda f: f | {7: 1.0}),
    "an array": ("features_failed", lambda f: f | {"amount": np.array([1.0, 2.0])}),
    "a dict inside": ("features_failed", lambda f: f | {"amount": {"chf": 1.0}}),
    "an object": ("features_failed", lambda f: f | {"amount": object()}),
    "a decimal": ("features_failed", lambda f: f | {"amount": Decimal("1.5")}),
    "text": ("model_failed", lambda f: f | {"amount": "12"}),
}
"""What a features function can give that nobody may ever answer from or learn, and the reason it is refused for."""

FINE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "numpy": lambda f: {name: np.float64(value) for name, value in f.items()},
    "another order": lambda f: dict(reversed(f.items())),
}
"""What is served as if the features function had given plain floats in order."""


def _raise(error: Exception) -> Any:
    raise error


def features(payment: Payment, spent: float, often: int, usual: float | None) -> Any:
    """Five numbers of the payment and its past, or trouble."""
    plain = {
        "amount": payment.amount,
        "hour": payment.hour,
        "often": float(often),
        "spent": spent,
        "usual": usual or 0.0,
    }
    if payment.mood in MOODS:
        return MOODS[payment.mood][1](plain)
    return FINE[payment.mood](plain) if payment.mood in FINE else plain


def _sgd() -> Any:
    from sklearn.linear_model import SGDClassifier  # type: ignore[import-untyped]

    return Sklearn(SGDClassifier(loss="log_loss", random_state=1), classes=[False, True])


MODELS: dict[str, Callable[[], Any]] = {
    "StandardScaler|LogisticRegression": lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    "HoeffdingTreeClassifier": lambda: tree.HoeffdingTreeClassifier(grace_period=20),
    "GaussianNB": naive_bayes.GaussianNB,
    "StandardScaler|LinearRegression": lambda: preprocessing.StandardScaler() | linear_model.LinearRegression(),
    "SGDClassifier": _sgd,
}
NUMERIC = ("StandardScaler|LogisticRegression", "StandardScaler|LinearRegression", "SGDClassifier", "GaussianNB")
"""Those that cannot take text for a number."""


def is_regression(model: str) -> bool:
    """Whether the truths of this model are numbers."""
    return model.endswith("LinearRegression")


def pipeline(model: str) -> Pipeline:
    """The pipeline around a model by name; its files are `payments.jsonl` and `truths.jsonl`."""
    truth = Settled if is_regression(model) else Chargeback
    return Pipeline(
        name="poisoned",
        events=jsonl("payments.jsonl", Payment, max_line=1 << 20),
        labels=jsonl("truths.jsonl", truth),
        aggregates={
            "spent": Sum("amount", over=hours(1)),
            "often": Count(over=hours(1)),
            "usual": Mean("amount", over=hours(2)),
        },
        features=features,
        model=MODELS[model](),
        join=Join(wait=minutes(30)),
    )


def payment(number: int) -> Payment:
    """A clean payment; the numbers are minutes."""
    dice = random.Random(number)
    amount = round(dice.lognormvariate(3, 1), 2)
    return Payment(id=f"p-{number}", card=f"c-{dice.randrange(4)}", at=60 * number, amount=amount, hour=number / 60 % 24)


def truth(number: int, model: str) -> Chargeback | Settled:
    """What is found out about it, half a minute later."""
    paid = payment(number)
    if is_regression(model):
        return Settled(id=paid.id, at=60 * number + 30, loss=paid.amount / 10 + paid.hour)
    return Chargeback(id=paid.id, at=60 * number + 30, fraud=paid.amount > 25)


POISON_AT = 60 * BEFORE - 10
"""When the poison happens: after the truths of the sixty, before the next payment."""


class Ran(NamedTuple):
    """What a run came to."""

    answers: list[bytes]
    digest: str
    dead: list[DeadLetter]
    sound: list[str]

    @property
    def after(self) -> list[bytes]:
        """The last three hundred answers."""
        return self.answers[-AFTER:]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """What was refused, and why."""
        return [(letter.stream, letter.reason) for letter in self.dead]


def _looked_at(path: Path, declared: Pipeline) -> Ran:
    """What a store holds, after it was opened once more."""
    with Engine(declared, path) as engine:
        digest = engine.loop.states.learn.model.digest()
    store = Store.read(path)
    try:
        answers = [msgspec.msgpack.encode(one) for block in store.blocks() for one in block.predictions]
        return Ran(answers, digest, list(letters(store)), verify(store, declared).faults)
    finally:
        store.close()


def by_file(model: str, events: Sequence[bytes] = (), labels: Sequence[bytes] = (), *, declared: Pipeline | None = None) -> Ran:
    """Replays files into which these lines were slipped."""
    declared = declared or pipeline(model)
    lines: dict[str, list[bytes]] = {"payments": [], "truths": []}
    for number in range(BEFORE + AFTER):
        if number == BEFORE:
            lines["payments"] += events
            lines["truths"] += labels
        lines["payments"].append(declared.event_schema.encode(payment(number)))
        lines["truths"].append(declared.label_schema.encode(truth(number, model)))
    with TemporaryDirectory() as folder:
        for name, said in lines.items():
            (Path(folder) / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in said))
        path = Path(folder) / "poisoned.eddyline"
        with Engine(declared, path) as engine:
            replay(engine, Path(folder), batch=97)
        return _looked_at(path, declared)


def by_call(
    model: str, poison: Iterable[Event | Label] = (), *, declared: Pipeline | None = None
) -> tuple[Ran, list[str | None]]:
    """Answers and tells, and the poison one call at a time in between; also how each of those calls was refused."""
    declared = declared or pipeline(model)
    said: list[str | None] = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "poisoned.eddyline"
        with Engine(declared, path) as engine:
            asyncio.run(_clean(engine, model, range(BEFORE)))
            before = engine.loop.states.learn.model.digest()
            for record in poison:
                try:
                    engine.answer(record) if isinstance(record, Event) else engine.tell(record)
                    said.append(None)
                except Rejected as rejected:
                    said.append(rejected.reason)
            assert engine.loop.states.learn.model.digest() == before, "the poison changed the learner"
            asyncio.run(_clean(engine, model, range(BEFORE, BEFORE + AFTER)))
        return _looked_at(path, declared), said


async def _clean(engine: Engine, model: str, numbers: Iterable[int]) -> None:
    calls: list[Any] = []
    for number in numbers:
        calls += (engine.aanswer(payment(number)), engine.atell(truth(number, model)))
    await asyncio.gather(*calls)


@cache
def undisturbed(model: str) -> Ran:
    """A run that no poison reached."""
    ran = by_file(model)
    assert (ran.dead, ran.sound, len(ran.answers)) == ([], [], BEFORE + AFTER)
    return ran


@cache
def with_a_payment(model: str, amount: float) -> Ran:
    """A run with one more clean payment where the poison would be."""
    line = f'{{"id":"poison","card":"{CARD}","at":{POISON_AT},"amount":{amount!r},"hour":1.0}}'
    ran = by_file(model, [line.encode()])
    assert (ran.dead, ran.sound, len(ran.answers)) == ([], [], BEFORE + AFTER + 1)
    return ran


def poisoned(**changes: Any) -> Payment:
    """A payment where the poison is, changed."""
    fields: dict[str, Any] = {"id": "poison", "card": CARD, "at": POISON_AT, "amount": 20.0, "hour": 1.0}
    return Payment(**fields | changes)


NOTHING = memory([], Payment)
