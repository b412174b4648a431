"""finite: no NaN or infinity enters a model, a metric or an answer. I9 and I10: what a bad record leaves is its letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model
from tests.laws.drawn import CARDS, LAW, PIPELINES, TOLD, Chargeback, Payment, pipeline, us

from eddyline import CustomModel, Event, Id, Join, Label, Output, Pipeline, Rejected, Task, Truth, memory
from eddyline.records import Features
from eddyline.records.types import EpochMicros
from eddyline.store.blocks import Input, Kind
from eddyline.testing import Journey, run_in_memory

NASTY = ["NaN", "Infinity", "-Infinity", "1e999", "1e308", "-1e101", "1e100", "-0.0", "5e-324", "1.5", "0", "9" * 400]
DANGEROUS = st.sampled_from([0.0, 1.0, -1.0, 1e100, -1e100, 9.9e99, 1e-300, 3.5])


def events(numbers: list[str], shop: str = "north") -> list[Input]:
    """Events as bytes, with these numbers as they stand."""
    return [
        Input(Kind.EVENT, b'{"id":%d,"card":"c","at":%d,"amount":%s,"shop":"%s"}' % (i, i, n.encode(), shop.encode()), i)
        for i, n in enumerate(numbers)
    ]


def numbers_in(thing: Any) -> Iterator[float]:
    """Every number anywhere in plain values."""
    if isinstance(thing, float | int):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from numbers_in(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from numbers_in(value)


def assert_finite(journey: Journey) -> None:
    """Nothing that came out, and nothing that is measured, is NaN or infinite."""
    for p in journey.total.predictions:
        assert all(map(isfinite, numbers_in([p.features, p.aggregates, p.value, p.scores])))
    for one in journey.plan.watch.measurements(journey.loop.states.watch):
        assert one.value is None or isfinite(one.value)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(st.lists(st.sampled_from(NASTY), min_size=1, max_size=12), st.lists(st.booleans(), max_size=12))
def test_numbers_out_of_range_stop_at_the_door(name: str, numbers: list[str], truths: list[bool]) -> None:
    told = [Chargeback(id=str(i), at=i, fraud=truth) for i, truth in enumerate(truths)]
    journey = run_in_memory(pipeline(name), [*events(numbers), *told])
    journey.take(Payment(id="last", card="c", at=100, amount=1.0, shop="north"))
    assert_finite(journey)
    assert journey.total.predictions[-1].event_id == "last", "the next event is answered"
    refused = [letter.reason for letter in journey.total.dead if letter.stream == "events"]
    assert len(journey.total.predictions) + len(refused) == len(numbers) + 1
    assert set(refused) <= {"out_of_range", "malformed", "invalid"}


@LAW
@given(st.lists(st.tuples(CARDS, DANGEROUS, TOLD), max_size=25))
def test_huge_numbers_never_make_a_model_answer_nan(steps: list[tuple[str, float, list[tuple[int, bool, int]]]]) -> None:
    bare = pipeline("live").replace(model=linear_model.LogisticRegression(), aggregates={}, features=raw_amount)
    journey = Journey(bare)
    for number, (card, amount, told) in enumerate(steps):
        journey.take(Payment(id=f"p-{number}", card=card, at=number, amount=amount, shop="north"))
        for _, fraud, _ in told:
            journey.take(Chargeback(id=f"p-{number}", at=number, fraud=fraud))
        assert_finite(journey)
    calm = journey.take(Payment(id="last", card="c", at=100, amount=1.0, shop="north"))
    assert len(calm.predictions) == 1


def raw_amount(payment: Payment) -> dict[str, float]:
    return {"amount": payment.amount}


def mood(payment: Payment, often: int, spent: float, shops: int) -> dict[str, float]:
    return {"amount": payment.amount}


def windows_of(journey: Journey) -> dict[int, bytes]:
    assert journey.plan.serve.aggregates is not None
    return journey.plan.serve.aggregates.save(journey.loop.states.serve.windows)


class Moody(CustomModel):
    """Fails in every way a model can, as the amount tells it to."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.weight = 0.0

    def predict(self, features: Features) -> Any:
        amount = features["amount"]
        if amount == 1.0:
            raise RuntimeError("not this one")
        if amount == 2.0:
            return Output(True, {True: float("nan"), False: 0.5})
        if amount == 3.0:
            return ["no", "class"]
        return Output(self.weight > 2, {True: self.weight, False: 1.0})

    def learn(self, features: Features, truth: Any) -> None:
        amount = float(features["amount"] or 0)
        self.seen.append(amount)
        if amount == 4.0:
            raise RuntimeError("half way")
        self.weight += float("inf") if amount == 5.0 else 0.25


