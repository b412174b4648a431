"""The features of a pipeline that declares none: the event's own fields and its aggregates, as they are."""

from __future__ import annotations

from collections.abc import Callable
from keyword import iskeyword
from operator import attrgetter
from typing import Any

from eddyline.records.schema import Schema


def plain_features(schema: Schema, aggregates: bool) -> tuple[Callable[..., dict[str, Any]], bool]:
    """Every field without a role by its name, the entries of an open map by theirs, and the aggregates by theirs.

    An aggregate over nothing (None) is left out. Also tells whether the features can be trusted: plain values that the
    schema has checked, already in the order of their names.
    """
    names = tuple(sorted(field.name for field in schema.declared if field.role is None))
    if len(names) > 1 and not aggregates and all(schema.fields[name] in (float, bool, str) for name in names):
        return _written_out(names), True

    def features(event: Any, **seen: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in names:
            value = getattr(event, name)
            if type(value) is dict:
                out.update(value)
            else:
                out[name] = value
        if seen and (both := out.keys() & seen.keys()):
            raise ValueError(f"the open map has an entry {min(both)!r}, and so is an aggregate called; rename the aggregate")
        out.update((name, value) for name, value in seen.items() if value is not None)
        return out

    return features, False


def _written_out(names: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """Reads fields by their names as if somebody had typed them one by one, which takes half the time of a walk over names.

    >>> from types import SimpleNamespace
    >>> _written_out(("hot", "wet"))(SimpleNamespace(wet=0.5, hot=31.0))
    {'hot': 31.0, 'wet': 0.5}
    """
    if not all(name.isidentifier() and not iskeyword(name) for name in names):
        read = attrgetter(*names)
        return lambda event: dict(zip(names, read(event), strict=True))
    typed = ", ".join(f"{name!r}: event.{name}" for name in names)
    made: Callable[[Any], dict[str, Any]] = eval(f"lambda event: {{{typed}}}", {})
    return made
