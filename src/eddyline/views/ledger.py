"""The ledger people read: what was in production at a time, who put it there and why; every decision; and each made again.

Everything is in the blocks, which are chained by digest. `check` recomputes each decision twice: its verdict from its
evidence alone, and the decision itself from the journal (I17). Reads only; decides nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from eddyline.models.fingerprint import covers, fingerprint
from eddyline.pipeline import Pipeline
from eddyline.policies.verdict import Verdict, recomputed
from eddyline.records import Decision, Prediction, Rollout
from eddyline.store import blocks
from eddyline.store.blocks import Notes
from eddyline.store.database import Store
from eddyline.store.declarations import changes, first_rollout
from eddyline.store.rebuild import StoredLines
from eddyline.views.retelling import OnProgress, decided_again

NEAR = 8
"""So many blocks around a time are read for the last answer before it."""
Clock = Literal["event", "wall"]
_VERDICT = Verdict.__struct_fields__


class Tenure(msgspec.Struct, frozen=True):
    """A rollout that came into force: by which decision, when in event time (µs) and on the wall clock (s), until when.

    `decision` is None for the start. `until` and `until_received_at` are None for the one in force.
    """

    rollout: Rollout
    champion: str
    decision: Decision | None
    block: int
    at: int | None
    received_at: float
    until: int | None = None
    until_received_at: float | None = None


class Entered(msgspec.Struct, frozen=True):
    """A decision with its place in the journal."""

    decision: Decision
    block: int
    received_at: float


class Held(msgspec.Struct, frozen=True):
    """What was in production at a time: the rollout, and since when and by whom its champion was there (`put_there`).

    `until` (event time, µs) is when another champion came, None while there is none; `until_received_at` the same on the
    wall clock (s). `version` is the very version that gave the last answer until then; it and `answered_at` are None where
    nothing had been answered.
    """

    rollout: Rollout
    put_there: Tenure
    until: int | None
    until_received_at: float | None
    version: str | None
    answered_at: int | None


class Checked(msgspec.Struct, frozen=True):
    """A decision made again. `evidence` is None where it carries no verdict; `follows`: it is what the journal comes to.

    `follows` is None where a declaration decided that was changed since: its policies are not in the file any more.
    """

    decision: Decision
    evidence: bool | None
    follows: bool | None

    @property
    def sound(self) -> bool:
        """Nothing differs."""
        return self.follows is not False and self.evidence is not False


class Check(msgspec.Struct, frozen=True):
    """Every decision made again. `missing` are those that follow from the journal and are not in the ledger.

    Where `comparable` is False, this machine computes otherwise than the one that decided, and nothing is claimed.
    `changed_in` is the block of the last change of declaration, `changed_by` the decision that records it in a job, which has
    no blocks: of the decisions until there only the verdicts are made again.
    """

    decisions: list[Checked]
    missing: list[Decision]
    comparable: bool
    changed_in: int = 0
    changed_by: int = 0

    @property
    def sound(self) -> bool:
        """Nothing differs, and equality is claimed."""
        return self.comparable and not self.missing and all(one.sound for one in self.decisions)


class Declaration(msgspec.Struct, frozen=True):
    """A declaration that held: its digest and words, from which block on, and who brought it, when and why.

    `says` is what it changed, in words; empty for the first. `answers` is how many had been given, `at` event time (µs).
    """

    digest: str
    parts: dict[str, str]
    block: int
    answers: int = 0
    at: int | None = None
    received_at: float = 0.0
    author: str = ""
    reason: str = ""
    says: list[str] = []


def declarations(store: Store) -> list[Declaration]:
    """The declarations of a store, one after the other, the first one first."""
    found = changes(store)
    if not found:
        return [Declaration(store.get("digest") or "", store.get("parts") or {}, 0)]
    first = found[0].declared
    told = [Declaration(first.was_digest, first.was, 0)]
    for block, one, received_at in found:
        told.append(
            Declaration(one.digest, one.parts, block, one.answers, one.at, received_at, one.author, one.reason, one.says)
        )
    return told


def noted(store: Store) -> list[tuple[int, Notes]]:
    """What every block says beside its records, by block."""
    rows = store.db.execute("SELECT seq, notes FROM blocks ORDER BY seq")
    return [(seq, blocks.decode_notes(packed)) for seq, packed in rows]


def decisions(store: Store) -> list[Entered]:
    """Every decision of a store, in order."""
    return [Entered(one, seq, notes.received_at) for seq, notes in noted(store) for one in notes.decisions]


def tenures(store: Store, pipeline: Pipeline) -> list[Tenure]:
    """Who was in production, one after the other, from the start."""
    return tenures_of(noted(store), pipeline, first_rollout(store, pipeline.plan().decide.new_state().rollout))


def tenures_of(said: Iterable[tuple[int, Notes]], pipeline: Pipeline, start: Rollout | None = None) -> list[Tenure]:
    """The same, of what was noted, wherever that is kept. `start` is who answered first, where the pipeline says it no more."""
    start = start or pipeline.plan().decide.new_state().rollout
    found = [Tenure(start, start.champion or pipeline.name, None, 0, None, 0.0)]
    for seq, notes in said:
        if seq == 1:
            found[0] = msgspec.structs.replace(found[0], received_at=notes.received_at)
        for rollout in notes.rollouts:
            made_by = next((one for one in notes.decisions if one.revision == rollout.revision), None)
            at = made_by.at if made_by is not None else rollout.since
            found[-1] = msgspec.structs.replace(found[-1], until=at, until_received_at=notes.received_at)
            champion = rollout.champion or pipeline.name
            found.append(Tenure(rollout, champion, made_by, seq, at, notes.received_at))
    return found


def in_production(store: Store, pipeline: Pipeline, at: float, *, clock: Clock = "event") -> Held:
    """What was in production at `at`: event time in µs, or with `clock="wall"` seconds since 1970 when it was committed.

    By event time it is the rollout under which the last answer until then was given. Reads some blocks, not all.
    """
    past = tenures(store, pipeline)
    answer = _last_answer(store, at) if clock == "event" else _last_committed(store, at)
    if clock == "event" and answer is not None:
        tenure = next(one for one in past if one.rollout.revision == answer.revision)
    elif clock == "event":
        tenure = past[0]
    else:
        tenure = [one for one in past if one.received_at <= at or one is past[0]][-1]
    return held(past, tenure, answer)


def held(past: list[Tenure], tenure: Tenure, answer: Prediction | None = None) -> Held:
    """What a tenure among others means: who put its champion there, and until when. `answer` is the last one under it."""
    first = last = past.index(tenure)
    while first and past[first - 1].champion == tenure.champion:
        first -= 1
    while last + 1 < len(past) and past[last + 1].champion == tenure.champion:
        last += 1
    return Held(
        rollout=tenure.rollout,
        put_there=past[first],
        until=past[last].until,
        until_received_at=past[last].until_received_at,
        version=None if answer is None else answer.version,
        answered_at=None if answer is None else answer.at,
    )


def _last_answer(store: Store, at: float) -> Prediction | None:
    """The newest answer to an event that happened until `at`. Blocks are about in the order of events."""
    answering = _answering(store)
    place = bisect_right(answering, at, key=lambda seq: store.block(seq).predictions[0].at)
    near = answering[max(0, place - NEAR) : place + NEAR]
    until = [one for seq in near for one in store.block(seq).predictions if one.at <= at]
    return max(until, key=lambda one: one.at, default=None)


def _answering(store: Store) -> list[int]:
    """The blocks that hold answers."""
    rows = list(store.db.execute("SELECT seq, first_slot FROM blocks ORDER BY seq"))
    ends = [*(slot for _, slot in rows[1:]), store.slots]
    return [seq for (seq, slot), end in zip(rows, ends, strict=True) if end > slot]


def _last_committed(store: Store, at: float) -> Prediction | None:
    """The last answer that was committed until `at` on the wall clock."""
    until = max((seq for seq, notes in noted(store) if notes.received_at <= at), default=0)
    seq = max((one for one in _answering(store) if one <= until), default=0)
    return store.block(seq).predictions[-1] if seq else None


def check(store: Store, pipeline: Pipeline, on_progress: OnProgress | None = None) -> Check:
    """Makes every decision of a store again: its verdict from its evidence, and itself from the journal.

    Where the declaration was changed (`eddyline change`), decisions follow from the journal from the last change on; of those
    before it, whose policies are in no file any more, the verdicts alone are made again from their evidence. Costs what
    reading, joining and watching the journal cost, and no model. Raises `StoreCorrupt` where the chain is broken.
    """
    retold = decided_again(store, pipeline, on_progress)
    differing = set(retold.differing)
    known, here = {one.number for one in retold.recorded}, fingerprint(StoredLines(store, pipeline.plan()).models())
    return Check(
        decisions=[
            *(Checked(one, same_evidence(one.evidence), None) for one in retold.before),
            *(Checked(one, same_evidence(one.evidence), one.number not in differing) for one in retold.recorded),
        ],
        missing=[one for one in retold.again if one.number not in known],
        comparable=all(covers(one, here) for one in store.computed_as()),
        changed_in=0 if retold.turn is None else retold.turn.block,
    )


def same_evidence(evidence: dict[str, Any]) -> bool | None:
    """Whether the verdict in a decision's evidence is what its own sums give; None where there is none.

    >>> from eddyline.policies import Contest, zero_one
    >>> contest = Contest.new(zero_one()); contest.count(wins=61, losses=31, ties=3_118)
    >>> told = contest.verdict(evidence=20).evidence()
    >>> same_evidence(told), same_evidence({**told, "wins": 600}), same_evidence({"monitor": "psi"})
    (True, False, None)
    """
    if not all(name in evidence for name in _VERDICT):
        return None
    told = {name: evidence[name] for name in _VERDICT}
    return recomputed(told).evidence() == told
