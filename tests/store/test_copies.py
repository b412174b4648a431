"""A store that is copied while an engine runs on it: SQLite's own copy is a whole one, and half a copy is told apart."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.shop import SHOP, visits

from eddyline import Engine
from eddyline.records.errors import StoreMismatch
from eddyline.store.database import Store
from eddyline.views.verify import verify


def test_sqlites_copy_of_a_store_that_is_run_on_holds_what_was_acknowledged(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.eddyline", tmp_path / "copy.eddyline"
    with Engine(SHOP, path) as engine:
        *first, later = visits(21)
        for visit in first:
            engine.answer(visit)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        engine.answer(later)
    with closing(Store.read(copy)) as store:
        found = verify(store, SHOP)
    assert found.faults == []
    assert found.predictions == 20


def test_a_copy_without_what_is_beside_it_is_told_how_to_make_a_whole_one(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.eddyline", tmp_path / "copy.eddyline"
    with Engine(SHOP, path) as engine:
        engine.answer(visits(1)[0])
        shutil.copy(path, copy)
        with pytest.raises(StoreMismatch, match=r"in the file copy\.eddyline-wal beside it\n.*\.backup COPY\.eddyline"):
            Store.read(copy)
