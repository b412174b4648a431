"""What most tests declare: visits to a shop and the sales that come of them, or payments and chargebacks."""

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


class Payment(Event):
    id: Id
    card: Key
    at: EpochSeconds
    amount: float


class Chargeback(Label):
    id: Id
    at: EpochSeconds
    fraud: Truth[bool]
