"""What lines learn while a newcomer is made beside the job, kept until it enters: so that it knows every example once.

A job cannot read its own topic back, and a newcomer can. It reads up to a position that the job named; from there on, what
its line learns is held here for it. Bounded: where a newcomer stays away too long, what was held is let go of, and that is
recorded. Part of the learners' memory: a restart loses nothing of it. Knows no bytes of models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from eddyline.records import DeadLetter, Features, Reason
from eddyline.stages.commands import Command, version_of
from eddyline.stages.lines import Entry, Step
from eddyline.stages.refuse import refuse

MOST = 50_000
"""Examples that are held for one newcomer, unless it asks for another number."""


class HeldSaved(msgspec.Struct, frozen=True, array_like=True):
    """What is held for one newcomer: by which command, from which position on, and the examples since."""

    command: Command
    since: int
    steps: list[tuple[int, str, Features, Any]]


class Held:
    """What one line learned since a position, for one newcomer. `command` asked for it."""

    def __init__(self, command: Command, since: int, steps: Iterable[Step] = ()) -> None:
        self.command, self.line, self.since = command, command.to, since
        self.most = command.number or MOST
        self.steps = list(steps)


class Holding:
    """All that is held, by newcomer.

    >>> from eddyline.records import Place
    >>> holding = Holding()
    >>> holding.begin(Command(do="hold", to="fraud", place=Place("fraud.r1", "shadow"), number=2), 15_320)
    >>> holding.learned("fraud", 15_321, "p-1", {"amount": 3.0}, False)
    >>> [step.event_id for step in holding.since(Entry("fraud.r1", "fraud", "fraud.r1@90", after="fraud@15320"))]
    ['p-1']
    >>> for n in (2, 3):
    ...     holding.learned("fraud", 15_320 + n, f"p-{n}", {"amount": 3.0}, False)
    >>> [letter.detail[:61] for letter in holding.let_go()], holding.kept
    (['2 examples that fraud learned since fraud@15320 were held for'], {})
    """

    def __init__(self, saved: Mapping[str, HeldSaved] | None = None) -> None:
        self.kept = {
            name: Held(one.command, one.since, [Step(*step) for step in one.steps]) for name, one in (saved or {}).items()
        }

    def save(self) -> dict[str, HeldSaved]:
        """All of it, as plain values."""
        return {name: HeldSaved(one.command, one.since, [tuple(step) for step in one.steps]) for name, one in self.kept.items()}

    def begin(self, command: Command, position: int) -> None:
        """From here on a line, which stands at `position`, is held for a newcomer; what was held for it before is let go of."""
        assert command.place is not None, "a hold says for whom"
        self.kept[command.place.who] = Held(command, position)

    def end(self, name: str) -> None:
        """Nothing more is held for this newcomer: it entered, or was turned away."""
        self.kept.pop(name, None)

    def learned(self, line: str, position: int, event_id: str, features: Features, truth: Any) -> None:
        """A line learned an example, by which it reached a position."""
        for held in self.kept.values():
            if held.line == line:
                held.steps.append(Step(position, event_id, features, truth))

    def let_go(self) -> list[DeadLetter]:
        """Lets go of what became too much, with a letter for each newcomer."""
        over = [name for name, held in self.kept.items() if len(held.steps) > held.most]
        letters = []
        for name in over:
            held = self.kept.pop(name)
            detail = (
                f"{held.most} examples that {held.line} learned since {held.line}@{held.since} were held for {name}, which did "
                "not come: they are let go of, and it has to ask again"
            )
            letters.append(refuse("commands", Reason.TOO_LARGE, detail, held.command, event_id=name))
        return letters

    def since(self, entry: Entry) -> list[Step] | None:
        """What a newcomer has to learn before it enters; None where that is not held."""
        if entry.after is None:
            return []
        line, known = version_of(entry.after)
        held = self.kept.get(entry.name)
        if held is None or held.line != line or known < held.since:
            return None
        return [step for step in held.steps if step.position > known and step.event_id not in entry.skip]
