"""The pipelines and streams on which the laws are tried.

Streams hold disorder, duplicates, redelivery, labels early, late, twice, contradicting and for nobody, events that cannot
be read or answered, the same id with other fields, commands, and time that jumps. Event time is in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from river import linear_model, preprocessing, tree

from eddyline import (
    Canary,
    Challenger,
    Count,
    Distinct,
    EpochMicros,
    Event,
    FreezeLearning,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Promote,
    RollBack,
    Shadow,
    Split,
    Sum,
    Truth,
    Versions,
    Watch,
    every,
    memory,
)
from eddyline.records import Place, Watermark
from eddyline.records.time import to_us
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.blocks import Input, Kind
from eddyline.testing.given import Given
from eddyline.testing.stream import Stream, cut

LAW = settings.get_profile("laws")


class Payment(Event):
    id: Id
    card: Key
    at: EpochMicros
    amount: float
    shop: str


class Chargeback(Label):
    id: Id
    at: EpochMicros
    fraud: Truth[bool]
    note: str = ""


def us(count: int) -> timedelta:
    return timedelta(microseconds=count)


def features(payment: Payment, often: int, spent: float, shops: int) -> dict[str, Any]:
    if payment.shop == "closed":
        raise ValueError("the shop is closed")
    if payment.shop == "broken":
        return {"amount": payment.amount / 0.0 if payment.amount else float("nan")}
    return {"spent": spent, "often": often, "amount": payment.amount, "new": shops == 0, payment.shop: 1.0}


def sparse(payment: Payment, often: int) -> dict[str, Any]:
    if payment.shop == "east":
        raise ValueError("the challenger does not know the east")
    if payment.shop == "broken" and not payment.amount:
        return {"often": float("nan")}  # such an event is refused whoever answers
    return {"often": often, payment.shop: payment.amount}


class Frail(linear_model.LogisticRegression):
    """A challenger that cannot answer everything, nor learn everything."""

    def predict_proba_one(self, x: Any, **kwargs: Any) -> Any:
        if "east" in x:
            raise ValueError("the east is not for me")
        return super().predict_proba_one(x, **kwargs)  # type: ignore[no-untyped-call]

    def learn_one(self, x: Any, y: Any, *args: Any, **kwargs: Any) -> None:
        super().learn_one(x, y, *args, **kwargs)
        if "south" in x and y:
            raise ValueError("the south cannot be true")


@lru_cache
def pipeline(name: str) -> Pipeline:
    """Live and published serving, three joins, two families of models, one for all and one for each key."""
    linear = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    grown = tree.HoeffdingTreeClassifier(grace_period=3, delta=0.2, tau=0.5)
    fields: dict[str, dict[str, Any]] = {
        "live": {"model": linear, "join": Join(wait=us(20), absent=False), "lateness": us(3)},
        "published": {
            "model": grown,
            "join": Join(wait=us(20), revisions="learn", lateness=us(4)),
            "publish": every(3),
        },
        "patient": {
            "model": grown,
            "join": Join(wait=us(20), absent=False, revisions="learn", lateness=us(5), early=4),
            "lateness": us(2),
        },
        "timed": {
            "model": linear,
            "join": Join(wait=us(20), absent=False, revisions="learn", lateness=us(4)),
            "lateness": us(3),
            "publish": every(5, us(6)),
        },
        "keyed": {
            "model": linear,
            "per": "key",
            "join": Join(wait=us(20), absent=False, revisions="learn", lateness=us(4)),
            "lateness": us(2),
        },
        "contested": {
            "model": linear,
            "join": Join(wait=us(20), absent=False, lateness=us(4)),
            "lateness": us(2),
            "challengers": (
                Challenger("grown", model=grown, mode=Canary(0.4)),
                Challenger("seen", features=sparse, mode=Split(0.3), per="key"),
                Challenger("still", model=linear, learns=False),
            ),
            "decide": (
                Promote(evidence=1.4, deadline=us(60)),
                RollBack(evidence=1.5, exceptions=0.2),
                FreezeLearning(on="any", until=us(9), approval=True, deadline=us(40)),
            ),
            "look_every": 3,
        },
        "shadowed": {
            "model": linear,
            "join": Join(wait=us(20), absent=False, lateness=us(4)),
            "lateness": us(2),
            "challengers": (
                Challenger("grown", model=grown, mode=Shadow()),
                Challenger("frail", model=Frail(), mode=Shadow()),
                Challenger("still", model=linear, mode=Shadow(), learns=False),
            ),
            "decide": (Promote(evidence=1.4, deadline=us(60)), RollBack(evidence=1.5, exceptions=0.4)),
            "look_every": 5,
        },
    }
    return Pipeline(
        name=name,
        events=memory([], Payment),
        labels=memory([], Chargeback),
        aggregates={"often": Count(over=us(15)), "spent": Sum("amount", over=us(30)), "shops": Distinct("shop", over=us(9))},
        features=features,
        versions=Versions(every=4),
        watch=Watch(segment="shop", drift=("amount",)),
        **fields[name],
    )


ALONE = ("live", "published", "patient", "timed", "keyed")
"""Those in which one model answers."""
PIPELINES = (*ALONE, "contested")
CARDS = st.sampled_from(["c-1", "c-2", "c-3"])
AMOUNTS = st.sampled_from([0.0, 1.0, 2.5, -3.0, 0.1, 40.0, 1e9])
SHOPS = st.sampled_from(["north", "south", "north", "south", "east", "closed", "broken"])
HONEST = st.sampled_from(["north", "south", "east"])
TOLD = st.lists(st.tuples(st.integers(-8, 24), st.booleans(), st.integers(-9, 9)), max_size=3)


@st.composite
def messy(draw: st.DrawFn, events: int = 25) -> list[Given]:
    """A stream with everything in it that a law must survive, in the order of its arrival."""
    stream, now = Stream(), 0
    for number in range(draw(st.integers(1, events))):
        now += draw(st.integers(0, 5))
        card, amount, shop, delay = draw(st.tuples(CARDS, AMOUNTS, SHOPS, st.sampled_from([0, 0, 0, 1, 2, 6])))
        stream.event(Payment(id=f"p-{number}", card=card, at=now, amount=amount, shop=shop), arrives=now + delay)
        for after, fraud, late in draw(TOLD):
            known = Chargeback(id=f"p-{number}", at=now + after, fraud=fraud, note=draw(st.sampled_from(["", "n"])))
            stream.label(known, arrives=now + after + late)
    start, stop = sorted(draw(st.tuples(st.integers(0, 40), st.integers(0, 40))))
    records: list[Given] = list(stream.redelivered(start, stop))
    for what in draw(st.lists(st.sampled_from(sorted(STRANGE)), max_size=6)):
        place = draw(st.integers(0, len(records)))
        records.insert(place, STRANGE[what](place, now))
    return records


def _command(place: int, now: int) -> Given:
    name = PIPELINES[place % 6] if now % 2 else "shadowed"
    to = "live" if place % 6 == 0 else f"{name}@{place // 6}"
    return Command(to=to, author="a test", reason=str(place))


def _order(place: int, now: int) -> Given:
    """Something else that an operator may ask for; often of somebody who is not there."""
    name = ("contested", "shadowed")[now % 2]
    line = (f"{name}.grown", f"{name}.seen", name, f"{name}.still", f"{name}.frail")[place % 5]
    by: Any = {"author": "a test", "reason": str(place)}
    orders = (
        Command(do="freeze", **by),
        Command(do="resume", **by),
        Command(do="approve", number=place // 3, **by),
        Command(do="reject", number=place // 3, **by),
        Command(do="leave", to=line, **by),
        Command(do="quarantine", to="north", **by),
        Command(do="release", to="north", **by),
        Command(do="enter", place=Place(line, "canary", 0.5), **by),
        Command(do="enter", place=Place(f"{name}@{place // 4}"), **by),
        Command(do="enter", entry=Entry(f"{name}.b{place}", name, f"{name}@{place // 5}"), **by),
        Command(do="roll_out", to=line, **by),
        Command(do="observe", to=line, value=float(place)),
    )
    return orders[(place * 7 + now) % len(orders)]


STRANGE: dict[str, Callable[[int, int], Given]] = {
    "an event that is not JSON": lambda place, now: Input(Kind.EVENT, b'{"id":', place),
    "a label that is not JSON": lambda place, now: Input(Kind.LABEL, b"\xff", place),
    "infinity": lambda place, now: Input(
        Kind.EVENT, b'{"id":"p-1","card":"c-1","at":%d,"amount":1e999,"shop":"north"}' % now, place
    ),
    "a contradicting event": lambda place, now: Payment(id="p-1", card="c-2", at=place, amount=7.0, shop="north"),
    "another contradicting event": lambda place, now: Payment(id="p-1", card="c-2", at=place, amount=8.0, shop="closed"),
    "a label for nobody": lambda place, now: Chargeback(id=f"q-{place % 3}", at=place, fraud=True),
    "a label of long ago": lambda place, now: Chargeback(id="p-0", at=-100, fraud=False),
    "a command": _command,
    "another command": _command,
    "an order": _order,
    "another order": _order,
    "time jumps": lambda place, now: Watermark(now - 10),
    "the streams are complete": lambda place, now: Watermark(now + 30),
}


def batches(records: Sequence[Given], places: Sequence[int]) -> list[list[Given]]:
    """The records in batches that end at these places; commands in a batch of their own, as engines take them."""
    alone = [i + step for i, record in enumerate(records) if isinstance(record, Command) for step in (0, 1)]
    return cut(records, [*places, *alone])


PLACES = st.lists(st.integers(0, 80), max_size=8)


@st.composite
def sources(draw: st.DrawFn) -> tuple[list[Payment], list[Chargeback]]:
    """Events that can all be answered, and labels about them and about nobody, each with its time."""
    events, labels, now = [], [], 0
    for number in range(draw(st.integers(1, 30))):
        now += draw(st.integers(0, 5))
        card, amount, shop = draw(st.tuples(CARDS, AMOUNTS, HONEST))
        events.append(Payment(id=f"p-{number}", card=card, at=now, amount=amount, shop=shop))
        for after, fraud, _ in draw(TOLD):
            labels.append(Chargeback(id=f"p-{number}", at=now + after, fraud=fraud))
    for at, fraud in draw(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=3)):
        labels.append(Chargeback(id="nobody", at=at, fraud=fraud))
    return events, sorted(labels, key=lambda label: label.at)


def roomy(name: str) -> Pipeline:
    """The pipeline with room for every early label: which one a bound refuses depends on which came first."""
    declared = pipeline(name)
    return declared.replace(join=replace(declared.join, early=100_000))


def interleaved(name: str, given: tuple[list[Payment], list[Chargeback]], random: Random) -> list[Event | Label]:
    """One legal arrival of everything, drawn at random."""
    events, labels = given
    declared = pipeline(name)
    for_events, for_labels = to_us(declared.lateness), to_us(declared.join.lateness)
    # Labels of one source without lateness keep their order; all of them together may run ahead, or behind a little.
    behind = max(for_events, for_labels) - for_labels
    shift = random.choice([-1_000, -7, 0, max(0, behind - 1)])
    stream = Stream()
    for event in events:
        stream.event(event, arrives=event.at + random.randrange(max(1, for_events)))
    for label in labels:
        stream.label(label, arrives=label.at + shift + random.randrange(max(1, for_labels)))
    return stream.records()
