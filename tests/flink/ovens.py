"""A bakery with one small model per oven, as a user would declare it; workers import this file. Its stream goes with it.

What an oven burns at is its own: no model for all could tell. The oven `o-dark` is never labelled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from river import linear_model, preprocessing

from eddyline import EpochSeconds, Event, Id, Join, Key, Label, Mean, Pipeline, Truth, Versions, hours, memory, minutes


class Batch(Event):
    id: Id
    oven: Key
    at: EpochSeconds
    heat: float


class Burnt(Label):
    id: Id
    at: EpochSeconds
    burnt: Truth[bool]


def features(batch: Batch, usual: float | None) -> dict[str, float]:
    """The heat, and how far it is from what this oven had of late."""
    return {"heat": batch.heat, "off": 0.0 if usual is None else batch.heat - usual}


ovens = Pipeline(
    name="ovens",
    events=memory([], Batch),
    labels=memory([], Burnt),
    aggregates={"usual": Mean("heat", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    per="key",
    join=Join(wait=hours(1), revisions="learn", lateness=minutes(5)),
    versions=Versions(every=500),
)
START = 1_700_000_000
OVENS = 40


def batches(seed: int, first: int, many: int) -> Iterator[tuple[str, str, bytes]]:
    """Batches, ten seconds apart, most with a truth a minute later: stream, key and message, as they are sent."""
    random, waiting = Random(f"{seed} {first}"), list[tuple[str, str, bytes]]()
    for number in range(first, first + many):
        at, which = START + 10 * number, random.randrange(OVENS)
        oven = "o-dark" if which == 0 else f"o-{which}"
        heat = round(random.uniform(150, 250), 1)
        yield "events", oven, json.dumps({"id": f"b-{number}", "oven": oven, "at": at, "heat": heat}).encode()
        if which and random.random() < 0.8:
            burnt = {"id": f"b-{number}", "at": at + 60, "burnt": heat > 170 + 2 * which}
            waiting.append(("labels", f"b-{number}", json.dumps(burnt).encode()))
            if random.random() < 0.05:
                burnt = {"id": f"b-{number}", "at": at + 90, "burnt": heat <= 170 + 2 * which}
                waiting.append(("labels", f"b-{number}", json.dumps(burnt).encode()))
        if len(waiting) > 6:
            yield waiting.pop(0)
    yield from waiting
