"""Turns rows of tables into records: which column fills which field, and what a cell means for its type.

Keeps the law *whole*: a cell that does not fit its field is handed on as it is, so that the codec refuses
the record in the user's words; only what JSON cannot say (NaN, infinity, broken text) is a fault here.
Knows nothing of files.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import inspect

from eddyline.connectors.lines import faulty
from eddyline.ports import Line, Source
from eddyline.records import Reason
from eddyline.records.errors import DeclarationError, SourceError
from eddyline.records.fields import Field
from eddyline.records.near import nearest
from eddyline.records.numbers import first_out_of_range, plain
from eddyline.records.schema import Schema
from eddyline.records.time import EPOCH, MICROSECOND
from eddyline.records.types import Role

Cell = Callable[[Any], Any]
"""What a cell means for a field; `ABSENT` when it says nothing."""
ABSENT: Any = object()
WORDS = {"true": True, "false": False, "1": True, "0": False}
NAMES = (
    (inspect.StrType, str),
    (inspect.BoolType, bool),
    (inspect.IntType, int),
    (inspect.FloatType, float),
    (inspect.NoneType, type(None)),
    (inspect.DateTimeType, datetime),
    (inspect.DictType, dict),
)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class RowId:
    """Names each row of a table without ids by its number, counted from 1: `RowId("elec-")` gives `elec-1`.

    Events and labels made from the same rows find each other by it.
    """

    prefix: str = ""

    def made(self, row: int) -> str:
        """The id of a row."""
        return f"{self.prefix}{row}"


@dataclass(frozen=True, slots=True)
class RowTime:
    """Times the rows of a table that has no times: the first at `start`, each next one `every` later.

    >>> from datetime import UTC
    >>> from eddyline.records.time import minutes
    >>> str(RowTime(datetime(1996, 5, 7, tzinfo=UTC), every=minutes(30)).made(3))
    '1996-05-07 01:00:00+00:00'
    """

    start: datetime
    every: timedelta

    def made(self, row: int) -> datetime:
        """The time of a row."""
        return self.start + (row - 1) * self.every


Columns = Mapping[str, str | RowId | RowTime]
"""Which column fills a field, where its name is another, or what is made of the row's number instead."""


ColumnItems = tuple[tuple[str, str | RowId | RowTime], ...]


def check_columns(call: str, schema: Schema, columns: Columns) -> ColumnItems:
    """The mapping as a value, when it names fields of the type; `DeclarationError` otherwise."""
    for name in columns:
        if name not in schema.fields:
            known = ", ".join(schema.fields)
            raise DeclarationError(
                f"{call}: columns names the field {name!r}, which {schema.cls.__name__} does not have\n"
                f"  its fields are {known}\n"
                f'  the field comes first, as in: columns={{"{schema.id_field}": {columns[name]!r}}}'
            )
    return tuple(columns.items())


class RowReader:
    """Makes records of rows whose columns are known. `convert` says what a cell means for a field."""

    def __init__(
        self,
        source: str,
        schema: Schema,
        columns: Columns,
        present: Sequence[str],
        convert: Callable[[Field, ZoneInfo | None], Cell],
    ) -> None:
        zone = ZoneInfo(schema.zone) if schema.zone is not None else None
        self._made: list[tuple[str, Cell, RowId | RowTime]] = []
        self._cells: list[tuple[str, Cell, int]] = []
        self.used: list[str] = []
        """the columns that fill a field"""
        self._present, unfilled = present, list[Field]()
        for field in schema.declared:
            origin = columns.get(field.name, field.wire)
            if isinstance(origin, RowId | RowTime):
                self._made.append((field.wire, _from_table(field, zone), origin))
            elif present.count(origin) == 1:
                self._cells.append((field.wire, convert(field, zone), present.index(origin)))
                self.used += [origin] if origin not in self.used else []
            elif origin in present:
                raise SourceError(f"{source} has {present.count(origin)} columns {origin!r}\n  give each its own name")
            elif field.required or field.name in columns:
                raise _no_column(source, schema, field, origin, present)
            else:
                unfilled.append(field)
        self._unfilled = unfilled

    def meant(self) -> dict[str, str]:
        """The fields that may be missing and have no column, with the column of a near name that fills none."""
        unused = [name for name in self._present if name not in self.used]
        found = {field.name: nearest(field.wire, unused) for field in self._unfilled}
        return {name: column for name, column in found.items() if column is not None}

    def line(self, row: Sequence[Any], number: int) -> Line:
        """The record of one row; `number` counts rows from 1 and is its position."""
        values: dict[str, Any] = {}
        try:
            for name, cell, origin in self._made:
                values[name] = cell(origin.made(number))
            for name, cell, index in self._cells:
                value = cell(row[index])
                if value is not ABSENT:
                    values[name] = value
        except NaiveTimeError:
            return faulty(repr(row).encode(errors="backslashreplace"), number, Reason.NAIVE_TIME)
        except OverflowError as problem:
            return faulty(repr(row).encode(errors="backslashreplace"), number, Reason.OUT_OF_RANGE, f"a time: {problem}")
        return row_line(values, number)


