"""How a stage refuses a record: as a dead letter that keeps the bytes and says why in the user's words.

Keeps `whole`: nothing that arrived disappears. Knows no stage and no engine.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from eddyline.records import DeadLetter, Example, Reason

KEPT = 64 * 1024
"""How many bytes of a refused record are kept; the size and digest of the whole are kept beside them."""

_encoder = msgspec.json.Encoder(enc_hook=repr)


def kept_bytes(value: Any) -> bytes:
    """The bytes under which a record that was understood is kept when it is refused."""
    return _encoder.encode(value)[:KEPT]


def digest_of(value: Any) -> str:
    """The `sha256` under which a record that was understood is found again among the dead letters."""
    return hashlib.sha256(_encoder.encode(value)).hexdigest()


def refuse_bytes(
    stream: str, reason: str, detail: str, raw: bytes, *, event_id: str | None = None, origin: str = ""
) -> DeadLetter:
    """A dead letter for a record as it arrived.

    >>> refuse_bytes("events", "malformed", "not JSON", b"{").size
    1
    """
    return DeadLetter(
        stream=stream,
        reason=reason,
        detail=detail[:2000].encode(errors="backslashreplace").decode(),
        event_id=event_id,
        raw=raw[:KEPT],
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        origin=origin,
    )


def refuse(stream: str, reason: Reason, detail: str, value: Any, *, event_id: str) -> DeadLetter:
    """A dead letter for a record that was read and understood: its bytes are its JSON."""
    return refuse_bytes(stream, reason.value, detail, _encoder.encode(value), event_id=event_id)


def refuse_example(reason: Reason, detail: str, example: Example) -> DeadLetter:
    """A dead letter for a truth that could not be learned; its bytes hold what was to be learned."""
    shown = {
        "features": example.prediction.features,
        "truth": example.truth,
        "known": example.known,
        "at": example.at,
    }
    return refuse("examples", reason, detail, shown, event_id=example.prediction.event_id)
