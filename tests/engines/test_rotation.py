"""A file that is not the one that was read is an error with words, wherever a store goes on reading it."""

from __future__ import annotations

from pathlib import Path

import pytest
from river import linear_model

from eddyline import Engine, EpochSeconds, Event, Id, Label, Pipeline, Truth, jsonl
from eddyline.engines.embedded import follow, replay
from eddyline.records.errors import SourceError
from eddyline.views.letters import letters


class Visit(Event):
    """What happens; its id is called otherwise."""

    visit: Id
    at: EpochSeconds
    pages: float


class Sale(Label):
    """What is found out."""

    visit: Id
    at: EpochSeconds
    bought: Truth[bool]


SHOP = Pipeline(
    name="shop",
    events=jsonl("visits.jsonl", Visit),
    labels=jsonl("sales.jsonl", Sale),
    model=linear_model.LogisticRegression(),
)


def visits(first: int, count: int = 100) -> str:
    return "".join(f'{{"visit":"v{n}","at":{n},"pages":1.0}}\n' for n in range(first, first + count))


def test_a_file_of_other_lines_of_the_same_length_is_not_read_on_from_the_middle(tmp_path: Path) -> None:
    (tmp_path / "sales.jsonl").touch()
    (tmp_path / "visits.jsonl").write_text(visits(1000))
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        replay(engine, tmp_path, batch=30)
    (tmp_path / "visits.jsonl").write_text(visits(2000, 150))
    with (
        Engine(SHOP, tmp_path / "shop.eddyline") as engine,
        pytest.raises(SourceError, match=r"visits\.jsonl is not the file it was: other lines than those that were read"),
    ):
        replay(engine, tmp_path)
    (tmp_path / "visits.jsonl").write_text(visits(1000, 150))
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        assert replay(engine, tmp_path).inputs == 50


def test_a_file_that_is_cut_and_written_again_under_run_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sales.jsonl").touch()
    (tmp_path / "visits.jsonl").write_text(visits(1000))
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:
            (tmp_path / "visits.jsonl").write_text(visits(2000, 150))
        return looks > 50

    with Engine(SHOP, tmp_path / "shop.eddyline") as engine, pytest.raises(SourceError, match="it was written anew"):
        follow(engine, tmp_path, stop=stop)


def test_an_event_that_cannot_be_read_keeps_its_id_whatever_the_field_is_called(tmp_path: Path) -> None:
    (tmp_path / "sales.jsonl").write_text('{"visit":"v2","at":"soon","bought":true}\n')
    (tmp_path / "visits.jsonl").write_text('{"visit":7,"at":null,"pages":1.0}\n{"visit":"","at":1,"pages":1.0}\n')
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        replay(engine, tmp_path)
        assert [letter.event_id for letter in letters(engine.store)] == ["v2", "7", None]
