"""Who may open a store: one writer, with the pipeline that filled it and the schema that it has (I19)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from river import linear_model
from tests.store.shop import SHOP, edited, visits

from eddyline import Challenger, Engine
from eddyline.records.errors import NotFound, StoreError, StoreLocked, StoreMismatch
from eddyline.store.database import Store

SECOND = """
import sys
from tests.store.shop import SHOP
from eddyline import Challenger, Engine
from eddyline.records.errors import StoreLocked
try:
    Engine(SHOP, sys.argv[1])
except StoreLocked as error:
    print(error)
"""


def _second_process(path: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", SECOND, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return ran.stdout


def test_a_second_process_is_refused_and_told_who_runs(store: Path) -> None:
    with Engine(SHOP, store):
        said = _second_process(store)
    assert f"process {os.getpid()} on host {socket.gethostname()}" in said
    assert "a store has one writer" in said


def test_a_second_process_is_let_in_when_the_first_has_left(store: Path) -> None:
    with Engine(SHOP, store):
        pass
    assert _second_process(store) == ""


def test_a_second_engine_in_one_process_is_refused(store: Path) -> None:
    with Engine(SHOP, store) as engine, pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        Engine(SHOP, store)
    assert engine.store.broken is None


def test_looking_is_allowed_while_somebody_runs(store: Path) -> None:
    with Engine(SHOP, store) as engine, closing(Store.read(store)) as reader:
        assert reader.seq == engine.store.seq


def test_looking_writes_nothing(store: Path) -> None:
    before = store.read_bytes()
    with closing(Store.read(store)) as reader, pytest.raises(Exception, match="readonly"):
        reader.db.execute("DELETE FROM blocks")
    assert store.read_bytes() == before


def test_another_pipeline_is_refused_by_name(store: Path) -> None:
    with pytest.raises(StoreMismatch, match="belongs to the pipeline 'shop', not 'other'"):
        Engine(SHOP.replace(name="other"), store)


def test_a_changed_pipeline_is_refused_and_told_what_changed(store: Path) -> None:
    with pytest.raises(StoreMismatch, match="the pipeline changed since it was made, in features, model") as refused:
        Engine(SHOP.replace(features=lambda visit: {"pages": visit.pages}, model=linear_model.Perceptron()), store)
    assert "LogisticRegression" in str(refused.value)
    assert "--store NEW.eddyline" in str(refused.value)


def test_what_was_taken_out_of_a_pipeline_is_a_change_too_and_told_in_one_line(tmp_path: Path) -> None:
    path, more = tmp_path / "more.eddyline", SHOP.replace(challengers=(Challenger("deep", linear_model.Perceptron()),))
    with Engine(more, path):
        pass
    with pytest.raises(StoreMismatch) as refused:
        Engine(SHOP, path)
    assert "  challengers: was deep, now none\n" in str(refused.value)
    assert len(str(refused.value)) < 400


def test_another_schema_version_is_refused(store: Path) -> None:
    with edited(store) as db:
        db.execute("UPDATE meta SET value=? WHERE key='schema'", (msgspec.msgpack.encode(99),))
    for opening in (lambda: Engine(SHOP, store), lambda: Store.read(store)):
        with pytest.raises(StoreMismatch, match="has schema version 99; this Eddyline reads version 3"):
            opening()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "shop.eddyline"
    with edited(other) as db:
        db.execute("CREATE TABLE music (title TEXT)")
    with pytest.raises(StoreMismatch, match="is not an Eddyline store"):
        Engine(SHOP, other)
    other.write_bytes(b"once upon a time " * 100)
    with pytest.raises(StoreError, match="the file is damaged"):
        Engine(SHOP, other)
    with pytest.raises(StoreError, match="the file is damaged"):
        Store.read(other)


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="make one by running the pipeline"):
        Store.read(tmp_path / "shop.eddyline")
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_store_can_be_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"its lock .* cannot be held"):
        Engine(SHOP, tmp_path / "file" / "shop.eddyline")


def test_a_refused_opening_leaves_the_store_free(store: Path) -> None:
    with pytest.raises(StoreMismatch):
        Engine(SHOP.replace(name="other"), store)
    with Engine(SHOP, store) as engine:
        assert engine.answer(visits(1)[0]).position == 0
