"""The codec of a user's class: bytes to a validated `Arrival`, and back to canonical bytes.

Keeps the law *finite* (no NaN, infinity or magnitude above 1e100 passes) and the first half of *whole*:
bytes become either an `Arrival` or a `Rejected` with one reason code, always the same one. Refuses to know
where bytes come from and what happens to them. What a class may look like is in `fields.py`, what JSON may
look like in `strict.py`.

"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import inspect

from eddyline.records.errors import Rejected
from eddyline.records.fields import Field, read_fields, show_type, zone_of
from eddyline.records.numbers import QUOTED, first_out_of_range, is_number, plain, within_limit
from eddyline.records.stream import LIMIT, Arrival, Reason
from eddyline.records.strict import refusal, require_strict, require_utf8
from eddyline.records.time import EPOCH, instant
from eddyline.records.types import Event, Label, Role

FIRST = instant(datetime.min.replace(tzinfo=UTC))
LAST = instant(datetime.max.replace(tzinfo=UTC))
"""Event time lies in the years 1 to 9999, so that every instant can be shown as a date."""
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Schema:
    """What Eddyline knows of a user's class: its fields and roles, and how its records travel as JSON.

    Get it by `Schema.of`. `decode` reads bytes, `arrival` takes an object made in Python, `encode` writes
    canonical bytes, `identity` tells whether two records with one id say the same.

    >>> from eddyline.records.types import EpochSeconds, Id, Key
    >>> class Payment(Event):
    ...     id: Id
    ...     card: Key
    ...     at: EpochSeconds
    ...     amount: float
    >>> schema = Schema.of(Payment)
    >>> schema.decode(b'{"id": 7, "card": "c1", "at": 1.5, "amount": 3}')
    Arrival(id='7', key='c1', at=1500000, value=Payment(id=7, card='c1', at=1.5, amount=3.0), truth=None)
    >>> schema.decode(b'{"id": 7, "card": "c1", "at": 1.5, "amount": "3"}')
    Traceback (most recent call last):
        ...
    eddyline.records.errors.Rejected: invalid: Expected `float`, got `str` - at `$.amount`
    """

    __slots__ = (
        "_decode",
        "_instant",
        "_keyed",
        "_measured",
        "_quotes",
        "_rest",
        "_roles",
        "_surplus",
        "_told",
        "_within_limit",
        "cls",
        "declared",
        "fields",
        "id_field",
        "id_wire",
        "key_field",
        "kind",
        "roles",
        "time_field",
        "truth_field",
        "zone",
    )

    def __init__(self, cls: type[Event] | type[Label]) -> None:
        declared = read_fields(cls)
        zone = zone_of(cls)
        by_role = {field.role: field for field in declared if field.role is not None}
        self.cls = cls
        self.kind = "event" if issubclass(cls, Event) else "label"
        self.declared = declared
        self.fields: dict[str, Any] = {field.name: field.type for field in declared}
        self.id_field = by_role[Role.ID].name
        self.id_wire = by_role[Role.ID].wire
        self.key_field = by_role[Role.KEY].name if Role.KEY in by_role else None
        self.time_field = by_role[Role.TIME].name
        self.truth_field = by_role[Role.TRUTH].name if Role.TRUTH in by_role else None
        self.roles = frozenset(field.name for field in by_role.values())
        self.zone: str | None = cls.zone
        self._decode = msgspec.json.Decoder(cls).decode
        # Ids and keys are names, also where they are digits: their magnitude means nothing.
        self._measured = {f.name: f.kind for f in declared if f.role not in (Role.ID, Role.KEY)}
        self._within_limit = within_limit(self._measured)
        self._instant = _instant_of(by_role[Role.TIME], zone, cls.__name__)
        # One getter for all roles: where there is no key or no truth, the id stands in and is not used.
        self._keyed, self._told = self.key_field is not None, self.truth_field is not None
        self._roles = attrgetter(
            self.id_field, self.key_field or self.id_field, self.time_field, self.truth_field or self.id_field
        )
        self._rest = _tuple_of([f.name for f in declared if f.role not in (Role.ID, Role.KEY, Role.TIME)])
        self._quotes, self._surplus = _quotes_of(declared, cls)

    @staticmethod
    def of(cls: type[Event] | type[Label]) -> Schema:
        """The schema of a class, made once. Raises `DeclarationError` when the class cannot work."""
        return _schema_of(cls)

    def decode(self, raw: bytes) -> Arrival:
        """Read one JSON object into the user's type.

        Types are strict, fields that nobody declared are ignored, a field left out without a default is
        refused. A time without an offset is taken in the class's `zone`; of an hour that happens twice it
        is the first. Epoch numbers are converted exactly and rounded to the nearest microsecond, halves up.

        Raises `Rejected` with one of these reasons: `malformed` (not JSON, not UTF-8, nested more than 32
        deep, a key twice), `invalid` (a field is missing or of another type, or the id is empty), `naive_time`, `out_of_range`
        (NaN, infinity, above 1e100, a time outside the years 1 to 9999).
        """
        try:
            value = self._decode(raw)
        except Exception as problem:
            raise refusal(raw, problem) from problem
        name, key, moment, truth = self._roles(value)
        # Two quotes for each declared key and each text: more mean another key, an escape or a key twice.
        quotes = self._quotes
        if type(name) is str:
            quotes += 2
        else:
            name = str(name)
        if not self._keyed:
            key = ""
        elif type(key) is str:
            quotes += 2
        else:
            key = str(key)
        if self._surplus:
            quotes += _quotes_in(value, self._surplus)
        if raw.count(b'"') != quotes:
            require_strict(raw)
        elif not raw.isascii():
            require_utf8(raw)
        if not self._within_limit(value):
            raise self._out_of_range(value)
        if not name:
            raise Rejected(Reason.INVALID.value, f"the id is empty, and no truth could find it - at `$.{self.id_wire}`")
        return Arrival(name, key, self._instant(moment), value, truth if self._told else None)

    def arrival(self, value: Event | Label) -> Arrival:
        """Take an object made in Python as if its bytes had arrived: same checks, and the same result later.

        Python does not check the types of the fields when it makes an object, so this does. `arrival.value`
        is the object as it will be read again: a `3` in a float field has become `3.0`. Raises `Rejected`
        as `decode` does.
        """
        return self.decode(self.encode(value))

    def encode(self, value: Event | Label) -> bytes:
        """The canonical bytes of a record: compact JSON, fields in the class's order, maps sorted by key.

        `decode(encode(value)).value == value` for every value that `decode` accepts. Raises `Rejected` for
        what JSON cannot say: NaN, a lone surrogate, an object of an unknown type. Offsets of datetimes are
        kept to the minute.
        """
        if not isinstance(value, self.cls):
            detail = f"expected a {self.cls.__name__}, got a {type(value).__name__}"
            raise Rejected(Reason.INVALID.value, detail)
        try:
            if not self._within_limit(value):
                raise self._out_of_range(value)
            return _canonical(value)
        except (UnicodeEncodeError, RecursionError) as problem:
            detail = f"{self.cls.__name__} cannot be written as JSON: {problem}"
            raise Rejected(Reason.MALFORMED.value, detail) from problem
        except (TypeError, ValueError, OverflowError) as problem:
            detail = f"{self.cls.__name__} cannot be written as JSON: {problem}"
            raise Rejected(Reason.INVALID.value, detail) from problem

    def identity(self, record: Arrival | bytes) -> bytes:
        """Bytes that are equal when two records say the same, whichever way they were written.

        `7` and `"7"` are one id, and one instant written with two offsets is one instant; `3` and `3.0` in
        a float field are one number. Order and spacing of the JSON and undeclared fields do not count.
        """
        arrival = self.decode(record) if isinstance(record, bytes) else record
        return _canonical((arrival.id, arrival.key, arrival.at, self._rest(arrival.value)))

    def describe(self) -> str:
        """The class in one line, as its author would say it.

        >>> from eddyline.records.types import Id, Time, Truth
        >>> class Arrived(Label):
        ...     flight: Id
        ...     at: Time
        ...     late: Truth[bool]
        >>> Schema.of(Arrived).describe()
        'Arrived(flight: Id, at: Time, late: Truth[bool])'
        """
        return f"{self.cls.__name__}({', '.join(map(_show_field, self.declared))})"

    def digest_parts(self) -> dict[str, Any]:
        """What the pipeline's digest must cover: all that changes how bytes are read, in a stable order."""
        return {
            "kind": self.kind,
            "name": self.cls.__name__,
            "zone": self.zone,
            "fields": [
                [
                    field.name,
                    field.wire,
                    show_type(field.type, deep=True),
                    field.role.value if field.role else None,
                    field.unit.name if field.unit else None,
                    field.default,
                ]
                for field in self.declared
            ],
        }

    def _out_of_range(self, value: Any) -> Rejected:
        place = first_out_of_range({name: getattr(value, name) for name in self._measured})
        detail = f"NaN, infinity or a magnitude above {LIMIT:g} - at `{place}`"
        return Rejected(Reason.OUT_OF_RANGE.value, detail)


