"""Eddyline: models that answer a stream of events, learn from the truth when it arrives, and can prove what they said.

Everything a pipeline file needs is here; see `Pipeline`. River and scikit-learn are imported when a pipeline is built, not
before.
"""

from __future__ import annotations

from eddyline.connectors import RowId, RowTime, csv, jsonl, memory, parquet
from eddyline.engines.embedded import Engine
from eddyline.models import CustomModel, Sklearn
from eddyline.pipeline import Pipeline, Versions
from eddyline.records import EpochMicros, EpochMillis, EpochSeconds, Event, Id, Key, Label, Output, Task, Time, Truth
from eddyline.records.errors import (
    DeclarationError,
    EddylineError,
    NotFound,
    Rejected,
    SourceError,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreMismatch,
)
from eddyline.records.time import days, hours, minutes, seconds
from eddyline.stages.aggregates import Count, Distinct, Last, Max, Mean, Min, Sum, TimeSince
from eddyline.stages.join import Join
from eddyline.stages.learn import every
from eddyline.stages.watch import Watch

__version__ = "0.1.0"
__all__ = [
    "Count",
    "CustomModel",
    "DeclarationError",
    "Distinct",
    "EddylineError",
    "Engine",
    "EpochMicros",
    "EpochMillis",
    "EpochSeconds",
    "Event",
    "Id",
    "Join",
    "Key",
    "Label",
    "Last",
    "Max",
    "Mean",
    "Min",
    "NotFound",
    "Output",
    "Pipeline",
    "Rejected",
    "RowId",
    "RowTime",
    "Sklearn",
    "SourceError",
    "StoreCorrupt",
    "StoreError",
    "StoreLocked",
    "StoreMismatch",
    "Sum",
    "Task",
    "Time",
    "TimeSince",
    "Truth",
    "Versions",
    "Watch",
    "csv",
    "days",
    "every",
    "hours",
    "jsonl",
    "memory",
    "minutes",
    "parquet",
    "seconds",
]
