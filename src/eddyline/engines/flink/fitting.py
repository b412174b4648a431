"""Whether the state of a job fits another declaration: what may change, what may not, and why.

State that would mean something else is refused before anything is stopped; nothing is migrated in silence. What may change is
said in the words of `eddyline change`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from eddyline.engines.flink.declared import TAKEN_UP, turned_from
from eddyline.engines.flink.job import LAYOUT, READABLE, STATE
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import changed_parts, meaning
from eddyline.pipeline.turn_words import Facts, sentences
from eddyline.records.errors import StoreMismatch
from eddyline.records.time import durations_in_words
from eddyline.store.declarations import Kept

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
    "segment": "the answers in the topics are named by the old segments",
    "challengers": "each is a line, and a job's lines are those of its first declaration; let a retrained one enter while it "
    "runs (eddyline retrain FILE --brokers ...), or take a seat away (eddyline challengers FILE --leave NAME --brokers ...)",
}
_MEANING = "eddyline.meaning."
_SHOWN = 70


def require_fitting(about: Mapping[str, str], pipeline: Pipeline, what: str) -> list[str]:
    """Refuses a declaration that the state of a job does not fit; names the parts that changed and may.

    `about` is what the job says about itself, `what` is what holds the state, in words. Raises `StoreMismatch`.
    """
    if about.get("eddyline.state") not in READABLE:
        raise StoreMismatch(
            f"{what} keeps state in layout {about.get('eddyline.state', 'unknown')}, and this Eddyline reads {STATE}\n"
            "go on with the Eddyline that made it, or start a pipeline of another name from the topics' beginning"
        )
    before, now = _words(about), meaning(pipeline)
    changed = changed_parts(before, pipeline)
    refused = [name for name in changed if name not in TAKEN_UP]
    if refused:
        shown = "\n".join(_difference(name, before.get(name, ""), now.get(name, "")) for name in refused)
        raise StoreMismatch(
            f"the state of {what} does not fit pipeline {pipeline.name}: it changed in {', '.join(refused)}\n{shown}\n"
            f"put that back, or start anew under another name: Pipeline(name={pipeline.name + '2'!r}, ...)\n"
            f"what may change: {', '.join(TAKEN_UP)}, parallelism, Flink's settings"
        )
    if not set(changed) <= set(FREE):
        if about["eddyline.state"] != STATE:
            raise StoreMismatch(
                f"{what} keeps state without the words of its declaration, so {', '.join(changed)} cannot be taken up yet\n"
                "upgrade it once with the file as it was: eddyline flink upgrade OLD.py; then again with this one"
            )
        turned_from(before, _kept(about), pipeline)
    return changed


def means(about: Mapping[str, str], pipeline: Pipeline) -> list[str]:
    """What going on under this declaration means, a sentence for each thing that comes, goes or is another one.

    Call it after `require_fitting`. What metrics came to, and who froze learning, is in the state: the ledger has it.
    """
    before = _words(about)
    if LAYOUT not in about or not changed_parts(before, pipeline):
        return []
    kept = _kept(about)
    return sentences(turned_from(before, kept, pipeline), before, kept.watch, pipeline, Facts(0))


def _words(about: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(_MEANING): text for name, text in about.items() if name.startswith(_MEANING)}


def _kept(about: Mapping[str, str]) -> Kept:
    return msgspec.json.decode(about[LAYOUT], type=Kept)


def _difference(name: str, was: str, now: str) -> str:
    """Both texts, from where they begin to differ."""
    was, now = durations_in_words(was), durations_in_words(now)
    same = next((at for at, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = max(0, same - 20) if max(len(was), len(now)) > _SHOWN else 0
    lead, space = "..." if start else "", " " * len(name)
    reason = WHY.get(name, "nobody has shown that it may")
    return (
        f"  {name}: was {lead}{was[start : start + _SHOWN]}\n  {space}  now {lead}{now[start : start + _SHOWN]}\n"
        f"  {space}  {reason}"
    )
