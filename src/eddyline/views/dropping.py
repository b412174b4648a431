"""Dropping what was learned since a version: it answers and learns on as a line of its own, a branch.

Who asks twice for the same, because the first try was killed before it said what came of it, is told of the first: a branch
is made once. Erases nothing; decides nothing.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from pathlib import Path

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.pipeline import Pipeline
from eddyline.records.errors import StoreLocked
from eddyline.stages.commands import Command, version_of
from eddyline.stages.lines import Entry
from eddyline.store.database import Store
from eddyline.store.rebuild import entered_as, forgotten, kept_entries
from eddyline.views.history import Change, changes, standing
from eddyline.views.operate import POLL_SECONDS, ask, changed, check_target, position_of, still_waiting

_command = msgspec.json.Decoder(Command).decode


class Dropped(Change, frozen=True):
    """What dropping came to. `before`: it was asked for before, and nothing was done again; `since` is how many examples the
    branch has learned until now, `began` its first version, by which that is dropped too.
    """

    began: str
    since: int = 0
    before: bool = False


def drop_back(
    pipeline: Pipeline,
    path: Path,
    to: str,
    *,
    author: str,
    reason: str = "",
    patience_s: float = 10.0,
    unforget: bool = False,
) -> tuple[Dropped, bool]:
    """Makes a version answer and learn on from there: what its line learned since is dropped, and that line learns no more.

    The version goes on as a line of its own, `<pipeline>.b1`, `.b2`, ...; what comes while this is being asked is learned by
    it. Nothing is erased: the line it came from can be asked, and rolled back to, as ever. A version that learned an event
    which was to be forgotten is refused, but with `unforget`. Where a branch from that version answers already, or was asked
    for and not taken yet, no other is made: `Dropped.before`.
    """
    check_target(pipeline, path, to, pinned=True, unforget=unforget)
    running = _take_waiting(pipeline, path, to, patience_s)
    with closing(Store.read(path)) as store:
        known = dropped(pipeline, store, to)
        if known is not None:
            return known, bool(running)
        command = branch(pipeline, store, to, author=author, reason=reason)
        command = msgspec.structs.replace(command, unforget=unforget)
    came = ask(pipeline, path, command, patience_s=patience_s)
    with closing(Store.read(path)) as store:
        return _told(changed(came), entered_as(store, command.to).name), came.by_running_engine


def dropped(pipeline: Pipeline, store: Store, to: str) -> Dropped | None:
    """The branch from a version that answers now; None where none does, or where more was to be forgotten since."""
    champion = standing(store, pipeline).rollout.champion
    entry = next((one for one in kept_entries(store) if one.name == champion and _branches(pipeline, one, to)), None)
    if entry is None or not forgotten(store) <= set(entry.skip):
        return None
    made = next(one for one in changes(store) if one.rollout.champion == entry.name)
    began = entered_as(store, entry.name)
    return _told(made, began.name, since=position_of(store, entry.name) - began.position, before=True)


def _told(change: Change, began: str, *, since: int = 0, before: bool = False) -> Dropped:
    return Dropped(change.rollout, change.block, change.learner, change.received_at, began, since, before)


def _branches(pipeline: Pipeline, entry: Entry, to: str) -> bool:
    """Whether a line is a branch from a version, and not one that was retrained or forgot."""
    return entry.start == to and re.fullmatch(rf"{re.escape(pipeline.name)}\.b[0-9]+", entry.name) is not None


def _take_waiting(pipeline: Pipeline, path: Path, to: str, patience_s: float) -> bool | None:
    """Has an earlier request for the same taken, which is in the inbox still; tells whether a running engine took it."""
    with closing(Store.read(path)) as store:
        asked = [(number, _command(body)) for number, body in store.inbox()]
        waiting = [number for number, one in asked if one.entry is not None and _branches(pipeline, one.entry, to)]
        if not waiting:
            return None
        try:
            with Engine(pipeline, path) as engine:
                engine.take_inbox()
            return False
        except StoreLocked:
            deadline = time.monotonic() + patience_s
            while waiting[0] in (number for number, _ in store.inbox()):
                if time.monotonic() > deadline:
                    raise still_waiting(path, waiting[0], patience_s) from None
                time.sleep(POLL_SECONDS)
            return True


def branch(pipeline: Pipeline, store: Store, to: str, *, author: str, reason: str = "") -> Command:
    """The command by which a version answers and learns on, as a line of its own. It never learns what was forgotten."""
    line, _ = version_of(to)
    number, taken = 1, set(store.lines())
    while f"{pipeline.name}.b{number}" in taken:
        number += 1
    name = f"{pipeline.name}.b{number}"
    after = f"{line}@{position_of(store, line)}"
    entry = Entry(name=name, like=line, start=to, after=after, skip=tuple(sorted(forgotten(store))))
    return Command(do="enter", to=name, entry=entry, author=author, reason=reason)
