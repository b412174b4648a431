"""The doors to the world, as the stages and engines see them. Floor 1: shapes only, no code.

`Model` is what answers and learns. `Source` is where records come from, with a position that can be kept and resumed;
`PartedReader` is one in several parts. `Metric` and `Detector` are the smallest things a user can write to watch something
of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from eddyline.records import Arrival, Features, Output, Prediction, Task


class Model(Protocol):
    """A thing that predicts, never changing, and learns.

    `predict` leaves every bit of the state alone. `learn` may raise or spoil the state: whoever owns the model restores
    it then. `sound` tells, right after learning `features`, whether the model still has only finite numbers there.
    """

    @property
    def task(self) -> Task: ...
    def predict(self, features: Features) -> Output: ...
    def learn(self, features: Features, truth: Any) -> None: ...
    def sound(self, features: Features) -> bool: ...
    def save(self) -> bytes: ...
    def restored(self, state: bytes) -> Model: ...
    def digest(self) -> str: ...
    def recipe(self) -> dict[str, Any]: ...


class Line(msgspec.Struct, frozen=True, gc=False):
    """One record as a source hands it over: its bytes as JSON, and the position right after it."""

    raw: bytes
    position: int
    fault: str | None = None
    """set to a reason code when the source itself must refuse the record (too large, unreadable)"""
    size: int = 0
    """the true size of the record in bytes, where `raw` is cut"""
    sha256: str = ""
    """of the whole record, where `raw` is cut"""
    detail: str = ""
    """what is wrong with it, where the source can say more than the reason"""
    trace: str = ""
    """the W3C `traceparent` that came with the record, to be handed on with its answer"""


class Source(Protocol):
    """Where records come from. A position says how far it was read; reading resumes exactly there."""

    @property
    def name(self) -> str: ...
    def read(self, position: int, limit: int) -> list[Line]:
        """Up to `limit` records after `position`, in order; an empty list means nothing more for now."""
        ...

    def size(self) -> int | None:
        """The position of the end as it is known now, for progress bars; None where there is none."""
        ...


@runtime_checkable
class Marked(Protocol):
    """A source that can tell whether what was read of it is still there."""

    def mark(self, position: int) -> int | None:
        """A digest, below 2^63, of what lies before a position; None where it cannot tell."""
        ...

    def require(self, position: int, mark: int) -> None:
        """Raises `SourceError` where something else lies there now than when this mark was made."""
        ...


@runtime_checkable
class Tabular(Protocol):
    """A source whose records have named columns, of which not all may fill a field."""

    def meant(self) -> dict[str, str]:
        """Fields that may be missing and have no column, each with the column of a near name that fills none."""
        ...


class PartedReader(Protocol):
    """A source in several parts that grow beside each other, each a `Source` with positions of its own."""

    @property
    def identity(self) -> str:
        """What the positions belong to: when another thing takes its name, they mean nothing."""
        ...

    @property
    def parts(self) -> Mapping[int, Source]: ...
    @property
    def starts(self) -> Mapping[int, int]:
        """Where each part is read from: the position that was committed, or the beginning of what is kept."""
        ...

    def committed(self, positions: Mapping[int, int]) -> None:
        """Told how far each part was read, after that was committed. It may be shown to others."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Parted(Protocol):
    """A source as a pipeline declares it, where it has several parts."""

    def open_parts(self, positions: Mapping[int, int], identity: str | None, *, follow: bool) -> PartedReader:
        """Opens it at the positions that were committed for `identity`; None where nothing was."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A running number over (truth, answer): any River metric is one, and so is a small class of the user's own."""

    def update(self, y_true: Any, y_pred: Any) -> Any: ...
    def get(self) -> float: ...


@runtime_checkable
class Detector(Protocol):
    """A drift detector over numbers: River's are, and so is a class with these two."""

    def update(self, x: float) -> Any: ...
    @property
    def drift_detected(self) -> bool: ...


class Ledger(Protocol):
    """What was answered, by event id, and what became of it: the memory that serve and join share.

    A slot is the number of a prediction: 0, 1, 2, ... in the order they were answered. A mark is 0 while the truth is
    awaited, else a fingerprint of the truth that settled it.
    """

    def find(self, event_id: str) -> int | None: ...
    def add(self, prediction: Prediction, arrival: Arrival) -> None: ...
    def arrival(self, slot: int) -> Arrival:
        """The event that this prediction answers, as it was when it was answered."""
        ...

    def prediction(self, slot: int) -> Prediction: ...
    def settle(self, slot: int, mark: int) -> int:
        """Marks a prediction that still waits; gives the mark it had, which stays when it was not 0."""
        ...

    def next_at(self) -> int:
        """No prediction that still waits happened before this."""
        ...

    def due(self, watermark: int) -> list[int]:
        """The slots still at mark 0 whose deadline is at or before the watermark, by deadline, then slot; each once."""
        ...


class SourceConfig(Protocol):
    """A source as a pipeline declares it: which type its records have, and how to open it."""

    @property
    def type(self) -> type: ...
    def describe(self) -> str: ...
    def open(self, base: Path, *, follow: bool = False) -> Source:
        """The source, with relative paths taken from `base`. With `follow`, a record still being written is awaited."""
        ...
