"""What differs between two meanings of a pipeline, in a line for each difference. Refuses to know which is right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from eddyline.records.time import durations_in_words

SHOWN = 3
"""Differences of one part that are told; of the rest, how many."""
_LONG = 60
_DIGEST = re.compile(r"[0-9a-f]{16}")
_INNER = ("model", "steps", "parameters")
"""Words of a recipe that say nothing to the user."""
_FRESH = "initial_digest"
"""What follows from the other words of a recipe."""


def told(part: str, was: Any, now: Any) -> list[str]:
    """The differences of one part, as plain values, in the words of the declaration.

    >>> told("challengers", None, [{"name": "stations", "mode": "Shadow()"}])
    ['challengers: was none, now stations']
    >>> told("decide", [{"policy": "Promote", "evidence": "100"}], [{"policy": "Promote", "evidence": "20"}])
    ['decide: Promote: evidence: was 100, now 20']
    >>> told("features", "3989c985dde9737e", "79ad2b6a3c1f7a30")
    ['features: its code is another']
    >>> told("watch", "drift of the error", "drift of the error; Silence(longer_than=datetime.timedelta(seconds=3600))")
    ['watch: was none, now Silence(longer_than=1 hour)']
    """
    lines = list(_differences(part, was, now))
    more = len(lines) - SHOWN
    return lines if more <= 0 else [*lines[:SHOWN], f"{part}: and {more} more"]


def _differences(path: str, was: Any, now: Any) -> Iterator[str]:
    if was == now:
        return
    if _named(was) and _named(now) and list(_by_name(was)) == list(_by_name(now)):
        was, now = _by_name(was), _by_name(now)
    if isinstance(was, Mapping) and isinstance(now, Mapping) and was.get("class") == now.get("class"):
        keys = [key for key in dict.fromkeys((*was, *now)) if was.get(key) != now.get(key)]
        for key in [key for key in keys if key != _FRESH] or keys:
            yield from _differences(path if key in _INNER else f"{path}: {key}", was.get(key), now.get(key))
    elif all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in (was, now)):
        yield f"{path}: its code is another"
    elif isinstance(was, str) and isinstance(now, str) and "; " in was + now:
        before, after = was.split("; "), now.split("; ")
        gone, came = [one for one in before if one not in after], [one for one in after if one not in before]
        yield f"{path}: was {_short('; '.join(gone))}, now {_short('; '.join(came))}"
    else:
        yield f"{path}: was {_short(was)}, now {_short(now)}"


def _named(value: Any) -> bool:
    """Whether it is several things with names: challengers, policies, fields."""
    return isinstance(value, list) and bool(value) and all(_name(one) is not None for one in value)


def _name(one: Any) -> str | None:
    if isinstance(one, Mapping):
        name = one.get("name")
        found = one.get("policy") if name in (None, "None") else name
        return None if found is None else str(found)
    return str(one[0]) if isinstance(one, list) and one else None


def _by_name(value: list[Any]) -> dict[str, Any]:
    """Each by its name; the second of one name with its place."""
    found: dict[str, Any] = {}
    for place, one in enumerate(value, 1):
        name = str(_name(one))
        found[f"{name} ({place})" if name in found else name] = one
    return found


def _recipe(value: Mapping[str, Any]) -> str:
    """A model as its class, or the steps of a pipeline."""
    inner = value.get("model")
    steps = (inner if isinstance(inner, Mapping) else value).get("steps")
    return " | ".join(steps) if isinstance(steps, Mapping) else str(value["class"]).rpartition(".")[2]


def _short(value: Any) -> str:
    """A value in a few words."""
    if value is None or value in ([], {}, "", "None"):
        return "none"
    if _named(value):
        text = ", ".join(_by_name(value))
    elif isinstance(value, Mapping):
        text = _recipe(value) if "class" in value else ", ".join(map(str, value))
    else:
        text = durations_in_words(str(value))
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."
