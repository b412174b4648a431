"""Turns: those beside the champion answer and learn a stretch of the stream each by itself, one after the other.

What a shadow says, and what it learns, changes nothing for the champion or for another shadow until somebody looks. So it is
not asked between two steps of the champion, where each finds its memory taken by the other, but afterwards: everything in the
order of the stream for one line, then for the next. What comes of it is told in the order of the stream.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from eddyline.records import DeadLetter, Example, Prediction
from eddyline.stages.learn import Learn, LearnState, Snapshot
from eddyline.stages.voices import Seat, say


@dataclass(frozen=True, slots=True)
class Line:
    """Who takes turns: a learner, somebody in a seat, or both. `seat` is its number; `skip` are the events it never learns."""

    learner: LearnState | None
    seat: int | None
    skip: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it, in the order of the stream: snapshots that fell due, and which lines failed to learn, and why."""

    snapshots: list[Snapshot]
    failed: list[tuple[str, str]]


@dataclass(slots=True)
class Turns:
    """What waits for those beside the champion, in the order of the stream: answers, and examples by their numbers."""

    waiting: list[Prediction | int] = field(default_factory=list)
    own: list[tuple[int, str, Snapshot | DeadLetter]] = field(default_factory=list)
    """the champion's snapshots: with the number of the example, and its name, as those of the others"""

    def take(
        self,
        learn: Learn,
        lines: Iterable[Line],
        seats: Sequence[Seat],
        examples: Sequence[Example],
        also: list[dict[str, int] | None],
    ) -> Came:
        """Lets each line answer and learn what waits. `also` takes where they stood after each example."""
        extras: list[tuple[int, str, Snapshot | DeadLetter]] = []
        for line in lines:
            if line.learner is None:
                for answer in self.waiting:
                    if not isinstance(answer, int) and line.seat is not None:
                        say(seats, line.seat, answer)
            else:
                extras += self._learned(learn, line, line.learner, seats, examples, also)
        extras += self.own
        extras.sort(key=itemgetter(0))
        self.waiting.clear()
        self.own.clear()
        snapshots = [extra for _, _, extra in extras if type(extra) is Snapshot]
        return Came(snapshots, [(name, extra.reason) for _, name, extra in extras if type(extra) is DeadLetter])

    def _learned(
        self,
        learn: Learn,
        line: Line,
        learner: LearnState,
        seats: Sequence[Seat],
        examples: Sequence[Example],
        also: list[dict[str, int] | None],
    ) -> list[tuple[int, str, Snapshot | DeadLetter]]:
        """Lets a line that learns answer, too, where it has a seat; what came beside, with the numbers of the examples."""
        found: list[tuple[int, str, Snapshot | DeadLetter]] = []
        extras: list[Snapshot | DeadLetter] = []
        number, name, skip = line.seat, learner.name, line.skip
        seat = None if number is None else seats[number]
        for turn in self.waiting:
            if not isinstance(turn, int):
                if number is not None:
                    say(seats, number, turn)
                continue
            example = examples[turn]
            if skip and example.prediction.event_id in skip:
                continue
            position = learn.one(learner, example, extras)
            if position >= 0:
                reached = also[turn]
                if reached is None:
                    also[turn] = {name: position}
                else:
                    reached[name] = position
            if extras:
                found += [(turn, name, extra) for extra in extras]
                extras.clear()
            if seat is not None:
                seat.model, seat.position = learner.speaks
        return found
