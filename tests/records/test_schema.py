"""Bytes become an arrival or are refused under one reason, and an arrival becomes the same bytes again."""

from __future__ import annotations

import math
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.records import (
    LIMIT,
    EpochMicros,
    EpochMillis,
    EpochSeconds,
    Event,
    Id,
    Key,
    Label,
    Time,
    Truth,
)
from eddyline.records.errors import Rejected
from eddyline.records.schema import FIRST, LAST, Schema
from eddyline.records.time import instant


class Payment(Event):
    id: Id
    card: Key
    at: Time
    amount: float
    count: int = 0
    note: str | None = None
    rest: dict[str, float] = msgspec.field(default_factory=dict)


class Reading(Event):
    id: Id
    at: EpochSeconds
    celsius: float


class Wheel(msgspec.Struct):
    size: float
    spokes: int


class Ride(Event):
    id: Id
    at: EpochMillis
    wheels: list[Wheel]
    any: Any = None
    maybe: float | None = None
    flag: bool = False


class Chargeback(Label):
    id: Id
    at: EpochMicros
    fraud: Truth[bool]


class Noted(Event):
    id: Id
    at: EpochMillis
    note: str = ""
    rest: dict[str, float] | None = None


class Keyed(Event):
    id: Id
    at: EpochMillis
    amount: str | None
    card: Key = "c"


class Dated(Event):
    id: Id
    at: EpochMillis
    note: str | None = None
    amount: str = msgspec.field(default="a", name="amount")
    day: date | None = None
    when: date = date(2024, 1, 1)


class Departure(Event):
    zone: ClassVar[str | None] = "America/New_York"
    id: Id
    at: Time


GOOD = b'{"id":"p-1","card":"c","at":"2024-01-01T00:00:00Z","amount":1'


def reason_of(raw: bytes, cls: type = Payment) -> str:
    with pytest.raises(Rejected) as refused:
        Schema.of(cls).decode(raw)
    return refused.value.reason


def payment(**changes: Any) -> bytes:
    fields = {"id": "p-1", "card": "c", "at": "2024-01-01T00:00:00Z", "amount": 1.5} | changes
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not ...})


def test_an_arrival_holds_id_key_and_time_as_the_stages_need_them() -> None:
    arrival = Schema.of(Payment).decode(payment(id=7, card=12, at="1970-01-01T01:00:01.5+01:00"))
    assert (arrival.id, arrival.key, arrival.at, arrival.truth) == ("7", "12", 1_500_000, None)
    assert arrival.value.id == 7


def test_a_type_without_a_key_has_the_empty_key() -> None:
    assert Schema.of(Reading).decode(b'{"id":"r","at":0,"celsius":1}').key == ""


def test_a_label_carries_its_truth() -> None:
    assert Schema.of(Chargeback).decode(b'{"id":"p","at":5,"fraud":true}').truth is True
    assert Schema.of(Chargeback).decode(b'{"id":"p","at":5,"fraud":false}').truth is False


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        GOOD,
        GOOD + b"} trailing",
        b'{"id":"wrong first","card":3.5',
        payment()[:-1] + b',"id":"p-2"}',
        payment()[:-1] + b',"extra":1,"extra":2}',
        payment()[:-1] + b',"amount":2}',
        payment()[:-1] + b',"am\\u006funt":2}',
        payment()[:-1] + b' ,"amount"\t:2}',
        payment()[:-1] + b',"rest":{"a":1,"a":2}}',
        payment()[:-1] + b',"extra":{"deep":{"a":1,"a":2}}}',
        payment(note="x")[:-2] + b'\xff"}',
        payment()[:-1] + b',"extra":"\xff"}',
        payment(note="x")[:-2] + b'\\ud800"}',
        payment()[:-1] + b',"extra":' + b"[" * 100_000,
        payment()[:-1] + b',"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        payment()[:-1] + b',"extra":' + b"[" * 33 + b"]" * 33 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xef\xbb\xbf" + payment(),
        "{}".encode("utf-16"),
        b"\x00",
    ],
)
def test_what_is_not_strict_json_is_malformed(raw: bytes) -> None:
    assert reason_of(raw) == "malformed"


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{}",
        b"null",
        b"3",
        payment(amount=...),
        payment(id=...),
        payment(amount="3"),
        payment(amount=None),
        payment(amount=True),
        payment(id=None),
        payment(id=1.5),
        payment(id=True),
        payment(count=1.0),
        payment(count="1"),
        payment(note=3),
        payment(rest={"a": None}),
        payment(rest=[1]),
        payment(at="yesterday"),
        payment(at="2024-01-01"),
        payment(at=1_700_000_000),
        payment(at="2024-13-01T00:00:00Z"),
    ],
)
def test_a_missing_field_or_another_type_is_invalid(raw: bytes) -> None:
    assert reason_of(raw) == "invalid"


