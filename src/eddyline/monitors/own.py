"""Monitors that the user writes: checked when declared, and kept from stopping the loop.

A monitor is a class with update(record) -> Alert | several | None and, if it has a number to show, get() ->
float. Keeps `split` as far as the user's class does. Refuses to know what it watches.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import msgspec

from eddyline.class_order import read
from eddyline.records import Alert, Example, Measurement, Prediction, Unlabelled
from eddyline.records.errors import DeclarationError

Record = Prediction | Example | Unlabelled


class OwnMonitor:
    """One of the user's monitors at work, with the count of records on which it raised.

    >>> class Late:
    ...     def __init__(self): self.days = 0.0
    ...     def update(self, record):
    ...         if isinstance(record, Example):
    ...             self.days = max(self.days, (record.at - record.prediction.at) / 86_400e6)
    ...     def get(self): return self.days
    >>> late = OwnMonitor.new(checked(Late))
    >>> prediction = Prediction("p-1", "k", 0, {}, None, True, None, "fraud", 7, 0)
    >>> list(late.feed([prediction, Example(prediction, True, "label", 86_400_000_000)]))
    []
    >>> [number.value for number in late.measurements(2)]
    [1.0]
    """

    __slots__ = ("failed", "monitor")

    def __init__(self, monitor: Any, failed: int) -> None:
        self.monitor = monitor
        self.failed = failed

    @classmethod
    def new(cls, declared: Any) -> OwnMonitor:
        """A fresh one of the class, or a copy of the object, that was declared."""
        return cls(declared() if isinstance(declared, type) else copy.deepcopy(declared), 0)

    def feed(self, batch: Sequence[Record]) -> Iterator[tuple[int, Alert]]:
        """Shows it each record in order; gives its alerts with the place of the record in the batch."""
        update = self.monitor.update
        for index, record in enumerate(batch):
            try:
                said = update(record)
                alerts = [] if said is None else [said] if isinstance(said, Alert) else list(said)
                if not all(isinstance(alert, Alert) for alert in alerts):
                    raise TypeError(f"update() returned {said!r}, expected an Alert, several, or None")
                for alert in alerts:
                    _check_plain(alert)
            except Exception as error:
                if not self.failed:
                    yield index, raised(thing_name(self.monitor), record, f"{type(error).__name__}: {error}")
                self.failed += 1
                continue
            for alert in alerts:
                yield index, alert

    def measurements(self, shown: int) -> Iterator[Measurement]:
        """Its number, if it has one, over the records `shown` to it, and how often it raised."""
        name = thing_name(self.monitor)
        if self.failed:
            yield Measurement(f"{name} failed", float(self.failed), self.failed)
        if hasattr(self.monitor, "get"):
            yield Measurement(name, number_of(copy.deepcopy(self.monitor)), shown)

    def plain(self) -> tuple[Any, int]:
        """The user's object and the count."""
        return self.monitor, self.failed


def number_of(thing: Any) -> float | None:
    """What `get()` of a metric or monitor says: None where that is no finite number, or where it raises.

    Whoever looks at a page of numbers sees the others; nothing is computed from this one.
    """
    try:
        value = float(read(thing))
    except Exception:
        return None
    return value if isfinite(value) else None


def _check_plain(alert: Alert) -> None:
    """Refuses an alert that could not be written down, or that holds numbers that are none."""
    msgspec.msgpack.decode(msgspec.msgpack.encode(alert), type=Alert)
    numbers = (alert.before, alert.after, alert.effect)
    if not all(number is None or isfinite(number) for number in numbers):
        raise ValueError(f"update() returned an Alert with numbers that are not finite: before, after, effect = {numbers}")


def checked(monitor: Any) -> Any:
    """The monitor as it was declared, a copy if it is an object; DeclarationError if it cannot be one."""
    if not callable(getattr(monitor, "update", None)):
        raise DeclarationError(
            f"watch: the monitor {thing_name(monitor)} has no update(record)\n"
            "write class YourMonitor: def update(self, record): ... return an Alert or None"
        )
    if not isinstance(monitor, type):
        return copy.deepcopy(monitor)
    try:
        monitor()
    except TypeError as error:
        raise DeclarationError(
            f"watch: the monitor {monitor.__name__} cannot be made without arguments ({error})\n"
            f"write monitors=({monitor.__name__}(...),)"
        ) from error
    return monitor


def raised(name: str, cause: Record, said: str) -> Alert:
    """The alert for a metric or monitor of the user's that raised for the first time."""
    prediction = cause if isinstance(cause, Prediction) else cause.prediction
    reason = f"{name} raised {said} on event {prediction.event_id!r}; such records are left out of it and counted"
    return Alert("watch", name, cause.at, prediction.position, 0.0, 1.0, reason)


def thing_name(thing: Any) -> str:
    """What a class, function or object of the user's is called."""
    return str(getattr(thing, "__name__", type(thing).__name__))
