"""Forgetting: after it, a model is to the digest the one that never saw those events; for five kinds of River model."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from river import ensemble, forest, linear_model, naive_bayes, preprocessing, tree
from tests.shops import LongVisit, Sale

from eddyline import (
    Challenger,
    Engine,
    NotFound,
    Pipeline,
    Versions,
    memory,
)
from eddyline.records import Place
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.store.training import Spec, chosen_by, train
from eddyline.views.dropping import drop_back
from eddyline.views.forget import forget
from eddyline.views.operate import roll_back
from eddyline.views.verify import verify

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
        events=memory([], LongVisit),
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
            engine.answer(LongVisit(id=f"v-{i}", at=10 * i, pages=pages, minutes=minutes))
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
        assert engine.answer(LongVisit(id="last", at=9_000, pages=1.0, minutes=1.0)).version == "shop.f1@257"
    with Engine(shop(model), tmp_path / "never.eddyline") as engine:
        feed(engine, 0, 260, leave_out=BAD)
        assert engine.loop.states.learn.model.digest() == after
    with closing(Store.read(path)) as store:
        assert verify(store, shop(model)).faults == []


def test_what_is_told_later_about_a_forgotten_event_is_never_learned(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
        engine.answer(LongVisit(id="late", at=600, pages=1.0, minutes=1.0))
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


def test_forgetting_what_is_forgotten_says_so(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(shop("linear"), path) as engine:
        feed(engine, 0, 10)
    forget(shop("linear"), path, {"v-3"}, author="ana")
    with pytest.raises(NotFound, match="forgotten before, and that holds: eddyline history FILE"):
        forget(shop("linear"), path, {"v-3"}, author="ana")


def test_a_branch_of_a_line_that_forgot_never_learns_what_it_forgot(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
        engine.answer(LongVisit(id="late", at=600, pages=1.0, minutes=1.0))
    forget(declared, path, {"late", "v-3"}, author="ana")
    with Engine(declared, path) as engine:
        feed(engine, 61, 70)
    drop_back(declared, path, "shop.f1@52", author="ana")
    with Engine(declared, path) as engine:
        assert engine.loop.states.rollout.champion == "shop.b1"
        engine.tell(Sale(id="late", at=700, bought=True))
        assert engine.loop.states.rivals["shop.b1"].position == 52


def test_versions_that_learned_a_forgotten_event_lose_their_seats_and_earlier_ones_keep_them(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
        for who in ("shop@7", "shop@8", "shop@30"):  # v-7 is what makes shop@8
            engine.command(Command(do="enter", place=Place(who, "shadow")))
    forget(declared, path, {"v-7"}, author="ana")
    with Engine(declared, path) as engine:
        rollout = engine.loop.states.rollout
        assert (rollout.champion, [place.who for place in rollout.places]) == ("shop.f1", ["shop@7"])


def test_a_version_that_answers_and_learned_a_forgotten_event_gives_way_to_its_lines_successor(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
        engine.command(Command(to="shop@30"))
        engine.command(Command(do="enter", place=Place("shop", "shadow")))
    assert [(one.line, one.proved) for one in forget(declared, path, {"v-7"}, author="ana")] == [("shop", True)]
    with Engine(declared, path) as engine:
        rollout = engine.loop.states.rollout
        assert (rollout.champion, rollout.former, rollout.places) == ("shop.f1", None, ())
        assert engine.answer(LongVisit(id="last", at=9_000, pages=1.0, minutes=1.0)).version == "shop.f1@49"


def test_a_line_that_was_rolled_back_to_forgets_again_all_that_was_ever_forgotten(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
    forget(declared, path, {"v-7"}, author="ana")
    drop_back(declared, path, "shop@40", author="ana", unforget=True)
    (again,) = forget(declared, path, {"v-20"}, author="ana")
    assert (again.line, again.examples, again.proved) == ("shop.b1", 2, True)
    with Engine(shop("linear"), tmp_path / "never.eddyline") as engine:
        feed(engine, 0, 40, leave_out={"v-7", "v-20"})
        assert engine.loop.states.learn.model.digest() == again.digest


def test_what_was_forgotten_is_not_trained_on_and_an_earlier_choice_stays_as_it_was(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
    spec = Spec(name="shop.r1", model=declared.plan().model)
    with closing(Store.read(path)) as store:
        before = train(store, declared, spec, tmp_path / "before")
    forget(declared, path, {"v-7", "v-45"}, author="ana")
    with closing(Store.read(path)) as store:
        after = train(store, declared, spec, tmp_path / "after")
        assert list(chosen_by(store, spec, before).learn) == list(range(40))
        assert list(chosen_by(store, spec, after).judge) == [39, 40, 41, 42, 43, 44, 46, 47, 48, 49]
    assert after.lineage.learned.ranges == [(0, 6), (8, 38)]


def test_a_version_before_its_line_began_cannot_be_asked_for(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 20)
    drop_back(declared, path, "shop@15", author="ana")
    for back in (drop_back, roll_back):
        with pytest.raises(NotFound, match=r"no version shop.b1@3; shop.b1 began at shop.b1@15\n.*shop@3"):
            back(declared, path, "shop.b1@3", author="ana")
    change, _ = roll_back(declared, path, "shop.b1@15", author="ana")
    assert change.rollout.champion == "shop.b1@15"


def test_an_event_that_waits_for_its_truth_is_forgotten_before_anybody_learned_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    still = Challenger("still", model=MODELS["bayes"](), learns=False)
    declared = shop("linear", challengers=(Challenger("tree", model=MODELS["tree"]()), still))
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
        engine.answer(LongVisit(id="late", at=600, pages=1.0, minutes=1.0))
    forgot = forget(declared, path, {"late"}, author="ana")
    assert [(one.line, one.successor, one.examples, one.proved) for one in forgot] == [
        ("shop", "shop.f1", 0, True),
        ("shop.tree", "shop.f2", 0, True),
    ]
    with Engine(declared, path) as engine:
        engine.tell(Sale(id="late", at=700, bought=True))
        feed(engine, 71, 80)
        learners = engine.loop.states.rivals
        assert {learners["shop.f1"].position, learners["shop.f2"].position} == {59}
        digest = learners["shop.f1"].model.digest()
    with Engine(shop("linear"), tmp_path / "never.eddyline") as engine:
        feed(engine, 0, 50)
        feed(engine, 71, 80)
        assert engine.loop.states.learn.model.digest() == digest
    with pytest.raises(NotFound, match="nobody who answers has learned late, or is going to"):
        forget(declared, path, {"late"}, author="ana")
    with closing(Store.read(path)) as store:
        assert verify(store, declared).faults == []


@pytest.mark.parametrize("to", ["shop@8", "shop", "live"])
def test_who_learned_a_forgotten_event_answers_again_only_where_that_is_said(to: str, tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
    forget(declared, path, {"v-7"}, author="ana")
    with pytest.raises(NotFound, match=r"learned event 'v-7', which was to be forgotten\nname a version of shop.f1"):
        roll_back(declared, path, to, author="ana")
    place = Place("shop" if to == "live" else to, "shadow")
    with Engine(declared, path) as engine:
        for command in (Command(to=to), Command(do="enter", place=place)):
            with pytest.raises(NotFound, match="which was to be forgotten; to have it asked all the same, say --unforget"):
                engine.command(command)
        engine.command(Command(to="shop@7"))
    change, _ = roll_back(declared, path, to, author="ana", unforget=True)
    assert change.rollout.champion == (to if "@" in to else None)
    with closing(Store.read(path)) as store:
        assert verify(store, declared).faults == []


def test_a_branch_of_a_version_that_learned_a_forgotten_event_is_refused(tmp_path: Path) -> None:
    path, declared = tmp_path / "shop.eddyline", shop("linear")
    with Engine(declared, path) as engine:
        feed(engine, 0, 50)
    forget(declared, path, {"v-7"}, author="ana")
    with pytest.raises(NotFound, match="shop@40 learned event 'v-7'"):
        drop_back(declared, path, "shop@40", author="ana")
    drop_back(declared, path, "shop.f1@49", author="ana")
