"""Features that are watched and that the first event does not have: notes for `eddyline check`. Reads only."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from eddyline.monitors.declared import OWN, Monitor
from eddyline.pipeline import Pipeline
from eddyline.records import Prediction
from eddyline.records.time import durations_in_words


def notes(pipeline: Pipeline, first: Prediction | None) -> list[str]:
    """What to tell of each watched feature that nobody made for the first event, neither the model's line nor a challenger.

    None where there is no first event: then nobody knows.
    """
    if first is None:
        return []
    made = {*first.features, *(name for said in first.others or () for name in said.features or ())}
    if pipeline.features is None:  # an aggregate over an empty window is left out
        made.update(pipeline.aggregates)
    return [_note(name, who, sorted(made)) for name, who in _watched(pipeline).items() if name not in made]


def _watched(pipeline: Pipeline) -> dict[str, str]:
    """Each feature by name that is watched, and by whom."""
    found = dict.fromkeys(pipeline.watch.drift, "Watch(drift=...)")
    for monitor in pipeline.watch.monitors:
        if isinstance(monitor, Monitor):
            found.update((name, durations_in_words(repr(monitor))) for name in monitor.columns() if name not in OWN)
    return found


def _note(name: str, who: str, made: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, made, 1)
    shown = ", ".join(made[:12]) + (f" and {len(made) - 12} more" if len(made) > 12 else "")
    mend = f"did you mean {near[0]!r}?" if near else "until an answer has it there is nothing to watch"
    return f"{who}: the first event has no feature {name!r} (it has: {shown or 'none'})\n{mend}"
