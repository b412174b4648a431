"""A journal told again knows what the run knew, and keeps little of it in memory (I21)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from river import linear_model
from tests.store.shop import SHOP, Sale, Visit

from eddyline import Promote, RollBack, memory
from eddyline.records.errors import StoreCorrupt
from eddyline.store import ids, past_ledger
from eddyline.store.database import Store
from eddyline.store.ledger import CHUNK
from eddyline.testing import Voyage
from eddyline.views.retelling import Retelling, decided_again

BATCH, BATCHES = 1_000, 22
LONG_AGO = 9_000
LONG = SHOP.replace(
    events=memory([], Visit), labels=memory([], Sale), model=linear_model.LogisticRegression(), decide=(Promote(), RollBack())
)


def visit(n: int, pages: float | None = None) -> Visit:
    return Visit(id=f"v-{n}", who=f"w-{n % 5}", at=60 * n, pages=float(n % 7) if pages is None else pages)


def stream(number: int) -> list[Visit | Sale]:
    """A batch: visits with their sales ten minutes later; and of some of long ago the visit, another visit, the sale again,
    another truth, and a sale of what is past its horizon; and sales that come before their visits."""
    first = number * BATCH
    given: list[Visit | Sale] = []
    for n in range(first, first + BATCH):
        given.append(visit(n))
        if n >= 10 and n % 10:
            given.append(Sale(id=f"v-{n - 10}", at=60 * n, bought=n % 7 > 3))
        if n % 97 == 0:
            given.append(Sale(id=f"v-{n + 3}", at=60 * (n + 3), bought=True))
    for n in range(max(0, first - LONG_AGO), first, 101):
        then = 60 * (n + 10)
        given += [visit(n), visit(n, 99.0)]
        given += [Sale(id=f"v-{n}", at=then, bought=bought) for bought in (True, False)]
        given.append(Sale(id=f"v-{n}", at=then + 7_200, bought=True))
    return given


def long_run(folder: Path, batches: int, bulk: int) -> Path:
    """The store of a long run: ids of its first answers and most chunks are on disk, later ones are not."""
    with Voyage(LONG, folder) as voyage:
        voyage.engine.ledger.bulk = bulk
        for number in range(batches):
            voyage.take(*stream(number))
            if number % 5 == 4:
                voyage.engine.checkpoint()
        path, rows = voyage.engine.path, voyage.engine.store.db.execute("SELECT count(*) FROM ids").fetchone()[0]
        assert 0 < rows < BATCH * batches
    return path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that the tests share."""
    return long_run(tmp_path_factory.mktemp("long"), BATCHES, LONG_AGO)


@pytest.fixture
def sparing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a journal of this length meets."""
    monkeypatch.setattr(past_ledger, "SPARE", 1)
    monkeypatch.setattr(past_ledger, "RECENT", 1_500)
    monkeypatch.setattr(past_ledger, "CACHED", 100)


@pytest.fixture
def retelling(told: Path, sparing: None) -> Iterator[Retelling]:
    with closing(Store.read(told)) as store:
        yield Retelling(store, LONG)


def test_what_was_repeated_corrected_or_too_late_is_known_as_it_was(retelling: Retelling) -> None:
    reasons: dict[str, int] = {}
    for block, outcome in retelling.told():
        assert outcome.dead == block.dead, f"block {block.seq}"
        assert outcome.alerts == block.notes.alerts
        for letter in outcome.dead:
            reasons[letter.reason] = reasons.get(letter.reason, 0) + 1
    assert reasons["id_conflict"] > 500
    assert reasons["label_late"] > 500
    assert retelling.states.serve.repeated > 500
    assert retelling.states.join.repeated > 500
    assert retelling.states.join.revisions


def test_a_journal_told_again_keeps_neither_ids_nor_chunks_of_what_is_over(retelling: Retelling) -> None:
    names, chunks, waiting = [], [], []
    ledger = retelling.disk
    for _ in retelling.told():
        names.append(len(ledger.recent) + len(ledger.older))
        chunks.append(len(ledger.chunks))
        waiting.append(len(ledger.predictions))
    assert ledger.count == BATCH * BATCHES > 5 * CHUNK
    assert max(names) <= 9 * 1_500 + 2 * BATCH
    assert len(ledger.packed) <= ledger.count - ledger.packed.flushed
    assert ledger.packed.flushed >= LONG_AGO
    assert max(chunks) <= 2
    assert max(waiting) <= 100


def test_ids_that_share_a_mark_are_told_apart(tmp_path: Path, sparing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "BITS", 10)
    with closing(Store.read(long_run(tmp_path, 12, 4_000))) as store:
        retelling = Retelling(store, LONG)
        for block, outcome in retelling.told():
            assert outcome.dead == block.dead, f"block {block.seq}"


def test_a_table_of_ids_that_leads_elsewhere_is_seen(told: Path, sparing: None, tmp_path: Path) -> None:
    copy = tmp_path / "copy.eddyline"
    shutil.copy(told, copy)
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE ids SET slot=slot+1 WHERE slot%2=0")
        db.commit()
    with closing(Store.read(copy)) as store, pytest.raises(StoreCorrupt, match="is said to be"):
        decided_again(store, LONG)