FLOATS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 5000, b"1e101"]
INTS = [b"NaN", b"-Infinity", b"9" * 5000, b"-" + b"9" * 5000, b"1" + b"0" * 101]


@pytest.mark.parametrize(
    "raw",
    [payment(amount=...)[:-1] + b',"amount":%s}' % number for number in FLOATS]
    + [payment()[:-1] + b',"rest":{"ok":1.0,"a":%s}}' % number for number in FLOATS]
    + [payment()[:-1] + b',"count":%s}' % number for number in INTS],
)
def test_a_number_that_no_model_survives_is_out_of_range(raw: bytes) -> None:
    assert reason_of(raw) == "out_of_range"


@pytest.mark.parametrize("amount", [0.0, -0.0, LIMIT, -LIMIT, 5e-324])
def test_numbers_up_to_the_limit_may_enter(amount: float) -> None:
    value = Schema.of(Payment).decode(payment(amount=amount)).value
    assert math.copysign(1, value.amount) == math.copysign(1, amount)
    assert value.amount == amount


def test_a_number_just_above_the_limit_is_refused_among_others() -> None:
    above = math.nextafter(LIMIT, math.inf)
    assert reason_of(payment(amount=above, count=3)) == "out_of_range"
    assert reason_of(payment(count=-(10**101))) == "out_of_range"
    assert reason_of(payment(rest={"a": 1.0, "b": -above})) == "out_of_range"


@pytest.mark.parametrize(
    "fields",
    [
        b'"wheels":[{"size":1e101,"spokes":1}]',
        b'"wheels":[],"any":[{"deep":1e200}]',
        b'"wheels":[],"maybe":1e101',
        b'"wheels":[{"size":1,"spokes":1' + b"0" * 101 + b"}]",
    ],
)
def test_numbers_inside_lists_structs_and_open_fields_are_checked(fields: bytes) -> None:
    assert reason_of(b'{"id":"r","at":1,' + fields + b"}", Ride) == "out_of_range"


def test_an_open_field_that_nests_too_deep_is_malformed() -> None:
    deep = b"[" * 33 + b"]" * 33
    assert reason_of(b'{"id":"r","at":1,"wheels":[],"any":' + deep + b"}", Ride) == "malformed"


def test_many_shallow_arrays_are_not_deep() -> None:
    wheels = b",".join([b'{"size":1,"spokes":2}'] * 100)
    arrival = Schema.of(Ride).decode(b'{"id":"r","at":1,"wheels":[' + wheels + b'],"any":"[[[\\"{{{"}')
    assert len(arrival.value.wheels) == 100


def test_an_invalid_field_is_named_by_its_path() -> None:
    with pytest.raises(Rejected, match=r"\$\.rest\[\.\.\.\]"):
        Schema.of(Payment).decode(payment(rest={"a": "b"}))
    with pytest.raises(Rejected, match=r"\$\.amount"):
        Schema.of(Payment).decode(payment(amount=1e200))


