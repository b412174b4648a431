"""Commands: what an operator, or an engine on its own behalf, asks for. Each is one record in the journal.

Knows nothing of what becomes of them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from eddyline.records import Place
from eddyline.records.errors import EddylineError
from eddyline.stages.lines import Entry

LIVE = "live"
Do = Literal[
    "roll_out",
    "enter",
    "leave",
    "approve",
    "reject",
    "freeze",
    "resume",
    "quarantine",
    "release",
    "observe",
    "turn_away",
    "hold",
    "change",
]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for. `do` says what; the other fields are those that it needs.

    roll_out    `to` answers from here on: a version, a line, or "live" for the pipeline's own learner
    enter       the line `entry` comes in, or who is there already is asked otherwise: `place`; with `to` it answers at once
    leave       `to` is not asked any more
    approve     the proposal `number` is carried out; reject: it is not
    freeze      nobody learns; resume: everybody does again
    quarantine  examples of the segment `to` are not learned ("" is all of them); release: they are again
    turn_away   the candidate `to` has not passed its gates, and never enters
    hold        the candidate `place` will catch up with the line `to` from here on: where nobody can read the examples again,
                what that line learns is kept for it until it enters, at most `number` of them
    change      the declaration `to` (its digest) holds from here on; only `eddyline change` writes it, where nobody runs
    observe     an engine measured that `to` took `value` milliseconds for an answer

    Whoever learned an event that was to be forgotten is not asked again, unless `unforget` says so.
    """

    to: str = ""
    author: str = "unknown"
    reason: str = ""
    do: Do = "roll_out"
    entry: Entry | None = None
    place: Place | None = None
    number: int = 0
    value: float = 0.0
    unforget: bool = False


def version_of(name: str) -> tuple[str, int]:
    """The two halves of a version's name.

    >>> version_of("fraud@15320")
    ('fraud', 15320)
    """
    model, at, position = name.rpartition("@")
    if not at or not model or not (position.isascii() and position.isdecimal()) or len(position) > 18:
        raise EddylineError(f"{name[:200]!r} is not a version\nwrite it as name@position, for example fraud@15320")
    if len(position) > 1 and position[0] == "0":  # one version has one name
        raise EddylineError(f"{name[:200]!r} is not a version\nwrite it as {model}@{int(position)}")
    return model, int(position)
