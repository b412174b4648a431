"""Turns: shadows that are asked a stretch at a time say, learn and decide what they would when asked at every event."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from tests.laws.drawn import LAW, PLACES, batches, messy, pipeline

from eddyline.engines.loop import Loop
from eddyline.testing import Account, Voyage, account_of
from eddyline.testing.given import Given

NAME = "shadowed"


def account(records: list[list[Given]]) -> Account:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(NAME), Path(folder)) as voyage:
        for batch in records:
            voyage.take(*batch)
        return account_of(voyage.engine)


@LAW
@given(messy(events=60), PLACES)
def test_a_stretch_at_a_time_gives_the_same_bytes_as_event_by_event(records: list[Given], places: list[int]) -> None:
    cuts = batches(records, places)
    at_once = pytest.MonkeyPatch()
    with at_once.context() as patch:
        patch.setattr(Loop, "_may_stand_apart", lambda *_: False)
        expected = account(cuts)
    assert account(cuts).differences(expected) == []


def test_shadows_that_see_the_same_stand_apart_and_others_do_not(tmp_path: Path) -> None:
    with Voyage(pipeline(NAME), tmp_path / "one") as voyage:
        assert [seat.who for seat in voyage.engine.loop.voice.aside] == ["shadowed.grown", "shadowed.frail", "shadowed.still"]
        assert voyage.engine.loop.voice.seats == ()
    with Voyage(pipeline("contested"), tmp_path / "other") as voyage:
        assert voyage.engine.loop.voice.aside == ()
