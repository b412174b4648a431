"""The features of a pipeline that declares none: the event's own fields, as they are."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from eddyline.records.schema import Schema


def plain_features(schema: Schema) -> tuple[Callable[[Any], dict[str, Any]], bool]:
    """Every field without a role by its name, the entries of an open map by theirs; and whether they can be trusted.

    Trusted features are plain values that the schema has checked, already in the order of their names.
    """
    names = tuple(sorted(field.name for field in schema.declared if field.role is None))
    if len(names) > 1 and all(schema.fields[name] in (float, bool, str) for name in names):
        read = attrgetter(*names)
        return lambda event: dict(zip(names, read(event), strict=True)), True

    def features(event: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in names:
            value = getattr(event, name)
            if type(value) is dict:
                out.update(value)
            else:
                out[name] = value
        return out

    return features, False
