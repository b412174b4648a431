"""A features function that raises, or gives what no model may see: the event is a dead letter, and nothing else changes."""

from __future__ import annotations

import json
import re

import pytest
from tests.poison.stream import (
    CARD,
    FINE,
    MODELS,
    MOODS,
    NUMERIC,
    POISON_AT,
    by_call,
    by_file,
    poisoned,
    undisturbed,
    with_a_payment,
)

from eddyline.stages.features import empty_windows

SHORT = "StandardScaler|LogisticRegression"


def _line(mood: str, name: str = "poison") -> bytes:
    return json.dumps({"id": name, "card": CARD, "at": POISON_AT, "amount": 20.0, "hour": 1.0, "mood": mood}).encode()


@pytest.mark.parametrize("mood", MOODS)
def test_an_event_whose_features_cannot_be_is_a_dead_letter_and_leaves_no_trace_in_the_windows(mood: str) -> None:
    ran, clean = by_file(SHORT, [_line(mood)]), undisturbed(SHORT)
    assert ran.reasons == [("events", MOODS[mood][0])]
    assert ran.dead[0].event_id == "poison"
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


@pytest.mark.parametrize("model", NUMERIC)
def test_bad_features_by_file_change_no_answer_of_any_model(model: str) -> None:
    ran, clean = by_file(model, [_line(mood, f"poison-{mood}") for mood in MOODS]), undisturbed(model)
    assert ran.reasons == [("events", reason) for reason, _ in MOODS.values()]
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


@pytest.mark.parametrize("model", MODELS)
def test_bad_features_by_call_change_no_answer_of_any_model(model: str) -> None:
    moods = [mood for mood in MOODS if mood != "text"]
    ran, said = by_call(model, [poisoned(id=f"poison-{mood}", mood=mood) for mood in moods])
    clean = undisturbed(model)
    assert said == [MOODS[mood][0] for mood in moods]
    assert ran.reasons == [("events", MOODS[mood][0]) for mood in moods]
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


def test_what_a_features_function_raised_is_said_in_its_words() -> None:
    (letter,) = by_file(SHORT, [_line("raises")]).dead
    words, line = letter.detail.split(" (")
    assert words == "features(Payment): FeaturesError: no rate for XYZ"
    assert re.fullmatch(r"\w+\.py, line \d+\)", line)


def test_a_feature_of_an_empty_window_is_told_with_what_to_write() -> None:
    error = TypeError("unsupported operand type(s) for /: 'float' and 'NoneType'")
    said = empty_windows(error, ("often", "rain_3h"), {"often": 0, "rain_3h": None})
    assert said == "; rain_3h is None while no event is in the window: write rain_3h or 0.0"
    assert empty_windows(error, ("often",), {"often": 0}) == ""
    assert empty_windows(ValueError("no"), ("rain_3h",), {"rain_3h": None}) == ""


def test_a_feature_that_cannot_be_is_named() -> None:
    (letter,) = by_file(SHORT, [_line("an array")]).dead
    assert letter.detail == "feature 'amount' is a ndarray, expected a number, text, a boolean or None"


@pytest.mark.parametrize("mood", FINE)
@pytest.mark.parametrize("model", MODELS)
def test_plain_values_in_another_coat_are_served_as_plain_values(model: str, mood: str) -> None:
    ran, clean = by_file(model, [_line(mood)]), with_a_payment(model, 20.0)
    assert ran.dead == []
    assert (ran.answers, ran.digest, ran.sound) == (clean.answers, clean.digest, [])
