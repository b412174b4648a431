"""Forgetting in a running job on Flink: lines made again beside it without certain events, and the proof of it.

The same as on a store (`views.forget`), from a copy of the job's log: each line that is asked is folded without those
examples, catches up to the example, and takes the place of the one that learned them. The proof is another fold of the copy,
from the line's first version over everything but those events; its digest must be that of the version which the job published
when the newcomer entered. The topics keep the events.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from eddyline.engines.flink.beside import fetch_until
from eddyline.engines.flink.newcomers import Newcomer, entered, let_in
from eddyline.records import Place
from eddyline.records.errors import NotFound
from eddyline.stages.commands import Command
from eddyline.store.ancestry import FORGETTING, Ancestry
from eddyline.store.rebuild import StoredLines, forgotten
from eddyline.views.beside import Workshop, check_seat
from eddyline.views.forget import (
    Forgotten,
    folded_without,
    leaving_after,
    lines_asked,
    may_learn,
    next_name,
    proof_of,
    shown,
)
from eddyline.views.operate import position_of


def forget_beside(shop: Workshop, events: Collection[str], *, author: str, reason: str = "") -> list[Forgotten]:
    """Replaces every line that the job asks and that learned one of these events by one that did not; gives the proofs.

    The job goes on meanwhile, and may be asked for one newcomer after the other. Versions beside the champion that learned one
    leave. Raises `EddylineError` for a line that was retrained, whose lineage is not in the copy, and `NotFound` when nobody
    who is asked learned any of them, or is going to.
    """
    check_seat(shop.pipeline, None)
    fetch_until(shop.job, shop.copy, lambda copy: copy.current, "the rollout that came of what was decided")
    store, reason = shop.copy.store, reason or f"forget {shown(events)}"
    unwanted = frozenset(events) | forgotten(store)
    answered = shop.job.answered(events)
    past = Ancestry(store, StoredLines(store, shop.copy.plan))
    for line, _ in lines_asked(store, shop.pipeline):
        next(past.past(line), None)  # one that cannot tell what it learned says so before anything is changed
    replaced: dict[str, str] = {}
    for line, place in lines_asked(store, shop.pipeline):
        newcomer = _without(shop, line, place, unwanted, answered)
        if newcomer is not None:
            let_in(shop.job, shop.copy, newcomer, author=author, reason=reason, hold=shop.hold)
            replaced[line] = newcomer.name
    leaving = leaving_after(store, shop.pipeline, unwanted, replaced)
    for who in leaving:
        shop.job.ask(Command(do="leave", to=who, author=author, reason=reason))
    if not replaced and not leaving:
        raise NotFound(
            f"nobody who answers has learned {shown(events)}, or is going to\n"
            "ids are compared as text, exactly, and what a job did is known up to its last checkpoint"
        )
    return [_proof(shop, name, unwanted) for name in replaced.values()]


def _without(
    shop: Workshop, line: str, place: Place | None, unwanted: frozenset[str], answered: frozenset[str]
) -> Newcomer | None:
    """A line's successor; None where it has nothing to forget, now or later."""
    store = shop.copy.store
    past, now = Ancestry(store, StoredLines(store, shop.copy.plan)), position_of(store, line)
    first = next((step for step in past.past(line, now) if step.event_id in unwanted), None)
    if first is None and not may_learn(store, shop.pipeline, line, answered):
        return None
    model, position = folded_without(past, line, now, unwanted, before=first)
    name = next_name(store, shop.pipeline)
    return Newcomer(
        name=name,
        model=model,
        position=position,
        line=line,
        known=now,
        place=None if place is None else msgspec.structs.replace(place, who=name),
        made_by=FORGETTING,
        parent=f"{line}@{now}",
        skip=unwanted,
    )


def _proof(shop: Workshop, name: str, unwanted: frozenset[str]) -> Forgotten:
    """Folds the line from its first version over everything but the forgotten events, and compares with what was published."""
    entry = entered(shop.copy, name)
    assert entry is not None, "who was let in has entered"
    return proof_of(shop.copy.store, shop.pipeline, Command(do="enter", entry=entry), unwanted)
