"""Whether an engine would refuse a record now, found out without taking it: nothing is journaled, nothing is changed.

Keeps `still`. Knows the two stages that refuse what arrives, serve and join, and nothing of letters.
"""

from __future__ import annotations

import dataclasses

from eddyline.engines.embedded import Engine
from eddyline.records import Arrival, DeadLetter, Prediction
from eddyline.stages.aggregates import Aggregates
from eddyline.stages.join import Joined, JoinState
from eddyline.store.ledger import DiskLedger


def refused_again(engine: Engine, record: Arrival) -> bool:
    """Whether this event or label would become a dead letter, as things stand.

    A label that is held back for others (`join.lateness`) is judged later; of it this says no.
    """
    return _event(engine, record) if record.truth is None else _label(engine, record)


def _event(engine: Engine, record: Arrival) -> bool:
    serve, state = engine.loop.plan.serve, engine.loop.states.serve
    if serve.aggregates is not None:
        serve = dataclasses.replace(serve, aggregates=_Closed(serve.aggregates))
    trial = dataclasses.replace(state)
    return isinstance(serve.answer(trial, _Asked(engine.ledger), engine.loop.voice, record), DeadLetter)


def _label(engine: Engine, record: Arrival) -> bool:
    join, loop = engine.loop.plan.join, engine.loop
    if join.lateness_us:
        return False
    now, slot = loop.states.join, engine.ledger.find(record.id)
    trial = JoinState(
        early={record.id: list(now.early.get(record.id, ()))},
        early_count=now.early_count,
        watermark=max(now.watermark, loop.states.serve.frontier - loop.lateness_us),
        revisions={} if slot is None or slot not in now.revisions else {slot: list(now.revisions[slot])},
    )
    out: list[Joined] = []
    join.label(trial, _Asked(engine.ledger), record, out)
    return any(isinstance(one, DeadLetter) for one in out)


class _Closed(Aggregates):
    """Aggregates that nothing enters."""

    __slots__ = ()

    def __init__(self, given: Aggregates) -> None:
        for name in Aggregates.__slots__:
            setattr(self, name, getattr(given, name))

    def enter(self, state: object, key: str, at: int, event: object, watermark: int) -> None:
        """Lets nobody in."""


class _Asked:
    """A ledger that is asked and told nothing."""

    def __init__(self, ledger: DiskLedger) -> None:
        self._ledger = ledger
        self.find = ledger.find
        self.arrival = ledger.arrival
        self.prediction = ledger.prediction
        self.next_at = ledger.next_at

    def add(self, prediction: Prediction, arrival: Arrival) -> None:
        """Takes no answer down."""

    def settle(self, slot: int, mark: int) -> int:
        """The mark that it has; none is made."""
        return self._ledger.mark(slot)

    def due(self, watermark: int) -> list[int]:
        """Nobody's time comes here."""
        return []
