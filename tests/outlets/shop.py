"""A shop whose visitors change their minds half way: everything that the outlets tell of, in one small stream."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from river import linear_model, metrics, preprocessing, tree

from eddyline import (
    Canary,
    Challenger,
    Engine,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Label,
    Notify,
    Pipeline,
    Truth,
    Versions,
    Watch,
    hours,
    memory,
)
from eddyline.records import Alert, Example, Prediction
from eddyline.records.errors import Rejected


class Visit(Event):
    id: Id
    visitor: Key
    at: EpochSeconds
    pages: float
    country: str


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


class Longest:
    """The longest that a truth took, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def update(self, record: object) -> None:
        if isinstance(record, Example):
            self.seconds = max(self.seconds, (record.at - record.prediction.at) / 1e6)

    def get(self) -> float:
        return self.seconds


class Loud:
    """Alerts of every visit with a thousand pages or more."""

    def update(self, record: object) -> Alert | None:
        if not isinstance(record, Prediction) or float(record.features["pages"] or 0) < 1_000:
            return None
        return Alert("Loud", "pages", record.at, record.position, 0.0, 1.0, f"{record.event_id} has very many pages")


def features(visit: Visit) -> dict[str, float]:
    return {"pages": visit.pages}


SHOP = Pipeline(
    name="shop",
    events=memory([], Visit),
    labels=memory([], Sale),
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(1), absent=False),
    versions=Versions(every=200),
    watch=Watch(metrics=(metrics.Accuracy(), metrics.LogLoss()), segment="country", drift=("pages",), monitors=(Longest, Loud)),
)


WATCHED = SHOP.replace(
    challengers=(Challenger("deep", model=tree.HoeffdingTreeClassifier(), mode=Canary(0.25)),),
    decide=(Notify(on="any", cool_down=hours(1)),),
    look_every=10,
)
"""The same with a challenger, and somebody who is told of alerts."""


def visit(i: int, pages: float | None = None) -> Visit:
    return Visit(
        id=f"v-{i}",
        visitor=f"u-{i % 17}",
        at=i * 10,
        pages=float(i % 9) if pages is None else pages,
        country=["de", "fr"][i % 2],
    )


def sale(i: int, *, turned: bool = False) -> Sale:
    return Sale(id=f"v-{i}", at=i * 10 + 5 + i % 40, bought=(i % 9 > 4) is not turned)


def trade(engine: Engine, numbers: Iterable[int], *, turn_at: int = 400) -> None:
    """Visits with their sales. From `turn_at` on those buy who did not before; one in 50 comes with a number that is none."""
    for i in numbers:
        engine.answer(visit(i))
        engine.tell(sale(i, turned=i >= turn_at))
        if i % 50 == 0:
            try:
                engine.answer(visit(i + 1_000_000, math.nan))
            except Rejected as refused:
                assert refused.reason == "out_of_range"  # noqa: PT017


def stocked(count: int, *, turn_at: int = 400) -> Pipeline:
    """The shop with so many visits and sales in its sources, to be replayed."""
    sales = [sale(i, turned=i >= turn_at) for i in range(count)]
    return WATCHED.replace(events=memory([visit(i) for i in range(count)], Visit), labels=memory(sales, Sale))


def opened(folder: Path, pipeline: Pipeline = SHOP) -> Engine:
    return Engine(pipeline, folder / "shop.eddyline")
