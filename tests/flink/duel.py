"""A duel: the pipeline's own model sees what says nothing, and a challenger with other features knows better soon.

Everything is drawn from one seed. `duel` is a pipeline as a user would declare it; workers import this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from river import naive_bayes

from eddyline import (
    Challenger,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Promote,
    RollBack,
    Truth,
    Versions,
    Watch,
    hours,
    memory,
)


class Visit(Event):
    id: Id
    visitor: Key
    at: EpochSeconds
    pages: float
    noise: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


def features(visit: Visit) -> dict[str, float]:
    """What says nothing."""
    return {"noise": visit.noise}


def pages(visit: Visit) -> dict[str, float]:
    """What says all."""
    return {"pages": visit.pages}


duel = Pipeline(
    name="duel",
    events=memory([], Visit),
    labels=memory([], Sale),
    features=features,
    model=naive_bayes.GaussianNB(),
    join=Join(wait=hours(1), absent=False),
    versions=Versions(every=500),
    watch=Watch(drift=("noise",)),
    challengers=(
        Challenger("seeing", model=naive_bayes.GaussianNB(), features=pages),
        Challenger("blind"),
    ),
    decide=(Promote(evidence=100), RollBack(evidence=100)),
    look_every=50,
)
START = 1_700_000_000


def visits(seed: int, first: int, many: int) -> Iterator[tuple[str, str, bytes]]:
    """Visits, ten seconds apart, each with its truth a minute later: stream, key and message, as they are sent."""
    random, waiting = Random(f"{seed} {first}"), list[tuple[str, str, bytes]]()
    for number in range(first, first + many):
        at, bought = START + 10 * number, random.random() < 0.4
        seen = {"pages": round(random.gauss(6 if bought else 2, 1), 2), "noise": round(random.random(), 2)}
        visitor = f"p-{random.randrange(50)}"
        visit = {"id": f"v-{number}", "visitor": visitor, "at": at, **seen}
        sale = {"id": f"v-{number}", "at": at + 60, "bought": bought}
        yield "events", visitor, json.dumps(visit).encode()
        waiting.append(("labels", f"v-{number}", json.dumps(sale).encode()))
        if len(waiting) > 6:
            yield waiting.pop(0)
    yield from waiting
