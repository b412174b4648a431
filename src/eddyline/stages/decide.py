"""Decide: who answers from here on. A pure function of what is recorded: commands now, measurements later.

Keeps `named` (each rollout has a revision, an author and a reason) and `one-writer`. Knows nothing of models' bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from eddyline.records import DeadLetter, Reason, Rollout
from eddyline.records.errors import EddylineError
from eddyline.stages.refuse import refuse

LIVE = "live"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator asks for: that `to` answers from here on. `to` is `name@position`, or "live" for the learner."""

    to: str
    author: str = "unknown"
    reason: str = ""


def version_of(name: str) -> tuple[str, int]:
    """The two halves of a version's name.

    >>> version_of("fraud@15320")
    ('fraud', 15320)
    """
    model, at, position = name.rpartition("@")
    if not at or not model or not position.isdecimal():
        raise EddylineError(f"{name!r} is not a version\nwrite it as name@position, for example fraud@15320")
    return model, int(position)


@dataclass(frozen=True, slots=True)
class Decide:
    """Decides for one pipeline: `model` is the name that its versions carry."""

    model: str

    def new_state(self) -> Rollout:
        """Before any command the learner answers (or the last published version)."""
        return Rollout(revision=0, champion=None, author="eddyline", reason="the pipeline's start")

    def step(self, state: Rollout, command: Command, position: int) -> Rollout | DeadLetter:
        """The rollout after a command, while the learner stands at `position`."""
        champion = None if command.to == LIVE else command.to
        if champion is not None:
            try:
                model, wanted = version_of(champion)
            except EddylineError as error:
                return refuse("commands", Reason.UNKNOWN_VERSION, str(error), command, event_id=command.to)
            if model != self.model or wanted > position:
                detail = f"{champion} does not exist; the learner is at {self.model}@{position}"
                return refuse("commands", Reason.UNKNOWN_VERSION, detail, command, event_id=command.to)
        return Rollout(revision=state.revision + 1, champion=champion, author=command.author, reason=command.reason)
