"""JSON as we accept it: UTF-8, nested at most 32 deep, each key once. And what is wrong with the rest.

msgspec parses and checks types; this file knows the few things it lets through (a key given twice, invalid
UTF-8 and deep nesting inside fields that nobody declared) and turns its exceptions into reason codes. Knows
nothing of users' classes.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from eddyline.records.errors import Rejected
from eddyline.records.numbers import first_out_of_range
from eddyline.records.stream import Reason

DEPTH = 32
"""How deep arrays and objects may nest: the limit does not depend on how much stack the caller has left."""
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
SHALLOW = msgspec.json.Decoder(dict[str, msgspec.Raw])
TOO_BIG = ("Number out of range", "Integer value out of range")
"""How msgspec's messages begin for 1e999 and for integers of thousands of digits."""


def require_strict(raw: bytes) -> None:
    """Raise `Rejected(malformed)` for JSON that is nested too deep, is not UTF-8 or has a key twice.

    >>> require_strict(b'{"a": {"b": 1}, "c": 1}')
    >>> require_strict(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    eddyline.records.errors.Rejected: malformed: the key 'a' is there twice; say each field once
    """
    if not raw.isascii():
        require_utf8(raw)
    require_depth(raw)
    top = SHALLOW.decode(raw)
    inner = b"".join(top.values())
    # Without escapes in keys, the quotes are two for each key and those inside the values; a lost key
    # leaves a surplus.
    if b"{" in inner or raw.count(b'"') != 2 * len(top) + inner.count(b'"'):
        json.loads(raw.decode(), object_pairs_hook=_unique, parse_int=_nothing)


def require_utf8(raw: bytes) -> None:
    """Raise `Rejected(malformed)` for bytes that are not UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError as problem:
        detail = f"byte {problem.start} is not UTF-8 ({problem.reason})"
        raise Rejected(Reason.MALFORMED.value, detail) from problem


def require_depth(raw: bytes) -> None:
    """Raise `Rejected(malformed)` for JSON that nests arrays and objects deeper than `DEPTH`."""
    if raw.count(b"{") + raw.count(b"[") <= DEPTH:
        return
    depth = 0
    for sign in re.finditer(rb"[\[\]{}]", TEXT.sub(b"", raw)):
        depth += 1 if sign[0] in b"[{" else -1
        if depth > DEPTH:
            raise Rejected(Reason.MALFORMED.value, f"arrays and objects are nested more than {DEPTH} deep")


def refusal(raw: bytes, problem: Exception) -> Rejected:
    """Why bytes were refused; `problem` is what msgspec (or a class's `__post_init__`) raised about them.

    The order is fixed, so the same bytes get the same reason on every machine: UTF-8, depth, syntax, range,
    then types.

    >>> refusal(b'{"a": NaN}', msgspec.DecodeError("JSON is malformed: invalid character (byte 6)")).reason
    'out_of_range'
    """
    try:
        require_utf8(raw)
        require_depth(raw)
    except Rejected as known:
        return known
    if isinstance(problem, RecursionError):
        raise problem  # 32 levels fit any healthy stack: this one is the caller's
    message = str(problem)
    try:
        tree = json.loads(raw.decode(), parse_int=_nothing, parse_float=_nothing)
    except ValueError as syntax:
        return Rejected(Reason.MALFORMED.value, f"not JSON: {syntax}")
    if message.startswith(TOO_BIG):
        return Rejected(Reason.OUT_OF_RANGE.value, message)
    if isinstance(problem, msgspec.ValidationError):
        return Rejected(Reason.INVALID.value, message)
    if isinstance(problem, msgspec.DecodeError):
        place = first_out_of_range(tree)  # only NaN and Infinity, which are not JSON, were read as numbers
        if place is not None:
            return Rejected(Reason.OUT_OF_RANGE.value, f"NaN or infinity - at `{place}`")
        return Rejected(Reason.MALFORMED.value, message)
    return Rejected(Reason.INVALID.value, f"{type(problem).__name__}: {message}")


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            detail = f"the key {name!r} is there twice; say each field once"
            raise Rejected(Reason.MALFORMED.value, detail)
        seen.add(name)


def _nothing(digits: str) -> None:
    return None
