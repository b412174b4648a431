"""Whether there is one model for all, or one for each key: what `per=` may say.

Keeps that a wrong word is refused in words. Knows no model.
"""

from __future__ import annotations

from typing import Any, Literal

from eddyline.records.errors import DeclarationError
from eddyline.records.schema import Schema

Per = Literal["key"]
"""One small model for each key of the events, instead of one for all."""


def require_per(whose: str, per: Any) -> None:
    """Refuses what is neither "key" nor None.

    >>> require_per("challenger deep", "card")
    Traceback (most recent call last):
    eddyline.records.errors.DeclarationError: challenger deep: per='card' is not known
    write per="key" for one model per key, or leave it out for one model for all
    """
    if per is not None and per != "key":
        raise DeclarationError(
            f'{whose}: per={per!r} is not known\nwrite per="key" for one model per key, or leave it out for one model for all'
        )


def key_of(whose: str, schema: Schema, event: str) -> str:
    """The field that says whose model answers an event; `whose` and `event` are names for the error."""
    if schema.key_field is None:
        raise DeclarationError(
            f'{whose}: per="key" makes one model per key, and {event} has no Key\n'
            f"give it one (card: Key), or leave per out for one model for all"
        )
    return schema.key_field
