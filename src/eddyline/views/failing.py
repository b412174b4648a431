"""Why a line cannot answer an event, or cannot learn from it: asked again, outside of any stream, to hear what it raises.

A prediction carries a reason code for who could not answer, and no words: answers are small. The words are made here, from
the same event, aggregates and model. Changes nothing but the model that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eddyline.models.plain import finite
from eddyline.ports import Model
from eddyline.records import Output, Value
from eddyline.records.errors import Rejected
from eddyline.stages.features import Maker, canonical, said

Answered = tuple[Output | None, str]


def asked(model: Model, maker: Maker, event: Any, aggregates: Mapping[str, Value]) -> Answered:
    """What a model says to an event, or None and why it cannot."""
    features, fault = _features(maker, event, aggregates)
    if features is None:
        return None, fault
    try:
        output = model.predict(features)
    except Exception as error:  # the model's own: it is what was asked for
        return None, _words(error)
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
        return _words(error)
    return ""


def _features(maker: Maker, event: Any, aggregates: Mapping[str, Value]) -> tuple[dict[str, Any] | None, str]:
    try:
        raw = maker.features(event, **{name: aggregates[name] for name in maker.wanted})
        return (dict(raw) if maker.trusted else canonical(raw, {})), ""
    except Rejected as rejected:
        return None, rejected.detail
    except Exception as error:  # the user's function: it is what was asked for
        return None, f"its features: {_words(error)}"


def _words(error: Exception) -> str:
    """What was raised, and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})"
    return f"{said(error)}{where}"
