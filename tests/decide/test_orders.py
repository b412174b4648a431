"""Orders that cannot be obeyed are dead letters that say why, and change nothing; the loop and the store go on."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from river import linear_model
from tests.shops import Sale, Visit
from tests.views.contested import decisions

from eddyline import (
    Challenger,
    CustomModel,
    DeclarationError,
    Engine,
    Join,
    NotFound,
    Pipeline,
    Promote,
    RollBack,
    Split,
    Task,
    Watch,
    days,
    memory,
)
from eddyline.records import ModelVersion, Place
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.database import Store, post
from eddyline.views.verify import verify


class Says(CustomModel):
    """Always says the same, and counts what it has learned."""

    task = Task.CLASSIFICATION

    def __init__(self, value: bool = False) -> None:
        self.value, self.learned = value, 0

    def predict(self, features: dict[str, Any]) -> bool:
        return self.value

    def learn(self, features: dict[str, Any], truth: Any) -> None:
        self.learned += 1


def squared(visit: Visit) -> dict[str, float]:
    if visit.pages > 4:
        raise ValueError("too many to square")
    return {"squared": visit.pages**2}


def shop(model: Any = None, **more: Any) -> Pipeline:
    more.setdefault("look_every", 10)
    model = linear_model.LogisticRegression() if model is None else model
    return Pipeline(name="shop", events=memory([], Visit), labels=memory([], Sale), model=model, **more)


def feed(engine: Engine, start: int, stop: int, *, bought: Any = lambda i: i % 2 == 0, from_s: int = 0) -> None:
    for i in range(start, stop):
        engine.answer(Visit(id=f"v-{i}", at=from_s + i, pages=float(i % 7)))
        if (truth := bought(i)) is not None:
            engine.tell(Sale(id=f"v-{i}", at=from_s + i, bought=truth))


def newcomer(name: str, like: str = "shop", start: str = "shop@5", **more: Any) -> Command:
    return Command(do="enter", entry=Entry(name, like, start, **more))


FOREIGN = ModelVersion("shop.x", 5, "d" * 16, "r", None, "fp")
ORDERS: dict[str, Command] = {
    "a version that was not reached": Command(to="shop@999"),
    "a version from before its line began": Command(to="shop.b1@3"),
    "a seat for it": Command(do="enter", place=Place("shop.b1@3")),
    "a seat for nobody": Command(do="enter"),
    "a seat for a ghost": Command(do="enter", to="ghost"),
    "a number of five thousand digits": Command(to="shop@" + "9" * 5000),
    "a start of 25 digits": newcomer("shop.y", start="shop@" + "9" * 25),
    "a name with a version in it": newcomer("shop.b@1"),
    "a name with half a version in it": newcomer("shop.b@x"),
    "no name": newcomer(""),
    "the name of nobody's line": newcomer("live"),
    "another kind of model": newcomer("shop.y", start="shop.deep@5"),
    "like nobody": newcomer("shop.y", like="ghost"),
    "after nobody": newcomer("shop.y", after="ghost@3"),
    "after what was not reached": newcomer("shop.y", after="shop@999"),
    "after half a version": newcomer("shop.y", after="shop@x"),
    "bytes that are no model": newcomer("shop.x", start="shop.x@5"),
    "bytes with another digest": newcomer("shop.y", start="shop@0", digest="00"),
    "a split of nothing": Command(do="enter", place=Place("shop.deep", "split", 0.0)),
    "a split of everything": Command(do="enter", place=Place("shop.deep", "split", 1.0)),
    "a canary of less than nothing": Command(do="enter", place=Place("shop.deep", "canary", -5.0)),
    "a seat beside itself": Command(do="enter", place=Place("shop")),
    "to leave without a seat": Command(do="leave", to="shop"),
    "to approve what nobody proposed": Command(do="approve", number=7),
}


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_that_cannot_be_obeyed_changes_nothing_and_says_why(name: str, tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("deep", model=Says()),), decide=(Promote(),))
    path = tmp_path / "shop.eddyline"
    with Engine(declared, path) as engine:
        feed(engine, 0, 20)
        engine.command(newcomer("shop.b1", start="shop@15"))
        before = engine.plan.decide.save(engine.loop.states.decide)
    post(path, msgspec.json.encode(ORDERS[name]), (FOREIGN, b"junk", "{}") if name == "bytes that are no model" else None)
    for attempt in range(2):
        with Engine(declared, path) as engine:
            engine.take_inbox()
            if not attempt:
                assert engine.plan.decide.save(engine.loop.states.decide) == before
            engine.answer(Visit(id=f"after-{attempt}", at=100, pages=1.0))
    with closing(Store.read(path)) as store:
        letters = [letter for block in store.blocks() for letter in block.dead]
        assert [letter.stream for letter in letters] == ["commands"]
        assert len(letters[0].detail) > 20
        if name != "bytes that are no model":  # whoever registered them is told by verify, too
            assert verify(store, declared).faults == []


def test_odd_names_of_segments_do_no_harm(tmp_path: Path) -> None:
    with Engine(shop(), tmp_path / "shop.eddyline") as engine:
        engine.command(Command(do="quarantine", to="a\x00b@/\n"))
        engine.command(Command(do="observe", to="ghost", value=1e308))
        feed(engine, 0, 20)
        assert engine.loop.states.learn.position == 20


def test_a_deadline_is_counted_from_the_first_event_and_not_from_1970(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("b", model=Says()),), decide=(Promote(deadline=days(14)),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        feed(engine, 0, 40, bought=lambda i: False, from_s=1_800_000_000)
        assert [place.who for place in engine.loop.states.rollout.places] == ["shop.b"]
        feed(engine, 40, 60, bought=lambda i: False, from_s=1_800_000_000 + 15 * 86_400)
        assert engine.loop.states.rollout.places == ()


def test_what_a_line_could_not_see_it_does_not_learn(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("deep", features=squared),), look_every=1_000)
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        feed(engine, 0, 70)
        deep = engine.loop.states.rivals["shop.deep"]
        assert deep.position == sum(i % 7 <= 4 for i in range(70))
        assert b"squared" in deep.model.save()
        assert b"pages" not in deep.model.save()
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert verify(store, declared).faults == []


def test_an_objective_is_judged_in_the_order_of_events_whoever_tells_first(tmp_path: Path) -> None:
    """Fraud is told in a minute, and silence means fine after a week: the first hundred labels are all bad news."""
    declared = shop(
        Says(False), join=Join(wait=days(7), absent=False), decide=(RollBack(error_above=0.1, false_alarm_every=1_000),)
    )
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        for i in range(3_000):
            engine.answer(Visit(id=f"v-{i}", at=600 * i, pages=1.0))
            if i % 50 == 0:
                engine.tell(Sale(id=f"v-{i}", at=600 * i + 60, bought=True))
    assert decisions(tmp_path / "shop.eddyline") == []


class Shy(Says):
    """Has no answer before it has learned something."""

    def predict(self, features: dict[str, Any]) -> Any:
        return self.value if self.learned else None


@pytest.mark.parametrize(("said", "silent", "alerts"), [(True, "wrong", 1), (True, "left out", 0), (False, "left out", 1)])
def test_who_is_silent_at_a_cold_start_is_above_its_objective_unless_that_is_left_out(
    tmp_path: Path, said: bool, silent: Any, alerts: int
) -> None:
    objective = RollBack(error_above=0.1, false_alarm_every=1_000, cool_down=days(30), silent=silent)
    declared = shop(Shy(said), join=Join(wait=days(7)), decide=(objective,))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        for i in range(120):
            engine.answer(Visit(id=f"v-{i}", at=60 * i, pages=1.0))
        for i in range(120):
            engine.tell(Sale(id=f"v-{i}", at=60 * (i + 120), bought=True))
        for i in range(400):
            engine.answer(Visit(id=f"w-{i}", at=60 * (i + 240), pages=1.0))
            engine.tell(Sale(id=f"w-{i}", at=60 * (i + 240) + 1, bought=True))
    assert [one.action for one in decisions(tmp_path / "shop.eddyline")] == ["alert"] * alerts
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert verify(store, declared).faults == []


def test_a_proposal_about_a_champion_that_is_gone_cannot_be_approved(tmp_path: Path) -> None:
    declared = shop(Says(True), challengers=(Challenger("bad", model=Says(False)),), decide=(RollBack(approval=True),))
    path = tmp_path / "shop.eddyline"
    with Engine(declared, path) as engine:
        engine.rollback("shop.bad", author="ana")
        feed(engine, 0, 60, bought=lambda i: True)
        (proposed,) = engine.loop.states.decide.proposed.values()
        assert proposed.action == "roll_back"
        engine.rollback("shop", author="ana")
        with pytest.raises(NotFound, match="was about another champion"):
            engine.command(Command(do="approve", number=proposed.number))
        assert engine.loop.states.rollout.champion is None


def test_a_line_of_which_only_versions_are_asked_goes_on_learning(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("deep", model=Says()),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        feed(engine, 0, 40)
        engine.rollback("shop.deep@30")
        engine.rollback("shop.deep@20")
        feed(engine, 40, 50)
        engine.rollback("shop.deep")
        assert engine.answer(Visit(id="last", at=900, pages=1.0)).version == "shop.deep@50"


def test_what_is_in_quarantine_counts_for_nobody(tmp_path: Path) -> None:
    declared = shop(
        Says(True),
        challengers=(Challenger("good", model=Says(False)),),
        decide=(Promote(evidence=20),),
        watch=Watch(segment=lambda visit: "all"),
    )
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        engine.command(Command(do="quarantine", to="all"))
        feed(engine, 0, 100, bought=lambda i: False)
        assert engine.loop.states.rollout.champion is None
        engine.command(Command(do="release", to="all"))
        feed(engine, 100, 150, bought=lambda i: False)
        assert engine.loop.states.rollout.champion == "shop.good"


def test_a_split_charges_nobody_for_keys_that_were_not_his(tmp_path: Path) -> None:
    """Its features fail on some events; those of other keys are not its failures."""
    declared = shop(
        Says(True),
        challengers=(Challenger("seen", model=Says(True), features=squared, mode=Split(0.05)),),
        decide=(Promote(evidence=20), RollBack(exceptions=0.5)),
    )
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        feed(engine, 0, 600, bought=lambda i: True)
        assert [place.who for place in engine.loop.states.rollout.places] == ["shop.seen"]


def test_two_policies_of_one_name_are_refused_when_declared() -> None:
    with pytest.raises(DeclarationError, match="two policies are called 'roll_back'"):
        shop(decide=(RollBack(), RollBack(error_above=0.1)))


def test_a_wish_that_waits_for_approval_does_not_starve_the_others(tmp_path: Path) -> None:
    """A broken challenger waits for approval to be retired; the champion does harm meanwhile, and that is proposed, too."""
    declared = shop(
        Says(True),
        challengers=(Challenger("bad", model=Says(False)), Challenger("broken", features=squared, model=Says(True))),
        decide=(RollBack(approval=True),),
        join=Join(wait=timedelta(seconds=50)),
    )
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        engine.rollback("shop.bad", author="ana")
        feed(engine, 0, 200, bought=lambda i: True)
        actions = {decision.action for decision in engine.loop.states.decide.proposed.values()}
    assert actions == {"retire", "roll_back"}
