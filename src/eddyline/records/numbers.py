"""Which numbers may enter: finite ones, no larger than `LIMIT`.

Keeps the law *finite* at the door: a NaN, an infinity or 1e308 in one feature makes a linear model answer
NaN for ever. `within_limit` compiles a check for one class, which costs about 0.2 µs for eight numbers;
`first_out_of_range` is slow, looks everywhere and tells the place. Knows nothing of JSON, roles or users'
names.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import inspect

from eddyline.records.stream import LIMIT

SURE = LIMIT / 2
"""Below this the length of a vector proves that each of its numbers is within `LIMIT`, rounding or not."""
QUOTED = (
    inspect.StrType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.BytesType,
    inspect.ByteArrayType,
)
"""Types that JSON always writes between two quotes."""
WITHOUT_NUMBERS = (*QUOTED, inspect.BoolType, inspect.NoneType, inspect.LiteralType, inspect.EnumType)


def plain(kind: inspect.Type) -> inspect.Type:
    """A type without the metadata around it.

    >>> plain(inspect.type_info(float))
    FloatType(gt=None, ge=None, lt=None, le=None, multiple_of=None)
    """
    return plain(kind.type) if isinstance(kind, inspect.Metadata) else kind


def is_number(kind: inspect.Type) -> bool:
    """Whether every value of this type is an int or a float, never None and never a bool.

    >>> is_number(inspect.type_info(int | float)), is_number(inspect.type_info(float | None))
    (True, False)
    """
    kind = plain(kind)
    if isinstance(kind, inspect.UnionType):
        return all(map(is_number, kind.types))
    return isinstance(kind, inspect.IntType | inspect.FloatType)


def within_limit(fields: Mapping[str, inspect.Type]) -> Callable[[Any], bool]:
    """A check for objects with these fields: True when each number is finite and at most 1e100 in magnitude.

    >>> class Reading(msgspec.Struct):
    ...     celsius: float
    >>> check = within_limit({"celsius": inspect.type_info(float)})
    >>> check(Reading(21.5)), check(Reading(float("nan"))), check(Reading(1e101))
    (True, False, False)
    """
    numbers = [name for name, kind in fields.items() if is_number(kind)]
    others = [name for name, kind in fields.items() if not is_number(kind) and _may_hold_numbers(kind)]
    pick_others = [attrgetter(name) for name in others]
    # An attrgetter of one name returns no tuple; the same number twice does no harm.
    pick = attrgetter(*(numbers * 2 if len(numbers) == 1 else numbers)) if numbers else None
    hypot = math.hypot

    def slow(value: Any) -> bool:
        return all(first_out_of_range(getattr(value, name)) is None for name in fields)

    def only_numbers(value: Any) -> bool:
        try:
            return hypot(*pick(value)) <= SURE or slow(value)  # type: ignore[misc]
        except (TypeError, OverflowError):  # something else than a number, or an int beyond every float
            return slow(value)

    def any_field(value: Any) -> bool:
        if pick is not None and not only_numbers(value):
            return False
        return all(_open_within_limit(get(value)) for get in pick_others)

    if others:
        return any_field
    return only_numbers if numbers else (lambda value: True)


def first_out_of_range(value: Any) -> str | None:
    """Where in a value the first number is that may not enter, as a JSON path; None when there is none.

    >>> first_out_of_range({"a": 1.0, "b": [0, float("inf")]})
    '$.b[1]'
    >>> first_out_of_range([True, "nan", None, 1e100]) is None
    True
    """
    place = _place(value)
    return None if place is None else f"${place}"


def _place(value: Any) -> str | None:
    """The path to the first number out of range; built on the way back, because mostly there is none."""
    if isinstance(value, int | float):
        return None if -LIMIT <= value <= LIMIT else ""
    if isinstance(value, str):
        return None
    if isinstance(value, Mapping):
        for name, part in value.items():
            place = _place(part)
            if place is not None:
                return f".{name}{place}"
        return None
    if isinstance(value, list | tuple | set | frozenset):
        for index, part in enumerate(value):
            place = _place(part)
            if place is not None:
                return f"[{index}]{place}"
        return None
    if isinstance(value, Decimal):
        return None if value.is_finite() and -LIMIT <= value <= LIMIT else ""
    fields = _as_map(value)
    return None if fields is None else _place(fields)


def _as_map(value: Any) -> dict[str, Any] | None:
    """The fields of a struct or dataclass; None for anything else."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _may_hold_numbers(kind: inspect.Type) -> bool:
    kind = plain(kind)
    if isinstance(kind, inspect.UnionType):
        return any(map(_may_hold_numbers, kind.types))
    return not isinstance(kind, WITHOUT_NUMBERS)


def _open_within_limit(value: Any) -> bool:
    try:
        if type(value) is float:
            return -LIMIT <= value <= LIMIT
        if type(value) is dict and math.hypot(*value.values()) <= SURE:
            return True
    except (TypeError, OverflowError):
        return first_out_of_range(value) is None
    return first_out_of_range(value) is None
