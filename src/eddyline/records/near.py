"""Which of the names that are there was meant by one that is not: for errors that say what to type next.

Knows nothing of records and files; a guess is only ever told to a person, never acted upon.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_APART = re.compile(r"[\W_]+")


def nearest(name: str, present: Iterable[str]) -> str | None:
    """The name that was most likely meant, whatever its case and what separates its words; None where none is near.

    >>> nearest("lat", ["id", "at", "late"]), nearest("event_time", ["eventTime", "id"]), nearest("fraud", ["id"])
    ('late', 'eventTime', None)
    """
    plainly = {_APART.sub("", one).lower(): one for one in reversed(list(present))}
    wanted = _APART.sub("", name).lower()
    begun = [one for one in plainly if len(wanted) > 1 and one.startswith(wanted)]
    near = begun[:1] if len(begun) == 1 else difflib.get_close_matches(wanted, plainly, 1)
    return plainly[near[0]] if near else None
