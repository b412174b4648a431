"""What is written to topics is read back exactly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from eddyline.connectors.kafka import wire
from eddyline.records import Alert, DeadLetter, Example, Measurement, ModelVersion, Prediction, Rollout
from eddyline.records.errors import SourceError

numbers = some.floats(allow_nan=False, allow_infinity=False) | some.integers(-(2**63), 2**63 - 1)
texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=9)
plain = numbers | texts | some.booleans() | some.none()
predictions = some.builds(
    Prediction,
    event_id=texts,
    key=texts,
    at=some.integers(0, 2**62),
    features=some.dictionaries(texts, plain, max_size=4),
    aggregates=some.none() | some.dictionaries(texts, plain, max_size=4),
    value=plain,
    scores=some.none() | some.dictionaries(some.booleans() | some.integers(0, 9) | texts, numbers, max_size=3),
    model=texts,
    position=some.integers(0, 2**40),
    revision=some.integers(0, 9),
    segment=some.none() | texts,
)


@given(predictions)
def test_a_prediction_comes_back_to_the_last_bit(prediction: Prediction) -> None:
    again = wire.decode_prediction(wire.encode_prediction(prediction))
    assert repr(again) == repr(prediction)  # tells 1 from 1.0 and 0.0 from -0.0, which == does not


@given(predictions, plain, some.integers(-1, 2**40))
def test_an_example_comes_back_with_its_position(prediction: Prediction, truth: object, position: int) -> None:
    example = Example(prediction, truth, "label", 7, 2)
    assert repr(wire.decode_example(wire.encode_example(example, position))) == repr((example, position))


@given(some.binary(max_size=40))
def test_the_bytes_of_a_dead_letter_come_back_whatever_they_are(raw: bytes) -> None:
    letter = DeadLetter("labels", "malformed", "why", None, raw, len(raw), "00", "labels/1:4")
    assert wire.decode_dead(wire.encode_dead(letter)) == letter


def test_a_version_comes_back_with_its_state() -> None:
    version = ModelVersion("fraud", 12, "d", "r", "fraud@0", "f")
    state = bytes(range(256)) * 100
    raw = wire.encode_version(version, state)
    assert wire.decode_version(raw) == (version, state)
    assert len(raw) < len(state) / 10
    assert wire.decode_version(wire.encode_version(version, b"")) == (version, b"")


def test_a_version_too_large_for_a_message_says_so_to_its_reader() -> None:
    raw = wire.encode_version(ModelVersion("fraud", 12, "d", "r", None, "f"), bytes(range(256)) * 9, limit=300)
    with pytest.raises(SourceError, match="fraud@12 without its state: with its state it takes"):
        wire.decode_version(raw)


def test_rollouts_measurements_and_alerts_come_back_and_name_their_fields() -> None:
    rollout = Rollout(3, "fraud@40", "ops", "worse since noon")
    measurement = Measurement("LogLoss", 0.1 + 0.2, 9, version="fraud@0", day=None, segment="EU")
    alert = Alert("adwin", "error", 5, 6, 0.1, 0.3, "it rose")
    assert wire.decode_rollout(wire.encode_rollout(rollout)) == rollout
    assert wire.decode_measurement(wire.encode_measurement(measurement, 40)) == (measurement, 40)
    assert wire.decode_alert(wire.encode_alert(alert)) == alert
    assert json.loads(wire.encode_rollout(rollout))["champion"] == "fraud@40"
    assert json.loads(wire.encode_measurement(measurement))["value"] == 0.30000000000000004
