"""The answers and truths of a job on Flink, measured once more; and what its own watch said of what cannot be.

Metrics, coverage and delays are functions of answers and truths, taken in the order in which they were learned. Alerts and the
numbers of monitors depend on the order in which watch saw the record, which no topic tells: they are as the job told them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from eddyline.connectors.kafka import wire
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.audit_topics import Message
from eddyline.monitors.coverage import Fate
from eddyline.monitors.days import day_name
from eddyline.records import Alert, Example, Measurement, Prediction, Unlabelled
from eddyline.stages.watch import WatchStage, WatchState

TOGETHER = 2_000
"""Records that are measured together."""
FATES = tuple(fate.name.lower() for fate in Fate)
T = TypeVar("T")


@dataclass
class Said:
    """What watch told in the topic of measurements: every alert by event time, and each number as it was last told.

    `numbers` are those that are of no version and no day; `expired` is by day how many answers never got a truth.
    """

    alerts: list[Alert] = field(default_factory=list)
    numbers: dict[tuple[str, str | None], Measurement] = field(default_factory=dict)
    expired: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Iterable[Message]) -> Said:
        """Reads them, those of one partition in their order."""
        said = cls()
        for message in messages:
            one = wire.decode_watched(message.value)
            if isinstance(one, Alert):
                said.alerts.append(one)
            elif one.metric == FATES[Fate.EXPIRED] and one.day is not None:
                said.expired[one.day] = one.count
            elif one.version is None and one.day is None:
                said.numbers[one.metric, one.segment] = one
        said.alerts.sort(key=lambda alert: (alert.at, alert.monitor, alert.subject, alert.segment or ""))
        return said

    def fates(self) -> tuple[int, int, int, int] | None:
        """How many answers were given, labelled, absent and expired in all; None where it told of none."""
        found = [self.numbers[name, None].count for name in FATES if (name, None) in self.numbers]
        return (found[0], found[1], found[2], found[3]) if len(found) == len(FATES) else None

    def others(self, measured: Iterable[Measurement]) -> list[Measurement]:
        """The numbers that nobody else measured: those of monitors."""
        names = {one.metric for one in measured}
        return [one for (name, _), one in sorted(self.numbers.items(), key=str) if name not in names]


def measuring(stage: WatchStage) -> WatchStage:
    """The part of a watch stage whose numbers are functions of answers and truths."""
    return replace(stage, features=(), error=False, monitors=(), host=None)


def watched(stage: WatchStage, book: Book, said: Said, *, decides: bool) -> WatchState:
    """What `stage` remembers of all that a job answered and learned.

    Which answers never got a truth is in the recorded order where somebody `decides`; elsewhere it is what the job said last.
    """
    state = stage.new_state()
    for several in together(_records(book)):
        stage.step(state, several)
    if not decides:
        for day, row in state.coverage.rows.items():
            row[Fate.EXPIRED] = said.expired.get(day_name(day), 0)
    return state


def together(records: Iterable[T]) -> Iterator[list[T]]:
    """Some records at a time."""
    coming = iter(records)
    while several := list(islice(coming, TOGETHER)):
        yield several


def _records(book: Book) -> Iterator[Prediction | Example | Unlabelled]:
    for (raw,) in book.rows("SELECT raw FROM predictions ORDER BY n"):
        yield wire.decode_prediction(raw)
    for message in messages(book):
        for one in message.inputs:
            if type(one) is taken.Truth:
                example = example_of(book, one)
                if example is not None:
                    yield example
            elif type(one) is taken.Expiry:
                raw = book.one("SELECT raw FROM predictions WHERE id=?", one.event_id)
                if raw is not None:
                    yield Unlabelled(wire.decode_prediction(raw), message.at)


def messages(book: Book) -> Iterator[taken.Taken]:
    """In which order the job took its inputs, a message at a time."""
    for (raw,) in book.rows("SELECT raw FROM inputs ORDER BY first"):
        yield taken.decode(raw)


def example_of(book: Book, one: taken.Truth) -> Example | None:
    """The example that was taken; None where its commit is still under way."""
    raw = book.one("SELECT raw FROM examples WHERE id=? AND revision=?", one.event_id, one.revision)
    return None if raw is None else wire.decode_example(raw)[0]
