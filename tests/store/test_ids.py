"""Ids of old events move from memory to disk, a few with each commit, and are known wherever they are (`twice`, `stop`)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from tests.store.shop import SHOP, Sale, edited, found, visits

from eddyline import Engine, Prediction
from eddyline.records.errors import StoreCorrupt
from eddyline.store.database import Store
from eddyline.store.ids import mark_of
from eddyline.views.explain import explain


def _answered(engine: Engine) -> list[Prediction]:
    """The first 300 answers, of which the ids leave memory."""
    engine.ledger.bulk = 300
    first = [engine.answer(visit) for visit in visits(300)]
    engine.checkpoint()
    return first


def _on_disk(engine: Engine) -> int:
    return int(engine.store.db.execute("SELECT count(*) FROM ids").fetchone()[0])


def test_no_commit_waits_until_all_ids_have_left_memory(tmp_path: Path) -> None:
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        _answered(engine)
        counts = [_on_disk(engine)]
        for visit in visits()[300:330]:
            engine.answer(visit)
            counts.append(_on_disk(engine))
        assert max(later - earlier for earlier, later in pairwise(counts)) < 20
        assert counts[-1] == 300
        assert engine.ledger.packed.flushed == 300


def test_an_event_sent_again_gets_its_first_answer_while_its_id_moves(tmp_path: Path) -> None:
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        first = _answered(engine)
        for visit in visits()[300:305]:
            engine.answer(visit)
        assert 0 < _on_disk(engine) < 300
        assert [engine.answer(visit) for visit in visits(300)[::7]] == first[::7]


def test_ids_that_were_moving_when_the_process_died_are_known_once(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.eddyline", tmp_path / "copy.eddyline"
    with Engine(SHOP, path) as engine:
        first = _answered(engine)
        later = [engine.answer(visit) for visit in visits()[300:305]]
        assert 0 < _on_disk(engine) < 300
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    with Engine(SHOP, copy) as engine:
        assert [engine.answer(visit) for visit in visits(305)] == first + later
        assert engine.ledger.count == 305


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A store of which 300 ids are on disk."""
    path = tmp_path / "moved.eddyline"
    with Engine(SHOP, path) as engine:
        _answered(engine)
        for visit in visits()[300:330]:
            engine.answer(visit)
    return path


def test_ids_on_disk_are_sound_also_while_some_still_move(moved: Path, tmp_path: Path) -> None:
    assert found(moved) == []
    path = tmp_path / "moving.eddyline"
    with Engine(SHOP, path) as engine:
        _answered(engine)
        for visit in visits()[300:305]:
            engine.answer(visit)
        assert 0 < _on_disk(engine) < 300
        assert found(path) == []


def test_an_id_that_was_deleted_is_found(moved: Path) -> None:
    with edited(moved) as db:
        db.execute("DELETE FROM ids WHERE mark=?", (mark_of("v-1"),))
    assert found(moved) == ["event 'v-1' has answer 1, and is not among the ids"]


def test_an_id_that_leads_to_another_answer_is_found(moved: Path) -> None:
    with edited(moved) as db:
        db.execute("UPDATE ids SET slot=7 WHERE mark=?", (mark_of("v-6"),))
    assert found(moved) == ["event 'v-6' has answer 6, and leads to answer 7"]


def test_an_id_of_an_event_that_never_was_is_found(moved: Path) -> None:
    with edited(moved) as db:
        db.execute("INSERT INTO ids VALUES (?,7)", (mark_of("nobody"),))
    assert found(moved) == ["1 ids are kept of events that were never answered"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.answer(visits(7)[6]),
        lambda engine: engine.tell(Sale(id="v-6", at=400, bought=True)),
    ],
    ids=["answer", "tell"],
)
def test_no_answer_of_another_event_is_given_or_learned(moved: Path, ask: Callable[[Engine], object]) -> None:
    with edited(moved) as db:
        db.execute("UPDATE ids SET slot=320 WHERE mark=?", (mark_of("v-6"),))
    with Engine(SHOP, moved) as engine, pytest.raises(StoreCorrupt, match="'v-6' is said to be is the answer to 'v-320'"):
        ask(engine)


def test_no_answer_of_another_event_is_explained(moved: Path) -> None:
    with edited(moved) as db:
        db.execute("UPDATE ids SET slot=7 WHERE mark=?", (mark_of("v-6"),))
    with closing(Store.read(moved)) as store, pytest.raises(StoreCorrupt, match="is the answer to 'v-7'"):
        explain(store, SHOP, "v-6")
