"""named: each prediction names its version and rollout and carries the features it saw. Also I5 and I8."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from tests.laws.drawn import ALONE, LAW, Payment, batches, features, messy, pipeline

from eddyline.engines.loop import Outcome
from eddyline.records import KEY_FEATURE, Arrival, Features, Prediction, Rollout
from eddyline.stages.learn import Publish
from eddyline.testing import Voyage
from eddyline.testing.given import Given
from eddyline.views.history import standing


class Shadow:
    """Who must have answered, kept by other means than the engine's."""

    def __init__(self, name: str, publish: Publish | None) -> None:
        self.name, self.publish = name, publish
        self.position = self.published = 0
        self.since: int | None = None
        self.rollout = Rollout(0, None, "", "")

    @property
    def version(self) -> str:
        """The version that answers next."""
        answering = self.published if self.publish else self.position
        return self.rollout.champion or f"{self.name}@{answering}"

    def learn(self, outcome: Outcome) -> None:
        for example, position in zip(outcome.examples, outcome.positions, strict=True):
            assert position in (-1, self.position + 1), "positions are 0, 1, 2, ... without a gap or a repeat"
            if position > 0:
                self.position = position
                self._due(example.at)
        for rollout in outcome.rollouts:
            assert rollout.revision == self.rollout.revision + 1
            self.rollout = rollout

    def _due(self, at: int) -> None:
        """Whether the version that was just learned is published: the examples are counted, or the time since the last."""
        publish = self.publish or Publish(None)
        self.since = at if self.since is None else self.since
        counted = bool(publish.examples) and self.position % (publish.examples or 1) == 0
        if counted or (publish.span_us is not None and at >= self.since + publish.span_us):
            self.published, self.since = self.position, max(self.since, at)


@pytest.mark.parametrize("name", ALONE)
@LAW
@given(messy())
def test_each_answer_names_the_version_and_the_rollout_that_gave_it(name: str, records: list[Given]) -> None:
    declared = pipeline(name)
    shadow = Shadow(name, declared.publish)
    with tempfile.TemporaryDirectory() as folder, Voyage(declared, Path(folder)) as voyage:
        for batch in batches(records, range(len(records))):
            expected = shadow.version, shadow.rollout.revision
            outcome = voyage.take(*batch)
            assert [(p.version, p.revision) for p in outcome.predictions] in ([], [expected])
            shadow.learn(outcome)
        assert standing(voyage.engine.store, declared).version == shadow.version


@pytest.mark.parametrize("name", ALONE)
@LAW
@given(messy())
def test_each_answer_carries_the_features_that_its_event_and_its_aggregates_give(name: str, records: list[Given]) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in batches(records, []):
            voyage.take(*batch)
        ledger = voyage.engine.ledger
        for prediction in (p for block in voyage.engine.store.blocks() for p in block.predictions):
            slot = ledger.find(prediction.event_id)
            assert slot is not None
            own: Features = {KEY_FEATURE: prediction.key} if pipeline(name).per == "key" else {}
            assert_follows(prediction, ledger.arrival(slot), own)


def assert_follows(prediction: Prediction, arrival: Arrival, own: Features) -> None:
    seen: dict[str, Any] = dict(prediction.aggregates or {})
    assert list(seen) == ["often", "spent", "shops"]
    assert prediction.features == features(arrival.value, **seen) | own
    assert list(prediction.features) == sorted(prediction.features), "one order for every model"
    assert (prediction.key, prediction.at, prediction.segment) == (arrival.key, arrival.at, arrival.value.shop)


def test_a_rollback_answers_with_the_bytes_that_were_recorded_for_that_version(tmp_path: Path) -> None:
    with Voyage(pipeline("live"), tmp_path) as voyage:
        engine = voyage.engine
        for number in range(20):
            payment = Payment(id=f"p-{number}", card="c-1", at=number * 30, amount=float(number), shop="north")
            voyage.take(payment)
        kept = engine.store.versions()[1]
        engine.rollback(kept.name, author="a test", reason="to see")
        assert engine.loop.voice.model.digest() == kept.digest
        payment = Payment(id="after", card="c-1", at=700, amount=3.0, shop="north")
        assert (engine.answer(payment).version, engine.answer(payment).revision) == (kept.name, 1)
