"""A declaration that was taken up while the stream ran, as the journal keeps it: what held before, and what holds now.

Frozen, without behaviour. Words and digests only: what the words mean is in the user's file.
"""

from __future__ import annotations

import msgspec

from eddyline.records.stream import Place


class Left(msgspec.Struct, frozen=True):
    """A line that is declared no more: where its learner stood, and whether it saw the features of the pipeline itself."""

    line: str
    position: int
    as_pipeline: bool


class Declared(msgspec.Struct, frozen=True):
    """A declaration that holds from this block on.

    `number` counts the changes of a store from 1. `was` and `parts` are the words of the declaration before and of this one,
    part by part, `was_digest` and `digest` the pipelines' digests. `says` tells in words what changed. `at` is event time
    (µs), `answers` how many there were. `memory` names the bytes that say where watch, decide and the learners stood.
    `places` are the seats with which the store began, under its first declaration. The lines that `came` never learn the
    events in `skip`, which were forgotten before them.
    """

    number: int
    was_digest: str
    digest: str
    was: dict[str, str]
    parts: dict[str, str]
    says: list[str]
    author: str
    reason: str
    at: int
    answers: int
    memory: str
    places: tuple[Place, ...] = ()
    left: list[Left] = []
    came: list[str] = []
    skip: tuple[str, ...] = ()
