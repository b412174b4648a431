"""Reads one JSON object per line from a file, resumes at any line, and follows the file as it grows.

Keeps the laws *stop* (a position is the byte after a line; reading resumes exactly there) and *whole* (no
line is skipped in silence; a file that was cut, replaced or written anew is an error, not an end: the bytes
before the place of reading are looked at again). Refuses to know what is in a line.
"""

from __future__ import annotations

import codecs
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from eddyline.connectors.files import find, identity, is_compressed, open_bytes, readable
from eddyline.connectors.lines import LineCutter
from eddyline.ports import Line, Source
from eddyline.records.errors import DeclarationError, SourceError
from eddyline.records.schema import Schema
from eddyline.records.types import Event, Label

CHUNK = 1 << 20
MARKED = 4096
"""Bytes before a position, and at the beginning, that have to stay as they were."""


def jsonl(
    path: str | Path,
    type: type[Event] | type[Label],  # noqa: A002 - the word users read in errors and in SourceConfig
    *,
    max_line: int = 1 << 20,
) -> JsonlFile:
    """Records in a file of JSON lines, one object each; `.gz` files are uncompressed on the way.

    The first choice: the file can be appended to while it is followed, and any line can be found again by
    its position. Blank lines are skipped. A line longer than `max_line` bytes goes to the dead letters as
    `too_large`; memory stays below twice `max_line` and two megabytes however long it is. Paths are
    relative to the folder of the pipeline file.

    The file may only grow. One that was rotated, cut or written anew, while it is followed or while nobody
    read, is a `SourceError`: nobody could say which lines were missed. A compressed file is not looked at again.

    >>> from eddyline.records.types import Id, Time
    >>> class Payment(Event):
    ...     id: Id
    ...     at: Time
    >>> jsonl("payments.jsonl", Payment).describe()
    'payments.jsonl'
    """
    Schema.of(type)
    if max_line < 1:
        raise DeclarationError(f"jsonl({str(path)!r}): max_line={max_line} allows no line at all\n  type: max_line=1 << 20")
    return JsonlFile(path=str(path), type=type, max_line=max_line)


