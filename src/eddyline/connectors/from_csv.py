"""Reads records from the rows of a CSV file with a header; resumes at any row.

Keeps the laws *stop* (a position is a number of rows) and *whole* (a row with too many cells, broken quotes
or bytes that are not UTF-8 is a fault, never skipped; a quote that is not closed costs its own line only). Memory
stays bounded whatever is in the file.
"""

from __future__ import annotations

import csv as stdlib_csv
import hashlib
import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eddyline.connectors.files import find, open_bytes, readable
from eddyline.connectors.lines import KEPT, faulty
from eddyline.connectors.rows import ColumnItems, Columns, RowReader, Trail, check_columns, from_text
from eddyline.ports import Line, Source
from eddyline.records import Reason
from eddyline.records.errors import DeclarationError, SourceError
from eddyline.records.schema import Schema
from eddyline.records.types import Event, Label

LONGEST = 1 << 20
"""Characters in one row; a longer one is refused as `too_large`."""


def csv(
    path: str | Path,
    type: type[Event] | type[Label],  # noqa: A002 - the word users read in errors and in SourceConfig
    *,
    columns: Columns | None = None,
    delimiter: str = ",",
    missing: Sequence[str] = (),
) -> CsvFile:
    """Records in the rows of a CSV file; `.gz` files are uncompressed on the way.

    The header names the fields. `columns` says which column fills a field that has another name, or makes ids
    and times for a table that has none. Cells become what the field declares: numbers, true/false/1/0, times;
    an empty cell is None, or absent, and so is one of the words in `missing`, whatever its field:
    `missing=("NA", "?")`, as the `na_values` of pandas, of which none is taken for granted. A quoted cell may hold
    newlines; where no row comes of a quote that was opened, its line is refused, and the lines behind it are rows of
    their own. For reading what is there, not for following: rows that are appended while it is read may be seen or
    not. Resuming at row n reads n rows again; use `jsonl` or `parquet` for large files.

    >>> from eddyline.connectors import RowId, RowTime
    >>> from eddyline.records.types import Id, Time
    >>> from datetime import UTC, datetime
    >>> from eddyline.records.time import minutes
    >>> class HalfHour(Event):
    ...     id: Id
    ...     at: Time
    ...     price: float
    >>> elec = csv("elec2.csv.gz", HalfHour, columns={
    ...     "id": RowId("elec-"),
    ...     "at": RowTime(datetime(1996, 5, 7, tzinfo=UTC), every=minutes(30)),
    ...     "price": "nswprice",
    ... })
    >>> elec.describe()
    'elec2.csv.gz'
    """
    schema = Schema.of(type)
    call = f"csv({str(path)!r})"
    if len(delimiter) != 1:
        raise DeclarationError(f'{call}: delimiter={delimiter!r} is not one character\n  type: delimiter=";"')
    if isinstance(missing, str) or not all(isinstance(word, str) for word in missing):
        word = missing if isinstance(missing, str) else "NA"
        raise DeclarationError(f'{call}: missing={missing!r} is not several words\n  type: missing=("{word}",)')
    return CsvFile(str(path), type, check_columns(call, schema, columns or {}), delimiter, tuple(missing))


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file as a pipeline declares it. Make it with `csv`."""

    path: str
    type: type
    columns: ColumnItems
    delimiter: str
    missing: tuple[str, ...] = ()

    def describe(self) -> str:
        """The source in words."""
        return self.path

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The rows of the file; `follow` means nothing to it."""
        return CsvReader(self, find(base, self.path))


