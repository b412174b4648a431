"""The features of a pipeline that declares none: the event's own fields, as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eddyline.records.schema import Schema


def plain_features(schema: Schema) -> Callable[[Any], dict[str, Any]]:
    """Every field without a role by its name; the entries of an open map by theirs."""
    names = tuple(name for name in schema.fields if name not in schema.roles)

    def features(event: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in names:
            value = getattr(event, name)
            if type(value) is dict:
                out.update(value)
            else:
                out[name] = value
        return out

    return features
