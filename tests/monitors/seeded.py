"""A pipeline whose classes are texts, measured by every metric of River's that sums over classes. Run as a program, goes on in
a store and prints what stands there.

    python seeded.py STORE HOW_MANY

The program is what the tests start under another PYTHONHASHSEED: one JSON document of numbers, digests and the verdict.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from river import metrics, naive_bayes, utils

from eddyline import Engine, Event, Id, Join, Label, Pipeline, Truth, Watch, memory
from eddyline.engines.embedded import replay
from eddyline.monitors import quality
from eddyline.records.types import EpochSeconds
from eddyline.views.verify import verify

CLASSES = ("ant", "bat", "cow", "dog", "eel", "fox", "gnu")
DAY_S = 86_400
MANY = 600
LIVE = 40
"""groups that are kept open, so that the days of the stream are more"""
river: Any = metrics  # untyped in River


class Seen(Event):
    id: Id
    at: EpochSeconds
    site: str
    weight: float
    length: float


class Named(Label):
    id: Id
    at: EpochSeconds
    animal: Truth[str]


class Missed(river.MacroRecall):  # type: ignore[misc]
    """A metric of the user's on top of River's."""

    def get(self) -> float:
        return 1.0 - float(super().get())


class Both:
    """A metric of the user's that holds two of River's."""

    def __init__(self) -> None:
        self.precision = river.MacroPrecision()
        self.recall = river.WeightedRecall()

    def update(self, y_true: Any, y_pred: Any) -> None:
        self.precision.update(y_true, y_pred)
        self.recall.update(y_true, y_pred)

    def get(self) -> float:
        return float(self.precision.get() * self.recall.get())


def rolling(metric: Any, window: int) -> Any:
    """River's rolling metric, as it is declared: from an object, which River warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return utils.Rolling(metric, window)


def walkers(classes: tuple[Any, ...] = CLASSES) -> list[Any]:
    """The metrics of River's whose last digits depend on the order of the classes."""
    betas = {one: 0.5 + 0.3 * i for i, one in enumerate(classes)}
    weights = {one: 0.1 + 0.2 * i for i, one in enumerate(classes)}
    return [
        *(river.MacroF1(), river.MacroFBeta(0.7), river.MacroJaccard(), river.MacroPrecision(), river.MacroRecall()),
        *(river.WeightedF1(), river.WeightedFBeta(0.7), river.WeightedJaccard(), river.WeightedPrecision()),
        *(river.MultiFBeta(betas, weights), river.BalancedAccuracy(), river.CohenKappa()),
        *(river.GeometricMean(), river.Homogeneity(), river.Completeness(), river.VBeta(), river.MutualInfo()),
        *(river.NormalizedMutualInfo(), river.AdjustedMutualInfo()),
    ]


@cache
def stream() -> tuple[list[Seen], list[Named]]:
    """Ten sightings a day of animals that are not told apart well, for longer than days are kept open."""
    draw = random.Random(5)
    events, labels = [], []
    for i in range(MANY):
        kind = min(draw.randrange(len(CLASSES)), draw.randrange(len(CLASSES)))
        at = i * DAY_S // 10
        events.append(Seen(id=i, at=at, site=draw.choice("NESW"), weight=draw.gauss(kind, 1.5), length=draw.gauss(-kind, 2.0)))
        labels.append(Named(id=i, at=at + 60, animal=CLASSES[kind]))
    return events, labels


def pipeline(many: int) -> Pipeline:
    """The first so many sightings, by site, measured by everything."""
    events, labels = stream()
    return Pipeline(
        name="animals",
        events=memory(events[:many], Seen),
        labels=memory(labels[:many], Named),
        features=features,
        model=naive_bayes.GaussianNB(),
        join=Join(),
        watch=Watch(metrics=(*walkers(), rolling(river.MacroF1(), 150), Missed, Both), segment="site"),
    )


def features(seen: Seen) -> dict[str, float]:
    return {"weight": seen.weight, "length": seen.length}


def told(path: Path, many: int) -> dict[str, Any]:
    """Goes on in a store up to so many sightings, and says what stands there then."""
    declared = pipeline(many)
    with Engine(declared, path) as engine:
        replay(engine, path.parent)
        watch, state = engine.plan.watch, engine.loop.states.watch
        numbers = watch.measurements(state)
        saved = hashlib.sha256(watch.save(state)).hexdigest()
        verdict = verify(engine.store, declared)
    return {
        "numbers": json.loads(msgspec.json.encode(numbers)),
        "state": saved,
        "closed": len(state.quality.days.closed),
        "head": verdict.head,
        "sound": verdict.sound,
        "faults": verdict.faults,
    }


if __name__ == "__main__":
    quality.LIVE = LIVE
    print(json.dumps(told(Path(sys.argv[1]), int(sys.argv[2]))))
