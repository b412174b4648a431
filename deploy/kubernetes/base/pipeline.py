"""Score every payment; learn from every chargeback. Put your own pipeline here: this file is what the cluster runs."""

from river import linear_model, preprocessing

from eddyline import Event, Id, Join, Key, Label, Pipeline, Sum, Time, Truth, days, hours, jsonl


class Payment(Event):
    id: Id
    card: Key
    at: Time
    amount: float


class Chargeback(Label):
    id: Id
    at: Time
    fraud: Truth[bool]


def features(payment: Payment, spent_1h: float) -> dict[str, float]:
    return {"amount": payment.amount, "vs_hour": payment.amount / (spent_1h + payment.amount)}


fraud = Pipeline(
    name="fraud",
    events=jsonl("/var/lib/eddyline/payments.jsonl", Payment),
    labels=jsonl("/var/lib/eddyline/chargebacks.jsonl", Chargeback),
    aggregates={"spent_1h": Sum("amount", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=days(7), absent=False),
)
