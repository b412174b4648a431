"""A shop that asks for a new model every four hours of event time; whatever comes of it may sit in the shadow.

`retrained` is a pipeline as a user would declare it; workers import this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from river import linear_model, preprocessing

from eddyline import (
    EpochSeconds,
    Event,
    Floor,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Retrain,
    Truth,
    Versions,
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
    """Both numbers."""
    return {"pages": visit.pages, "noise": visit.noise}


@dataclass(frozen=True, kw_only=True)
class Easy(Retrain):
    """Anything that answers passes."""

    gates = (Floor("accuracy", at_least=0.1),)


retrained = Pipeline(
    name="retrained",
    events=memory([], Visit),
    labels=memory([], Sale),
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(1), absent=False),
    versions=Versions(every=500),
    decide=(Easy(every=hours(4), cool_down=timedelta(0), window=200),),
    look_every=50,
)
