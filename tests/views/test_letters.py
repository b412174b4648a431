"""Driving letters again: what can be taken now is taken, what would be refused again is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from river import linear_model
from tests.shops import KeyedVisit, Sale

from eddyline import Count, Engine, Join, Pipeline, hours, memory, minutes
from eddyline.records.errors import Rejected
from eddyline.testing.account import account_of
from eddyline.views.letters import Redriven, letters, redrive
from eddyline.views.refused_again import refused_again


def features(visit: KeyedVisit, often: int) -> dict[str, float]:
    if visit.pages < 0:
        raise ValueError("no pages")
    return {"often": often, "pages": visit.pages}


SHOP = Pipeline(
    name="shop",
    events=memory([], KeyedVisit),
    labels=memory([], Sale),
    features=features,
    aggregates={"often": Count(over=hours(1))},
    model=linear_model.LogisticRegression(),
    join=Join(wait=minutes(10), early=1),
)


def test_a_record_that_would_be_refused_again_gets_no_second_letter(tmp_path: Path) -> None:
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        engine.answer(KeyedVisit(id="a", who="w", at=0, pages=1.0))
        with pytest.raises(Rejected, match="features_failed"):
            engine.answer(KeyedVisit(id="b", who="w", at=1, pages=-1.0))
        with pytest.raises(Rejected, match="label_late"):
            engine.tell(Sale(id="a", at=10_000, bought=True))
        engine.tell(Sale(id="c", at=20, bought=True))
        with pytest.raises(Rejected, match="too_many_early"):
            engine.tell(Sale(id="d", at=20, bought=True))
        blocks = engine.store.seq
        for _ in range(3):
            assert redrive(engine, list(letters(engine.store))) == Redriven(refused=3)
        assert (len(list(letters(engine.store))), engine.store.seq) == (3, blocks)


def test_what_can_be_taken_now_is_taken_and_its_label_after_it(tmp_path: Path) -> None:
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        engine.tell(Sale(id="c", at=20, bought=True))
        with pytest.raises(Rejected, match="too_many_early"):
            engine.tell(Sale(id="d", at=20, bought=True))
        engine.answer(KeyedVisit(id="d", who="w", at=10, pages=1.0))
        assert redrive(engine, list(letters(engine.store))) == Redriven(accepted=1)
        assert redrive(engine, list(letters(engine.store))) == Redriven(settled=1)
        assert engine.loop.states.learn.position == 1


def test_asking_whether_a_record_would_be_refused_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(SHOP, path) as engine:
        for number in range(20):
            engine.answer(KeyedVisit(id=f"v{number}", who="w", at=number, pages=1.0))
        before = account_of(engine)
        schemas = SHOP.event_schema, SHOP.label_schema
        for record in (
            schemas[0].arrival(KeyedVisit(id="new", who="w", at=9000, pages=1.0)),
            schemas[1].arrival(Sale(id="v3", at=30, bought=True)),
            schemas[1].arrival(Sale(id="new", at=30, bought=True)),
        ):
            assert not refused_again(engine, record)
        assert account_of(engine) == before
