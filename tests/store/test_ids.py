"""Ids of old events move from memory to disk, a few with each commit, and are known wherever they are (`twice`, `stop`)."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

from tests.store.shop import SHOP, visits

from eddyline import Engine, Prediction


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
        assert not engine.ledger.leaving


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