def test_fields_that_nobody_declared_are_ignored() -> None:
    plain = Schema.of(Payment).decode(payment())
    assert Schema.of(Payment).decode(payment(colour="red", size=[1, {"a": "x"}], big={"a": 1})) == plain


def test_text_with_quotes_escapes_and_other_scripts_is_kept() -> None:
    for note in ('say "no"', "back\\slash", "zürich 日本 🚲", "\u0000", "", "a:b,{[]}"):
        assert Schema.of(Payment).decode(payment(note=note)).value.note == note


def test_refusing_does_not_depend_on_how_deep_the_caller_is() -> None:
    deep = payment(amount="x")[:-1] + b',"extra":' + b"[" * 600 + b"]" * 600 + b"}"
    shallow_reason = reason_of(deep)

    def descend(levels: int) -> str:
        return descend(levels - 1) if levels else reason_of(deep)

    assert descend(sys.getrecursionlimit() // 2) == shallow_reason == "malformed"


def test_a_time_without_an_offset_needs_a_zone() -> None:
    raw = payment(at="2024-01-01T00:00:00")
    with pytest.raises(Rejected, match=r"naive_time.*zone: ClassVar"):
        Schema.of(Payment).decode(raw)


def test_the_zone_of_the_class_tells_where_a_time_without_an_offset_is() -> None:
    schema = Schema.of(Departure)
    winter = schema.decode(b'{"id":"d","at":"2013-01-01T05:15:00"}')
    summer = schema.decode(b'{"id":"d","at":"2013-07-01T05:15:00"}')
    assert winter.at == instant(datetime(2013, 1, 1, 10, 15, tzinfo=UTC))
    assert summer.at == instant(datetime(2013, 7, 1, 9, 15, tzinfo=UTC))
    assert winter.value.at == datetime(2013, 1, 1, 5, 15)
    offset = schema.decode(b'{"id":"d","at":"2013-07-01T05:15:00+02:00"}')
    assert offset.at == instant(datetime(2013, 7, 1, 3, 15, tzinfo=UTC))


def test_of_an_hour_that_happens_twice_it_is_the_first() -> None:
    twice = Schema.of(Departure).decode(b'{"id":"d","at":"2013-11-03T01:30:00"}')
    assert twice.at == instant(datetime(2013, 11, 3, 5, 30, tzinfo=UTC))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_before_year_1_or_after_year_9999_is_out_of_range(at: str) -> None:
    assert reason_of(payment(at=at)) == "out_of_range"


@pytest.mark.parametrize("at", [b"1e99", b"1e12", b"-1e12", b"1000000000000", b"NaN", b"-Infinity", b"1" + b"0" * 30])
def test_an_epoch_time_outside_the_years_1_to_9999_is_out_of_range(at: bytes) -> None:
    assert reason_of(b'{"id":"r","celsius":1,"at":' + at + b"}", Reading) == "out_of_range"


def test_the_first_and_the_last_microsecond_may_enter() -> None:
    for at in (FIRST, LAST):
        assert Schema.of(Chargeback).decode(b'{"id":"p","fraud":true,"at":%d}' % at).at == at


@given(st.floats(min_value=FIRST / 1_000_000 + 1, max_value=LAST / 1_000_000 - 1))
def test_epoch_seconds_are_rounded_exactly_to_the_nearest_microsecond(at: float) -> None:
    raw = msgspec.json.encode({"id": "r", "at": at, "celsius": 0.0})
    exact = Fraction(at) * 1_000_000
    assert Schema.of(Reading).decode(raw).at == math.floor(exact + Fraction(1, 2))


ids = st.one_of(st.text(min_size=1, max_size=8), st.integers(-(2**63), 2**64 - 1))
numbers = st.floats(min_value=-LIMIT, max_value=LIMIT)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets)
payments = st.builds(
    Payment,
    id=ids,
    card=ids,
    at=moments,
    amount=numbers,
    count=st.integers(-(10**30), 10**30),
    note=st.none() | st.text(max_size=8),
    rest=st.dictionaries(st.text(max_size=4), numbers, max_size=4),
)
rides = st.builds(
    Ride,
    id=ids,
    at=st.integers(0, 10**12),
    wheels=st.lists(st.builds(Wheel, size=numbers, spokes=st.integers(0, 40)), max_size=3),
    any=st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    maybe=st.none() | numbers,
    flag=st.booleans(),
)
chargebacks = st.builds(Chargeback, id=ids, at=st.integers(FIRST, LAST), fraud=st.booleans())
departures = st.builds(Departure, id=ids, at=st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)) | moments)