@lru_cache(maxsize=1024)
def _schema_of(cls: type[Event] | type[Label]) -> Schema:
    return Schema(cls)


def _show_field(field: Field) -> str:
    if field.role is None:
        return f"{field.name}: {show_type(field.type)}"
    if field.role is Role.TRUTH:
        return f"{field.name}: Truth[{show_type(field.type)}]"
    if field.unit is not None:
        return f"{field.name}: Epoch{field.unit.name.capitalize()}"
    return f"{field.name}: {field.role.value}"


def _tuple_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda value: ()
    if len(names) == 1:
        only = attrgetter(names[0])
        return lambda value: (only(value),)
    return attrgetter(*names)


class Surplus(NamedTuple):
    """A field whose share of the quotes depends on its value."""

    name: str
    default: Any
    """what the value is when the JSON may not have the key; `msgspec.NODEFAULT` when it always has it"""
    always: int
    """the quotes around the key and the value, where the value is not the default"""


def _quotes_of(declared: tuple[Field, ...], cls: type) -> tuple[int, tuple[Surplus, ...]]:
    """How many quotes the JSON of a record certainly has, and the fields whose values decide about more.

    Id and key are left to the caller. Where the count cannot be told from the class, it is one that no JSON
    has, and every record is looked at closely. The count must never be too high: a key given twice could
    hide in the difference.
    """
    quotes, surplus = 0, []
    infos = {info.name: info for info in msgspec.structs.fields(cls)}
    for field in declared:
        if field.role in (Role.ID, Role.KEY) and field.required:
            quotes += 2
            continue
        kinds = field.kind.types if isinstance(field.kind, inspect.UnionType) else (field.kind,)
        quoted = all(isinstance(plain(kind), QUOTED) for kind in kinds)
        bare = all(_is_bare(kind) for kind in kinds)
        countable = all(_is_bare(kind) or _is_countable(kind) for kind in kinds)
        made = infos[field.name].default_factory
        if field.role is Role.KEY or not (quoted or countable) or made not in (msgspec.NODEFAULT, dict, list):
            return -1, ()  # a key with a default, too: the caller counts it as being there
        if field.required and (quoted or bare):
            quotes += 4 if quoted else 2
        elif field.required:
            quotes += 2
            surplus.append(Surplus(field.name, msgspec.NODEFAULT, 0))
        else:
            default = infos[field.name].default if made is msgspec.NODEFAULT else made()
            countable_text = any(isinstance(plain(kind), inspect.StrType) for kind in kinds)
            surplus.append(Surplus(field.name, default, 4 if quoted and not countable_text else 2))
    return quotes, tuple(surplus)


