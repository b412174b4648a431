"""What to type next, when a record was refused: a line for people, made from the reason and its detail.

A dead letter is part of the journal and says what was wrong; how to mend it is no part of the past, may get better words with
any release, and so is made here, when somebody looks. Knows users' classes by their `Schema` and nothing of where records come
from.
"""

from __future__ import annotations

import re

import msgspec

from eddyline.records.fields import Field
from eddyline.records.near import nearest
from eddyline.records.schema import Schema
from eddyline.records.stream import Reason

_PLACE = re.compile(r"at `\$\.([^`.\[]+)`")
_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `(\w+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`$")
_NAMES = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SHOWN = 12
"""How many names of a record are told."""
_NOTHING = frozenset(("na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "unknown"))
_OUTSIDE = re.compile(r"(-?\d+)(?:\.\d+)? is outside the years")


def advice(schema: Schema, reason: str, detail: str, raw: bytes = b"") -> str | None:
    """What to write so that such a record is taken, in the words of its class; None where only the reason can tell.

    `raw` is the record as it was refused: its own names tell which one was meant by a field that it does not have.

    >>> from eddyline.records.types import Event, Id, Time
    >>> class Payment(Event):
    ...     id: Id
    ...     at: Time
    ...     amount: float
    >>> advice(Schema.of(Payment), "invalid", "Expected `float`, got `null` - at `$.amount`")
    'where it may be missing, declare it so in class Payment: amount: float | None = None'
    >>> advice(Schema.of(Payment), "invalid", "Object missing required field `amount`", b'{"id": "a", "amnt": 1.5}')
    'the record has `amnt`: call the field so, or say it in the class: class Payment(Event, rename={"amount": "amnt"})'
    """
    if reason == Reason.INVALID.value:
        return _of_types(schema, detail, raw)
    if reason == Reason.MALFORMED.value:
        return _of_syntax(detail)
    if reason == Reason.OUT_OF_RANGE.value:
        return _of_range(schema, detail)
    return None


def strangers(schema: Schema, raw: bytes) -> list[str]:
    """The names in a record that no field of its class declares; none where the bytes are no JSON object, or were cut.

    >>> from eddyline.records.types import Event, Id, Time
    >>> class Tick(Event):
    ...     id: Id
    ...     at: Time
    >>> strangers(Schema.of(Tick), b'{"id": 1, "price": 2.5}')
    ['price']
    """
    try:
        there = _NAMES.decode(raw)
    except msgspec.DecodeError:
        return []
    declared = {field.wire for field in schema.declared}
    return [name for name in there if name not in declared]


def renamed(schema: Schema, field: Field, name: str) -> str:
    """How a class says that records call one of its fields otherwise."""
    kind = "Event" if schema.kind == "event" else "Label"
    return f'class {schema.cls.__name__}({kind}, rename={{"{field.name}": "{name}"}})'


def _of_types(schema: Schema, detail: str, raw: bytes) -> str | None:
    missing = _MISSING.search(detail)
    if missing is not None:
        return _absent(schema, missing[1], strangers(schema, raw))
    place = _PLACE.search(detail)
    if "RFC3339" in detail:
        return "write times as 2026-01-01T00:00:00Z, with the date, the time and the offset"
    wrong = _WRONG_TYPE.search(detail)
    if wrong is None:
        return None
    expected, got = wrong.groups()
    if place is None:
        return (
            "one object a line: {...}, without [ ] around them and without commas between them"
            if expected == "object"
            else None
        )
    if got == "null":
        return _optional(schema, place[1])
    word = _word(raw, place[1]) if got == "str" and expected != "str" else None
    if word is not None:
        return f'if {word!r} says that nothing is known: csv(..., missing=("{word}",)); in JSON and Kafka write null'
    return _other_type(schema, place[1], expected, got)


def _word(raw: bytes, wire: str) -> str | None:
    """What a record says in a field, where it is a word that tables use for nothing."""
    try:
        word = msgspec.json.decode(_NAMES.decode(raw)[wire])
    except (msgspec.DecodeError, KeyError):
        return None
    return word if isinstance(word, str) and word.strip().lower() in _NOTHING else None


def _other_type(schema: Schema, wire: str, expected: str, got: str) -> str | None:
    """What to write where a field has a value of another type."""
    field = _field(schema, wire)
    if field is None:
        return None
    if expected == "datetime" and got in ("int", "float"):
        return f"a number since 1970 has a unit: {field.name}: EpochSeconds (or EpochMillis, EpochMicros)"
    if got == "str" and expected.split(" | ")[0] in ("int", "float"):
        return f"types are strict: write the number without quotes and with a decimal point, or declare {field.name}: str"
    if got == "int" and expected == "bool":
        told = f"{field.name}: Truth[int]" if field.name == schema.truth_field else f"{field.name}: int"
        return f"types are strict: write true or false, or declare {told}"
    if got == "str" and expected == "bool":
        told = f"{field.name}: Truth[str]" if field.name == schema.truth_field else f"{field.name}: str"
        return f"types are strict: write true or false, without quotes; where it holds other words, declare {told}"
    if got in ("int", "float") and expected == "str":
        return f"types are strict: write it in quotes, or declare {field.name}: {'int' if got == 'int' else 'float'}"
    if got == "float" and expected.startswith("int"):
        return f"write whole numbers without a point{'' if field.role is not None else f', or declare {field.name}: float'}"
    return None


def _absent(schema: Schema, wire: str, others: list[str]) -> str | None:
    """What to write where a record leaves out a field: the name that it has instead, or that it may be missing."""
    field = _field(schema, wire)
    if field is None:
        return None
    near = nearest(wire, others)
    if near is not None:
        return f"the record has `{near}`: call the field so, or say it in the class: {renamed(schema, field, near)}"
    optional = _optional(schema, wire)
    if optional is not None or not others:
        return optional
    shown = ", ".join(f"`{name}`" for name in others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
    return f"the record has {shown}: say which one it is: {renamed(schema, field, 'its name there')}"


def _optional(schema: Schema, wire: str) -> str | None:
    field = _field(schema, wire)
    if field is None or field.role is not None:
        return None
    shown = next(part for part in schema.describe().split("(", 1)[1][:-1].split(", ") if part.startswith(f"{field.name}: "))
    required = [one.required for one in schema.declared]
    below = ", below the fields that must be there" if any(required[schema.declared.index(field) + 1 :]) else ""
    bare = shown.split(" | None")[0]
    return f"where it may be missing, declare it so in class {schema.cls.__name__}: {bare} | None = None{below}"


def _of_syntax(detail: str) -> str | None:
    if "not UTF-8" in detail:
        return "save the file as UTF-8"
    if "Extra data" in detail:
        return "one object a line, and nothing behind it: no comma, no second object"
    if "double quotes" in detail:
        return 'write names and text in double quotes, and each record on a line of its own: {"id": "a"}'
    if detail.startswith("not JSON: Expecting value: line 1 column 1"):
        return "each line is a JSON object; for a table with a header use csv(...) or parquet(...)"
    return None


def _of_range(schema: Schema, detail: str) -> str | None:
    outside = _OUTSIDE.search(detail)
    field = next(one for one in schema.declared if one.name == schema.time_field)
    if outside is not None and field.unit is not None:
        digits = len(outside[1].lstrip("-"))
        unit = "EpochMillis" if digits <= 14 else "EpochMicros"
        return f"if it counts smaller units since 1970, declare {field.name}: {unit}"
    if "NaN" in detail or "is nan" in detail:
        return (
            "leave out what is missing, or write null, and declare it with | None; a model is never given NaN. "
            'A table may say so: csv(..., missing=("NaN",))'
        )
    return None


def _field(schema: Schema, wire: str) -> Field | None:
    return next((field for field in schema.declared if field.wire == wire), None)