class Trail:
    """The last rows that were read, by their digests: what tells another table of the same name from the one that was read.

    >>> trail = Trail()
    >>> trail.add([Line(b'{"id":1}', 1), Line(b'{"id":2}', 2)])
    >>> trail.mark(1) == trail.mark(2)
    False
    """

    def __init__(self) -> None:
        self._read: deque[tuple[int, bytes]] = deque(maxlen=100_000)

    def add(self, lines: Sequence[Line]) -> None:
        """Takes rows as they were read; going back begins anew."""
        if lines and self._read and lines[0].position <= self._read[-1][0]:
            self._read.clear()
        self._read.extend((line.position, line.raw) for line in lines)

    def mark(self, position: int) -> int | None:
        """A digest of the row that ends at a position; None where it was not read, or long ago."""
        read = self._read
        while read and read[0][0] < position:
            read.popleft()
        return zlib.crc32(read[0][1]) if read and read[0][0] == position else None

    @staticmethod
    def require(source: Source, position: int, mark: int) -> None:
        """Raises `SourceError` where another row than this one stands there now."""
        found = source.read(position - 1, 1) if position else []
        if found and zlib.crc32(found[0].raw) != mark:
            raise SourceError(
                f"{source.name} is not the table it was: row {position} was read already, and is another now\n"
                "  put the old rows back, or start over with a new store: --store NEW.eddyline"
            )


class NaiveTimeError(Exception):
    """A time without an offset has to become an epoch number, and nobody said where it is."""


def row_line(values: dict[str, Any], position: int) -> Line:
    """A record from plain values: its JSON, or a fault when JSON cannot say it.

    >>> row_line({"amount": float("nan")}, 1).fault
    'out_of_range'
    """
    detail = ""
    try:
        place = first_out_of_range(values)
        if place is None:
            return Line(_encode(values), position)
        reason, detail = Reason.OUT_OF_RANGE, f"NaN or infinity - at `{place}`"
    except (UnicodeEncodeError, RecursionError):
        reason = Reason.MALFORMED
    except (TypeError, ValueError):
        reason = Reason.INVALID
    return faulty(repr(values).encode(errors="backslashreplace"), position, reason, detail)


def from_text(field: Field, zone: ZoneInfo | None, missing: frozenset[str] = frozenset()) -> Cell:
    """What the text of a cell means for a field.

    Text where the field admits text. Otherwise a number, a bool (true, false, 1, 0 in any case) or a time
    where it reads as one, and the text itself where it does not, so that the codec shows it. An empty cell
    is None, or absent, and so is one of the words that say `missing`.

    >>> from eddyline.records.types import EpochSeconds, Event, Id
    >>> class Payment(Event):
    ...     id: Id
    ...     at: EpochSeconds
    ...     amount: float
    >>> cell = from_text(Schema.of(Payment).declared[2], None)
    >>> cell("12.50"), cell("a lot"), cell("") is ABSENT
    (12.5, 'a lot', True)
    """
    if missing:
        read_text = from_text(field, zone)
        return lambda text: read_text("" if text in missing else text)
    accepts = _accepts(field)
    if str in accepts:
        none = type(None) in accepts
        return lambda text: None if none and text == "" else text
    empty = None if type(None) in accepts else ABSENT
    readers = [read for kind, read in READERS if kind in accepts]

    def cell(text: str) -> Any:
        if text == "":
            return empty
        for read in readers:
            value = read(text)
            if value is not ABSENT:
                return value
        return text

    return cell


def _to_int(text: str) -> Any:
    if "_" in text:
        return ABSENT
    try:
        return int(text)
    except ValueError:
        return _to_float(text)


def _to_float(text: str) -> Any:
    try:
        return float(text) if "_" not in text else ABSENT
    except ValueError:
        return ABSENT


