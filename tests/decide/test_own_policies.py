"""A policy of the user's own that fails, or wants what nobody can do, is told of once; answers and other policies go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.decide.test_doubt import Says, Visit, played, shop

from eddyline import Action, Alert, Challenger, Engine, Now, Policy, Promote
from eddyline.store.database import Store
from eddyline.views.ledger import check

SEAT = (Challenger("new", model=Says(True)),)


@dataclass(frozen=True, kw_only=True)
class Own(Policy):
    """Does what a test wants of it, from the 20th second on."""

    wants: str

    def look(self, now: Now) -> Action | None:
        return None if now.at < 20_000_000 else WANTS[self.wants](now)

    def sentence(self) -> str:
        return "does what a test wants"


def raises(now: Now) -> Action:
    raise KeyError(f"nothing at {object()}")


def wanted(kind: Any, subject: str, **evidence: Any) -> Any:
    return lambda now: Action(kind=kind, subject=subject, reason="because", evidence=evidence)


WANTS: dict[str, Any] = {
    "raised KeyError": raises,
    "wants what is no Action: str": lambda now: "promote",
    "wants to explode, and there is no such kind of Action": wanted("explode", "shop"),
    "wants to promote 'ghost', who has no seat": wanted("promote", "ghost"),
    "wants to promote 'shop', who has no seat": wanted("promote", "shop"),
    "wants to promote 'shop@99999', who has no seat": wanted("promote", "shop@99999"),
    "wants to retire 'ghost', who has no seat": wanted("retire", "ghost"),
    "wants to roll back, and there is nobody": wanted("roll_back", "shop"),
    "has evidence that cannot be written down (TypeError)": wanted("alert", "shop", model=object()),
}


@pytest.mark.parametrize("why", WANTS)
def test_a_policy_that_fails_is_told_of_once_and_the_others_go_on(why: str, tmp_path: Path) -> None:
    declared, path = shop(decide=(Own(wants=why), Promote(evidence=1_000)), challengers=SEAT), tmp_path / "shop.eddyline"
    with Engine(declared, path) as engine:
        played(engine, range(50), bought=False)
        assert engine.loop.states.rollout.places == ()
    with Engine(declared, path) as engine:
        assert engine.answer(Visit(id="after", at=100, pages=1.0)) is not None
    with closing(Store.read(path)) as store:
        decisions = [one for block in store.blocks() for one in block.notes.decisions]
        assert [one.subject for one in decisions if one.action == "retire"] == ["shop.new"]
        told = {one.revision: one.reason for one in decisions if one.policy == "own"}
        assert len(told) == len([one for one in decisions if one.policy == "own"])
        assert all(f"it {why}" in reason for reason in told.values()), told
        assert told
        assert check(store, declared).sound


@dataclass(frozen=True, kw_only=True)
class Picky(Promote):
    def matches(self, alert: Alert) -> bool:
        raise ZeroDivisionError

    def wishes(self, now: Now) -> Iterator[Action]:
        yield from super().wishes(now)
        if now.at > 20_000_000:
            raise RuntimeError("after the last wish")


def test_what_a_policy_wants_before_it_raises_is_done(tmp_path: Path) -> None:
    declared = shop(decide=(Picky(evidence=1_000),), challengers=SEAT)
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        played(engine, range(80))
        assert engine.loop.states.rollout.champion == "shop.new"
        assert engine.loop.states.decide.uncounted["picky: raised RuntimeError"] > 1


@dataclass(frozen=True, kw_only=True)
class Odd(Policy):
    def look(self, now: Now) -> Action | None:
        evidence = {"mean": float("nan"), "shares": (0.5, float("inf")), 7: {"nested": ()}}
        return Action(kind="alert", subject="shop", reason="odd", evidence=evidence)  # type: ignore[arg-type]

    def sentence(self) -> str:
        return "tells of odd numbers"


def test_evidence_of_a_policy_of_ones_own_is_checked_as_it_was_written(tmp_path: Path) -> None:
    declared, path = shop(decide=(Odd(),), challengers=SEAT), tmp_path / "shop.eddyline"
    with Engine(declared, path) as engine:
        played(engine, range(10))
    with closing(Store.read(path)) as store:
        written = [one for block in store.blocks() for one in block.notes.decisions]
        assert written[0].evidence == {"mean": None, "shares": [0.5, None], "7": {"nested": []}}
        assert check(store, declared).sound
