"""Asking for something on a pipeline: at once where nobody runs, through the inbox where somebody does.

Every command is one record in the journal with an author and a reason; what it came to is read from the block that took
it. What cannot be obeyed comes back as words. Decides nothing.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec

from eddyline.engines.embedded import Engine, codec
from eddyline.pipeline import Pipeline
from eddyline.records import Decision, Rollout
from eddyline.records.errors import EddylineError, NotFound, StoreError, StoreLocked
from eddyline.stages.commands import LIVE, Command, version_of
from eddyline.stages.lines import Entry
from eddyline.store.blocks import Block, Kind
from eddyline.store.database import Registered, Store, no_store, post
from eddyline.store.rebuild import StoredLines, entered_as, forgotten, kept_entries, reachable
from eddyline.views.history import Change, standing

POLL_SECONDS = 0.05


class Came(msgspec.Struct, frozen=True):
    """What a command came to: in which block, where the learner stood after it, and what follows.

    `by_running_engine` tells whether somebody ran on the store and took it, or nobody did and it was taken at once.
    """

    block: int
    learner: int
    received_at: float
    rollouts: list[Rollout]
    decisions: list[Decision]
    entered: list[Entry]
    by_running_engine: bool

    @property
    def rollout(self) -> Rollout | None:
        """Who answers from here on, where that changed."""
        return self.rollouts[-1] if self.rollouts else None


def ask(
    pipeline: Pipeline, path: Path, command: Command, *, patience_s: float = 10.0, version: Registered | None = None
) -> Came:
    """Has a command taken, and tells what it came to. `version` is registered with it, for newcomers that start from it.

    Raises `NotFound` with the words of the refusal when it cannot be obeyed, and `EddylineError` when a running engine has
    not taken it within `patience_s` seconds; it stays in the inbox then.
    """
    if not path.exists():
        raise no_store(path)
    body = msgspec.json.encode(command)
    try:
        with Engine(pipeline, path) as engine:
            engine.take_inbox()
            before = engine.store.seq
            if version is not None:
                post(path, body, version)
                _take_posted(engine)
            else:
                engine.take([codec.command_input(command)], [command])
            return _came(_taking(engine.store, body, before), running=False)
    except StoreLocked:
        return _through_the_inbox(path, command, patience_s, version)


def _take_posted(engine: Engine) -> None:
    try:
        engine.take_inbox()
    except StoreError as error:
        raise type(error)(f"{error}\nthe request is in the inbox, and takes effect at the next start: ask once") from error


def roll_back(
    pipeline: Pipeline,
    path: Path,
    to: str,
    *,
    author: str,
    reason: str = "",
    patience_s: float = 10.0,
    unforget: bool = False,
) -> tuple[Change, bool]:
    """Makes a version answer from here on; gives the rollout, and whether a running engine took the request.

    `to` is `name@position`, a line by name (its learner, live), or "live" for the pipeline's own learner again. Learning
    goes on. Raises `NotFound` when there is nobody of that name, and `EddylineError` when a running engine has not taken it
    within `patience_s` seconds; it stays in the inbox then. Who learned an event that was to be forgotten is refused, but
    with `unforget`.
    """
    check_target(pipeline, path, to, unforget=unforget)
    command = Command(to=to, author=author, reason=reason, unforget=unforget)
    came = ask(pipeline, path, command, patience_s=patience_s)
    return changed(came), came.by_running_engine


def position_of(store: Store, line: str) -> int:
    """Where a line stands after the last block."""
    if line == store.pipeline:
        return store.block(store.seq).notes.learner if store.seq else 0
    for seq in range(store.seq, 0, -1):
        for row in reversed(store.examples_of(seq)):
            if row.also is not None and line in row.also:
                return row.also[line]
    return max((version.position for version in store.versions(line)), default=0)


def check_target(pipeline: Pipeline, path: Path, to: str, *, pinned: bool = False, unforget: bool = False) -> None:
    """Refuses what cannot become true, before anybody is bothered with it. `pinned`: it has to be a version."""
    with closing(Store.read(path)) as store:
        learner = standing(store, pipeline).learner
        there = StoredLines(store, pipeline.plan())
        lines = [line for line in store.lines() if there.knows(line)] or [pipeline.name]
        if "@" in to:
            model, position = version_of(to)
            reached = learner if model == pipeline.name else position_of(store, model)
            if model in lines and position <= reached:
                if not reachable(store, model, position):
                    raise NotFound(_before(store, model, position))
                return None if unforget else _check_forgotten(pipeline, store, to, to)
        elif not pinned and (to == LIVE or to in lines):
            line = pipeline.name if to == LIVE else to
            return None if unforget else _check_forgotten(pipeline, store, to, f"{line}@{position_of(store, line)}")
    if pinned and "@" not in to:
        raise NotFound(
            f"{to} is not a version, and only what was learned after a version can be dropped\n"
            f"name a position: {pipeline.name}@{learner // 2}; those kept: eddyline versions FILE"
        )
    raise NotFound(
        f"no version {to}; the learner is at {pipeline.name}@{learner}\n"
        f'name a position up to that, a line ({", ".join(lines)}), or "{LIVE}" for the learner; '
        "those kept: eddyline versions FILE"
    )


def _check_forgotten(pipeline: Pipeline, store: Store, to: str, version: str) -> None:
    """Refuses whoever learned an event that was to be forgotten."""
    events = forgotten(store)
    event = StoredLines(store, pipeline.plan()).learned(version, events) if events else None
    if event is not None:
        standing_in = [entry.name for entry in kept_entries(store) if event in entry.skip]
        raise NotFound(
            f"{to} learned event {event!r}, which was to be forgotten\n"
            f"name a version of {' or '.join(standing_in)}, which did not; or, if you mean it, say --unforget"
        )


def _before(store: Store, line: str, position: int) -> str:
    """Words for a version of a line before that line was there."""
    began, known = entered_as(store, line).position, {entry.name: entry for entry in kept_entries(store)}
    other = version_of(known[line].start)[0] if line in known else line
    hint = f", or a version of the line that it comes from: {other}@{position}" if other != line else ""
    return f"no version {line}@{position}; {line} began at {line}@{began}\nname a position from there on{hint}"


def changed(came: Came) -> Change:
    """The rollout that a command came to."""
    assert came.rollout is not None, "a roll out changes who answers"
    return Change(came.rollout, came.block, came.learner, came.received_at)


def _through_the_inbox(path: Path, command: Command, patience_s: float, version: Registered | None) -> Came:
    body = msgspec.json.encode(command)
    with closing(Store.read(path)) as store:
        before = store.seq
        number = post(path, body, version)
        same = "SELECT count(*) FROM inbox WHERE body=? AND taken=0 AND number<=?"
        (turn,) = store.db.execute(same, (body, number)).fetchone()
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            (taken,) = store.db.execute("SELECT taken FROM inbox WHERE number=?", (number,)).fetchone()
            if taken:
                with closing(Store.read(path)) as now:
                    return _came(_taking(now, body, before, max(1, turn)), running=True)
            time.sleep(POLL_SECONDS)
    raise still_waiting(path, number, patience_s)


def still_waiting(path: Path, number: int, patience_s: float) -> EddylineError:
    """The words for a request that a running engine has not taken."""
    return EddylineError(
        f"request {number} is in the inbox of {path.name} and was not taken within {patience_s:g} s\n"
        "`eddyline run` and `replay` look there, a program of yours does when it calls engine.take_inbox(); "
        "it takes effect then, or at the next start"
    )


def _taking(store: Store, body: bytes, after: int, turn: int = 1) -> Block:
    """The block that took a request: of several equal ones, the one whose turn it was."""
    found: Block | None = None
    for block in store.blocks(after=after):
        if turn and any(given.kind == Kind.COMMAND and given.raw == body for given in block.inputs):
            found, turn = block, turn - 1
    assert found is not None, "a command was taken and came to nothing"
    return found


def _came(block: Block, *, running: bool) -> Came:
    for letter in block.dead:
        if letter.stream == "commands":
            raise NotFound(f"{letter.detail}\nit is in the dead letters; see who answers: eddyline versions FILE")
    notes = block.notes
    return Came(block.seq, notes.learner, notes.received_at, notes.rollouts, notes.decisions, notes.entered, running)
