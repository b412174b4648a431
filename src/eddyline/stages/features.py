"""Features as every model sees them: made by the user's function, canonical before anybody looks at them.

Keeps `finite`, and that the order of names is the same everywhere. Refuses to know models and windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import unwrap
from math import hypot
from typing import Any

from eddyline.records import KEY_FEATURE, LIMIT, Features, Reason, Value
from eddyline.records.errors import Rejected
from eddyline.records.numbers import SURE

_PLAIN = frozenset((float, int, bool, str, type(None)))
_NUMBERS = frozenset((float, int, bool))
INT_LIMIT = 2**63
"""Integers beyond it cannot be written down in 64 bits."""


@dataclass(frozen=True, slots=True)
class Maker:
    """How features are made: the user's function, the aggregates it asks for by name, and whether it can be trusted.

    `trusted` features are the event's own fields: checked when the event was read, and in order.
    """

    features: Callable[..., Mapping[str, Any]]
    wanted: tuple[str, ...] = ()
    trusted: bool = False


def gone(line: str) -> Maker:
    """How a line made features that is declared no more: nobody can any more, and nobody else sees as it did."""

    def features(event: Any) -> Mapping[str, Any]:
        raise LookupError(f"how {line} made features went with its declaration")

    return Maker(features)


def keyed(maker: Maker, field: str) -> Maker:
    """The same features and, under its reserved name, the key of the event, which is in this field.

    >>> from types import SimpleNamespace
    >>> plain = Maker(lambda event: {"heat": event.heat})
    >>> keyed(plain, "oven").features(SimpleNamespace(oven=7, heat=180.0))
    {'heat': 180.0, '@key': '7'}
    """
    features = maker.features

    @wraps(features)
    def with_key(event: Any, **seen: Any) -> Mapping[str, Any]:
        made = {**features(event, **seen)}
        if KEY_FEATURE in made:
            raise ValueError(f"the name {KEY_FEATURE!r} is kept for the key of the event; call this feature something else")
        made[KEY_FEATURE] = str(getattr(event, field))
        return made

    return Maker(with_key, maker.wanted)


def said(error: Exception) -> str:
    """What an error of the user's code says, in one line."""
    return f"{type(error).__name__}: {error}"


def place_of(error: Exception, function: Callable[..., Any]) -> str:
    """Where in the user's file it was raised, as " (bikes.py, line 27)": the last line of that file that was running.

    >>> place_of(ValueError("raised by nobody"), place_of)
    ''
    """
    file = getattr(getattr(unwrap(function), "__code__", None), "co_filename", None)
    found, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            name = str(file).replace("\\", "/").rpartition("/")[2]
            found = f" ({name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


def empty_windows(error: Exception, wanted: tuple[str, ...], seen: Mapping[str, Value] | None) -> str:
    """A hint where the function was given None for aggregates over nothing, and did not expect it."""
    empty = [name for name in wanted if seen is not None and seen[name] is None]
    if not empty or not isinstance(error, TypeError):
        return ""
    return f"; {' and '.join(empty)} is None while no event is in the window: write {empty[0]} or 0.0"


def canonical(raw: Mapping[str, Any], orders: dict[tuple[str, ...], tuple[str, ...]]) -> Features:
    """The features as every model sees them: names sorted, values plain, numbers finite and at most 1e100 large.

    The order matters because River sums in it. `orders` remembers sorted names, so that sorting is done once a shape.

    >>> canonical({"b": 2.0, "a": True}, {})
    {'a': True, 'b': 2.0}
    """
    try:
        if type(raw) is not dict and not isinstance(raw, Mapping):
            raise TypeError("write: return {...}")
        names = tuple(raw)
        order = orders.get(names)
        if order is None:
            order = _order(names, orders)
        features: Features = {}
        only_floats = True
        for name in order:
            features[name] = value = raw[name]
            if type(value) is not float:
                only_floats = False
        if only_floats:
            if hypot(*features.values()) <= SURE:  # type: ignore[arg-type]
                return features
        elif _NUMBERS.issuperset(map(type, features.values())) and sum(map(abs, features.values())) < INT_LIMIT:  # type: ignore[arg-type]
            return features
    except OverflowError:  # an integer beyond every float; it is named below
        pass
    except TypeError as error:
        raise Rejected(
            Reason.FEATURES_FAILED.value,
            f"features() returned {type(raw).__name__}, expected a dict by name ({error})",
        ) from error
    return {name: _plain(name, value) for name, value in features.items()}


def _order(names: tuple[str, ...], orders: dict[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    for name in names:
        if type(name) is not str:
            raise Rejected(Reason.FEATURES_FAILED.value, f"feature name {name!r} is not text")
        _require_utf8(name, name)
    order = tuple(sorted(names))
    if len(orders) < 1000 and len(names) < 1000:
        orders[names] = order
    return order


def _require_utf8(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Rejected(Reason.FEATURES_FAILED.value, f"feature {name!r}: {error}") from error


def _plain(name: str, value: Any) -> Value:
    """One feature as plain Python, or a refusal that names it."""
    if type(value) not in _PLAIN:
        item = getattr(value, "item", None)
        value = item() if callable(item) and getattr(value, "size", 1) == 1 else value
        if type(value) not in _PLAIN:
            raise Rejected(
                Reason.FEATURES_FAILED.value,
                f"feature {name!r} is a {type(value).__name__}, expected a number, text, a boolean or None",
            )
    if type(value) is str:
        _require_utf8(name, value)
    if type(value) is float and not abs(value) <= LIMIT:
        raise Rejected(Reason.OUT_OF_RANGE.value, f"feature {name!r} is {value!r}, expected at most ±1e100")
    if type(value) is int and not -INT_LIMIT <= value < INT_LIMIT:
        raise Rejected(Reason.OUT_OF_RANGE.value, f"feature {name!r} is an integer beyond 64 bits; make it a float")
    return value  # type: ignore[no-any-return]
