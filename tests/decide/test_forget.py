"""Forgetting: after it, a model is to the digest the one that never saw those events; for five kinds of River model."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from river import ensemble, forest, linear_model, naive_bayes, preprocessing, tree

from eddyline import (
    Challenger,
    Engine,
    EpochSeconds,
    Event,
    Id,
    Label,
    NotFound,
    Pipeline,
    Truth,
    Versions,
    memory,
)
from eddyline.store.database import Store
from eddyline.views.forget import forget
from eddyline.views.verify import verify


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float
    minutes: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


MODELS: dict[str, Callable[[], Any]] = {
    "linear": lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    "bayes": lambda: naive_bayes.GaussianNB(),
    "tree": lambda: tree.HoeffdingAdaptiveTreeClassifier(grace_period=30, seed=1),
    "forest": lambda: forest.ARFClassifier(n_models=3, seed=1),
    "bagging": lambda: ensemble.ADWINBaggingClassifier(linear_model.LogisticRegression(), n_models=3, seed=1),
}
BAD = {"v-40", "v-41", "v-160"}


def shop(model: str, **more: Any) -> Pipeline:
    return Pipeline(
        name="shop",
        events=memory([], Visit),
        labels=memory([], Sale),
        model=MODELS[model](),
        versions=Versions(every=50),
        **more,
    )


def feed(engine: Engine, start: int, stop: int, leave_out: set[str] | frozenset[str] = frozenset()) -> None:
    for i in range(start, stop):
        drawn = random.Random(i)
        pages, minutes = drawn.random() * 9, drawn.random() * 20
        if f"v-{i}" not in leave_out:
            engine.answer(Visit(id=f"v-{i}", at=10 * i, pages=pages, minutes=minutes))
            engine.tell(Sale(id=f"v-{i}", at=10 * i + 5, bought=pages * 2 + minutes > 20))


@pytest.mark.parametrize("model", MODELS)
def test_after_forgetting_the_model_is_that_of_a_run_that_never_saw_the_events(model: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(shop(model), path) as engine:
        feed(engine, 0, 200)
    forgot = forget(shop(model), path, BAD, author="ana", reason="poisoned")
    assert [(one.line, one.successor, one.examples, one.proved) for one in forgot] == [("shop", "shop.f1", 3, True)]
    with Engine(shop(model), path) as engine:
        feed(engine, 200, 260)
        after = engine.loop.states.rivals["shop.f1"].model.digest()
        assert engine.answer(Visit(id="last", at=9_000, pages=1.0, minutes=1.0)).version == "shop.f1@257"
    with Engine(shop(model), tmp_path / "never.eddyline") as engine:
        feed(engine, 0, 260, leave_out=BAD)
        assert engine.loop.states.learn.model.digest() == after
    with closing(Store.read(path)) as store:
        assert verify(store, shop(model)).faults == []


def test_what_is_told_later_about_a_forgotten_event_is_never_learned(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
        engine.answer(Visit(id="late", at=600, pages=1.0, minutes=1.0))
    forget(declared, path, {"late", "v-3"}, author="ana")
    with Engine(declared, path) as engine:
        before = engine.loop.states.rivals["shop.f1"].position
        engine.tell(Sale(id="late", at=700, bought=True))
        assert engine.loop.states.rivals["shop.f1"].position == before == 49


def test_challengers_forget_too_and_what_was_forgotten_stays_so_when_more_is(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    declared = shop("linear", challengers=(Challenger("tree", model=MODELS["tree"]()),))
    with Engine(declared, path) as engine:
        feed(engine, 0, 120)
    first = forget(declared, path, {"v-40"}, author="ana")
    assert [(one.line, one.successor, one.proved) for one in first] == [
        ("shop", "shop.f1", True),
        ("shop.tree", "shop.f2", True),
    ]
    with Engine(declared, path) as engine:
        feed(engine, 120, 150)
    again = forget(declared, path, {"v-41", "v-130"}, author="ana")
    assert [(one.line, one.successor, one.proved) for one in again] == [
        ("shop.f1", "shop.f3", True),
        ("shop.f2", "shop.f4", True),
    ]
    with Engine(declared, path) as engine:
        feed(engine, 150, 180)
        learners = engine.loop.states.rivals
        assert {name: state.position for name, state in learners.items()} == {"shop.f3": 177, "shop.f4": 177}
        digest = learners["shop.f4"].model.digest()
    with Engine(shop("tree"), tmp_path / "never.eddyline") as engine:
        feed(engine, 0, 180, leave_out={"v-40", "v-41", "v-130"})
        assert engine.loop.states.learn.model.digest() == digest
    with closing(Store.read(path)) as store:
        assert verify(store, declared).faults == []


def test_an_event_that_nobody_learned_cannot_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(shop("linear"), path) as engine:
        feed(engine, 0, 10)
    with pytest.raises(NotFound, match="nobody who answers has learned nobody-1"):
        forget(shop("linear"), path, {"nobody-1"}, author="ana")