@given(payments | rides | chargebacks | departures)
def test_a_record_that_is_encoded_and_decoded_is_the_same_record(value: Event | Label) -> None:
    schema = Schema.of(type(value))
    raw = schema.encode(value)
    arrival = schema.decode(raw)
    assert arrival.value == value
    assert schema.encode(arrival.value) == raw
    assert schema.arrival(value) == arrival
    assert schema.identity(raw) == schema.identity(arrival)


@given(payments, st.randoms(use_true_random=False))
def test_spacing_order_and_extra_fields_do_not_change_who_a_record_is(value: Payment, random: Any) -> None:
    schema = Schema.of(Payment)
    fields = [*msgspec.json.decode(schema.encode(value)).items(), ("extra", "x")]
    random.shuffle(fields)
    other = msgspec.json.format(msgspec.json.encode(dict(fields)), indent=2)
    assert schema.identity(other) == schema.identity(schema.encode(value))


def test_one_id_one_instant_and_one_number_have_one_identity_each() -> None:
    schema = Schema.of(Payment)
    one = payment(id=7, amount=3, at="2024-01-01T00:00:00Z")
    same = payment(id="7", amount=3.0, at="2024-01-01T02:00:00+02:00")
    assert schema.identity(one) == schema.identity(same)


@pytest.mark.parametrize("change", [{"id": "q"}, {"card": "d"}, {"amount": 2}, {"note": "x"}, {"rest": {"a": 1}}])
def test_another_value_in_any_field_is_another_identity(change: dict[str, Any]) -> None:
    schema = Schema.of(Payment)
    assert schema.identity(payment(**change)) != schema.identity(payment())


def test_canonical_bytes_are_compact_in_class_order_with_sorted_maps() -> None:
    value = Payment(id="p", card=1, at=datetime(2024, 1, 1, tzinfo=UTC), amount=2.0, rest={"b": 1.0, "a": 2.0})
    assert Schema.of(Payment).encode(value) == (
        b'{"id":"p","card":1,"at":"2024-01-01T00:00:00Z","amount":2.0,"count":0,"note":null,"rest":{"a":2.0,"b":1.0}}'
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": math.nan}, "out_of_range"),
        ({"amount": math.inf}, "out_of_range"),
        ({"amount": 10**400}, "out_of_range"),
        ({"rest": {"a": 1.0, "b": math.nan}}, "out_of_range"),
        ({"amount": "3"}, "invalid"),
        ({"amount": None}, "invalid"),
        ({"amount": object()}, "invalid"),
        ({"id": None}, "invalid"),
        ({"count": 1.5}, "invalid"),
        ({"rest": {"a": "x"}}, "invalid"),
        ({"note": "\ud800"}, "malformed"),
        ({"at": datetime(2024, 1, 1)}, "naive_time"),
    ],
)
def test_an_object_made_in_python_is_checked_like_bytes(change: dict[str, Any], reason: str) -> None:
    at: Any = datetime(2024, 1, 1, tzinfo=UTC)
    fields = {"id": "p", "card": "c", "at": at, "amount": 1.0} | change
    with pytest.raises(Rejected) as refused:
        Schema.of(Payment).arrival(Payment(**fields))
    assert refused.value.reason == reason


