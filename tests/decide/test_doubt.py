"""What is in doubt promotes nobody: quarantine, frozen learning, rivals, failures, and a no that was said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from tests.shops import Sale

from eddyline import (
    Alert,
    Canary,
    Challenger,
    CustomModel,
    Engine,
    EpochSeconds,
    Event,
    FreezeLearning,
    Id,
    Join,
    Missing,
    Notify,
    Pipeline,
    Promote,
    Quarantine,
    RollBack,
    Split,
    Task,
    Watch,
    days,
    memory,
    one_in,
)
from eddyline.records import NOT_ASKED, Decision, Example, Prediction, Said
from eddyline.stages.commands import Command
from eddyline.stages.decide import Decide
from eddyline.stages.deciding import DecideState
from eddyline.stages.voices import assigned
from eddyline.store.database import Store, post

SECOND = 1_000_000
WAIT = 1_500
"""seconds after which no label means False"""


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float
    shop: str = "north"


class Says(CustomModel):
    """Says the same to everybody, and raises beyond so many pages."""

    task = Task.CLASSIFICATION

    def __init__(self, value: bool, most: float = 1e9) -> None:
        self.value, self.most = value, most

    def predict(self, features: dict[str, Any]) -> bool:
        if (features["pages"] or 0.0) > self.most:
            raise ValueError("too many pages")
        return self.value

    def learn(self, features: dict[str, Any], truth: Any) -> None: ...


def pages(visit: Visit) -> dict[str, Any]:
    return {"pages": visit.pages if visit.pages >= 0 else None}


def shop(**more: Any) -> Pipeline:
    more.setdefault("look_every", 10)
    more.setdefault("features", pages)
    return Pipeline(name="shop", events=memory([], Visit), labels=memory([], Sale), model=Says(False), **more)


def order(engine: Engine, **command: Any) -> None:
    post(engine.path, msgspec.json.encode(Command(author="ana", **command)))
    engine.take_inbox()


def played(engine: Engine, some: range, bought: bool = True) -> None:
    for i in some:
        engine.answer(Visit(id=f"v-{i}", at=i, pages=float(i)))
        engine.tell(Sale(id=f"v-{i}", at=i, bought=bought))


def decided(decide: Decide, state: DecideState, records: list[Any], at: int, *alerts: Alert) -> list[Decision]:
    """What policies decide when some records have come."""
    if not decide.take(state, records, alerts, []):
        return []
    return [one for one in decide.look(state, at - 1) if type(one) is Decision]


# Left out, and when that is said ---------------------------------------------------------------------------------------


def flagged(seed: int, between: tuple[Command, Command] | None) -> Iterator[Decision]:
    """A challenger that flags a tenth of all, and is right in half of it: as good as the champion, who flags none.

    Frauds are known after 30 seconds, the others when `WAIT` has passed. An order stands for nearly so long.
    """
    rng = random.Random(seed)
    decide = shop(
        challengers=(Challenger("new", model=Says(True)),),
        watch=Watch(segment="shop"),
        decide=(Promote(evidence=100),),
        join=Join(wait=days(1), absent=False),
    )
    stage = decide.plan().decide
    state, due = stage.new_state(), dict[int, list[Example]]()
    for i in range(6_000):
        at = i * SECOND
        flag = rng.random() < 0.1
        fraud = flag and rng.random() < 0.5
        revision, others = state.rollout.revision, [Said("shop.new", 0, flag, None)]
        given = Prediction(f"{i:05d}", "", at, {}, None, False, None, "shop", 0, revision, "north", others)
        known = i + (30 if fraud else WAIT)
        due.setdefault(known, []).append(Example(given, fraud, "label" if fraud else "absence", known * SECOND))
        if between is not None and i in (3_000, 3_000 + WAIT - 100):
            stage.step(state, between[i > 3_000], at, {"shop": 0})
        yield from decided(stage, state, [given, *due.pop(i, [])], at)


@pytest.mark.parametrize(
    "between",
    [(Command(do="quarantine", to="north"), Command(do="release", to="north")), (Command(do="freeze"), Command(do="resume"))],
    ids=["quarantine", "freeze"],
)
def test_classes_that_are_known_sooner_do_not_win_while_something_is_held_back(between: tuple[Command, Command]) -> None:
    promoted = sum(any(one.action == "promote" for one in flagged(seed, between)) for seed in range(8))
    assert promoted <= 1, promoted


def test_the_champion_is_watched_while_learning_is_frozen(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("new", model=Says(True)),), decide=(Promote(evidence=20), RollBack()))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        engine.rollback("shop.new", author="ana", reason="looks good")
        order(engine, do="freeze")
        played(engine, range(100), bought=False)
        assert engine.loop.states.rollout.champion is None


def test_frozen_learning_promotes_nobody_and_going_on_counts_what_came_after(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("new", model=Says(True)),), decide=(Promote(evidence=100),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        order(engine, do="freeze")
        played(engine, range(200))
        order(engine, do="resume")
        (bout,) = engine.loop.states.decide.bouts
        assert (engine.loop.states.rollout.champion, bout.contest.pairs) == (None, 0)
        played(engine, range(200, 300))
        assert engine.loop.states.rollout.champion == "shop.new"


def test_a_segment_without_a_name_is_not_all_of_them(tmp_path: Path) -> None:
    monitor = Missing("pages", reference=100, by_segment=True, budget=one_in(200))
    declared = shop(watch=Watch(segment="shop", tick=100, monitors=(monitor,)), decide=(Quarantine(on="missing"),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        for i in range(1_500):
            nameless = i % 2 == 0
            engine.answer(
                Visit(id=f"v-{i}", at=i, pages=-1.0 if nameless and i > 600 else 1.0, shop="" if nameless else "north")
            )
            engine.tell(Sale(id=f"v-{i}", at=i, bought=False))
        assert set(engine.loop.states.decide.quarantined) == {"''"}
        assert engine.loop.states.learn.position > 1_000


def test_no_interval_is_claimed_from_agreements_whose_disagreements_wait() -> None:
    declared = shop(challengers=(Challenger("new", model=Says(True)),), decide=(Promote(evidence=20),), join=Join(wait=days(1)))
    stage, rng = declared.plan().decide, random.Random(1)
    state, waits = stage.new_state(), list[Example]()
    for i in range(5_000):
        differs = rng.random() < 0.05
        others = [Said("shop.new", 1, differs, None)]
        given = Prediction(f"{i:05d}", "", i, {}, None, False, None, "shop", 1, 0, None, others)
        decided(stage, state, [given], i)
        waits.append(Example(given, False, "label", i))
    (bout,) = state.bouts
    before = bout.contest.verdict(20)
    assert (before.pairs < 200, before.low < -0.05 < before.high) == (True, True)
    retired = [one for example in waits for one in decided(stage, state, [example], 5_000)]
    assert [(one.action, one.evidence["high"] < 0.0) for one in retired] == [("retire", True)]


# Rivals ----------------------------------------------------------------------------------------------------------------

MODES: dict[str, Split | Canary] = {"a split": Split(0.5), "a canary": Canary(0.4)}


@pytest.mark.parametrize("first", [True, False], ids=["before it", "after it"])
@pytest.mark.parametrize("rival", MODES)
def test_a_split_beside_a_rival_says_nothing_when_all_become_better_together(rival: str, first: bool) -> None:
    seats = [Challenger("new", model=Says(True), mode=Split(0.5)), Challenger("other", model=Says(True), mode=MODES[rival])]
    stage = shop(challengers=tuple(reversed(seats) if first else seats), decide=(Promote(evidence=100),)).plan().decide
    promoted = 0
    for seed in range(4):
        rng, state, many = random.Random(seed), stage.new_state(), 12_000
        for i in range(many):
            error = 0.4 - 0.35 * i / many
            given = shared(state, i, rng.random() >= error)
            if any(one.action == "promote" for one in decided(stage, state, [given, Example(given, True, "label", i)], i)):
                promoted += 1
                break
    assert promoted == 0


def shared(state: DecideState, number: int, value: bool) -> Prediction:
    """An answer as serve gives it where several seats answer a share: who is asked first, takes it."""
    rollout, key, said, who = state.rollout, f"k-{number}", list[Said](), "shop"
    for place in rollout.places:
        mine = who == "shop" and assigned(rollout.salt, place.who, place.share, key)
        who = place.who if mine else who
        asked = mine or place.mode == "canary"
        said.append(Said(place.who, 1, value if asked else None, None, None, None if asked else NOT_ASKED))
    others = [Said("shop", 1, value, None) if one.model == who else one for one in said]
    return Prediction(f"{number:05d}", key, number, {}, None, value, None, who, 1, rollout.revision, None, others)


# Failures --------------------------------------------------------------------------------------------------------------


def test_a_roll_back_in_dry_run_leaves_the_guardrail_in_force(tmp_path: Path) -> None:
    failing = Challenger("new", model=Says(True, most=100.0), mode=Canary(0.5))
    with Engine(shop(challengers=(failing,), decide=(RollBack(dry_run=True),)), tmp_path / "shop.eddyline") as engine:
        played(engine, range(300))
        assert engine.loop.states.rollout.places == ()


@pytest.mark.parametrize("acts", [True, False], ids=["with RollBack", "with the guardrail of the house"])
def test_whoever_fails_is_not_promoted_in_the_same_look(acts: bool, tmp_path: Path) -> None:
    failing = Challenger("new", model=Says(True, most=190.0))
    policies = (Promote(evidence=100), *([RollBack()] if acts else []))
    with Engine(shop(challengers=(failing,), decide=policies, look_every=400), tmp_path / "shop.eddyline") as engine:
        played(engine, range(201))
        assert (engine.loop.states.rollout.champion, engine.loop.states.rollout.places) == (None, ())


def test_a_challenger_that_leaves_takes_no_evidence_about_the_champion_along(tmp_path: Path) -> None:
    failing = Challenger("new", model=Says(True, most=100.0))
    policy = RollBack(error_above=0.9, false_alarm_every=1_000_000)
    with Engine(shop(challengers=(failing,), decide=(policy,)), tmp_path / "shop.eddyline") as engine:
        played(engine, range(160), bought=False)
        assert engine.loop.states.rollout.places == ()
        assert engine.loop.states.decide.errors["roll_back"].losses > 150


# A no, and what is only written down -----------------------------------------------------------------------------------


def waiting(engine: Engine) -> list[tuple[str, str]]:
    return [(one.action, one.subject) for one in engine.loop.states.decide.proposed.values()]


def test_who_is_asked_is_not_asked_twice_and_who_said_no_not_again(tmp_path: Path) -> None:
    declared = shop(
        challengers=(Challenger("new", model=Says(True)), Challenger("other", model=Says(False))),
        decide=(Promote(approval=True, evidence=20),),
    )
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        played(engine, range(50))
        assert waiting(engine) == [("promote", "shop.new")]
        order(engine, do="leave", to="shop.other")
        played(engine, range(50, 100))
        assert waiting(engine) == [("promote", "shop.new")]
        order(engine, do="reject", number=next(iter(engine.loop.states.decide.proposed)))
        played(engine, range(100, 200))
        assert waiting(engine) == []


def test_a_promotion_that_the_evidence_has_left_is_not_approved(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("new", model=Says(True)),), decide=(Promote(approval=True, evidence=20),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        played(engine, range(30))
        (number,) = engine.loop.states.decide.proposed
        played(engine, range(30, 230), bought=False)
        order(engine, do="approve", number=number)
        assert engine.loop.states.rollout.champion is None
        assert number in engine.loop.states.decide.proposed
        order(engine, do="reject", number=number)
        assert number not in engine.loop.states.decide.proposed
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        (letter,) = [letter for block in store.blocks() for letter in block.dead]
        assert "shop.new is now worse: 30 wins" in letter.detail


Kind = Literal["dry_run", "approval"]


@pytest.mark.parametrize(("word", "written"), [("dry_run", 3), ("approval", 1)])
@pytest.mark.parametrize("kind", [Notify, FreezeLearning])
def test_a_dry_run_writes_down_each_alert_and_a_proposal_waits_for_its_answer(kind: Any, word: Kind, written: int) -> None:
    stage = shop(decide=(kind(on="error_drift", **{word: True}),)).plan().decide
    state, found = stage.new_state(), list[Decision]()
    for i in range(3):
        alert = Alert("error_drift", "error", i, 0, 0.1, 0.4, "the mean error went from 0.1 to 0.4")
        records = [Prediction(f"{i}-{j}", "", i, {}, None, True, None, "shop", 1, 0) for j in range(10)]
        found += decided(stage, state, records, i, alert)
    assert len(found) == written
