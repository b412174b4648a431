"""A challenger that raises, answers NaN or is slow never costs the caller an answer, and loses its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from river import linear_model
from tests.shops import Sale, Visit

from eddyline import (
    Canary,
    Challenger,
    CustomModel,
    Engine,
    Pipeline,
    Promote,
    Rejected,
    RollBack,
    Task,
    memory,
)
from eddyline.cli.challengers import _page
from eddyline.store.database import Store
from eddyline.views.seats import seats
from eddyline.views.verify import verify


class Raises(CustomModel):
    task = Task.CLASSIFICATION

    def predict(self, features: dict[str, Any]) -> bool:
        if features["pages"] > 100:
            raise ZeroDivisionError("too many pages")
        return True

    def learn(self, features: dict[str, Any], truth: Any) -> None: ...


class NotANumber(Raises):
    def predict(self, features: dict[str, Any]) -> Any:
        return float("nan") if features["pages"] > 100 else 1.0


class Slow(Raises):
    def predict(self, features: dict[str, Any]) -> bool:
        if features["pages"] > 100:
            time.sleep(0.03)
        return True


class CannotLearn(Raises):
    def predict(self, features: dict[str, Any]) -> bool:
        return True

    def learn(self, features: dict[str, Any], truth: Any) -> None:
        raise RuntimeError("no")


def shop(model: Any, **more: Any) -> Pipeline:
    return Pipeline(
        name="shop",
        events=memory([], Visit),
        labels=memory([], Sale),
        model=linear_model.LogisticRegression(),
        challengers=(Challenger("new", model=model, mode=Canary(0.5)),),
        look_every=10,
        **more,
    )


@pytest.mark.parametrize(("model", "why"), [(Raises, "raised"), (NotANumber, "not finite"), (CannotLearn, "raised")])
def test_a_challenger_that_fails_loses_its_place_and_no_event_its_answer(
    model: Callable[[], Any], why: str, tmp_path: Path
) -> None:
    declared = shop(model())
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        for i in range(300):
            answer = engine.answer(Visit(id=f"v-{i}", at=i, pages=float(i)))
            assert answer.value in (True, False, 1.0)
            engine.tell(Sale(id=f"v-{i}", at=i, bought=i % 2 == 0))
        assert engine.loop.states.rollout.places == ()
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        (decision,) = [one for block in store.blocks() for one in block.notes.decisions]
        assert (decision.action, decision.subject, decision.policy) == ("retire", "shop.new", "guardrail")
        assert why in decision.reason
        assert not [letter for block in store.blocks() for letter in block.dead]
        assert verify(store, declared).faults == []


def test_a_slow_challenger_loses_its_place(tmp_path: Path) -> None:
    declared = shop(Slow(), decide=(RollBack(latency_ms=5.0),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        engine.stopwatch.next_at = 0.0
        for i in range(60):
            engine.answer(Visit(id=f"v-{i}", at=i, pages=200.0))
            if not engine.loop.states.rollout.places:
                break
        assert engine.loop.states.rollout.places == ()
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        (decision,) = [one for block in store.blocks() for one in block.notes.decisions]
        assert decision.action == "retire"
        assert "at most 5 ms" in decision.reason
        assert decision.evidence["guardrail"] == "latency_ms"


def test_a_champion_that_starts_to_fail_is_rolled_back(tmp_path: Path) -> None:
    declared = shop(Raises(), decide=(RollBack(),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        engine.rollback("shop.new", author="ana", reason="looks good")
        answered = 0
        for i in range(300):
            with suppress(Rejected):
                answered += engine.answer(Visit(id=f"v-{i}", at=i, pages=float(i))) is not None
        assert engine.loop.states.rollout.champion is None
        assert 270 < answered < 300


def unwritten(truth: Any, value: Any, scores: Any) -> float:
    if scores is None:
        raise KeyError(f"no scores at {object()}")
    return float("nan")


def test_a_loss_that_cannot_be_computed_is_told_once_for_each_policy_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies = (Promote(loss=unwritten, clip=3.0), RollBack(loss=unwritten, clip=3.0, error_above=0.9))
    declared = shop(Raises(), decide=policies)
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        for i in range(300):
            engine.answer(Visit(id=f"v-{i}", at=i, pages=float(i % 9)))
            engine.tell(Sale(id=f"v-{i}", at=i, bought=i % 2 == 0))
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        decisions = [one for block in store.blocks() for one in block.notes.decisions]
        told = [(one.policy, one.subject, one.evidence["why"]) for one in decisions if "why" in one.evidence]
        assert sorted(told) == [
            ("promote", "unwritten", "gave NaN"),
            ("promote", "unwritten", "raised KeyError"),
            ("roll_back", "unwritten", "gave NaN"),
            ("roll_back", "unwritten", "raised KeyError"),
        ]
        assert decisions[0].reason == "its loss unwritten gave NaN on event 'v-0'; such answers cost the clip of 3"
        counted = seats(store, declared).uncounted
        assert counted["promote: its loss unwritten raised KeyError"] > 100
        _page(seats(store, declared), "FILE")
        said = " ".join(capsys.readouterr().out.split())
        for one in [one for one in decisions if "why" in one.evidence]:
            fault = f"{one.policy}: its loss unwritten {one.evidence['why']}"
            first = f"first on event '{one.evidence['event']}' (decision {one.number})"
            assert f"{fault}: {counted[fault]} times since this rollout, and each cost the clip of 3; {first}" in said
        assert "eddyline explain FILE v-0" in said
        assert verify(store, declared).faults == []
