"""After an error of the disk nothing is acknowledged on that connection; the same engine recovers and goes on (I12, I13)."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.store.shop import SHOP, Sale, Visit, found, visits

from eddyline import Engine
from eddyline.engines.embedded.engine import CHECKPOINT_INPUTS
from eddyline.records import Prediction
from eddyline.records.errors import StoreCorrupt, StoreError, StoreWarning
from eddyline.stages.commands import Command
from eddyline.store.database import Store, post
from eddyline.views.operate import _take_posted


def _no_room(engine: Engine) -> None:
    """Lets SQLite find the disk full from here on, until the file is opened again."""
    (pages,) = engine.store.db.execute("PRAGMA page_count").fetchone()
    engine.store.db.execute(f"PRAGMA max_page_count={pages}")


def _visit(number: int) -> Visit:
    return Visit(id=f"new-{number}", who="w-1", at=60 * (500 + number), pages=2.5)


def _fill_up(engine: Engine) -> int:
    """Answers until the disk is full; the number of the visit that was not answered."""
    answered: list[Prediction] = []
    with pytest.raises(StoreError, match="the disk is full; nothing was acknowledged"):
        answered.extend(engine.answer(_visit(number)) for number in range(1_000))
    return len(answered)


def test_a_full_disk_is_said_in_words_and_the_same_engine_goes_on_when_there_is_room(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        refused = _fill_up(engine)
        told = engine.answer(_visit(refused))
        assert told.event_id == f"new-{refused}"
        assert engine.answer(_visit(refused)) == told
    with closing(Store.read(store)) as opened:
        assert opened.slots == 400 + refused + 1
    assert found(store) == []


def test_a_broken_connection_commits_nothing_more(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        _fill_up(engine)
        broken = engine.store
        for _ in range(2):
            with pytest.raises(StoreError, match="the disk is full"), broken.transaction():
                broken.put("never", 1)
        assert broken.get("never") is None


def test_what_a_failed_commit_did_in_memory_is_undone(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        refused = _fill_up(engine)
        engine.tell(Sale(id="new-0", at=60 * 501, bought=True))
        states = engine.loop.states
        there = (states.learn.model.digest(), states.learn.position, engine.ledger.count)
        assert engine.ledger.count == 400 + refused
        assert engine.ledger.find(f"new-{refused}") is None
    with Engine(SHOP, store) as engine:
        states = engine.loop.states
        assert (states.learn.model.digest(), states.learn.position, engine.ledger.count) == there


def test_a_checkpoint_after_a_failure_recovers_first(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        _fill_up(engine)
        engine.checkpoint()
        assert engine.store.broken is None


def _room_for_a_command_alone(engine: Engine) -> None:
    """Answers until a checkpoint is large, then lets the file grow by one page."""
    for number in range(300):
        engine.answer(Visit(id=f"more-{number}", who=f"w-{number}", at=60 * 500, pages=number / 7))
    (pages,) = engine.store.db.execute("PRAGMA page_count").fetchone()
    engine.store.db.execute(f"PRAGMA max_page_count={pages + 1}")


def test_a_command_that_was_committed_is_done_where_no_checkpoint_can_be_kept_at_the_end(store: Path) -> None:
    engine = Engine(SHOP, store)
    _room_for_a_command_alone(engine)
    engine.rollback("shop@60")
    revision = engine.loop.states.rollout.revision
    with pytest.warns(StoreWarning, match=r"no checkpoint could be kept \(the disk is full\)"):
        engine.close()
    with Engine(SHOP, store) as engine:
        assert engine.loop.states.rollout.revision == revision
        assert engine.loop.states.rollout.champion == "shop@60"
    assert found(store) == []


def test_a_command_that_was_committed_is_done_where_the_checkpoint_behind_it_fails(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _room_for_a_command_alone(engine)
        engine._since = CHECKPOINT_INPUTS
        with pytest.warns(StoreWarning, match="what was committed stays"):
            engine.rollback("shop@60")
        assert engine.loop.states.rollout.champion == "shop@60"
        assert engine.answer(_visit(1)).version == "shop@60"


def test_a_request_in_the_inbox_that_cannot_be_taken_for_want_of_room_says_that_it_waits(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        _fill_up(engine)
        engine.checkpoint()
        _no_room(engine)
        for number in range(1_000):
            post(store, msgspec.json.encode(Command(to="shop@60", author="ops", reason=f"{number}" * 100)))
            _no_room(engine)
            try:
                _take_posted(engine)
            except StoreError as error:
                said = str(error)
                break
    assert said.endswith("the request is in the inbox, and takes effect at the next start: ask once")
    with Engine(SHOP, store) as engine:
        assert engine.take_inbox() == 1


def test_a_checkpoint_that_was_asked_for_and_cannot_be_kept_says_what_stays(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _room_for_a_command_alone(engine)
        with pytest.raises(StoreError, match="what was committed stays; the next start replays 300 inputs"):
            engine.checkpoint()


def test_an_engine_whose_file_is_gone_starts_no_new_one_and_goes_on_when_it_is_back(store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        refused = _fill_up(engine)
        away = store.rename(store.with_suffix(".away"))
        for _ in range(2):
            with pytest.raises(StoreError, match="the file is gone"):
                engine.answer(_visit(refused))
        away.rename(store)
        assert engine.answer(_visit(refused)).event_id == f"new-{refused}"


def test_an_engine_whose_file_was_replaced_by_an_older_one_refuses_it(made: Path, store: Path) -> None:
    with Engine(SHOP, store) as engine:
        _no_room(engine)
        refused = _fill_up(engine)
        for path in store.parent.glob("shop.eddyline*"):
            if not path.name.endswith("-lock"):
                path.unlink()
        shutil.copy(made, store)
        for _ in range(2):
            with pytest.raises(StoreCorrupt, match="were acknowledged"):
                engine.answer(_visit(refused))


def test_an_interrupt_inside_a_step_leaves_nothing_behind(tmp_path: Path) -> None:
    pressed: list[str | int] = []

    def features(visit: Visit, read: float) -> dict[str, float]:
        if visit.who == "ctrl-c" and not pressed:
            pressed.append(visit.id)
            raise KeyboardInterrupt
        return {"pages": visit.pages, "read": read}

    ctrl_c = Visit(id="v-1", who="ctrl-c", at=60, pages=1.0)
    with Engine(SHOP.replace(features=features), tmp_path / "shop.eddyline") as engine:
        engine.answer(visits(1)[0])
        with pytest.raises(KeyboardInterrupt):
            engine.answer(ctrl_c)
        assert engine.answer(ctrl_c).event_id == "v-1"
        assert engine.store.slots == 2
        assert engine.store.seq == 2
