"""What was learned since a version is dropped once, however often that is asked, and wherever the first try was killed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.store.shop import SHOP, visits

from eddyline import Engine
from eddyline.engines.embedded import replay
from eddyline.store.database import Store, post
from eddyline.views.dropping import branch, drop_back
from eddyline.views.history import standing
from eddyline.views.operate import roll_back
from eddyline.views.verify import verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.eddyline"
    with Engine(SHOP, path) as engine:
        replay(engine, Path(), batch=50, limit=300)
    return path


def lines(path: Path) -> list[str]:
    with closing(Store.read(path)) as store:
        return store.lines()


def test_asking_again_makes_no_second_branch_and_tells_of_the_first(path: Path) -> None:
    first, _ = drop_back(SHOP, path, "shop@60", author="ops")
    again, _ = drop_back(SHOP, path, "shop@60", author="ops")
    assert lines(path) == ["shop", "shop.b1"]
    assert (first.before, again.before, again.since) == (False, True, 0)
    assert (again.rollout, again.block, again.began) == (first.rollout, first.block, first.began)


def test_a_request_that_waits_in_the_inbox_is_taken_and_not_made_again(path: Path) -> None:
    with closing(Store.read(path)) as store:
        post(path, msgspec.json.encode(branch(SHOP, store, "shop@60", author="ops")))
    found, _ = drop_back(SHOP, path, "shop@60", author="ops")
    assert lines(path) == ["shop", "shop.b1"]
    assert found.rollout.champion == "shop.b1"
    with closing(Store.read(path)) as store:
        assert store.inbox() == []
        assert verify(store, SHOP).sound


def test_what_the_branch_learned_since_is_dropped_by_its_own_first_version(path: Path) -> None:
    drop_back(SHOP, path, "shop@60", author="ops")
    with Engine(SHOP, path) as engine:
        replay(engine, Path(), batch=50)
    again, _ = drop_back(SHOP, path, "shop@60", author="ops")
    assert again.before
    assert again.since > 50
    other, _ = drop_back(SHOP, path, again.began, author="ops")
    assert (other.before, other.rollout.champion) == (False, "shop.b2")
    with closing(Store.read(path)) as store:
        assert verify(store, SHOP).sound


def test_a_version_that_was_left_since_is_branched_from_anew(path: Path) -> None:
    drop_back(SHOP, path, "shop@60", author="ops")
    roll_back(SHOP, path, "live", author="ops")
    found, _ = drop_back(SHOP, path, "shop@60", author="ops")
    assert (found.before, found.rollout.champion) == (False, "shop.b2")
    with closing(Store.read(path)) as store:
        assert standing(store, SHOP).rollout.champion == "shop.b2"


def test_another_version_is_another_request(path: Path) -> None:
    drop_back(SHOP, path, "shop@60", author="ops")
    found, _ = drop_back(SHOP, path, "shop@50", author="ops")
    assert (found.before, found.rollout.champion) == (False, "shop.b2")
    with Engine(SHOP, path) as engine:
        assert engine.answer(visits()[399]).model == "shop.b2"
