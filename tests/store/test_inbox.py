"""The inbox: what operators ask of whoever runs on the store takes effect exactly once, in the order of asking."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.store.shop import SHOP

from eddyline import Engine
from eddyline.records.errors import NotFound
from eddyline.stages.commands import Command
from eddyline.store.database import Store, post
from eddyline.views.history import changes


def _ask(path: Path, to: str, reason: str) -> None:
    post(path, msgspec.json.encode(Command(to=to, author="ops", reason=reason)))


def _reasons(path: Path) -> list[str]:
    with closing(Store.read(path)) as store:
        return [change.rollout.reason for change in changes(store)]


def test_a_request_waits_until_somebody_runs_and_is_taken_once(store: Path) -> None:
    _ask(store, "shop@60", "asked")
    assert "asked" not in _reasons(store)
    with Engine(SHOP, store) as engine:
        assert (engine.take_inbox(), engine.take_inbox()) == (1, 0)
    with Engine(SHOP, store) as engine:
        assert engine.take_inbox() == 0
    assert _reasons(store).count("asked") == 1


def test_requests_take_effect_in_the_order_of_asking(store: Path) -> None:
    for to, reason in (("shop@60", "first"), ("live", "second"), ("shop@70", "third")):
        _ask(store, to, reason)
    with Engine(SHOP, store) as engine:
        assert engine.take_inbox() == 3
        assert engine.loop.states.rollout.champion == "shop@70"
    assert _reasons(store)[-3:] == ["first", "second", "third"]


def test_somebody_else_can_ask_while_an_engine_runs(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _ask(store, "shop@60", "while it runs")
        assert engine.take_inbox() == 1
        assert engine.loop.states.rollout.reason == "while it runs"


def test_a_request_for_a_version_that_does_not_exist_is_a_dead_letter_and_is_not_asked_again(store: Path) -> None:
    _ask(store, "shop@99999", "too far")
    with Engine(SHOP, store) as engine:
        assert engine.take_inbox() == 1
        (letter,) = engine.store.block(engine.store.seq).dead
        assert (letter.stream, letter.reason) == ("commands", "unknown_version")
        assert engine.take_inbox() == 0
    assert "too far" not in _reasons(store)


def test_a_request_that_is_no_command_is_a_dead_letter_and_is_not_asked_again(store: Path) -> None:
    post(store, b"what?")
    _ask(store, "shop@60", "after it")
    with Engine(SHOP, store) as engine:
        engine.take_inbox()
        assert engine.take_inbox() == 0
        assert engine.loop.states.rollout.reason == "after it"


def test_asking_where_there_is_no_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no store at"):
        _ask(tmp_path / "shop.eddyline", "live", "")
