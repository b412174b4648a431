"""Will the price of electricity go up or down? Asked each half hour, answered by the market half an hour later.

45,312 half hours of New South Wales, from May 1996: the stream that papers about drift measure themselves on.
"""

from datetime import UTC, datetime
from typing import Literal

from river import forest, metrics

from eddyline import Event, Id, Join, Label, Pipeline, RowId, RowTime, Time, Truth, Watch, csv, hours, minutes


class HalfHour(Event):
    id: Id
    at: Time
    date: float
    day: float
    period: float
    nswprice: float
    nswdemand: float
    vicprice: float
    vicdemand: float
    transfer: float


class Moved(Label):
    id: Id
    at: Time
    price: Truth[Literal["UP", "DOWN"]]


class NoChange:
    """How often "the same as last time" is right: the answer that a model has to beat here. It reads no answers."""

    bigger_is_better = True

    def __init__(self) -> None:
        self.right, self.count, self.last = 0, 0, ""

    def update(self, y_true: str, y_pred: str) -> None:
        self.right += y_true == self.last
        self.count += 1
        self.last = y_true

    def get(self) -> float:
        return self.right / self.count if self.count else 0.0


def month(half_hour: HalfHour) -> str:
    return half_hour.at.strftime("%Y-%m")


start = datetime(1996, 5, 7, tzinfo=UTC)
file = "data/elec2.csv.gz"
known = RowTime(start + minutes(30), every=minutes(30))

electricity = Pipeline(
    name="electricity",
    events=csv(file, HalfHour, columns={"id": RowId(), "at": RowTime(start, every=minutes(30))}),
    labels=csv(file, Moved, columns={"id": RowId(), "at": known, "price": "class"}),
    model=forest.ARFClassifier(n_models=3, seed=1),
    join=Join(wait=hours(1)),
    watch=Watch(metrics=(metrics.Accuracy(), NoChange), segment=month, drift=("nswdemand", "vicprice")),
)
