"""Is this payment a fraud? Answered at once; a fraud comes back as a chargeback seven days later, the rest as silence.

Simulated card payments of the Fraud Detection Handbook; 0.9 % are frauds. Nobody ever says that a payment was honest.
"""

from math import log1p

from river import compose, linear_model, metrics, optim, preprocessing

from eddyline import Count, Event, Id, Join, Key, Label, Mean, Pipeline, Sum, Time, Truth, Versions, Watch, days, jsonl
from eddyline.records import Example, Prediction, Unlabelled


class Payment(Event):
    id: Id
    card: Key
    at: Time
    terminal: str
    amount: float


class Chargeback(Label):
    id: Id
    at: Time
    fraud: Truth[bool]


def features(payment: Payment, spent_1d: float, often_1d: int, usual_7d: float | None, busy_7d: int) -> dict[str, float | int]:
    """What is unusual about a payment for its card, and where it was made."""
    usual = payment.amount if usual_7d is None else usual_7d
    return {
        "amount": payment.amount,
        "vs_usual": log1p(payment.amount) - log1p(usual),
        "spent_1d": spent_1d,
        "often_1d": float(often_1d),
        "busy_7d": float(busy_7d),
        f"card {payment.card}": MEMORY,
        f"terminal {payment.terminal}": MEMORY,
    }


class SavedPerPayment:
    """Money the answers saved, for each payment: a fraud stopped saves its amount, stopping anything costs a phone call."""

    def __init__(self) -> None:
        self.saved, self.payments = 0.0, 0

    def update(self, record: Prediction | Example | Unlabelled) -> None:
        if isinstance(record, Example):
            self.payments += 1
            if record.prediction.value:
                amount = record.prediction.features["amount"]
                self.saved += (float(amount or 0.0) if record.truth else 0.0) - PHONE_CALL

    def get(self) -> float:
        return self.saved / max(1, self.payments)


PHONE_CALL = 5.0
MEMORY = 5  # instead of 1: the weight of a card or a terminal then moves 25 times as fast as the others
numbers = compose.SelectType(float) | preprocessing.StandardScaler()
places = compose.SelectType(int)  # not scaled: thousands of them, each with a weight of its own
missed = optim.losses.Log(weight_pos=10)  # missing a fraud is ten times as bad as a phone call too many

fraud = Pipeline(
    name="fraud",
    events=jsonl("data/payments.jsonl", Payment),
    labels=jsonl("data/chargebacks.jsonl", Chargeback),
    aggregates={
        "spent_1d": Sum("amount", over=days(1)),
        "often_1d": Count(over=days(1)),
        "usual_7d": Mean("amount", over=days(7)),
        "busy_7d": Count(over=days(7), by="terminal"),
    },
    features=features,
    model=(numbers + places) | linear_model.LogisticRegression(loss=missed),
    join=Join(wait=days(7), absent=False),
    versions=Versions(every=100_000),
    watch=Watch(
        metrics=(metrics.ROCAUC(), metrics.F1(), metrics.Precision(), metrics.Recall()),
        drift=("amount",),
        monitors=(SavedPerPayment,),
    ),
)
