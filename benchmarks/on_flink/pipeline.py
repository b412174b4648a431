"""What is timed on Flink: a sum over an hour by card, and a logistic regression, on events of about 290 bytes."""

from river import linear_model, preprocessing

from eddyline import EpochMillis, Event, Id, Join, Key, Label, Pipeline, Sum, Truth, days, hours, kafka


class Payment(Event):
    id: Id
    card: Key
    at: EpochMillis
    amount: float
    country: str
    merchant: str
    device: str
    session: str
    lat: float
    lon: float
    age_days: float
    tries: float


class Chargeback(Label):
    id: Id
    at: EpochMillis
    fraud: Truth[bool]


def features(payment: Payment, spent_1h: float) -> dict[str, float]:
    """What the model sees: the same in `plain.py`."""
    return {
        "amount": payment.amount,
        "vs_hour": payment.amount / (spent_1h + payment.amount),
        "lat": payment.lat,
        "lon": payment.lon,
        "age_days": payment.age_days,
        "tries": payment.tries,
    }


bench = Pipeline(
    name="bench",
    events=kafka("bench.events", Payment),
    labels=kafka("bench.labels", Chargeback),
    aggregates={"spent_1h": Sum("amount", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=days(7), absent=False),
)