def _to_datetime(text: str) -> Any:
    if len(text) >= len("2013-01-01T05:15:00"):
        return text  # the codec reads it, to the nanosecond
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return ABSENT


READERS: tuple[tuple[type, Cell], ...] = (
    (bool, lambda text: WORDS.get(text.lower(), ABSENT)),
    (int, _to_int),
    (float, _to_float),
    (datetime, _to_datetime),
)


def from_value(field: Field, zone: ZoneInfo | None) -> Cell:
    """What a value of a typed table means for a field: most pass, times become epoch numbers where declared.

    An integer 0 or 1 is a bool where the field is one; a decimal is a number; a date is its midnight; pairs
    are a map.
    """
    accepts = _accepts(field)
    time = _from_table(field, zone)
    may_omit = not field.required and type(None) not in accepts
    only_bool = bool in accepts and int not in accepts and float not in accepts
    is_map = dict in accepts

    def cell(value: Any) -> Any:
        if value is None:
            return ABSENT if may_omit else None
        if isinstance(value, datetime | date):
            return time(value)
        if isinstance(value, Decimal) and (float in accepts or int in accepts):
            whole = int in accepts and value.is_finite() and value == value.to_integral_value()
            return int(value) if whole else float(value)
        if only_bool and type(value) is int and value in (0, 1):
            return bool(value)
        if is_map and isinstance(value, list):
            return {name: part for name, part in value if part is not None}
        if isinstance(value, bytes) and str in accepts:
            return value.decode(errors="surrogateescape")
        return value

    return cell


def _from_table(field: Field, zone: ZoneInfo | None) -> Cell:
    """A time as the field wants it: as it is, or as a number of the field's unit since the epoch."""

    def cell(value: Any) -> Any:
        if not isinstance(value, date):
            return value
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        if field.unit is None:
            return moment
        if moment.tzinfo is None:
            if zone is None:
                raise NaiveTimeError
            moment = moment.replace(tzinfo=zone)
        at, unit = (moment - EPOCH) // MICROSECOND, field.unit.value
        return at // unit if at % unit == 0 else at / unit

    return cell


def _accepts(field: Field) -> set[type]:
    kinds = field.kind.types if isinstance(field.kind, inspect.UnionType) else (field.kind,)
    out = {name for kind in kinds for known, name in NAMES if isinstance(plain(kind), known)}
    for kind in kinds:
        if isinstance(kind, inspect.LiteralType):
            out |= {type(value) for value in kind.values}
    return out


def _no_column(source: str, schema: Schema, field: Field, origin: str, present: Sequence[str]) -> SourceError:
    shown = ", ".join(name if name.isprintable() and name == name.strip() else repr(name) for name in present)
    return SourceError(
        f"{source} has no column {origin!r} for {schema.cls.__name__}.{field.name}\n"
        f"  its columns are {shown}\n"
        f"  {_instead(schema, field, origin, present)}"
    )


def _instead(schema: Schema, field: Field, origin: str, present: Sequence[str]) -> str:
    """What to write where a column is missing: another separator, the name that was meant, or what is made of rows."""
    sign = _other_delimiter(schema, present)
    if sign is not None:
        return f"they are separated by {sign!r}: csv(..., delimiter={sign!r})"
    near = nearest(origin, [name for name in present if name not in {known.wire for known in schema.declared}])
    if near is not None:
        return f'say which one it is: columns={{"{field.name}": {near!r}}}'
    said, name = f'say which one it is: columns={{"{field.name}": "its name there"}}', schema.cls.__name__
    if not {known.wire for known in schema.declared} & set(present):
        return f"none is a field of {name}: name them in the first line of a CSV file, or {said}"
    if field.role is Role.ID:
        return f'{said}; or make it of the row: columns={{"{field.name}": RowId()}}'
    if field.role is Role.TIME:
        return f'{said}; or make it of the row: columns={{"{field.name}": RowTime(start, every=minutes(1))}}'
    return f"{said}; or, where it may be missing: {field.name}: ... | None = None"


def _other_delimiter(schema: Schema, present: Sequence[str]) -> str | None:
    """What separates the cells of a header that was read as one cell, where its pieces are fields of the type."""
    if len(present) != 1:
        return None
    wires = {field.wire for field in schema.declared}
    return next((sign for sign in (";", "\t", "|", ",") if wires & set(present[0].split(sign))), None)
