"""Why a line cannot answer an event, or cannot learn from it: asked again, outside of any stream, to hear what it raises.

A prediction carries a reason code for who could not answer, and no words: answers are small. The words are made here, from
the same event, aggregates and model. Changes nothing but the model that it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eddyline.models.plain import finite
from eddyline.ports import Model
from eddyline.records import Output, Value
from eddyline.records.errors import Rejected
from eddyline.stages.features import Maker, canonical, said

_OF_TEXT = re.compile(r"'str'|\bstr\b|string|sequence by non-int")
_SHOWN = 6
"""How many names of features are told."""
Answered = tuple[Output | None, str]


def asked(model: Model, maker: Maker, event: Any, aggregates: Mapping[str, Value]) -> Answered:
    """What a model says to an event, or None and why it cannot."""
    features, fault = _features(maker, event, aggregates)
    if features is None:
        return None, fault
    try:
        output = model.predict(features)
    except Exception as error:  # the model's own: it is what was asked for
        return None, _with_mend(_words(error), features)
    if not finite(output.value) or not finite(output.scores):
        return None, f"its answer is not finite: {output.value!r} {output.scores or ''}".rstrip()
    return output, ""


def taught(model: Model, maker: Maker, event: Any, aggregates: Mapping[str, Value], truth: Any) -> str:
    """Why a model cannot learn from an event; empty where it can, and did."""
    features, fault = _features(maker, event, aggregates)
    if features is None:
        return fault
    try:
        model.learn(features, truth)
    except Exception as error:  # the model's own: it is what was asked for
        return _with_mend(_words(error), features)
    return ""


def _features(maker: Maker, event: Any, aggregates: Mapping[str, Value]) -> tuple[dict[str, Any] | None, str]:
    try:
        raw = maker.features(event, **{name: aggregates[name] for name in maker.wanted})
        return (dict(raw) if maker.trusted else canonical(raw, {})), ""
    except Rejected as rejected:
        return None, rejected.detail
    except Exception as error:  # the user's function: it is what was asked for
        return None, f"its features: {_words(error)}"


def mend(said: str, features: Mapping[str, Any]) -> str | None:
    """What to change where a model raised because of a None or a text among its features; None where it is something else.

    >>> mend("TypeError: unsupported operand type(s) for -: 'NoneType' and 'float'", {"mean": None, "hour": 3})
    '`mean` is None: say in features what a missing value means to the model, as in: 0.0 if mean is None else mean'
    """
    unclear = "real number" in said
    empty = [name for name, value in features.items() if value is None] if unclear or "None" in said else []
    text = [name for name, value in features.items() if isinstance(value, str)] if unclear or _OF_TEXT.search(said) else []
    if empty:
        name = empty[0] if empty[0].isidentifier() else "value"
        mended = f"0.0 if {name} is None else {name}"
        return f"{_listed(empty)} None: say in features what a missing value means to the model, as in: {mended}"
    if text:
        return f"{_listed(text)} text: leave it out, or put a step that takes text before the model: OneHotEncoder() | ..."
    return None


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"


def _with_mend(said: str, features: Mapping[str, Any]) -> str:
    next_step = mend(said, features)
    return said if next_step is None else f"{said}; {next_step}"


def _words(error: Exception) -> str:
    """What was raised, and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})"
    return f"{said(error)}{where}"
