"""split: one batch of *n* gives the same bytes as *n* batches of one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline

from eddyline.testing import Account, Voyage, account_of
from eddyline.testing.given import Given


def account(name: str, records: list[list[Given]]) -> Account:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in records:
            voyage.take(*batch)
        return account_of(voyage.engine)


@pytest.mark.parametrize("name", [*PIPELINES, "shadowed"])
@LAW
@given(messy(), PLACES)
def test_batches_of_any_size_give_the_same_bytes_as_batches_of_one(name: str, records: list[Given], places: list[int]) -> None:
    ones = account(name, batches(records, range(len(records))))
    assert account(name, batches(records, places)).differences(ones) == []
    assert account(name, batches(records, [])).differences(ones) == []
