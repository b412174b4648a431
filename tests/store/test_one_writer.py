"""One writer, by whatever name it comes: a symbolic link, a fork, an engine that was closed (`one-writer`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.store.shop import SHOP, found, visits

from eddyline import Engine, StoreLocked
from eddyline.records.errors import StoreError


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_symbolic_link_leads_to_the_same_lock(tmp_path: Path, of: str) -> None:
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "shop.eddyline"
    if of == "file":
        other = tmp_path / "link.eddyline"
        other.symlink_to(path)
    else:
        (tmp_path / "here").symlink_to(tmp_path / "there")
        other = tmp_path / "here" / "shop.eddyline"
    with Engine(SHOP, path) as engine:
        engine.answer(visits(1)[0])
        with pytest.raises(StoreLocked, match=str(os.getpid())):
            Engine(SHOP, other)
    with Engine(SHOP, other) as engine:
        assert engine.store.slots == 1
    with Engine(SHOP, path) as engine:
        assert engine.store.slots == 1


def test_a_fork_is_refused_in_words_and_does_the_engine_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(SHOP, path) as engine:
        engine.answer(visits(1)[0])
        told, say = os.pipe()
        child = os.fork()
        if not child:
            try:
                engine.answer(visits(2)[1])
                os.write(say, b"it answered")
            except StoreError as error:
                os.write(say, str(error).encode())
            finally:
                engine.close()
                os._exit(0)
        os.close(say)
        assert os.waitpid(child, 0)[1] == 0
        said = os.read(told, 4096).decode()
        os.close(told)
        assert f"process {os.getpid()} opened it, and this is its fork, process {child}" in said
        with pytest.raises(StoreLocked):
            Engine(SHOP, path)
        assert engine.answer(visits(2)[1]).event_id == "v-1"
    assert found(path) == []


def test_a_closed_engine_says_so_and_stays_closed(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    engine = Engine(SHOP, path)
    engine.answer(visits(1)[0])
    engine.close()
    engine.close()
    for _ in range(2):
        with pytest.raises(StoreError, match="the engine of shop is closed"):
            engine.answer(visits(2)[1])
    for ask in (engine.checkpoint, engine.take_inbox, engine.store_id, engine.__enter__):
        with pytest.raises(StoreError, match="open another"):
            ask()
    with Engine(SHOP, path) as another:
        assert another.answer(visits(2)[1]).event_id == "v-1"


def test_an_engine_that_was_broken_when_it_was_closed_stays_closed(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    engine = Engine(SHOP, path)
    engine.store.broken = "the disk is gone"
    engine.close()
    with pytest.raises(StoreError, match="is closed"):
        engine.answer(visits(1)[0])
    Engine(SHOP, path).close()
