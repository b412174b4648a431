"""What users subclass: `Event` and `Label`, and the roles their fields play.

A role is an annotation, so the class stays an ordinary typed class for editors and type checkers:

    class Payment(Event):
        id: Id
        card: Key
        at: Time
        amount: float

    class Chargeback(Label):
        id: Id
        at: EpochSeconds
        fraud: Truth[bool]

- `Id`: which event. Once in an event and once in its label; unique among events. Text or a whole number: `7` and `"7"` are one.
- `Key`: whose event. At most once, in events: aggregates, canaries and models per key go by it. Text or a whole number.
- `Time`: when it happened; in a label, when the truth became known. Once in each, as ISO 8601 text. Without an offset the class
  declares `zone: ClassVar[str] = "America/New_York"`.
- `EpochSeconds`, `EpochMillis`, `EpochMicros`: instead of `Time`, a number since 1970-01-01T00:00Z.
- `Truth[T]`: what a label tells, once: `bool`, `str` or `int` for classes, `float` for a number.

Every other field is the user's own; `dict[str, float]` makes a field an open map for wide inputs. `help()` of a role shows
Python's `Annotated`; `help(eddyline.Event)` and `help(eddyline.records.types)` show this.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar, TypeVar, dataclass_transform

import msgspec


class Role(enum.Enum):
    """What a field is for. Users write `Id`, `Key`, `Time` and `Truth`; the schema reads these."""

    ID = "Id"
    KEY = "Key"
    TIME = "Time"
    TRUTH = "Truth"


class Unit(enum.Enum):
    """The unit of an epoch number, as microseconds each."""

    SECONDS = 1_000_000
    MILLIS = 1_000
    MICROS = 1


T = TypeVar("T")

Id = Annotated[str | int, Role.ID]
"""The event's name: unique among events, and the same in its label. `7` and `"7"` are one id."""
Key = Annotated[str | int, Role.KEY]
"""Whose event it is (a card, a machine, a customer): aggregates and assignment go by it."""
Time = Annotated[datetime, Role.TIME]
"""When it happened, as ISO 8601 text. Without an offset, the class declares `zone: ClassVar[str]`."""
EpochSeconds = Annotated[int | float, Role.TIME, Unit.SECONDS]
"""When it happened, as seconds since 1970-01-01T00:00Z."""
EpochMillis = Annotated[int | float, Role.TIME, Unit.MILLIS]
"""When it happened, as milliseconds since 1970-01-01T00:00Z."""
EpochMicros = Annotated[int, Role.TIME, Unit.MICROS]
"""When it happened, as microseconds since 1970-01-01T00:00Z."""
Truth = Annotated[T, Role.TRUTH]
"""What a label tells: `Truth[bool]`, `Truth[str]` or `Truth[int]` for classes, `Truth[float]` for a number."""


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, frozen=True):
    """Something that happened and wants an answer. Subclass it and give its fields their roles.

    - `Id`: its name, unique among events and the same in its label; text or a whole number.
    - `Time`: when it happened, as ISO 8601 text; or `EpochSeconds`, `EpochMillis`, `EpochMicros`: a number since 1970.
    - `Key`: whose event it is (a card, a machine, a customer). Aggregates and assignment to a canary go by it.

    It needs one `Id` and one `Time`; a `Key` when there are aggregates. Unknown fields in the input are ignored, missing
    ones are refused, types are strict (`"3"` is not a number). Times without an offset need the class to say where:

    >>> class Departure(Event):
    ...     zone: ClassVar[str] = "America/New_York"
    ...     id: Id
    ...     at: Time
    ...     carrier: str
    >>> Departure(id="UA1545", at=datetime(2013, 1, 1, 5, 15), carrier="UA").carrier
    'UA'
    """

    zone: ClassVar[str | None] = None


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Label(msgspec.Struct, frozen=True):
    """The truth about one event, arriving later. Subclass it; it needs an `Id`, a `Time` and a `Truth`.

    `Id` is that of its event. `Truth[bool]`, `Truth[str]` and `Truth[int]` tell classes, `Truth[float]` a number.
    `Time` is when the truth became known, not when it is read: whether a label is late is judged by it.

    >>> class Chargeback(Label):
    ...     id: Id
    ...     at: EpochSeconds
    ...     fraud: Truth[bool]
    >>> Chargeback(id="p-1", at=1_700_000_000, fraud=True).fraud
    True
    """

    zone: ClassVar[str | None] = None
