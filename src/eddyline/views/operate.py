"""Asking for another version to answer: at once where nobody runs, through the inbox where somebody does."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.pipeline import Pipeline
from eddyline.records.errors import EddylineError, NotFound, StoreLocked
from eddyline.stages.decide import LIVE, Command, version_of
from eddyline.store import blocks
from eddyline.store.database import Store, post
from eddyline.views.history import Change, changes, standing

POLL_SECONDS = 0.05


def roll_back(
    pipeline: Pipeline, path: Path, to: str, *, author: str, reason: str = "", patience_s: float = 10.0
) -> tuple[Change, bool]:
    """Makes a version answer from here on; gives the rollout, and whether a running engine took the request.

    `to` is `name@position`, or "live" for the learner again. Raises `NotFound` when there is no such version,
    and `EddylineError` when a running engine has not taken it within `patience_s` seconds; it stays in the
    inbox then.
    """
    _check(pipeline, path, to)
    try:
        with Engine(pipeline, path) as engine:
            engine.take_inbox()
            before = engine.store.seq
            engine.rollback(to, author=author, reason=reason)
            return changes(engine.store, before)[-1], False
    except StoreLocked:
        return _ask(path, Command(to=to, author=author, reason=reason), patience_s), True


def _check(pipeline: Pipeline, path: Path, to: str) -> None:
    """Refuses what cannot become true, before anybody is bothered with it."""
    store = Store.read(path)
    try:
        learner = standing(store, pipeline).learner
    finally:
        store.close()
    if to == LIVE:
        return
    model, position = version_of(to)
    if model != pipeline.name or position > learner:
        raise NotFound(
            f"no version {to}; the learner is at {pipeline.name}@{learner}\n"
            f'name a position up to that, or "{LIVE}" for the learner; those kept: eddyline versions FILE'
        )


def _ask(path: Path, command: Command, patience_s: float) -> Change:
    store = Store.read(path)
    try:
        before, body = store.seq, msgspec.json.encode(command)
        post(path, body)
        (number,) = store.db.execute("SELECT max(number) FROM inbox WHERE body=?", (body,)).fetchone()
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            (taken,) = store.db.execute("SELECT taken FROM inbox WHERE number=?", (number,)).fetchone()
            if taken:
                return _effect(store, command, before)
            time.sleep(POLL_SECONDS)
    finally:
        store.close()
    raise EddylineError(
        f"request {number} is in the inbox of {path.name} and was not taken within {patience_s:g} s\n"
        "`eddyline run` and `replay` look there, a program of yours does when it calls engine.take_inbox(); "
        "it takes effect then, or at the next start"
    )


def _effect(store: Store, command: Command, after: int) -> Change:
    """The rollout that a command came to, or the refusal."""
    champion = None if command.to == LIVE else command.to
    for change in reversed(changes(store, after)):
        rollout = change.rollout
        if (rollout.champion, rollout.author, rollout.reason) == (champion, command.author, command.reason):
            return change
    for (packed,) in store.db.execute("SELECT dead FROM blocks WHERE seq>? AND deads>0 ORDER BY seq DESC", (after,)):
        for letter in blocks.decode_dead(packed):
            if letter.stream == "commands" and letter.event_id == command.to:
                raise NotFound(letter.detail)
    raise AssertionError("a command was taken and came to nothing")
