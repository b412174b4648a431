"""stop: stopping, crashing and restoring anywhere changes nothing. Also I5, I7, I11 and I18."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline

from eddyline.testing import Account, Voyage, account_of
from eddyline.testing.given import Given

Stop = Literal["go on", "stop", "crash", "checkpoint"]
STOPS = st.lists(st.sampled_from(["go on", "stop", "crash", "checkpoint"]), min_size=1, max_size=12)


def account(name: str, records: list[list[Given]], stops: list[Stop]) -> Account:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for number, batch in enumerate(records):
            match stops[number % len(stops)]:
                case "stop":
                    voyage.stop()
                case "crash":
                    voyage.crash()
                case "checkpoint":
                    voyage.engine.checkpoint()
            voyage.take(*batch)
        if stops != ["go on"]:
            voyage.crash()
        return account_of(voyage.engine)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), PLACES, STOPS)
def test_stopping_and_crashing_anywhere_changes_nothing(
    name: str, records: list[Given], places: list[int], stops: list[Stop]
) -> None:
    cuts = batches(records, places)
    assert account(name, cuts, stops).differences(account(name, cuts, ["go on"])) == []
