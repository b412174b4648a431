"""Checkpoints: where recovery starts; the two newest stay, and what was changed is refused (I14, I18)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.store.shop import SHOP, edited, found, visits

from eddyline import Engine
from eddyline.records.errors import StoreCorrupt
from eddyline.store.database import Store


def _checkpoints(path: Path) -> list[int]:
    with closing(Store.read(path)) as store:
        return [seq for (seq,) in store.db.execute("SELECT seq FROM checkpoints ORDER BY seq")]


def test_the_two_newest_checkpoints_stay(tmp_path: Path) -> None:
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        for visit in visits(5):
            engine.answer(visit)
            engine.checkpoint()
    assert _checkpoints(tmp_path / "shop.eddyline") == [4, 5]


def test_a_second_checkpoint_at_one_block_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        engine.answer(visits(1)[0])
        engine.checkpoint()
        engine.checkpoint()
    assert _checkpoints(tmp_path / "shop.eddyline") == [1]


def test_closing_keeps_a_checkpoint_and_opening_replays_nothing_after_it(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        assert engine.store.checkpoint() is not None
        assert _checkpoints(store)[-1] == engine.store.seq
        assert engine._since == 0


def test_without_checkpoints_the_journal_alone_gives_the_same_memories(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        states = engine.loop.states
        there = (states.learn.model.digest(), states.rollout, engine.plan.watch.save(states.watch))
    with edited(store) as db:
        db.execute("DELETE FROM checkpoints")
        db.execute("DELETE FROM slots")
    with Engine(SHOP, store) as engine:
        states = engine.loop.states
        assert (states.learn.model.digest(), states.rollout, engine.plan.watch.save(states.watch)) == there


def test_a_checkpoint_that_was_edited_is_refused_and_found(store: Path) -> None:
    with edited(store) as db:
        seq, state = db.execute("SELECT seq, state FROM checkpoints ORDER BY seq DESC LIMIT 1").fetchone()
        db.execute("UPDATE checkpoints SET state=? WHERE seq=?", (state[:-1] + bytes([state[-1] ^ 1]), seq))
    with pytest.raises(StoreCorrupt, match=f"the checkpoint at block {seq} cannot be read"):
        Engine(SHOP, store)
    assert found(store)


def test_a_checkpoint_that_was_moved_to_another_block_is_refused_and_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM checkpoints WHERE seq<(SELECT max(seq) FROM checkpoints)")
        db.execute("UPDATE checkpoints SET seq=seq-1")
    with pytest.raises(StoreCorrupt, match="was changed on disk"):
        Engine(SHOP, store)
    assert found(store)


def test_a_ledger_that_is_missing_is_refused_and_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM slots")
    with pytest.raises(StoreCorrupt, match="chunk 0 of the ledger is missing"):
        Engine(SHOP, store)
    assert "chunk 0 of the ledger is missing" in found(store)[0]


def test_a_chunk_in_the_place_of_another_is_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("UPDATE slots SET chunk=1")
    assert "chunk 1 of the ledger was changed on disk" in found(store)[0]


def test_a_ledger_that_was_edited_is_refused_and_found(store: Path) -> None:
    with edited(store) as db:
        (data,) = db.execute("SELECT data FROM slots WHERE chunk=0").fetchone()
        db.execute("UPDATE slots SET data=? WHERE chunk=0", (data[:-1] + bytes([data[-1] ^ 1]),))
    with pytest.raises(StoreCorrupt, match="ledger"):
        Engine(SHOP, store)
    assert found(store)
