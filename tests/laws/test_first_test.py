"""first-test: an example is measured before it is learned."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from river import metrics
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline

from eddyline.testing import Journey, Voyage
from eddyline.testing.given import Given
from eddyline.views.summary import quality


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), PLACES)
def test_the_version_that_answered_had_not_learned_the_example(name: str, records: list[Given], places: list[int]) -> None:
    journey = Journey(pipeline(name))
    for batch in batches(records, places):
        journey.take(*batch)
    total = journey.total
    for example, position in zip(total.examples, total.positions, strict=True):
        assert position == -1 or example.prediction.position < position


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), PLACES)
def test_what_is_measured_is_the_answer_as_it_was_served(name: str, records: list[Given], places: list[int]) -> None:
    accuracy, loss = metrics.Accuracy(), metrics.LogLoss()
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in batches(records, places):
            for example in voyage.take(*batch).examples:
                if example.revision == 0:
                    if example.prediction.value is not None:
                        accuracy.update(example.truth, example.prediction.value)
                    if example.prediction.scores:
                        loss.update(example.truth, example.prediction.scores)
        measured = {one.metric: one.value for one in quality(voyage.engine) if one.count}
    said = {"Accuracy": accuracy.get(), "LogLoss": loss.get()}
    assert measured == {metric: said[metric] for metric in measured}
