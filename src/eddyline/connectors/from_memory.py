"""Reads records from a list: for tests, examples and streams that fit in a cell of a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eddyline.connectors.lines import faulty
from eddyline.connectors.rows import row_line
from eddyline.ports import Line, Source
from eddyline.records import Reason
from eddyline.records.errors import DeclarationError, Rejected
from eddyline.records.schema import Schema
from eddyline.records.types import Event, Label


def memory(
    records: Iterable[Event | Label | Mapping[str, Any] | bytes | str],
    type: type[Event] | type[Label],  # noqa: A002 - the word users read in errors and in SourceConfig
) -> MemoryList:
    """Records that are in memory: objects of the type, dicts, or JSON as text or bytes.

    They are turned into bytes and checked as if they had come from a file, so a test sees what production
    would see.

    >>> from eddyline.records.types import EpochSeconds, Id
    >>> class Payment(Event):
    ...     id: Id
    ...     at: EpochSeconds
    >>> source = memory([Payment(id="p-1", at=0), {"id": "p-2", "at": 1}], Payment).open(Path())
    >>> [(line.raw, line.position) for line in source.read(0, 10)]
    [(b'{"id":"p-1","at":0}', 1), (b'{"id":"p-2","at":1}', 2)]
    """
    schema = Schema.of(type)
    return MemoryList(type=type, lines=tuple(_line(record, index + 1, schema) for index, record in enumerate(records)))


@dataclass(frozen=True, slots=True)
class MemoryList:
    """A list of records as a pipeline declares it. Make it with `memory`."""

    type: type
    lines: tuple[Line, ...]

    def describe(self) -> str:
        """The source in words."""
        return f"{len(self.lines)} in memory"

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The records; `base` and `follow` mean nothing to a list that cannot grow."""
        return MemoryReader(self.type.__name__, self.lines)


class MemoryReader:
    """Records of a list; the position is how many were read."""

    def __init__(self, name: str, lines: tuple[Line, ...]) -> None:
        self.name = name
        self._lines = lines

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` records after the first `position`."""
        return list(self._lines[position : position + limit])

    def size(self) -> int | None:
        """How many records there are."""
        return len(self._lines)


def _line(record: Any, position: int, schema: Schema) -> Line:
    if isinstance(record, Event | Label):
        if not isinstance(record, schema.cls):
            raise DeclarationError(
                f"memory(..., {schema.cls.__name__}): record {position - 1} is a {type(record).__name__}\n"
                f"  expected a {schema.cls.__name__}, a dict, or JSON as text or bytes"
            )
        try:
            return Line(schema.encode(record), position)
        except Rejected as rejected:
            return faulty(repr(record).encode(errors="backslashreplace"), position, Reason(rejected.reason))
    if isinstance(record, bytes):
        return Line(record, position)
    if isinstance(record, str):
        return Line(record.encode(errors="surrogatepass"), position)
    if isinstance(record, Mapping):
        return row_line(dict(record), position)
    raise DeclarationError(
        f"memory(..., {schema.cls.__name__}): record {position - 1} is a {type(record).__name__}\n"
        f"  expected a {schema.cls.__name__}, a dict, or JSON as text or bytes"
    )
