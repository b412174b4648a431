"""Lets a line into a running job so that it knows every example once: what was made of the log, and what came meanwhile.

Two steps. First the job is asked to hold what a line learns from here on; its answer names the position. The log is copied
up to there, and the newcomer learns it beside the job, for as long as it takes. Then it enters with its bytes, and the job
teaches it what was held. So the job holds little, and nobody waits.

Keeps `rebuild`: where the newcomer stands, and what it is, follow from the topics alone. Refuses to judge it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.beside import Job, fetch_until
from eddyline.engines.flink.copying import LogCopy
from eddyline.engines.flink.learn import recipe_of
from eddyline.models.fingerprint import fingerprint
from eddyline.ports import Model
from eddyline.records import Decision, ModelVersion, Place, Reason
from eddyline.records.errors import Rejected
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.rebuild import StoredLines, kept_entries, reached


@dataclass(frozen=True, kw_only=True)
class Newcomer:
    """A line that is to enter: its `model`, which learned `position` examples, and knows what `line` learned up to `known`.

    `made_by` is "retrain" or "forgetting", `parent` the version it was made of, `lineage` where it comes from. The events in
    `skip` it never learns. `place` is its seat, None where it answers from here on.
    """

    name: str
    model: Model
    position: int
    line: str
    known: int
    place: Place | None
    made_by: str
    parent: str | None = None
    skip: frozenset[str] = frozenset()
    lineage: dict[str, Any] | None = None


def let_in(
    job: Job,
    copy: LogCopy,
    newcomer: Newcomer,
    *,
    author: str,
    reason: str,
    hold: int = 0,
    still: Callable[[], bool] = lambda: True,
) -> Decision | None:
    """Lets it catch up and enter; gives the decision that records it. The model is changed.

    `hold` bounds how many examples the job keeps for it meanwhile (0: 50,000). `still` is asked when the log was copied
    whether it is still wanted: when it is not, nobody enters, and None comes back. Raises `NotFound` with the job's words when
    it refuses, and `Rejected` where the newcomer cannot learn what it missed.
    """
    seat = Place(newcomer.name, "shadow")
    held = job.ask(Command(do="hold", to=newcomer.line, place=seat, author=author, reason=reason, number=hold))
    until = int(held.evidence["position"])
    words = f"{newcomer.line}@{until}, where {newcomer.name} is to enter"
    fetch_until(job, copy, lambda one: one.position(newcomer.line) >= until, words)
    if not still():
        return None
    model, position = newcomer.model, newcomer.position
    for step in StoredLines(copy.store, copy.plan).past(newcomer.line, newcomer.known, until):
        if step.event_id not in newcomer.skip:
            _learn(newcomer, step.event_id, step.features, step.truth)
            position += 1
    like = next((entry.like for entry in kept_entries(copy.store) if entry.name == newcomer.line), newcomer.line)
    name = newcomer.name
    entry = Entry(
        name, like, f"{name}@{position}", f"{newcomer.line}@{until}", skip=tuple(sorted(newcomer.skip)), digest=model.digest()
    )
    recipe = recipe_of(copy.pipeline.digest, copy.plan.lines[like].model)
    version = ModelVersion(
        name, position, entry.digest, recipe, newcomer.parent, fingerprint(copy.plan.models), newcomer.made_by
    )
    command = Command(
        do="enter", to=name if newcomer.place is None else "", entry=entry, author=author, reason=reason,
        place=None if newcomer.place is None else msgspec.structs.replace(newcomer.place, who=name),
    )  # fmt: skip
    decision = job.ask(command, wire.encode_version(version, model.save(), like=like, lineage=newcomer.lineage))
    words = f"{name}, which entered by decision {decision.number}"
    fetch_until(job, copy, lambda one: entered(one, name) is not None and _rollout(one) >= decision.revision, words)
    return decision


def entered(copy: LogCopy, name: str) -> Entry | None:
    """The line of this name that entered, where one did."""
    return next((entry for entry in kept_entries(copy.store) if entry.name == name), None)


def _rollout(copy: LogCopy) -> int:
    """The newest rollout in a copy."""
    return copy.store.block(copy.store.seq).notes.rollout.revision if copy.store.seq else 0


def learning(copy: LogCopy, line: str) -> str:
    """Which line a newcomer that is like this one catches up with: it, or the champion where that learns in its place."""
    store = copy.store
    champion = store.block(store.seq).notes.rollout.champion if store.seq else None
    entry = None if champion is None else entered(copy, champion)
    if entry is None or entry.like != line:
        return line
    for seq in range(store.seq, 0, -1):
        for row in reversed(store.examples_of(seq)):
            if reached(row, line, copy.pipeline.name) >= 0:
                return line
            if reached(row, entry.name, copy.pipeline.name) >= 0:
                return entry.name
    return line


def _learn(newcomer: Newcomer, event_id: str, features: Any, truth: Any) -> None:
    try:
        newcomer.model.learn(features, truth)
    except Exception as error:
        raise Rejected(
            Reason.MODEL_FAILED.value,
            f"{newcomer.name} cannot learn event {event_id!r}, as {newcomer.line} did: {type(error).__name__}: {error}",
        ) from error
