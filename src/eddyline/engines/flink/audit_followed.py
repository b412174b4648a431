"""What a job did before it took up its last declaration, followed as it is recorded: positions, lines that enter, what is held.

The policies of that time are in no file any more, so who learned is taken from the examples, and who entered from the
decisions. That every line then has the recorded digests is shown all the same. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from eddyline.connectors.kafka import wire
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.learners import Came, Learners, Record
from eddyline.records import Decision, Declared, Example
from eddyline.stages.commands import Command
from eddyline.stages.deciding import DecideState


def turns_in(book: Book) -> list[Declared]:
    """The declarations that a job took up on its way, in order."""
    found: list[Declared] = []
    for (raw,) in book.rows("SELECT raw FROM inputs WHERE instr(raw, CAST('[\"declared\"' AS BLOB)) ORDER BY first"):
        found += [one.declared for one in taken.decode(raw).inputs if isinstance(one, taken.Turned)]
    return found


class Followed:
    """The learners of a job, which learn what the record says that they learned."""

    def __init__(self, book: Book, learners: Learners) -> None:
        self.book, self.learners = book, learners
        raws = book.rows("SELECT raw FROM decisions ORDER BY number")
        self.decisions = [one for (raw,) in raws if (one := wire.decode_decision(raw)).action in _COMMANDS]

    def take(self, record: Record, start: bytes, told: tuple[int, Collection[str]]) -> Came:
        """Takes a record. `told` is where the own line stood after an example, and which others learned it."""
        came, learners = Came(), self.learners
        learners.taken += 1
        if type(record) is Example:
            own, others = told
            learned = [name for name in learners.states if (own >= 0 if name == learners.own else name in others)]
            learners.learned_by(learned, record, came)
        elif type(record) is Command:
            self._obeyed(record, start, came)
        return came

    def decision_of(self, command: Command) -> Decision | None:
        """The recorded decision that a command came to; None where it was refused."""
        entry, place = command.entry, command.place
        who = entry.name if entry is not None else place.who if place is not None else command.to
        said = (command.do, who, command.author, command.reason, self.learners.at)
        same = (one for one in self.decisions if (one.action, one.subject, one.author, one.reason, one.at) == said)
        return next(same, None)

    def _obeyed(self, command: Command, start: bytes, came: Came) -> None:
        decision, entry, learners = self.decision_of(command), command.entry, self.learners
        if decision is None:
            return
        self.decisions.remove(decision)
        came.decisions.append(decision)
        if command.do == "enter" and entry is not None:
            learners.enter(entry, start, came)
        learners.hold(command, came)

    def ends(self, remembered: DecideState, rollouts: set[int]) -> int:
        """Here decide takes over, with what it remembered; says how many decisions were followed, and notes the `rollouts`."""
        book, latest = self.book, remembered.rollout
        known = book.one("SELECT COUNT(DISTINCT number) FROM decisions WHERE number BETWEEN 1 AND ?", remembered.number)
        if known != remembered.number:
            book.faults.add(f"{known} decisions were recorded until the declaration changed, expected {remembered.number}")
        if latest.revision and book.rollouts.get(latest.revision, latest) != latest:
            book.faults.add(f"rollout {latest.revision} was recorded otherwise than decide remembered it")
        rollouts |= {revision for revision in book.rollouts if revision <= latest.revision}
        return remembered.number


_COMMANDS = ("enter", "hold", "turn_away")