class CsvReader:
    """The rows of one file, in order. A position is a number of rows, without header and blank lines."""

    def __init__(self, config: CsvFile, path: Path) -> None:
        self.name = config.path
        self._config = config
        self._path = path
        self._lines: Iterator[Line] = iter(())
        self._position: int | None = None
        self._trail = Trail()
        self._meant: dict[str, str] = {}

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` rows after the first `position` rows; an empty list at the end."""
        with readable(self._path):
            if position != self._position:
                self._lines = self._rows()
                for count in range(position):
                    if next(self._lines, None) is None:
                        raise SourceError(
                            f"{self.name} has {count} rows, and {position} were read already\n"
                            f"  reading {self._path}\n"
                            f"  put the old rows back, or start over with a new store"
                        )
            lines = [line for _, line in zip(range(limit), self._lines, strict=False)]
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
        """Not known before the file is read."""
        return None

    def meant(self) -> dict[str, str]:
        """Fields that have no column, each with one of a near name that fills none; known once the header was read."""
        return self._meant

    def _rows(self) -> Iterator[Line]:
        with io.TextIOWrapper(
            io.BufferedReader(open_bytes(self._path)),  # type: ignore[type-var]
            encoding="utf-8-sig",
            errors="surrogateescape",
            newline="",
        ) as text:
            bounded = BoundedLines(text)
            rows = stdlib_csv.reader(bounded, delimiter=self._config.delimiter, strict=True)
            header = self._header(rows)
            convert = partial(from_text, missing=frozenset(self._config.missing))
            reader = RowReader(self.name, Schema.of(self._config.type), dict(self._config.columns), header, convert)
            self._meant = reader.meant()
            number = 0
            while True:
                line = _next_line(rows, bounded, reader, len(header), number + 1)
                if line is None:
                    return
                number += 1
                yield line

    def _header(self, rows: Iterator[list[str]]) -> list[str]:
        try:
            header = next(rows, [])
        except (LineTooLongError, stdlib_csv.Error) as problem:
            raise SourceError(f"{self.name}: its first line is no header: {problem}\n  reading {self._path}") from problem
        if not header:
            raise SourceError(f"{self.name} has no header\n  reading {self._path}\n  its first line has to name the columns")
        return header


def _next_line(rows: Iterator[list[str]], bounded: BoundedLines, reader: RowReader, width: int, number: int) -> Line | None:
    """The next row that is not blank as a record; None at the end."""
    row: list[str] | None = []
    try:
        while row == []:
            bounded.new_row()
            row = next(rows, None)
    except LineTooLongError as long:
        return Line(long.kept, number, Reason.TOO_LARGE.value, long.size, long.sha256)
    except stdlib_csv.Error as problem:
        large = "field larger" in str(problem) and not bounded.several
        return faulty(*bounded.refused(str(problem), number, Reason.TOO_LARGE if large else Reason.MALFORMED))
    if row is None:
        return None
    if len(row) != width:
        cells = f"{len(row)} cells, and the header has {width}"
        return faulty(*bounded.refused(cells, number, Reason.MALFORMED))
    return reader.line(row, number)


class UnclosedError(stdlib_csv.Error):
    """A row of several lines does not end within `LONGEST` characters."""


class LineTooLongError(Exception):
    """A row of the file is longer than `LONGEST`; its line was read to its end and not kept."""

    def __init__(self, kept: bytes, size: int, sha256: str) -> None:
        super().__init__(f"a line of {size} bytes")
        self.kept = kept
        self.size = size
        self.sha256 = sha256


class BoundedLines:
    """The lines of a text file for the csv parser, which has no limit; remembers the row being read."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._again: deque[str] = deque()
        """lines to be read once more, as rows of their own"""
        self._taken: list[str] = []
        self._number = 1
        """the line of the file at which the row begins"""
        self._room = LONGEST

    @property
    def several(self) -> bool:
        """Whether the row being read has several lines: a quote is open at the end of the first."""
        return len(self._taken) > 1

    def new_row(self) -> None:
        """Forget the lines of the last row."""
        self._number += len(self._taken)
        self._taken.clear()
        self._room = LONGEST

    def refused(self, problem: str, position: int, reason: Reason) -> tuple[bytes, int, Reason, str]:
        """The first line of the row being read, and why it is refused; the others will be read as rows of their own."""
        first, *rest = self._taken or [""]
        detail = f"line {self._number}: {problem}"
        if rest:
            detail = f"line {self._number} opens a quote, and no row comes of it ({problem}); the next lines are read as rows"
            self._again.extendleft(reversed(rest))
            del self._taken[1:]
        return first.encode(errors="surrogateescape").rstrip(b"\r\n"), position, reason, detail

    def __iter__(self) -> BoundedLines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else ""
        if not line.endswith(("\n", "\r")) and not self._again:
            line += self._text.readline(LONGEST - len(line))
        if not line:
            raise StopIteration
        self._taken.append(line)
        self._room -= len(line)
        if self._room <= 0:
            if self.several:
                raise UnclosedError(f"it does not end within {LONGEST:,} characters")
            self._skip()
        return line

    def _skip(self) -> None:
        raw = "".join(self._taken).encode(errors="surrogateescape")
        kept, size, digest = raw[:KEPT], 0, hashlib.sha256()
        while raw:
            size += len(raw)
            digest.update(raw)
            if raw.endswith(b"\n"):
                break
            raw = self._text.readline(LONGEST).encode(errors="surrogateescape")
        raise LineTooLongError(kept, size, digest.hexdigest())
