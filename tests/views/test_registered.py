"""Verifying versions that are kept beside the chain: those of newcomers on their way in, and those that nobody ever was."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from river import linear_model
from tests.shops import Sale, Visit

from eddyline import Challenger, Engine, NotFound, Pipeline, memory
from eddyline.models.fingerprint import fingerprint
from eddyline.ports import Model
from eddyline.records import ModelVersion
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store import blocks
from eddyline.store.database import Store, content_digest, content_name, post
from eddyline.views.verify import Verdict, verify


def shop() -> Pipeline:
    return Pipeline(
        name="shop",
        events=memory([], Visit),
        labels=memory([], Sale),
        model=linear_model.LogisticRegression(),
        challengers=(Challenger("deep", model=linear_model.PAClassifier()),),
    )


def feed(engine: Engine, start: int, stop: int) -> None:
    for i in range(start, stop):
        engine.answer(Visit(id=f"v-{i}", at=i, pages=float(i % 7)))
        engine.tell(Sale(id=f"v-{i}", at=i, bought=i % 7 > 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Engine(shop(), tmp_path / "shop.eddyline") as engine:
        feed(engine, 0, 20)
    return tmp_path / "shop.eddyline"


def verified(path: Path) -> Verdict:
    with closing(Store.read(path)) as store:
        return verify(store, shop())


def learned() -> Model:
    model = shop().plan().model
    for _ in range(500):
        model.learn({"pages": 5.0}, False)
    return model


def version(name: str, position: int, model: Model) -> tuple[ModelVersion, bytes, str]:
    made = ModelVersion(name, position, model.digest(), content_digest("{}"), None, fingerprint())
    return made, model.save(), "{}"


def forge(path: Path, name: str, position: int) -> None:
    """Writes a version that nobody learned beside the chain."""
    made, state, recipe = version(name, position, learned())
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT OR IGNORE INTO snapshots VALUES (?,?)", (content_name(state), blocks.pack(state)))
        db.execute("INSERT OR IGNORE INTO recipes VALUES (?,?)", (made.recipe, recipe))
        row = (name, position, msgspec.msgpack.encode(made), content_name(state), 0)
        db.execute("INSERT INTO versions VALUES (?,?,?,?,?)", row)
        db.commit()


def asked(path: Path, like: str) -> None:
    """Registers a newcomer and leaves its command in the inbox."""
    entry = Entry("shop.r1", like, "shop.r1@10")
    post(path, msgspec.json.encode(Command(do="enter", entry=entry)), version("shop.r1", 10, learned()))


def test_a_newcomer_that_nobody_took_yet_is_sound(path: Path) -> None:
    asked(path, "shop")
    verdict = verified(path)
    assert (verdict.faults, verdict.sound) == ([], True)


def test_a_newcomer_that_was_refused_stays_sound(path: Path) -> None:
    asked(path, "nobody")
    with Engine(shop(), path) as engine:
        engine.take_inbox()
        assert "shop.r1" not in engine.loop.states.rivals
    assert verified(path).faults == []


def test_a_newcomer_whose_bytes_are_others_is_found_before_it_enters(path: Path) -> None:
    asked(path, "shop")
    with closing(sqlite3.connect(path)) as db:
        made, _, _ = version("shop.r1", 10, shop().plan().model)
        db.execute("UPDATE versions SET version=? WHERE model='shop.r1'", (msgspec.msgpack.encode(made),))
        db.commit()
    assert verified(path).faults == ["shop.r1@10: its kept bytes have another digest than was recorded"]


@pytest.mark.parametrize("line", ["shop", "shop.deep"])
def test_a_version_beyond_where_a_line_stands_is_found_and_nobody_starts_from_it(path: Path, line: str) -> None:
    forge(path, line, 25)
    assert verified(path).faults == [f"{line}@25 is kept, and {line} has only come to 20"]
    with Engine(shop(), path) as engine:
        with pytest.raises(NotFound, match=re.escape(f"{line}@25")):
            engine.command(Command(do="enter", entry=Entry("shop.x", line, f"{line}@25"), to="shop.x"))
        assert engine.loop.states.rollout.champion is None


def test_a_version_before_a_line_took_its_place_is_found(path: Path) -> None:
    with Engine(shop(), path) as engine:
        engine.command(Command(do="enter", entry=Entry("shop.b1", "shop", "shop@15", after="shop@20")))
        feed(engine, 20, 25)
    assert verified(path).faults == []
    forge(path, "shop.b1", 3)
    assert verified(path).faults == ["shop.b1@3 is kept, and shop.b1 began at 15"]
    with Engine(shop(), path) as engine, pytest.raises(NotFound, match=r"shop\.b1@3"):
        engine.command(Command(do="enter", entry=Entry("shop.x", "shop", "shop.b1@3")))
