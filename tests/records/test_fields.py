"""What a class of events or labels must look like, and what its author is told when it does not."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from eddyline.records import EpochMillis, EpochSeconds, Event, Id, Key, Label, Role, Time, Truth
from eddyline.records.errors import DeclarationError
from eddyline.records.schema import Schema


class Card(msgspec.Struct):
    bank: str
    age: int


class Colour(enum.Enum):
    RED = "red"


class Unknown:
    pass


def no_id() -> type:
    class Payment(Event):
        at: Time

    return Payment


def two_ids() -> type:
    class Payment(Event):
        id: Id
        other: Id
        at: Time

    return Payment


def no_time() -> type:
    class Payment(Event):
        id: Id
        amount: float

    return Payment


def two_keys() -> type:
    class Payment(Event):
        id: Id
        at: Time
        card: Key
        shop: Key

    return Payment


def truth_in_an_event() -> type:
    class Payment(Event):
        id: Id
        at: Time
        fraud: Truth[bool]

    return Payment


def label_without_truth() -> type:
    class Chargeback(Label):
        id: Id
        at: Time

    return Chargeback


def truth_may_be_none() -> type:
    class Chargeback(Label):
        id: Id
        at: Time
        fraud: Truth[bool | None]

    return Chargeback


def optional_key() -> type:
    class Payment(Event):
        id: Id
        at: Time
        card: Key | None

    return Payment


def id_with_a_default() -> type:
    class Payment(Event, kw_only=True):
        id: Id = "p"
        at: Time

    return Payment


def id_that_is_a_number() -> type:
    class Payment(Event):
        id: Annotated[float, Role.ID]
        at: Time

    return Payment


def time_without_a_unit() -> type:
    class Payment(Event):
        id: Id
        at: Annotated[float, Role.TIME]

    return Payment


def zone_that_is_nowhere() -> type:
    class Payment(Event):
        zone: ClassVar[str | None] = "Europe/Atlantis"
        id: Id
        at: Time

    return Payment


def zone_that_is_a_field() -> type:
    class Payment(Event):
        id: Id
        at: Time
        zone: str  # type: ignore[misc]

    return Payment


def unsupported_type() -> type:
    class Payment(Event):
        id: Id
        at: Time
        thing: list[Unknown]

    return Payment


def two_roles() -> type:
    class Payment(Event):
        id: Annotated[str, Role.ID, Role.KEY]
        at: Time

    return Payment


def an_array() -> type:
    class Payment(Event, array_like=True):
        id: Id
        at: Time

    return Payment


def ambiguous_union() -> type:
    class Payment(Event):
        id: Id
        at: Time
        card: Card | dict[str, int]

    return Payment


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (no_id, ["Payment has no Id", "type: id: Id"]),
        (two_ids, ["Payment has 2 fields that are its Id: id, other", "other: str"]),
        (no_time, ["Payment has no Time", "type: at: Time"]),
        (two_keys, ["Payment has 2 fields that are its Key: card, shop"]),
        (truth_in_an_event, ["Payment.fraud is the Truth", "(Label)"]),
        (label_without_truth, ["Chargeback has no Truth", "Truth[bool]"]),
        (truth_may_be_none, ["Chargeback.fraud", "bool | None"]),
        (optional_key, ["Payment.card", "type: card: Key"]),
        (id_with_a_default, ["Payment.id", "default 'p'", "type: id: Id"]),
        (id_that_is_a_number, ["Payment.id", "cannot be float", "type: id: Id"]),
        (time_without_a_unit, ["Payment.at", "EpochSeconds"]),
        (zone_that_is_nowhere, ["Payment", "'Europe/Atlantis'", "zone: ClassVar[str]"]),
        (zone_that_is_a_field, ["Payment", "'zone'", "zone: ClassVar[str]"]),
        (unsupported_type, ["Payment.thing", "Unknown", "dict[str, float]"]),
        (two_roles, ["Payment.id is Id and Key"]),
        (an_array, ["Payment", "array_like"]),
        (ambiguous_union, ["Payment", "dict"]),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_in_its_own_words(declare: Callable[[], type], words: list[str]) -> None:
    with pytest.raises(DeclarationError) as refused:
        Schema.of(declare())
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("thing", [Event, Label, dict, "Payment", None])
def test_what_is_no_subclass_of_event_or_label_is_refused(thing: Any) -> None:
    with pytest.raises(DeclarationError, match="expected a subclass of Event or Label"):
        Schema.of(thing)


def test_a_class_may_use_types_that_only_its_function_knows() -> None:
    class Wheel(msgspec.Struct):
        size: float

    class Ride(Event):
        id: Id
        at: EpochSeconds
        wheel: Wheel

    ride = Schema.of(Ride).decode(b'{"id":"r","at":1,"wheel":{"size":28}}').value
    assert ride.wheel.size == 28.0


def test_a_name_that_nobody_knows_is_named() -> None:
    class Ride(Event):
        id: Id
        at: EpochSeconds
        wheel: Whell  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DeclarationError, match="Ride: 'Whell'"):
        Schema.of(Ride)


def test_fields_and_roles_are_inherited() -> None:
    class Base(Event):
        id: Id
        at: EpochMillis

    class Payment(Base):
        card: Key
        amount: float

    schema = Schema.of(Payment)
    assert (schema.id_field, schema.key_field, schema.time_field) == ("id", "card", "at")
    assert schema.roles == {"id", "card", "at"}
    assert set(schema.fields) == {"id", "at", "card", "amount"}


def test_a_schema_tells_what_it_is_about() -> None:
    class Payment(Event):
        id: Id
        at: EpochMillis
        amount: float
        note: str | None = None
        rest: dict[str, float] = msgspec.field(default_factory=dict)
        kind: Literal["a", "b"] = "a"

    schema = Schema.of(Payment)
    assert schema.describe() == (
        "Payment(id: Id, at: EpochMillis, amount: float, note: str | None, rest: dict[str, float], kind: Literal['a', 'b'])"
    )
    assert schema.kind == "event"
    assert schema.zone is None
    assert Schema.of(Payment) is schema


def payment_with(card: Any, default: Any) -> type:
    class Payment(Event):
        id: Id
        at: Time
        card: Any
        amount: float = default

    Payment.__annotations__["card"] = card
    return Payment


def test_the_digest_changes_with_anything_that_changes_how_bytes_are_read() -> None:
    class Zoned(Event):
        zone: ClassVar[str | None] = "Europe/Zurich"
        id: Id
        at: Time

    class Unzoned(Event):
        id: Id
        at: Time

    parts = [
        Schema.of(cls).digest_parts()
        for cls in (
            payment_with(Card, 1.0),
            payment_with(Card, 2.0),
            payment_with(Colour, 1.0),
            payment_with(str, 1.0),
            payment_with(str | None, 1.0),
            Zoned,
            Unzoned,
        )
    ]
    encoded = [msgspec.json.encode(part) for part in parts]
    assert len(set(encoded)) == len(encoded)
    assert parts[0] == Schema.of(payment_with(Card, 1.0)).digest_parts()
    assert parts[0]["fields"][2][2] == "Card(bank: str, age: int)"
