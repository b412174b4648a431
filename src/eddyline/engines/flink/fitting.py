"""Whether the state of a job fits another declaration: what may change, what may not, and why.

State that would mean something else is refused before anything is stopped; nothing is migrated in silence.
"""

from __future__ import annotations

from collections.abc import Mapping

from eddyline.engines.flink.job import STATE
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import meaning
from eddyline.records.errors import StoreMismatch

FREE = ("publish", "versions")
"""Parts of the meaning that leave no trace in state: they say when versions are made, from here on."""

WHY = {
    "name": "topics, positions and versions carry the name",
    "events": "answered events are remembered by a digest of their fields",
    "labels": "labels that wait for their event are kept with their fields",
    "aggregates": "windows hold what the old aggregates need, and nothing else",
    "features": "the model was trained on the old features",
    "model": "the learner's bytes are those of the old model",
    "join": "predictions wait until the old deadlines",
    "lateness": "windows have let go of what was too late by the old bound",
    "watch": "measurements are kept metric by metric",
    "challengers": "each has a learner and evidence of its own",
    "decide": "the evidence so far was gathered for the old policies",
    "look_every": "policies look at fixed places of what was taken",
}
_MEANING = "eddyline.meaning."
_SHOWN = 70


def require_fitting(about: Mapping[str, str], pipeline: Pipeline, what: str) -> list[str]:
    """Refuses a declaration that the state of a job does not fit; names the parts that changed and may.

    `about` is what the job says about itself, `what` is what holds the state, in words. Raises `StoreMismatch`.
    """
    if about.get("eddyline.state") != STATE:
        raise StoreMismatch(
            f"{what} keeps state in layout {about.get('eddyline.state', 'unknown')}, and this Eddyline reads {STATE}\n"
            "go on with the Eddyline that made it, or start a pipeline of another name from the topics' beginning"
        )
    now = meaning(pipeline)
    before = {name.removeprefix(_MEANING): text for name, text in about.items() if name.startswith(_MEANING)}
    changed = [name for name in (*now, *(before.keys() - now.keys())) if now.get(name) != before.get(name)]
    refused = [name for name in changed if name not in FREE]
    if refused:
        shown = "\n".join(_difference(name, before.get(name, ""), now.get(name, "")) for name in refused)
        raise StoreMismatch(
            f"the state of {what} does not fit pipeline {pipeline.name}: it changed in {', '.join(refused)}\n{shown}\n"
            f"put that back, or start anew under another name: Pipeline(name={pipeline.name + '2'!r}, ...)\n"
            f"what may change: {', '.join(FREE)}, parallelism, Flink's settings"
        )
    return changed


def _difference(name: str, was: str, now: str) -> str:
    """Both texts, from where they begin to differ."""
    same = next((at for at, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = max(0, same - 20) if max(len(was), len(now)) > _SHOWN else 0
    lead, space = "..." if start else "", " " * len(name)
    reason = WHY.get(name, "nobody has shown that it may")
    return (
        f"  {name}: was {lead}{was[start : start + _SHOWN]}\n  {space}  now {lead}{now[start : start + _SHOWN]}\n"
        f"  {space}  {reason}"
    )
