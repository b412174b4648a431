"""Is this address a phishing site? Answered when it is seen; an analyst's verdict comes a day later.

Six years of addresses. Each brings words that no model has seen before: the features are an open map that never stops
growing. An address is text here: nothing is resolved, nothing is fetched.
"""

import re

from river import linear_model, metrics, optim

from eddyline import Event, Id, Join, Label, Pipeline, Time, Truth, Versions, Watch, days, jsonl


class Address(Event):
    id: Id
    at: Time
    url: str


class Verdict(Label):
    id: Id
    at: Time
    phishing: Truth[bool]


def words(address: Address) -> dict[str, float]:
    """The words of an address, each by where it stands: `host paypal` is not `path paypal`."""
    host, _, path = address.url.lower().partition("://")[2].partition("/")
    found = {f"host {word}": 1.0 for word in re.split("[^a-z0-9]+", host) if word}
    found |= {f"path {word}": 1.0 for word in re.split("[^a-z0-9]+", path) if word}
    return found


def month(address: Address) -> str:
    return address.at.strftime("%Y-%m")


urls = Pipeline(
    name="urls",
    events=jsonl("data/addresses.jsonl", Address),
    labels=jsonl("data/verdicts.jsonl", Verdict),
    features=words,
    model=linear_model.LogisticRegression(optim.AdaGrad(1.0)),
    join=Join(wait=days(2)),
    versions=Versions(every=50_000),
    watch=Watch(metrics=(metrics.Accuracy(), metrics.F1()), segment=month),
)
