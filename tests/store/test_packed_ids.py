"""Ids as marks: none is lost, none is taken for another, in memory, on their way to the disk and there (`twice`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.store.shop import SHOP, found, visits

from eddyline import Engine, Join, hours
from eddyline.store import ids
from eddyline.store.database import Store
from eddyline.store.ids import PackedIds, marks_of
from eddyline.store.sieve import Sieve
from eddyline.views.explain import find_prediction

NAMES = [f"p-{number}" for number in range(5_000)]
OTHERS = [f"q-{number}" for number in range(5_000)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store, in a transaction."""
    store = Store.write(tmp_path / "ids.eddyline", pipeline="ids")
    with store.transaction():
        yield store
    store.close()


def _packed(store: Store, names: list[str], together: int) -> PackedIds:
    packed = PackedIds(store)
    for start in range(0, len(names), together):
        packed.add(marks_of(names[start : start + together]))
    return packed


def _asked(packed: PackedIds, names: list[str]) -> dict[str, list[int]]:
    return packed.candidates(names, marks_of(names), packed.until)


@pytest.mark.parametrize("moved", [None, 0, 1_000, 10_000], ids=["in memory", "leaving", "moving", "on disk"])
def test_every_id_leads_to_its_answer_and_no_other_id_does(store: Store, moved: int | None) -> None:
    packed = _packed(store, NAMES, 137)
    if moved is not None:
        packed.leave()
        packed.move(moved)
    assert _asked(packed, NAMES) == {name: [number] for number, name in enumerate(NAMES)}
    assert _asked(packed, OTHERS) == {}
    assert packed.flushed == (len(NAMES) if moved == 10_000 else 0)


def test_few_runs_are_looked_through_however_many_came(store: Store) -> None:
    assert len(_packed(store, NAMES, 10).runs) < 8
    assert len(_packed(store, NAMES, 10)) == len(NAMES)


def test_two_ids_of_one_mark_are_both_candidates(store: Store) -> None:
    packed = PackedIds(store)
    packed.add(np.array([7, 9, 7], np.int64))
    packed.add(np.array([7], np.int64))
    assert packed.candidates(["a"], np.array([7], np.int64), 4) == {"a": [0, 2, 3]}


def test_the_sieve_holds_back_no_id_that_is_on_disk_while_it_learns_them(store: Store) -> None:
    packed = _packed(store, NAMES, 500)
    packed.leave()
    packed.move(len(NAMES))
    sieve, marks = Sieve(store), np.sort(marks_of(NAMES))
    for _ in range(5):
        assert sieve.through(marks[::50]).tolist() == marks[::50].tolist()
    for _ in range(10):
        passed = sieve.through(np.sort(marks_of(OTHERS)))
    assert len(passed) < 5
    assert sieve.through(marks).tolist() == marks.tolist()


def test_ids_that_all_look_alike_are_told_apart_by_their_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "BITS", 3)
    path = tmp_path / "alike.eddyline"
    with Engine(SHOP, path) as engine:
        engine.ledger.bulk, engine.ledger.young = 100, 20
        first = [engine.answer(visit) for visit in visits(150)]
        engine.checkpoint()
        first += [engine.answer(visit) for visit in visits(250)[150:]]
        assert engine.ledger.packed.flushed == 150
        assert [engine.answer(visit) for visit in visits(250)] == first
        assert engine.ledger.count == 250
        assert find_prediction(engine.store, "v-77") == (77, first[77])
    assert found(path) == []
    with Engine(SHOP, path) as engine:
        assert [engine.answer(visit) for visit in visits(250)] == first


def test_what_falls_due_long_after_is_not_looked_for_by_its_id(tmp_path: Path) -> None:
    shop = SHOP.replace(join=Join(wait=hours(100), absent=False))
    with Engine(shop, tmp_path / "due.eddyline") as engine:
        engine.ledger.bulk, engine.ledger.young = 100, 20
        for visit in visits(150):
            engine.answer(visit)
        engine.checkpoint()
        for visit in visits(250)[150:]:
            engine.answer(visit)
        assert engine.ledger.packed.flushed == 150
        said: list[str] = []
        engine.store.db.set_trace_callback(said.append)
        assert len(engine.drain().examples) == 250
        assert said
        assert not [statement for statement in said if "FROM ids" in statement]
