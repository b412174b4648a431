"""I17: every decision follows from the journal, and a backtest with the run's own policies is the run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline

from eddyline.testing import Voyage
from eddyline.testing.given import Given
from eddyline.views.backtest import backtest
from eddyline.views.retelling import decided_again


@pytest.mark.parametrize("name", [*PIPELINES, "shadowed"])
@LAW
@given(messy(events=40), PLACES)
def test_the_journal_told_again_without_models_decides_the_same(name: str, records: list[Given], places: list[int]) -> None:
    declared = pipeline(name)
    with tempfile.TemporaryDirectory() as folder, Voyage(declared, Path(folder)) as voyage:
        for batch in batches(records, places):
            voyage.take(*batch)
        store = voyage.engine.store
        retold = decided_again(store, declared)
        assert retold.again == retold.recorded
        if declared.decide:
            found = backtest(store, declared, declared.decide)
            assert [one.decision for one in found.tried] == found.recorded == retold.recorded
