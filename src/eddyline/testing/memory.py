"""A pipeline without a disk: the ledger as a list, and the loop driven by hand.

`MemoryLedger` passes the same tests as the ledger on disk. It bounds nothing and keeps nothing: for tests only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from eddyline.engines.loop import Loop, Outcome
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import Arrival, Prediction, Watermark
from eddyline.stages.commands import version_of
from eddyline.stages.features import Maker
from eddyline.stages.lines import Entry, Step, seen_by
from eddyline.testing.given import Given, inputs_of, records_of

_FAR = 2**62


class MemoryLedger:
    """A ledger that is three lists. Its every answer can be seen to be right; that is what it is for.

    >>> ledger = MemoryLedger(wait_us=10)
    >>> for at in (5, 3):
    ...     prediction = Prediction(f"e-{at}", "k", at, {}, None, True, None, "m", 0, 0)
    ...     ledger.add(prediction, Arrival(f"e-{at}", "k", at, None))
    >>> ledger.find("e-3"), ledger.next_at(), ledger.due(15), ledger.due(14)
    (1, 3, [1, 0], [1])
    >>> ledger.settle(1, 7), ledger.settle(1, 8), ledger.due(15)
    (0, 7, [0])
    """

    def __init__(self, wait_us: int) -> None:
        self.wait_us = wait_us
        self.slots: dict[str, int] = {}
        self.predictions: list[Prediction] = []
        self.arrivals: list[Arrival] = []
        self.marks: list[int] = []

    def find(self, event_id: str) -> int | None:
        """The slot of an event that was answered."""
        return self.slots.get(event_id)

    def add(self, prediction: Prediction, arrival: Arrival) -> None:
        """Takes one answer, which waits for its truth from here on."""
        self.slots[prediction.event_id] = len(self.marks)
        self.predictions.append(prediction)
        self.arrivals.append(arrival)
        self.marks.append(0)

    def arrival(self, slot: int) -> Arrival:
        """The event that was answered."""
        return self.arrivals[slot]

    def prediction(self, slot: int) -> Prediction:
        """The answer."""
        return self.predictions[slot]

    def settle(self, slot: int, mark: int) -> int:
        """Marks what waits; gives the mark it had."""
        settled = self.marks[slot]
        self.marks[slot] = settled or mark
        return settled

    def next_at(self) -> int:
        """When the oldest event happened that still waits."""
        return min((p.at for p, mark in zip(self.predictions, self.marks, strict=True) if not mark), default=_FAR)

    def due(self, watermark: int) -> list[int]:
        """What waits and has reached its horizon, by deadline."""
        waiting = [(p.at, slot) for slot, p in enumerate(self.predictions) if not self.marks[slot]]
        return [slot for at, slot in sorted(waiting) if at + self.wait_us <= watermark]


class Journey:
    """A pipeline that runs in memory, a batch at a time; `total` is everything that came out so far.

    Choose it to test features, joins and decisions in microseconds. For what stopping and crashing do, take `Voyage`.

    >>> from river import dummy
    >>> from eddyline import Pipeline, memory
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> journey = Journey(cases)
    >>> journey.take(Case(id="a", at=0)).predictions[0].value
    >>> [example.truth for example in journey.take(Verdict(id="a", at=5, truth="yes")).examples]
    ['yes']
    >>> journey.take(Case(id="b", at=6)).predictions[0].version
    'cases@1'
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.plan = pipeline.plan()
        self.ledger = MemoryLedger(self.plan.join.wait_us)
        self.loop = Loop(self.plan, Loop.first_states(self.plan), self.ledger, RememberedLines(self))
        self.total = Outcome()

    def take(self, *given: Given) -> Outcome:
        """Takes records as one batch, in the order they are given; gives what came of them."""
        outcome = self.loop.advance(records_of(self.pipeline, inputs_of(self.pipeline, given)))
        for name in Outcome.__dataclass_fields__:
            getattr(self.total, name).extend(getattr(outcome, name))
        return outcome

    def drain(self) -> Outcome:
        """Says that the streams are complete, as `Engine.drain` does."""
        return self.take(Watermark(self.loop.states.serve.frontier + self.plan.join.wait_us))


class RememberedLines:
    """The lines of a journey, from everything that came out of it so far."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.entries: dict[str, Entry] = {}

    def enter(self, entry: Entry) -> None:
        """A line has entered."""
        self.entries[entry.name] = entry

    def former(self) -> Mapping[str, Maker | None]:
        """A journey has one declaration."""
        return {}

    def skipped(self) -> Mapping[str, frozenset[str]]:
        """Nobody forgets on a journey."""
        return {}

    def holds(self, version: str, positions: Mapping[str, int]) -> bool:
        """Whether a version was reached, while the learners stand at `positions`."""
        line, position = version_of(version)
        return position <= positions.get(line, -1)

    def digest(self, version: str) -> str:
        """The digest of a version, made again."""
        return self.rebuild(*version_of(version)).digest()

    def learned(self, version: str, events: Collection[str]) -> str | None:
        """The first of some events that a version learned; None where it learned none."""
        line, position = version_of(version)
        entry = self.entries.get(line)
        before = None if entry is None else self.learned(entry.start, events)
        return before or next((step.event_id for step in self.past(line, 0, position) if step.event_id in events), None)

    def rebuild(self, line: str, position: int) -> Model:
        """The model of a line at a position: from where it started, every example again."""
        entry = self.entries.get(line)
        lines = self.journey.pipeline.plan().lines
        if entry is None:
            model, start = lines[line].model, 0
        else:
            source, start = version_of(entry.start)
            assert source != line, "a journey has no bytes from outside"
            model = self.rebuild(source, start)
            assert entry.after is None, "a journey has no newcomers that catch up"
        for step in self.past(line, start, position):
            model.learn(step.features, step.truth)
        return model

    def past(self, line: str, after: int, until: int) -> Iterator[Step]:
        """What a line learned after one position, up to another."""
        loop, total = self.journey.loop, self.journey.total
        for example, position, also in zip(total.examples, total.positions, total.also, strict=True):
            at = position if line == loop.name else (also or {}).get(line, -1)
            if after < at <= until:
                features = seen_by(example.prediction, line, loop.makers)
                assert features is not None, "it learned what nobody saw"
                yield Step(at, example.prediction.event_id, features, example.truth)


def run_in_memory(pipeline: Pipeline, records: Iterable[Given], *, batch: int = 1) -> Journey:
    """Runs records through a pipeline in memory, `batch` at a time. Commands need a batch of their own.

    >>> from river import dummy
    >>> from eddyline import Pipeline, memory
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> run_in_memory(cases, [Case(id="a", at=0), Verdict(id="a", at=1, truth="no")]).total.positions
    [1]
    """
    journey, given = Journey(pipeline), list(records)
    for start in range(0, len(given), batch):
        journey.take(*given[start : start + batch])
    return journey
