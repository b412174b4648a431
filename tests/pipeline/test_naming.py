"""A policy that names an alert or a challenger which is not there is refused when the pipeline is built."""

from __future__ import annotations

from typing import Any

import pytest
from river import linear_model

from eddyline import (
    Challenger,
    DeclarationError,
    ErrorAbove,
    Event,
    FreezeLearning,
    Id,
    Join,
    Label,
    Missing,
    Notify,
    Pipeline,
    Promote,
    Psi,
    Retrain,
    RollBack,
    Time,
    Truth,
    Watch,
    days,
    memory,
)
from eddyline.policies import Policy


class Visit(Event):
    id: Id
    at: Time
    pages: float


class Sale(Label):
    id: Id
    at: Time
    bought: Truth[bool]


class Streak:
    def update(self, record: Any) -> None:
        return None


def shop(*decide: Policy, monitors: tuple[Any, ...] = (Psi("pages"),), **more: Any) -> Pipeline:
    watch = Watch(monitors=monitors, **more)
    challengers = (Challenger("stations", model=linear_model.LogisticRegression()),)
    events, labels = memory([], Visit), memory([], Sale)
    model = linear_model.LogisticRegression()
    return Pipeline(name="shop", events=events, labels=labels, model=model, watch=watch, decide=decide, challengers=challengers)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Notify(on="psy"), 'did you mean Notify(on="psi")?'),
        (Notify(on="Psi"), 'did you mean Notify(on="psi")?'),
        (Retrain(on=("error_drift", "psii")), 'did you mean Retrain(on="psi")?'),
        (FreezeLearning(on="label_share"), "(raised: error_drift, psi, watch)"),
        (Notify(on="feature_drift"), 'feature_drift is raised by Watch(drift=("amount",))'),
        (Promote(challenger="station"), 'did you mean Promote(challenger="stations")?'),
        (Promote(challenger="store.stations"), "is not a challenger of shop (known: stations)"),
    ],
)
def test_a_name_that_nobody_has_is_refused_with_the_one_that_was_meant(policy: Policy, said: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        shop(policy)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "decide",
    [
        (Notify(on="any"), RollBack()),
        (Notify(on=("psi", "error_drift", "watch")),),
        (Promote(challenger="stations"), Promote(challenger="shop.stations", name="full")),
        (Promote(challenger="r7"), Promote(challenger="shop.b1@300", name="branch"), Promote(challenger="shop", name="back")),
    ],
)
def test_names_that_are_raised_or_declared_are_taken(decide: tuple[Policy, ...]) -> None:
    assert shop(*decide).decide == decide


def test_the_name_that_a_monitor_was_given_is_the_one_that_counts() -> None:
    named = Missing("pages", name="gone")
    assert shop(Notify(on="gone"), monitors=(named,))
    with pytest.raises(DeclarationError, match="no monitor raises alerts of this name"):
        shop(Notify(on="missing"), monitors=(named,))


def test_what_a_monitor_of_ones_own_raises_is_not_known_but_a_slip_in_case_is() -> None:
    assert shop(Notify(on="streak"), monitors=(Psi("pages"), Streak))
    with pytest.raises(DeclarationError, match="did you mean"):
        shop(Notify(on="PSI"), monitors=(Psi("pages"), Streak))


def test_an_error_that_is_not_watched_raises_no_drift() -> None:
    with pytest.raises(DeclarationError, match="error_drift is raised by Watch"):
        shop(Retrain(on="error_drift"), error=False)


def test_an_objective_for_the_error_is_noted_where_the_bad_truths_come_first() -> None:
    silent = shop(monitors=(ErrorAbove(0.1),)).replace(join=Join(wait=days(7), absent=False))
    (note,) = silent.notes()
    assert note.startswith("error_above: it takes truths as they come to be known, and a truth by absence comes after 7 days")
    assert silent.replace(join=Join(wait=days(7))).notes() == []
