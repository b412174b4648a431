"""A made-up shop and its stream: orders out of order, twice, late and unreadable; truths early, late, corrected and missing.

Everything is drawn from one seed. `shop` is a pipeline as a user would declare it; workers import this file.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, NamedTuple

from river import linear_model, preprocessing

from eddyline import (
    Count,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Sum,
    Truth,
    Versions,
    hours,
    memory,
    minutes,
)


class Order(Event):
    id: Id
    customer: Key
    at: EpochSeconds
    amount: float


class Returned(Label):
    id: Id
    at: EpochSeconds
    returned: Truth[bool]


def features(order: Order, spent: float, often: int) -> dict[str, Any]:
    """What is known when an order comes. A negative amount is not an order."""
    if order.amount < 0:
        raise ValueError(f"an order of {order.amount}")
    return {"amount": order.amount, "spent": spent, "often": float(often), "large": float(order.amount > 80)}


shop = Pipeline(
    name="generated",
    events=memory([], Order),
    labels=memory([], Returned),
    features=features,
    aggregates={"spent": Sum("amount", over=hours(2)), "often": Count(over=hours(1))},
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(3), absent=False, lateness=minutes(20), revisions="learn"),
    lateness=minutes(5),
    versions=Versions(every=500),
)

MINUTE = 60
START = 1_700_000_000


class Arriving(NamedTuple):
    """A message, and when it is sent."""

    when: float
    topic: str
    key: str
    value: bytes


def stream(seed: int, orders: int) -> list[Arriving]:
    """The messages of so many orders, 20 seconds apart, in the order in which they are sent."""
    random, sent = Random(seed), list[Arriving]()
    for number in range(orders):
        at = START + number * 20
        order = {
            "id": f"o-{number}",
            "customer": f"c{random.randrange(40)}",
            "at": at,
            "amount": round(random.uniform(1, 100), 2),
        }
        _send_order(random, sent, order, at)
        _send_truths(random, sent, f"o-{number}", at)
    for number, poison in enumerate(_POISON * 5):
        sent.append(Arriving(START + random.uniform(0, orders * 20), "events", f"poison-{number}", poison))
        sent.append(Arriving(START + random.uniform(0, orders * 20), "labels", f"poison-{number}", poison))
    return sorted(sent)


_POISON = [
    b"",
    b"{oops",
    b"[1]",
    b'{"id":"p-1"}',
    b'{"id":"p-2","customer":"c1","at":1700000000,"amount":"x"}',
    b'{"id":7,"at":NaN}',
]


def _send_order(random: Random, sent: list[Arriving], order: dict[str, Any], at: float) -> None:
    delay, kind = random.choice([0, 0, 60, 200]), random.random()
    if kind < 0.03:
        delay = 20 * MINUTE  # further out of order than is declared
    if kind > 0.98:
        order["amount"] = -1.0
    sent.append(_message(at + delay, "events", order["customer"], order))
    if random.random() < 0.05:
        sent.append(_message(at + delay + random.uniform(0, 2_000), "events", order["customer"], order))
    if random.random() < 0.02:
        sent.append(_message(at + delay + 500, "events", order["customer"], order | {"amount": 5.5}))
    if random.random() < 0.01:
        sent.append(_message(at + delay + 900, "events", "another", order | {"customer": "another"}))


def _send_truths(random: Random, sent: list[Arriving], order: str, at: float) -> None:
    kind = random.random()
    if kind < 0.15:
        return
    wait = random.uniform(0, 170 * MINUTE)
    if kind < 0.25:
        wait = -random.uniform(0, 60 * MINUTE)
    elif kind < 0.30:
        wait = 240 * MINUTE
    known, truth = int(at + wait), random.random() < 0.3
    delay = 60 * MINUTE if kind > 0.97 else random.uniform(0, 15 * MINUTE)
    sent.append(_message(known + delay, "labels", order, {"id": order, "at": known, "returned": truth}))
    if random.random() < 0.04:
        sent.append(_message(known + delay + 30, "labels", order, {"id": order, "at": known, "returned": truth}))
    if random.random() < 0.05:
        sent.append(_message(known + 900, "labels", order, {"id": order, "at": known + 600, "returned": not truth}))
    if random.random() < 0.02:
        sent.append(_message(known, "labels", f"no-{order}", {"id": f"no-{order}", "at": known, "returned": truth}))


def _message(when: float, topic: str, key: str, value: dict[str, Any]) -> Arriving:
    return Arriving(when, topic, key, json.dumps(value).encode())
