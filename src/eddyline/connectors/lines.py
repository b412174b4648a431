"""Cuts a stream of bytes into lines, holding at most one line of the allowed length in memory.

Keeps the law *whole*: a line that is too long is not lost but handed over as a fault, with its beginning,
its size and the digest of all of it. Knows nothing of files: bytes are fed in, lines come out.
"""

from __future__ import annotations

import hashlib
from typing import Any

from eddyline.ports import Line
from eddyline.records import Reason

KEPT = 64 * 1024
"""How many bytes of a refused line are handed over."""


def faulty(raw: bytes, position: int, reason: Reason, detail: str = "") -> Line:
    """A record that its source has to refuse: the beginning of its bytes, their number, the digest of all.

    >>> faulty(b"a;b", 1, Reason.MALFORMED).fault
    'malformed'
    """
    return Line(raw[:KEPT], position, reason.value, len(raw), hashlib.sha256(raw).hexdigest(), detail)


class LineCutter:
    """Takes chunks of bytes and gives lines with the position after each; blank lines are left out.

    Whitespace around a line, such as the CR of a CRLF, is no part of it.

    >>> cutter = LineCutter(position=0, longest=8)
    >>> [line.raw for line in cutter.cut(b'{"a":1}' + bytes([13, 10]) + b'{"b"')], cutter.position
    ([b'{"a":1}'], 9)
    >>> [(line.raw, line.position) for line in cutter.cut(b":2}" + bytes([10, 10]) + b"{}")], cutter.position
    ([(b'{"b":2}', 17)], 18)
    >>> [(line.raw, line.position) for line in cutter.finish()]
    [(b'{}', 20)]
    """

    def __init__(self, *, position: int, longest: int) -> None:
        self.position = position
        """the position after the last line that ended"""
        self._longest = longest
        self._begun = bytearray()
        """the line that has not ended yet, at most `longest` bytes of it"""
        self._digest: Any = None
        """of all of it, once it is too long"""
        self._size = 0

    @property
    def fed(self) -> int:
        """The position after the last byte that was fed."""
        return self.position + self._size

    def cut(self, chunk: bytes) -> list[Line]:
        """The lines that end within this chunk."""
        parts = chunk.split(b"\n")
        rest = parts.pop()
        out: list[Line] = []
        if parts and self._size:
            self._begin(parts[0])
            out += self._end(newline=1)
            del parts[0]
        position, longest, append = self.position, self._longest, out.append
        for part in parts:
            size = len(part)
            position += size + 1
            if size > longest:
                append(faulty(part, position, Reason.TOO_LARGE))
                continue
            part = part.strip()
            if part:
                append(Line(part, position))
        self.position = position
        if rest:
            self._begin(rest)
        return out

    def finish(self) -> list[Line]:
        """The last line, when the stream ended without a newline."""
        return self._end(newline=0) if self._size else []

    def _begin(self, part: bytes) -> None:
        self._size += len(part)
        if self._digest is None and self._size > self._longest:
            self._digest = hashlib.sha256(self._begun)
        if self._digest is not None:
            self._digest.update(part)
        self._begun += part[: max(0, max(self._longest, KEPT) - len(self._begun))]

    def _end(self, *, newline: int) -> list[Line]:
        self.position += self._size + newline
        raw, size, digest = bytes(self._begun), self._size, self._digest
        self._begun, self._size, self._digest = bytearray(), 0, None
        if digest is not None:
            kept = raw[:KEPT]
            return [Line(kept, self.position, Reason.TOO_LARGE.value, size, digest.hexdigest())]
        raw = raw.strip()
        return [Line(raw, self.position)] if raw else []
