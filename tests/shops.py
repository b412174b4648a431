"""Visits to a shop and the sales that come of them, as most tests declare them: enough to learn from."""

from __future__ import annotations

from eddyline import EpochSeconds, Event, Id, Key, Label, Truth


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float


class LongVisit(Event):
    id: Id
    at: EpochSeconds
    pages: float
    minutes: float


class KeyedVisit(Event):
    id: Id
    who: Key
    at: EpochSeconds
    pages: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]