def test_a_nan_where_none_is_allowed_does_not_become_none() -> None:
    with pytest.raises(Rejected) as refused:
        Schema.of(Ride).arrival(Ride(id="r", at=1, wheels=[], maybe=math.nan))
    assert refused.value.reason == "out_of_range"


def test_a_list_that_contains_itself_is_malformed() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Rejected) as refused:
        Schema.of(Ride).arrival(Ride(id="r", at=1, wheels=[], any=loop))
    assert refused.value.reason == "malformed"


def test_an_object_of_another_class_is_named() -> None:
    with pytest.raises(Rejected, match="expected a Payment, got a Reading"):
        Schema.of(Payment).arrival(Reading(id="r", at=0, celsius=1.0))


def test_a_check_that_the_user_wrote_refuses_in_its_own_words() -> None:
    class Checked(Event):
        id: Id
        at: EpochSeconds

        def __post_init__(self) -> None:
            raise KeyError("no such shop")

    with pytest.raises(Rejected, match="KeyError: 'no such shop'") as refused:
        Schema.of(Checked).decode(b'{"id":"x","at":1}')
    assert refused.value.reason == "invalid"


def test_names_in_json_may_differ_from_names_in_the_class() -> None:
    class Camel(Event, rename="camel"):
        event_id: Id
        happened_at: EpochSeconds
        unit_price: float

    arrival = Schema.of(Camel).decode(b'{"eventId":"x","happenedAt":1,"unitPrice":2}')
    assert arrival.value.unit_price == 2.0
    assert Schema.of(Camel).encode(arrival.value) == b'{"eventId":"x","happenedAt":1,"unitPrice":2.0}'


def test_an_empty_id_is_refused_by_its_own_name() -> None:
    class Camel(Event, rename="camel"):
        event_id: Id
        happened_at: EpochSeconds

    with pytest.raises(Rejected, match=r"invalid: the id is empty, and no truth could find it - at `\$\.eventId`"):
        Schema.of(Camel).decode(b'{"eventId":"","happenedAt":1}')


def outcome(raw: bytes, cls: type = Reading) -> str:
    try:
        return type(Schema.of(cls).decode(raw)).__name__
    except Rejected as refused:
        return refused.reason


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_are_an_arrival_or_are_refused_with_a_reason(raw: bytes) -> None:
    assert outcome(raw) in {"Arrival", "malformed", "invalid", "out_of_range"}


KEYS = ['"id"', '"\\u0069d"', '"note"', '"x"', '"x\\"y"', '"amount"']
TEXTS = ['"a"', '"\\""', '"say \\"x\\":1"', '"ü"', '""']


def test_a_key_with_a_default_hides_no_other_key() -> None:
    assert Schema.of(Keyed).decode(b'{"id":"r","at":1,"amount":"a"}').key == "c"
    assert outcome(b'{"id":"r","at":1,"amount":"a","amount":"b"}', Keyed) == "malformed"
    assert outcome(b'{"id":"r","at":1,"amount":null,"id":"r"}', Keyed) == "malformed"


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(TEXTS), st.sampled_from([":", " : "])), max_size=5),
    st.booleans(),
)
def test_a_key_is_refused_exactly_when_it_is_there_twice(pairs: list[tuple[str, str, str]], inner: bool) -> None:
    text = ",".join(key + colon + value for key, value, colon in pairs)
    keys = [msgspec.json.decode(key) for key, _, _ in pairs]
    if inner:
        raw = f'{{"id":"r","at":1,"wheels":[],"any":{{{text}}}}}'
        twice = len(set(keys)) < len(keys)
    else:
        raw = f'{{"at":1,"wheels":[],"id":"r"{"," if text else ""}{text}}}'
        twice = len({*keys, "id"}) < len(keys) + 1
    for cls in (Ride, Noted, Dated):
        assert outcome(raw.encode(), cls) == ("malformed" if twice else "Arrival")