def _quotes_in(value: Any, surplus: tuple[Surplus, ...]) -> int:
    quotes = 0
    for name, default, always in surplus:
        part = getattr(value, name)
        if part is default or part == default:
            continue
        quotes += always
        if type(part) is str:
            quotes += 2
        elif type(part) is dict:
            quotes += 2 * len(part)
    return quotes


def _is_bare(kind: inspect.Type) -> bool:
    """Whether JSON writes the values of this type without any quotes."""
    kind = plain(kind)
    if isinstance(kind, inspect.ListType):
        return is_number(kind.item_type)
    return is_number(kind) or isinstance(kind, inspect.BoolType | inspect.NoneType)


def _is_countable(kind: inspect.Type) -> bool:
    """Whether the quotes around the values of this type are two for a text and two for each key of a map."""
    kind = plain(kind)
    return isinstance(kind, inspect.StrType) or (isinstance(kind, inspect.DictType) and is_number(kind.value_type))


def _instant_of(field: Field, zone: ZoneInfo | None, owner: str) -> Callable[[Any], int]:
    return _epoch_reader(field) if field.unit is not None else _datetime_reader(field, zone, owner)


def _epoch_reader(field: Field) -> Callable[[Any], int]:
    assert field.unit is not None
    unit = field.unit.value

    def read(moment: int | float) -> int:
        if type(moment) is int:
            at = moment * unit
        else:
            above, below = moment.as_integer_ratio()
            at = (2 * above * unit + below) // (2 * below)
        if FIRST <= at <= LAST:
            return at
        detail = f"{moment!r:.40} is outside the years 1 to 9999 - at `$.{field.wire}`"
        raise Rejected(Reason.OUT_OF_RANGE.value, detail)

    return read


def _datetime_reader(field: Field, zone: ZoneInfo | None, owner: str) -> Callable[[Any], int]:
    def read(moment: datetime) -> int:
        if moment.tzinfo is None:
            if zone is None:
                raise Rejected(
                    Reason.NAIVE_TIME.value,
                    f"{moment.isoformat()} has no offset - at `$.{field.wire}`; write {moment.isoformat()}Z, "
                    f'or tell where it is in class {owner}: zone: ClassVar[str] = "Europe/Zurich"',
                )
            moment = moment.replace(tzinfo=zone)
        since: timedelta = moment - EPOCH
        at = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        if FIRST <= at <= LAST:
            return at
        detail = f"{moment.isoformat()} is outside the years 1 to 9999 - at `$.{field.wire}`"
        raise Rejected(Reason.OUT_OF_RANGE.value, detail)

    return read
