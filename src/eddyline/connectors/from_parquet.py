"""Reads records from the rows of a Parquet file, a batch at a time; resumes without reading all before.

Keeps the laws *stop* (a position is a row number) and *finite* (NaN, which Parquet can hold and JSON
cannot, is a fault and reaches the dead letters; so is a time that no date can say). pyarrow is imported when a
file is opened, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from eddyline.connectors.files import find
from eddyline.connectors.lines import faulty
from eddyline.connectors.rows import ColumnItems, Columns, RowReader, Trail, check_columns, from_value
from eddyline.ports import Line, Source
from eddyline.records import Reason
from eddyline.records.errors import SourceError
from eddyline.records.schema import Schema
from eddyline.records.types import Event, Label

BATCH = 8_192


class UnsayableCell:
    """A cell that Python has no value for, such as a time after the year 9999; shows what the file holds."""

    def __init__(self, column: str, shown: str) -> None:
        self.column = column
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


def parquet(
    path: str | Path,
    type: type[Event] | type[Label],  # noqa: A002 - the word users read in errors and in SourceConfig
    *,
    columns: Columns | None = None,
) -> ParquetFile:
    """Records in the rows of a Parquet file. Needs pyarrow: pip install 'eddyline[parquet]'.

    Columns fill the fields of the same name; `columns` names others, or makes ids and times for a table
    that has none. Only the columns that fill a field are read. Timestamps become what the type declares:
    times, or epoch numbers; those without a zone are taken in the class's `zone`. A null is None; NaN goes
    to the dead letters as `out_of_range`.

    >>> from eddyline.connectors import RowId
    >>> from eddyline.records.types import Id, Time
    >>> class Departure(Event):
    ...     id: Id
    ...     at: Time
    ...     carrier: str
    >>> parquet("flights.parquet", Departure, columns={"id": RowId(), "at": "sched_ts"}).describe()
    'flights.parquet'
    """
    checked = check_columns(f"parquet({str(path)!r})", Schema.of(type), columns or {})
    return ParquetFile(str(path), type, checked)


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file as a pipeline declares it. Make it with `parquet`."""

    path: str
    type: type
    columns: ColumnItems

    def describe(self) -> str:
        """The source in words."""
        return self.path

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The rows of the file; `follow` means nothing to it, as a Parquet file cannot grow."""
        return ParquetReader(self, find(base, self.path))


class ParquetReader:
    """The rows of one file, in order; the position is how many were read."""

    def __init__(self, config: ParquetFile, path: Path) -> None:
        try:
            pyarrow = import_module("pyarrow")
            pq = import_module("pyarrow.parquet")
        except ImportError as problem:
            raise SourceError(
                f"{config.path}: reading Parquet needs pyarrow\n  type: pip install 'eddyline[parquet]'"
            ) from problem
        self.name = config.path
        try:
            self._file: Any = pq.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as problem:
            raise SourceError(f"{config.path} is not a Parquet file: {problem}\n  reading {path}") from problem
        present = list(self._file.schema_arrow.names)
        self._reader = RowReader(self.name, Schema.of(config.type), dict(config.columns), present, from_value)
        self._present = present
        self._arrow = pyarrow
        self._lines: Iterator[Line] = iter(())
        self._position: int | None = None
        self._trail = Trail()

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` rows after the first `position` rows; an empty list at the end."""
        try:
            if position != self._position:
                self._lines = self._rows(position)
            lines = [line for _, line in zip(range(limit), self._lines, strict=False)]
        except (self._arrow.ArrowException, OSError) as problem:
            raise SourceError(f"{self.name} cannot be read at row {position + 1}: {problem}") from problem
        self._position = lines[-1].position if lines else None
        self._trail.add(lines)
        return lines

    def mark(self, position: int) -> int | None:
        """A digest of the row that was read last."""
        return self._trail.mark(position)

    def require(self, position: int, mark: int) -> None:
        """Raises `SourceError` where the row before a position is another one now."""
        Trail.require(self, position, mark)

    def size(self) -> int | None:
        """How many rows the file has."""
        return int(self._file.metadata.num_rows)

    def meant(self) -> dict[str, str]:
        """Fields that have no column, each with one of a near name that fills none."""
        return self._reader.meant()

    def _rows(self, position: int) -> Iterator[Line]:
        groups, first = self._groups_from(position)
        number = first
        for batch in self._file.iter_batches(BATCH, row_groups=groups, columns=self._reader.used):
            rows = batch.num_rows
            if number + rows > position:
                skip = max(0, position - number)
                yield from self._lines_of(batch.slice(skip), number + skip)
            number += rows

    def _lines_of(self, batch: Any, number: int) -> Iterator[Line]:
        values = {name: self._values(name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        nothing = [None] * batch.num_rows
        columns = [values.get(name, nothing) for name in self._present]
        for row in zip(*columns, strict=True):
            number += 1
            bad = next((cell for cell in row if type(cell) is UnsayableCell), None)
            if bad is None:
                yield self._reader.line(row, number)
            else:
                detail = f"column {bad.column!r} holds {bad.shown}, which no date can say"
                yield faulty(repr(row).encode(errors="backslashreplace"), number, Reason.OUT_OF_RANGE, detail)

    def _values(self, name: str, column: Any) -> list[Any]:
        types, arrow = self._arrow.types, self._arrow
        if types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(arrow.timestamp("us", column.type.tz), safe=False)
        try:
            return list(column.to_pylist())
        except (OverflowError, ValueError, arrow.ArrowException):
            return [self._value(name, cell) for cell in column]

    def _value(self, name: str, cell: Any) -> Any:
        """One cell of a column that cannot be read as a whole."""
        try:
            return cell.as_py()
        except (OverflowError, ValueError, self._arrow.ArrowException):
            return UnsayableCell(name, f"{getattr(cell, 'value', '?')} as {cell.type}")

    def _groups_from(self, position: int) -> tuple[list[int], int]:
        """The row groups that hold the rows after `position`, and how many rows there are before them."""
        before = 0
        count = int(self._file.metadata.num_row_groups)
        for group in range(count):
            rows = int(self._file.metadata.row_group(group).num_rows)
            if before + rows > position:
                return list(range(group, count)), before
            before += rows
        return [], before
