"""A store that is copied while an engine runs on it: SQLite's own copy is a whole one, and half a copy is told apart."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eddyline import Engine, EpochSeconds, Event, Id, Label, Pipeline, Truth, memory
from eddyline.records.errors import StoreMismatch
from eddyline.store.database import Store
from eddyline.views.verify import verify


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


def _shop() -> Pipeline:
    from river import linear_model

    return Pipeline(name="shop", events=memory([], Visit), labels=memory([], Sale), model=linear_model.LogisticRegression())


def test_sqlites_copy_of_a_store_that_is_run_on_holds_what_was_acknowledged(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.eddyline", tmp_path / "copy.eddyline"
    with Engine(_shop(), path) as engine:
        for n in range(20):
            engine.answer(Visit(id=f"v-{n}", at=n, pages=float(n)))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        engine.answer(Visit(id="later", at=100, pages=1.0))
    with closing(Store.read(copy)) as store:
        found = verify(store, _shop())
    assert found.faults == []
    assert found.predictions == 20


def test_a_copy_without_what_is_beside_it_is_told_how_to_make_a_whole_one(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.eddyline", tmp_path / "copy.eddyline"
    with Engine(_shop(), path) as engine:
        engine.answer(Visit(id="v-1", at=1, pages=1.0))
        shutil.copy(path, copy)
        with pytest.raises(StoreMismatch, match=r"in the file copy\.eddyline-wal beside it\n.*\.backup COPY\.eddyline"):
            Store.read(copy)
