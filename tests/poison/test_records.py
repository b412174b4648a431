"""Records nobody can read, or that hold what may not enter: each is a dead letter with its reason, and nothing else changes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.poison.stream import (
    CARD,
    MODELS,
    POISON_AT,
    Payment,
    Settled,
    by_call,
    by_file,
    is_regression,
    poisoned,
    undisturbed,
    with_a_payment,
)
from tests.shops import Chargeback

GOOD: dict[str, Any] = {"id": "poison", "card": CARD, "at": POISON_AT, "amount": 20.0, "hour": 1.0}


def _line(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def _with(value: bytes) -> bytes:
    """The good line with these bytes for its amount."""
    return _line().replace(b"20.0", value)


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


LINES: dict[str, tuple[bytes, str]] = {
    "NaN": (_with(b"NaN"), "out_of_range"),
    "Infinity": (_with(b"Infinity"), "out_of_range"),
    "-Infinity": (_with(b"-Infinity"), "out_of_range"),
    "1e308": (_with(b"1e308"), "out_of_range"),
    "-1e101": (_with(b"-1e101"), "out_of_range"),
    "1e999": (_with(b"1e999"), "out_of_range"),
    "5,000 digits": (_with(b"9" * 5000), "out_of_range"),
    "a time of 5,000 digits": (_line().replace(str(POISON_AT).encode(), b"9" * 5000), "out_of_range"),
    "a time in the year 60000": (_line(at=2_000_000_000_000), "out_of_range"),
    "null": (_with(b"null"), "invalid"),
    "a string for a number": (_with(b'"20.0"'), "invalid"),
    "true for a number": (_with(b"true"), "invalid"),
    "a list for a number": (_with(b"[20.0]"), "invalid"),
    "a missing field": (_without("amount"), "invalid"),
    "a missing id": (_without("id"), "invalid"),
    "a missing key": (_without("card"), "invalid"),
    "a missing time": (_without("at"), "invalid"),
    "a renamed field": (_line().replace(b"amount", b"Amount"), "invalid"),
    "a list": (b"[1, 2]", "invalid"),
    "a number": (b"7", "invalid"),
    "text": (b'"hello"', "invalid"),
    "an empty object": (b"{}", "invalid"),
    "garbage": (b"\x00\x01\xfe\xff", "malformed"),
    "half a record": (_line()[:30], "malformed"),
    "two records": (_line() + _line(), "malformed"),
    "invalid UTF-8": (_line(card="c-?").replace(b"?", b"\xff\xfe"), "malformed"),
    "invalid UTF-8 in a field nobody declared": (_line(note="?").replace(b"?", b"\xc3"), "malformed"),
    "a lone surrogate": (_line(card="c-?").replace(b"?", b"\\ud800"), "malformed"),
    "a lone surrogate as bytes": (_line(card="c-?").replace(b"?", b"\xed\xa0\x80"), "malformed"),
    "a byte order mark": (b"\xef\xbb\xbf" + _line(), "malformed"),
    "a key twice": (_line()[:-1] + b', "amount": 1.0}', "malformed"),
    "a key twice inside": (_line()[:-1] + b', "more": {"a": 1, "a": 2}}', "malformed"),
    "10^5 brackets": (_line()[:-1] + b', "more": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "malformed"),
    "10^5 brackets alone": (b"[" * 10**5 + b"]" * 10**5, "malformed"),
    "10^5 open brackets": (b"[" * 10**5, "malformed"),
    "33 braces": (_line()[:-1] + b', "more": ' + b'{"a":' * 32 + b"1" + b"}" * 32 + b"}", "malformed"),
    "two megabytes": (_line(mood="x" * 2_000_000), "too_large"),
}

OBJECTS: dict[str, tuple[Payment, str]] = {
    "nan": (poisoned(amount=float("nan")), "out_of_range"),
    "inf": (poisoned(amount=float("inf")), "out_of_range"),
    "-inf": (poisoned(hour=float("-inf")), "out_of_range"),
    "1e308": (poisoned(amount=1e308), "out_of_range"),
    "5,000 digits": (poisoned(amount=10**5000), "out_of_range"),
    "None": (poisoned(amount=None), "invalid"),
    "text for a number": (poisoned(amount="20.0"), "invalid"),
    "an object": (poisoned(amount=object()), "invalid"),
    "a time that is text": (poisoned(at="noon"), "invalid"),
    "a lone surrogate": (poisoned(card="c-\ud800"), "malformed"),
}

SHORT = "StandardScaler|LogisticRegression"


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_cannot_be_an_event_is_a_dead_letter_and_changes_no_answer(name: str) -> None:
    line, reason = LINES[name]
    ran, clean = by_file(SHORT, [line]), undisturbed(SHORT)
    assert ran.reasons == [("events", reason)]
    (letter,) = ran.dead
    assert (letter.size, letter.sha256) == (len(line), hashlib.sha256(line).hexdigest())
    assert letter.raw == line[: 64 * 1024]
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


@pytest.mark.parametrize("model", MODELS)
def test_all_of_them_together_change_no_answer_of_any_model(model: str) -> None:
    ran, clean = by_file(model, [line for line, _ in LINES.values()]), undisturbed(model)
    assert ran.reasons == [("events", reason) for _, reason in LINES.values()]
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_that_cannot_be_an_event_is_refused_to_its_caller_and_kept(name: str) -> None:
    event, reason = OBJECTS[name]
    ran, said = by_call(SHORT, [event])
    clean = undisturbed(SHORT)
    assert said == [reason]
    assert ran.reasons == [("events", reason)]
    assert ran.dead[0].raw
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


@pytest.mark.parametrize("model", MODELS)
def test_objects_change_no_answer_of_any_model(model: str) -> None:
    ran, said = by_call(model, [event for event, _ in OBJECTS.values()])
    clean = undisturbed(model)
    assert said == [reason for _, reason in OBJECTS.values()]
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


@pytest.mark.parametrize(
    ("line", "amount"),
    [
        (_line(note="nobody declared this", more={"deep": [1, {"a": None}]}), 20.0),
        (b"  " + _line() + b"\r", 20.0),
        (_with(b"-0.0"), 0.0),
        (_with(b"20"), 20.0),
        (_with(b"2e1"), 20.0),
        (_with(b"1e-320"), 1e-320),
        (_with(b"1e100"), 1e100),
    ],
    ids=["an extra field", "spaces", "-0.0", "a whole number", "an exponent", "a subnormal", "the largest number"],
)
@pytest.mark.parametrize("model", [SHORT, "GaussianNB"])
def test_what_can_be_read_is_answered_as_a_clean_event_would_be(model: str, line: bytes, amount: float) -> None:
    ran, clean = by_file(model, [line]), with_a_payment(model, amount)
    assert ran.dead == []
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])


def test_an_empty_line_is_no_record() -> None:
    assert by_file(SHORT, [b"", b"   ", b"\r"]) == undisturbed(SHORT)


def test_an_event_that_was_refused_is_answered_when_it_comes_again_and_is_right() -> None:
    ran, clean = by_file(SHORT, [_with(b"NaN"), _line()]), with_a_payment(SHORT, 20.0)
    assert ran.reasons == [("events", "out_of_range")]
    assert (ran.answers, ran.digest) == (clean.answers, clean.digest)


TRUTHS: dict[str, tuple[bytes, str, str]] = {
    "text": (b'"yes"', "invalid", "invalid"),
    "null": (b"null", "invalid", "invalid"),
    "a list": (b"[true]", "invalid", "invalid"),
    "NaN": (b"NaN", "out_of_range", "out_of_range"),
    "1e999": (b"1e999", "out_of_range", "out_of_range"),
    "5,000 digits": (b"9" * 5000, "out_of_range", "out_of_range"),
    "1e308": (b"1e308", "invalid", "out_of_range"),
    "the wrong kind": (b"1.0", "invalid", ""),
    "a bool": (b"true", "", "invalid"),
}
"""A truth, why a classification refuses it, why a regression does; empty where it is right."""


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in MODELS for name in TRUTHS if TRUTHS[name][1 + is_regression(model)]]
)
def test_a_truth_of_the_wrong_type_is_a_dead_letter_and_is_not_learned(model: str, name: str) -> None:
    truth, *reasons = TRUTHS[name]
    reason = reasons[is_regression(model)]
    field = b"loss" if is_regression(model) else b"fraud"
    label = b'{"id":"poison","at":%d,"%s":%s}' % (POISON_AT + 1, field, truth)
    ran, clean = by_file(model, [_line()], [label]), with_a_payment(model, 20.0)
    assert ran.reasons == [("labels", reason)]
    assert (ran.answers, ran.digest, ran.sound) == (clean.answers, clean.digest, [])


@pytest.mark.parametrize(
    ("model", "label", "reason"),
    [
        (SHORT, Chargeback(id="poison", at=POISON_AT + 1, fraud="yes"), "invalid"),  # type: ignore[arg-type]
        (SHORT, Chargeback(id="poison", at=POISON_AT + 1, fraud=None), "invalid"),  # type: ignore[arg-type]
        (SHORT, Chargeback(id="poison", at=float("nan"), fraud=True), "out_of_range"),
        (SHORT, Chargeback(id="poison", at=POISON_AT + 9999, fraud=True), "label_late"),
        ("StandardScaler|LinearRegression", Settled(id="poison", at=POISON_AT + 1, loss=float("inf")), "out_of_range"),
        ("StandardScaler|LinearRegression", Settled(id="poison", at=POISON_AT + 1, loss=1e308), "out_of_range"),
        ("StandardScaler|LinearRegression", Settled(id="poison", at=POISON_AT + 1, loss=10**5000), "out_of_range"),
    ],
)
def test_a_wrong_truth_that_is_told_is_refused_to_its_caller_and_kept(model: str, label: Any, reason: str) -> None:
    ran, said = by_call(model, [poisoned(), label])
    clean = with_a_payment(model, 20.0)
    assert said == [None, reason]
    assert ran.reasons == [("labels", reason)]
    assert (ran.answers, ran.digest, ran.sound) == (clean.answers, clean.digest, [])
