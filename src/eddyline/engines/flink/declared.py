"""Under which declaration state was saved, and how learn and decide go on from it under another one.

The hosts keep the words of their declaration beside their memory. When they open under other words, they carry over what both
declare, by the functions that a store's change is made with, and write the change down in the order of what was taken: with
what decide remembered, so that whoever plays the order again goes on from there. A restart finds the new words, and changes
nothing a second time.

Keeps `stop` and `one-writer`. Refuses what changes answers or lines. Knows no Flink and no Kafka.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import zstandard

from eddyline.engines.flink import taken
from eddyline.engines.flink.learners import Came, Learners
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import changed_parts, meaning, part_of
from eddyline.pipeline.turn_words import Facts, sentences
from eddyline.pipeline.turning import Turn, segments_of, turn_of
from eddyline.records import Decision, Declared
from eddyline.records.errors import StoreMismatch
from eddyline.stages import carry_watch
from eddyline.stages.carry_decide import Carrying, carried, line_of
from eddyline.stages.deciding import DecideState
from eddyline.stages.watch import WatchStage, WatchState
from eddyline.store.declarations import Kept

TAKEN_UP = ("watch", "decide", "look_every", "publish", "versions")
"""The parts that a job takes up anew from its savepoint."""
PIECE = 1 << 20
"""Bytes of decide's memory in one message: with its wrapping far below what the topic takes."""
_LARGEST = 1 << 30


class By(NamedTuple):
    """Who asks for a change of declaration, and why."""

    author: str = "unknown"
    reason: str = ""


class Words(msgspec.Struct, frozen=True):
    """A declaration in words, kept with the state that was saved under it. `number` counts the changes before it."""

    digest: str
    parts: dict[str, str]
    kept: Kept
    number: int = 0


def words_of(pipeline: Pipeline, number: int = 0) -> Words:
    """The words of a declaration, after so many changes.

    >>> from river import dummy
    >>> from eddyline import every, memory
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> words = words_of(cases)
    >>> turned_from(words.parts, words.kept, cases.replace(publish=every(7))).parts
    ('publish',)
    """
    plan = pipeline.plan()
    kept = Kept(carry_watch.layout_of(plan.watch), segments_of(pipeline), plan.decide.places)
    return Words(pipeline.digest, meaning(pipeline), kept, number)


def turned_from(was: Mapping[str, str], kept: Kept, pipeline: Pipeline) -> Turn:
    """What a declaration changes of the one in words. Raises `StoreMismatch` for what the state of a job cannot take up."""
    changed = changed_parts(was, pipeline)
    problem = None
    if not set(changed) <= set(TAKEN_UP):
        problem = f"it changed in {', '.join(name for name in changed if name not in TAKEN_UP)}"
    elif kept.segment != segments_of(pipeline):
        problem = "segments: the answers in the topics are named by the old ones\nput watch=Watch(segment=...) back"
    elif bool(part_of(was, "decide")) != bool(pipeline.decide) and not pipeline.challengers:
        problem = (
            "decide: whether anybody decides is in how the job is put together, for answers come to learn only there\n"
            + ("keep one policy: decide=(RollBack(),)" if not pipeline.decide else "put decide back: decide=()")
        )
    if problem is not None:
        raise StoreMismatch(
            f"the state of pipeline {pipeline.name} does not go on under this declaration: {problem}\n"
            f"or start anew under another name: Pipeline(name={pipeline.name + '2'!r}, ...)"
        )
    return turn_of(was, kept.segment, pipeline)


# Learn and decide ----------------------------------------------------------------------------------------------------


def taken_up(learners: Learners, pipeline: Pipeline, raw: bytes, declared: Declared) -> Came:
    """Lets learners go on under another declaration; `raw` is what decide had saved under the one before."""
    kept = turn_of(declared.was, segments_of(pipeline), pipeline).kept
    carrying = Carrying(number=declared.number, kept=kept)
    by = {"at": declared.at, "author": declared.author, "reason": declared.reason}
    state, out = carried(learners.decide, raw, carrying, **by)  # type: ignore[arg-type]
    evidence = {"was": declared.was_digest, "changes": declared.says}
    made = learners.decide.decided(state, "operator", "change", declared.digest, "done", evidence=evidence, **by)  # type: ignore[arg-type]
    learners.go_on(state)
    return Came(decisions=[*(one for one in out if isinstance(one, Decision)), made])


def recorded(learners: Learners, pipeline: Pipeline, raw: bytes, was: Words, by: By) -> tuple[list[taken.Taken], Came]:
    """Takes up this declaration where another one saved: the messages for the order of what was taken, and what it came to."""
    turn = turned_from(was.parts, was.kept, pipeline)
    before: DecideState = learners.decide.restore(raw)
    packed = zstandard.ZstdCompressor(level=9).compress(raw)
    frozen_by = before.frozen_by if before.frozen_since is not None else None
    facts = Facts(before.record, frozen_by=frozen_by, former=line_of(before.rollout.former or ""))
    declared = Declared(
        number=was.number + 1,
        was_digest=was.digest,
        digest=pipeline.digest,
        was=was.parts,
        parts=meaning(pipeline),
        says=sentences(turn, was.parts, was.kept.watch, pipeline, facts),
        author=by.author,
        reason=by.reason,
        at=learners.at,
        answers=before.record,
        memory=hashlib.sha256(raw).hexdigest(),
        places=was.kept.places,
    )
    inputs: list[taken.One] = [
        *(taken.Remembered(packed[at : at + PIECE]) for at in range(0, len(packed), PIECE)),
        taken.Turned(declared),
    ]
    messages = [taken.Taken(learners.taken + n, learners.at, [one]) for n, one in enumerate(inputs)]
    learners.taken += len(inputs)
    return messages, taken_up(learners, pipeline, raw, declared)


def memory_in(pieces: list[bytes], declared: Declared) -> bytes | None:
    """What decide remembered before a change, of its pieces; None where they are not those that were written."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(b"".join(pieces), max_output_size=_LARGEST)
    except zstandard.ZstdError:
        return None
    return raw if hashlib.sha256(raw).hexdigest() == declared.memory else None


# Watch ---------------------------------------------------------------------------------------------------------------


def watch_state(stage: WatchStage, pipeline: Pipeline, raw: bytes, was: Words | None) -> WatchState:
    """A watch's memory as it goes on under this declaration, whichever one saved it."""
    if was is None or was.parts == meaning(pipeline):
        return stage.restore(raw)
    turned_from(was.parts, was.kept, pipeline)
    return carry_watch.carried(stage, raw, was.kept.watch, segments=True)
