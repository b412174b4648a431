"""What to type next, when a record was refused: each line names the field of the user's class."""

from __future__ import annotations

import pytest

from eddyline.records.advice import advice
from eddyline.records.errors import Rejected
from eddyline.records.schema import Schema
from eddyline.records.types import EpochSeconds, Event, Id, Label, Time, Truth


class Payment(Event):
    id: Id
    at: Time
    amount: float
    note: str = ""


class Tick(Event):
    id: Id
    at: EpochSeconds


class Chargeback(Label):
    id: Id
    at: Time
    fraud: Truth[bool]


def _advised(cls: type[Event] | type[Label], raw: bytes) -> str | None:
    schema = Schema.of(cls)
    with pytest.raises(Rejected) as refused:
        schema.decode(raw)
    return advice(schema, refused.value.reason, refused.value.detail, raw)


AT = b'"at": "2026-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(b'{"id": "a", %b, "amount": "1.5"}' % AT, "declare amount: str", id="a number in quotes"),
        pytest.param(b'{"id": "a", %b, "amount": "n/a"}' % AT, 'csv(..., missing=("n/a",))', id="a word for nothing"),
        pytest.param(b'{"id": "a", %b, "amount": null}' % AT, "amount: float | None = None", id="null"),
        pytest.param(b'{"id": "a", %b}' % AT, "in class Payment: amount: float | None = None", id="missing"),
        pytest.param(b'{"id": "a", "at": "2026-01-01", "amount": 1}', "2026-01-01T00:00:00Z", id="a date"),
        pytest.param(b'{"id": "a", "at": 1767225600, "amount": 1}', "at: EpochSeconds", id="a number for a time"),
        pytest.param(b'{"id": 1.5, %b, "amount": 1}' % AT, "write whole numbers without a point", id="a broken id"),
        pytest.param(b'{"id": "a", %b, "amount": 1, "note": 7}' % AT, "declare note: int", id="a number for text"),
        pytest.param(b'{"id": "a", %b, "amount": NaN}' % AT, "declare it with | None", id="NaN"),
        pytest.param(b'[{"id": "a"}]', "without [ ]", id="an array"),
        pytest.param(b'{"id": "a", %b, "amount": 1},' % AT, "no comma", id="a comma behind"),
        pytest.param(b"{", "on a line of its own", id="an object on several lines"),
        pytest.param(b"id,at,amount", "csv(...)", id="a table"),
        pytest.param(b'{"id": "\xe9"}', "UTF-8", id="latin 1"),
    ],
)
def test_a_refused_event_says_what_to_write_instead(raw: bytes, said: str) -> None:
    assert said in (_advised(Payment, raw) or "")


def test_milliseconds_given_as_seconds_are_told_their_unit() -> None:
    assert "declare at: EpochMillis" in (_advised(Tick, b'{"id": "a", "at": 1767225600000}') or "")
    assert "declare at: EpochMicros" in (_advised(Tick, b'{"id": "a", "at": 1767225600000000}') or "")


def test_a_truth_that_is_a_number_is_told_how_to_declare_it() -> None:
    said = _advised(Chargeback, b'{"id": "a", %b, "fraud": 1}' % AT)
    assert said == "types are strict: write true or false, or declare fraud: Truth[int]"


def test_nothing_is_advised_where_the_detail_says_it_all_or_a_role_may_not_be_missing() -> None:
    assert _advised(Payment, b'{"id": "a", "at": "2026-01-01T00:00:00", "amount": 1}') is None
    assert _advised(Payment, b'{%b, "amount": 1}' % AT) is None


@pytest.mark.parametrize(
    ("cls", "raw", "said"),
    [
        pytest.param(
            Chargeback,
            b'{"id": "a", %b, "frauds": true}' % AT,
            'has `frauds`: call the field so, or say it in the class: class Chargeback(Label, rename={"fraud": "frauds"})',
            id="the truth",
        ),
        pytest.param(Tick, b'{"id": "a", "At": 1}', 'class Tick(Event, rename={"at": "At"})', id="another case"),
        pytest.param(Payment, b'{"id": "a", %b, "Amount EUR": 1}' % AT, 'rename={"amount": "Amount EUR"}', id="longer"),
        pytest.param(Tick, b'{"id": "a", "moment": 1}', "has `moment`: say which one it is", id="none is near"),
    ],
)
def test_a_missing_field_is_told_the_name_that_the_record_has(cls: type[Event], raw: bytes, said: str) -> None:
    assert said in (_advised(cls, raw) or "")


def test_the_renaming_that_is_advised_makes_the_record_readable() -> None:
    class Renamed(Label, rename={"fraud": "frauds"}):
        id: Id
        at: Time
        fraud: Truth[bool]

    assert Schema.of(Renamed).decode(b'{"id": "a", %b, "frauds": true}' % AT).truth is True


def test_a_field_above_others_that_must_be_there_is_told_where_to_go() -> None:
    class Hour(Event):
        id: Id
        at: Time
        warmth: float
        holiday: bool

    said = _advised(Hour, b'{"id": "a", %b, "holiday": true}' % AT) or ""
    assert said.endswith("warmth: float | None = None, below the fields that must be there")


def test_a_record_that_was_cut_advises_nothing_of_its_names() -> None:
    said = advice(Schema.of(Payment), "invalid", "Object missing required field `amount`", b'{"id": "a", "amnt')
    assert said == "where it may be missing, declare it so in class Payment: amount: float | None = None"


def test_a_truth_in_words_is_told_to_be_text() -> None:
    said = _advised(Chargeback, b'{"id": "a", %b, "fraud": "neptune"}' % AT)
    assert (
        said == "types are strict: write true or false, without quotes; where it holds other words, declare fraud: Truth[str]"
    )