@dataclass(frozen=True, slots=True)
class JsonlFile:
    """A file of JSON lines as a pipeline declares it. Make it with `jsonl`."""

    path: str
    type: type
    max_line: int

    def describe(self) -> str:
        """The source in words."""
        return self.path

    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The lines of the file. With `follow`, a last line without a newline is awaited, else it is read.

        A compressed file cannot be followed: what it holds when it is read is all it will ever hold.
        """
        return JsonlReader(self.path, find(base, self.path), self.max_line, follow=follow)


class JsonlReader:
    """The lines of one file, in order, from any position. Positions are bytes (uncompressed) after a line."""

    def __init__(self, name: str, path: Path, max_line: int, *, follow: bool) -> None:
        self.name = name
        self._path = path
        self._max_line = max_line
        self._awaits = follow and not is_compressed(path)
        self._file: IO[bytes] | None = None
        self._cutter = LineCutter(position=0, longest=max_line)
        self._ready: list[Line] = []
        self._given = 0
        self._unended = False
        """whether the line that was read last had no newline"""
        self._position: int | None = None
        """where the next line to be handed over starts; None when that has to be found in the file first"""
        self._tail = b""
        """the last bytes that were read of an uncompressed file"""
        self._written = 0
        """when it was written last, as of the last look at those bytes"""

    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` lines after `position`; an empty list means that the file has no more for now.

        Raises `SourceError` when the file was cut or replaced, or when no line starts at `position`.
        """
        if position != self._position:
            self._seek(position)
        while self._given == len(self._ready) and self._fill():
            pass
        lines = self._ready[self._given : self._given + limit]
        self._given += len(lines)
        # Blank lines at the end of what was read belong to no record: after them, the cutter knows the
        # place as well.
        self._position = lines[-1].position if lines else position
        return lines

    def size(self) -> int | None:
        """Bytes in the file now; None for a compressed file, whose end is not known before it is read."""
        if is_compressed(self._path):
            return None
        with readable(self._path):
            return self._path.stat().st_size

    def mark(self, position: int) -> int | None:
        """A digest of the bytes before a position and of the first ones; None for a compressed file."""
        if is_compressed(self._path):
            return None
        first, last = self._bytes(0, min(position, MARKED)), self._bytes(max(0, position - MARKED), position)
        return int.from_bytes(hashlib.blake2b(first + last, digest_size=8).digest(), "big") >> 1

    def require(self, position: int, mark: int) -> None:
        """Raises `SourceError` where the file holds other bytes there than when this mark was made."""
        found = self.mark(position)
        if found is None or found == mark:
            return
        if self._path.stat().st_size < position:
            raise self._changed(f"it ends before position {position}, which was read already")
        raise self._changed(f"other lines than those that were read stand before position {position}")

    def close(self) -> None:
        """Lets go of the file; a later `read` opens it again."""
        if self._file is not None:
            self._file.close()
        self._file, self._position = None, None

    def _seek(self, position: int) -> None:
        if self._file is None:
            self._file = open_bytes(self._path)
        with readable(self._path):
            reached = self._file.seek(max(0, position - 1))
            before = self._file.read(1) if position else b"\n"
            after = self._file.read(len(codecs.BOM_UTF8))
            short = reached < position - 1 or not before
            self._file.seek(position)
        if short:
            raise self._changed(f"it ends before position {position}, which was read already")
        if before != b"\n" and after[:1] not in (b"", b"\n", b"\r"):
            raise self._changed(f"no line starts at position {position}, where reading has to go on")
        if position == 0 and after == codecs.BOM_UTF8:
            self._file.seek(len(after))
            position = len(after)
        if not is_compressed(self._path):
            self._tail = self._bytes(max(0, position - MARKED), position)
        self._cutter = LineCutter(position=position, longest=self._max_line)
        self._ready, self._given, self._unended = [], 0, False

    def _fill(self) -> bool:
        """Read one more chunk; False at the end of the file. Afterwards `_ready` may still be empty."""
        assert self._file is not None
        with readable(self._path):
            chunk = self._file.read(CHUNK)
        if chunk:
            if self._unended and chunk[:1] not in (b"\n", b"\r"):
                raise self._changed("its last line went on after it was read; read it with follow, or end it first")
            self._unended = False
            self._check_tail(chunk)
            self._ready, self._given = self._cutter.cut(chunk), 0
            return True
        self._check_unchanged()
        if not self._awaits:
            self._ready, self._given = self._cutter.finish(), 0
            self._unended = self._unended or bool(self._ready)
        return False

    def _check_unchanged(self) -> None:
        assert self._file is not None
        with readable(self._path):
            now = os.stat(self._path)
            then = os.fstat(self._file.fileno())
        if identity(now) != identity(then):
            raise self._changed("another file has taken its name")
        if is_compressed(self._path):
            return
        if now.st_size < self._cutter.fed:
            raise self._changed(f"it was cut to {now.st_size} bytes, and {self._cutter.fed} were read")
        if now.st_mtime_ns != self._written:
            self._check_tail(b"")
            self._written = now.st_mtime_ns

    def _check_tail(self, chunk: bytes) -> None:
        """Looks again at what stands before the bytes that were just read, and remembers these."""
        if is_compressed(self._path):
            return
        fed = self._cutter.fed
        if self._bytes(fed - len(self._tail), fed) != self._tail:
            raise self._changed(f"it was written anew: before position {fed} stands something else than was read")
        self._tail = chunk[-MARKED:] if len(chunk) >= MARKED else (self._tail + chunk)[-MARKED:]

    def _bytes(self, start: int, end: int) -> bytes:
        """Some bytes of an uncompressed file, wherever reading stands."""
        if self._file is None:
            self._file = open_bytes(self._path)
        with readable(self._path):
            return os.pread(self._file.fileno(), end - start, start)

    def _changed(self, how: str) -> SourceError:
        self.close()
        return SourceError(
            f"{self.name} is not the file it was: {how}\n"
            f"  reading {self._path}\n"
            f"  a file may only grow: put the old lines back, or start over with a new store: --store NEW.eddyline\n"
            f"  where it was rotated: cat {self._path.name}.1 {self._path.name} > whole.jsonl, and read that one"
        )
