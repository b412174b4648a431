"""What could never work is refused when the pipeline is built, in the user's words, with what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from river import anomaly, linear_model, multiclass, preprocessing, tree
from sklearn.linear_model import SGDClassifier  # type: ignore[import-untyped]

from eddyline import Challenger, Count, EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Sklearn, Truth, hours, memory
from eddyline.records.errors import DeclarationError


class Visit(Event):
    id: Id
    who: Key
    at: EpochSeconds
    pages: float


class Told(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


class Worded(Label):
    id: Id
    at: EpochSeconds
    kind: Truth[str]


class Counted(Label):
    id: Id
    at: EpochSeconds
    kind: Truth[int]


class OneOrTwo(Label):
    id: Id
    at: EpochSeconds
    kind: Truth[Literal[1, 2]]


class ZeroOrOne(Label):
    id: Id
    at: EpochSeconds
    kind: Truth[Literal[0, 1]]


class Measured(Label):
    id: Id
    at: EpochSeconds
    cost: Truth[float]


def shop(label: type[Label] = Told, **fields: Any) -> Pipeline:
    fields = {"model": linear_model.LogisticRegression()} | fields
    return Pipeline(name="shop", events=memory([], Visit), labels=memory([], label), **fields)


BINARY = [
    linear_model.LogisticRegression(),
    linear_model.Perceptron(),
    linear_model.PAClassifier(),
    preprocessing.StandardScaler() | linear_model.ALMAClassifier(),
]
OFTEN = {"often": Count(over=hours(1))}
SCALED = preprocessing.StandardScaler() | linear_model.LogisticRegression()


def only_named(visit: Visit, *, often: int) -> dict[str, float]:
    return {"often": often}


def not_named(visit: Visit, often: int, /) -> dict[str, float]:
    return {"often": often}


def event_by_name(*, visit: Visit) -> dict[str, float]:
    return {"pages": visit.pages}


def as_it_comes(*given: Any, **named: Any) -> dict[str, float]:
    return {"pages": given[0].pages}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: shop(join=Join(absent="no")), r"join: absent='no' is not what labels tell: their truth is Truth\[bool\]"),
        (lambda: shop(Measured, model=linear_model.LinearRegression(), join=Join(absent=False)), "absent=False is not what"),
        (lambda: shop(Worded, model=linear_model.LinearRegression()), r"the truth is text \(Truth\[str\]\)"),
        (
            lambda: shop(challengers=(Challenger("x", model=linear_model.LinearRegression()),)),
            "challenger x: its model answers",
        ),
        (lambda: shop(Worded, model=Sklearn(SGDClassifier(random_state=1), classes=[False, True])), "classes has False"),
        (lambda: shop(join=Join(early=-1)), "join: early=-1 is not a number of labels"),
        (lambda: shop(join=Join(early="x")), "join: early='x' is not a number of labels"),  # type: ignore[arg-type]
        (lambda: shop(features=event_by_name), r"event_by_name\(.*\).* cannot be called with the event first"),
        (lambda: shop(features=not_named, aggregates=OFTEN), r"not_named\(.*\).* cannot be called with the event first"),
        (lambda: shop(features=max), "Python does not say what it takes"),
        (lambda: shop(aggregates=[Count(over=hours(1))]), "gives them no names"),
        (lambda: Count(hours(1)), r"write: Count\(over=hours\(1\)\)"),  # type: ignore[call-arg]
    ],
)
def test_it_is_refused_with_words(build: Callable[[], Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        build()


@pytest.mark.parametrize("label", [Worded, Counted, OneOrTwo])
@pytest.mark.parametrize("model", BINARY)
def test_a_model_of_two_classes_is_given_no_other_truths(model: Any, label: type[Label]) -> None:
    with pytest.raises(DeclarationError, match="its model knows two classes, true and false, and the truth is Truth"):
        shop(label, model=model)
    with pytest.raises(DeclarationError, match="its model knows two classes, true and false, and the truth is Truth"):
        shop(label, model=model, per="key")


@pytest.mark.parametrize(
    "build",
    [
        lambda: shop(ZeroOrOne, model=SCALED, join=Join(absent=0)),
        lambda: shop(Worded, model=multiclass.OneVsRestClassifier(linear_model.LogisticRegression())),
        lambda: shop(OneOrTwo, model=tree.HoeffdingTreeClassifier()),
        lambda: shop(Measured, model=linear_model.LinearRegression(), join=Join(absent=0)),
        lambda: shop(features=only_named, aggregates=OFTEN),
        lambda: shop(features=as_it_comes, aggregates=OFTEN),
    ],
)
def test_what_fits_is_built(build: Callable[[], Pipeline]) -> None:
    assert build().notes() == []


def test_an_anomaly_model_that_nobody_tells_anything_is_noted() -> None:
    trees = anomaly.HalfSpaceTrees(seed=1)
    (note,) = shop(model=trees).notes()
    assert "join=Join(wait=hours(1), absent=False)" in note
    assert shop(model=trees, join=Join(wait=hours(1), absent=False)).notes() == []
