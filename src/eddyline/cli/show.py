"""What a command prints: one JSON document for programs, or tables for people.

Results go to stdout; progress, status and errors go to stderr, so that a pipe holds results only. Text that
came from users is never read as markup, and moves no cursor: control characters are shown as escapes.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What would steer a terminal, or turn the direction of text, all but tabs and ends of lines."""
WIDTH = 100
"""Columns, where no terminal says how many there are."""


def json_document(document: Any) -> None:
    """Prints one value as a line of JSON."""
    click.echo(msgspec.json.encode(plain(document)))


def plain(value: Any) -> Any:
    """A value of ours as JSON has it: structs as objects, keys as text, bytes as text.

    >>> plain({True: 0.75, "raw": b'{"id"'})
    {'true': 0.75, 'raw': '{"id"'}
    """
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, str | int | float | None):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else msgspec.json.encode(key).decode()


def text(raw: bytes) -> str:
    """Bytes as text; what is not UTF-8 is shown as escapes.

    >>> text(b"caf\\xc3\\xa9 \\xff")
    'café \\\\xff'
    """
    return raw.decode("utf-8", "backslashreplace")


def harmless(shown: str) -> str:
    """Text with its control characters as escapes, so that what users sent cannot steer a terminal.

    >>> harmless("red " + chr(27) + "[31m")
    'red \\\\x1b[31m'
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], shown)


def console(*, err: bool = False) -> Console:
    """Where tables go: the terminal at its width, or 100 columns of plain text into a file or pipe."""
    from rich.console import Console
    from rich.text import Text

    class Harmless(Console):
        """Shows text as it is, never as commands to the terminal."""

        def render_str(self, text: str, *given: Any, **named: Any) -> Text:
            return super().render_str(harmless(text), *given, **named)

    stream = sys.stderr if err else sys.stdout
    return Harmless(
        file=stream,
        width=None if stream.isatty() else WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def table(*columns: str, right: Iterable[str] = (), header: bool = True) -> Table:
    """An empty table; the columns named in `right` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD if header else None, show_header=header, pad_edge=False, padding=(0, 2, 0, 0))
    numbers = set(right)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def titled(title: str, made: Table) -> None:
    """Prints a table under its title."""
    out = console()
    out.print(title, style="bold", soft_wrap=True)
    out.print(made)
    out.print()


def facts(title: str, rows: Iterable[tuple[str, Any]]) -> None:
    """Prints names and values, one fact a row; facts that are None are left out."""
    made = table("", "", header=False)
    for name, value in rows:
        if value is not None:
            made.add_row(f"  {name}", str(value))
    titled(title, made)


def values(title: str, named: Mapping[str, Any]) -> None:
    """Prints values by name, exactly."""
    facts(title, [(name, exactly(value)) for name, value in named.items()])


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count(1, "label"), count(1200, "label")
    ('1 label', '1,200 labels')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(octets: int) -> str:
    """Bytes in the unit that says it in a short number.

    >>> size(900), size(12_345), size(3_400_000)
    ('900 B', '12.3 kB', '3.4 MB')
    """
    if octets < 1000:
        return f"{octets} B"
    shown = float(octets)
    for unit in ("kB", "MB", "GB"):
        shown /= 1000
        if shown < 1000:
            return f"{shown:.1f} {unit}"
    return f"{shown / 1000:.1f} TB"


def exactly(value: Any) -> str:
    """A value as Python writes it, every digit of it; a time in ISO 8601.

    >>> exactly(0.1 + 0.2), exactly("UA"), exactly(datetime(2026, 3, 2))
    ('0.30000000000000004', "'UA'", '2026-03-02T00:00:00')
    """
    return value.isoformat() if isinstance(value, datetime) else repr(value)
