"""Will this flight arrive more than 15 minutes late? Answered at scheduled departure; the truth lands hours later.

All 336,776 departures from New York's airports in 2013. 9,430 were cancelled or diverted: their truth never comes.
"""

from typing import Any, ClassVar

from river import compose, linear_model, metrics, preprocessing

from eddyline import (
    Count,
    Event,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Time,
    Truth,
    Versions,
    Watch,
    days,
    hours,
    jsonl,
)


class Departure(Event):
    zone: ClassVar[str] = "America/New_York"
    id: Id
    aircraft: Key
    at: Time
    carrier: str
    origin: str
    dest: str
    distance: float
    wind: float | None
    rain: float | None
    visibility: float | None


class Arrived(Label):
    id: Id
    at: Time
    late: Truth[bool]


def features(departure: Departure, leaving: int, legs: int) -> dict[str, Any]:
    """What is known at scheduled departure: route, clock, weather, how full the sky is."""
    return {
        "carrier": departure.carrier,
        "origin": departure.origin,
        "dest": departure.dest,
        "hour": f"{departure.at.hour}h",
        "weekday": departure.at.strftime("%a"),
        "distance": departure.distance,
        "wind": departure.wind or 0.0,
        "rain": departure.rain or 0.0,
        "fog": 10.0 - (10.0 if departure.visibility is None else departure.visibility),
        "leaving": float(leaving),
        "legs": float(legs),
    }


numbers = compose.SelectType(float) | preprocessing.StandardScaler()
words = compose.SelectType(str) | preprocessing.OneHotEncoder(drop_zeros=True)

flights = Pipeline(
    name="flights",
    events=jsonl("data/departures.jsonl", Departure),
    labels=jsonl("data/arrivals.jsonl", Arrived),
    aggregates={"leaving": Count(over=hours(1), by="origin"), "legs": Count(over=hours(12))},
    features=features,
    model=(numbers + words) | linear_model.LogisticRegression(),
    join=Join(wait=days(2)),
    versions=Versions(every=20_000),
    watch=Watch(
        metrics=(metrics.Accuracy(), metrics.LogLoss(), metrics.ROCAUC()),
        segment="carrier",
        drift=("distance",),
    ),
)