@LAW
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), st.booleans()), max_size=30))
def test_what_fails_leaves_the_model_as_it_was_and_the_next_event_is_answered(steps: list[tuple[float, bool]]) -> None:
    journey = Journey(pipeline("live").replace(model=Moody(), features=mood))
    learn, learned = journey.loop.states.learn, 0
    for number, (amount, fraud) in enumerate(steps):
        before, windows = learn.model.digest(), windows_of(journey)
        asked = journey.take(Payment(id=f"p-{number}", card="c", at=number, amount=amount, shop="north"))
        assert len(asked.predictions) == (amount not in (1.0, 2.0, 3.0))
        # A label of an event that was refused before may reach its horizon now; that is another stream's letter.
        assert [letter.reason for letter in asked.dead if letter.stream != "labels"] == {
            1.0: ["model_failed"],
            2.0: ["not_finite"],
            3.0: ["model_failed"],
        }.get(amount, [])
        assert learn.model.digest() == before
        assert asked.predictions or windows_of(journey) == windows
        told = journey.take(Chargeback(id=f"p-{number}", at=number, fraud=fraud))
        if amount in (4.0, 5.0):
            assert [letter.reason for letter in told.dead] == [{4.0: "model_failed", 5.0: "not_finite"}[amount]]
            assert (told.positions, learn.model.digest()) == ([-1], before)
        elif amount in (0.0, 6.0):
            learned += 1
            assert told.positions == [learned]
        assert_finite(journey)


class Size(Label):
    id: Id
    at: EpochMicros
    many: Truth[int | float | str]


class Seen(Event):
    id: Id
    at: EpochMicros
    size: float


@LAW
@given(
    st.lists(st.sampled_from(["1", "2.5", '"three"', "1e100", "1e101", "-9e99", str(2**70), str(-(2**63)), "NaN"]), max_size=12)
)
def test_a_truth_that_no_number_can_hold_is_refused_and_the_loop_goes_on(truths: list[str]) -> None:
    declared = Pipeline(
        name="sizes",
        events=memory([], Seen),
        labels=memory([], Size),
        model=linear_model.LinearRegression(),
        join=Join(wait=us(1000), revisions="learn"),
    )
    journey = Journey(declared)
    for number, truth in enumerate(truths):
        journey.take(Seen(id=str(number), at=number, size=0.5))
        journey.take(Input(Kind.LABEL, b'{"id":%d,"at":%d,"many":%s}' % (number, number, truth.encode()), number))
        assert_finite(journey)
    assert len(journey.total.examples) + len([d for d in journey.total.dead if d.stream == "labels"]) == len(truths)
    assert len(journey.take(Seen(id="last", at=100, size=0.5)).predictions) == 1


def test_what_cannot_be_written_down_is_refused_before_it_is_answered() -> None:
    for strange in ({"\ud800": 1.0}, {"a": "\udfff"}, {"a": 2**64}, {"a": [1]}, {1: 2.0}, None, {"a": float("inf")}):
        declared = pipeline("live").replace(aggregates={}, features=lambda payment, strange=strange: strange)
        outcome = Journey(declared).take(Payment(id="p", card="c", at=0, amount=1.0, shop="north"))
        assert outcome.dead[0].reason in ("features_failed", "out_of_range"), strange


def test_json_has_no_nan_for_us_whatever_python_reads() -> None:
    assert json.loads('{"amount":NaN}')["amount"] != json.loads('{"amount":NaN}')["amount"]
    with pytest.raises(Rejected):
        pipeline("live").event_schema.decode(events(["NaN"])[0].raw)
