"""Eddyline: models that answer a stream of events, learn from the truth when it arrives, and can prove what they said.

Everything a pipeline file needs is here; see `Pipeline`. Names are imported when they are first used, so that
`eddyline --help` does not wait for numpy and River.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eddyline.connectors import RowId, RowTime, csv, jsonl, memory, parquet
    from eddyline.connectors.kafka import avro, kafka, protobuf
    from eddyline.engines.embedded import Engine, follow, replay
    from eddyline.models import CustomModel, Sklearn
    from eddyline.pipeline import Canary, Challenger, Pipeline, Shadow, Split, Versions
    from eddyline.policies import Action, ELond, FreezeLearning, Notify, Now, Policy, Promote, Quarantine, Retrain, RollBack
    from eddyline.records import (
        Alert,
        EpochMicros,
        EpochMillis,
        EpochSeconds,
        Event,
        Example,
        Id,
        Key,
        Label,
        Output,
        Prediction,
        Task,
        Time,
        Truth,
        Unlabelled,
    )
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
    "Action",
    "Alert",
    "Canary",
    "Challenger",
    "Count",
    "CustomModel",
    "DeclarationError",
    "Distinct",
    "ELond",
    "EddylineError",
    "Engine",
    "EpochMicros",
    "EpochMillis",
    "EpochSeconds",
    "Event",
    "Example",
    "FreezeLearning",
    "Id",
    "Join",
    "Key",
    "Label",
    "Last",
    "Max",
    "Mean",
    "Min",
    "NotFound",
    "Notify",
    "Now",
    "Output",
    "Pipeline",
    "Policy",
    "Prediction",
    "Promote",
    "Quarantine",
    "Rejected",
    "Retrain",
    "RollBack",
    "RowId",
    "RowTime",
    "Shadow",
    "Sklearn",
    "SourceError",
    "Split",
    "StoreCorrupt",
    "StoreError",
    "StoreLocked",
    "StoreMismatch",
    "Sum",
    "Task",
    "Time",
    "TimeSince",
    "Truth",
    "Unlabelled",
    "Versions",
    "Watch",
    "avro",
    "csv",
    "days",
    "every",
    "follow",
    "hours",
    "jsonl",
    "kafka",
    "memory",
    "minutes",
    "parquet",
    "protobuf",
    "replay",
    "seconds",
]

_HOMES = {
    "Challenger": "eddyline.pipeline",
    "Shadow": "eddyline.pipeline",
    "Canary": "eddyline.pipeline",
    "Split": "eddyline.pipeline",
    "Promote": "eddyline.policies",
    "RollBack": "eddyline.policies",
    "Retrain": "eddyline.policies",
    "FreezeLearning": "eddyline.policies",
    "Quarantine": "eddyline.policies",
    "Notify": "eddyline.policies",
    "ELond": "eddyline.policies",
    "Policy": "eddyline.policies",
    "Action": "eddyline.policies",
    "Now": "eddyline.policies",
    "Unlabelled": "eddyline.records",
    "replay": "eddyline.engines.embedded",
    "follow": "eddyline.engines.embedded",
    "Prediction": "eddyline.records",
    "Example": "eddyline.records",
    "Alert": "eddyline.records",
    "Count": "eddyline.stages.aggregates",
    "CustomModel": "eddyline.models",
    "DeclarationError": "eddyline.records.errors",
    "Distinct": "eddyline.stages.aggregates",
    "EddylineError": "eddyline.records.errors",
    "Engine": "eddyline.engines.embedded",
    "EpochMicros": "eddyline.records",
    "EpochMillis": "eddyline.records",
    "EpochSeconds": "eddyline.records",
    "Event": "eddyline.records",
    "Id": "eddyline.records",
    "Join": "eddyline.stages.join",
    "Key": "eddyline.records",
    "Label": "eddyline.records",
    "Last": "eddyline.stages.aggregates",
    "Max": "eddyline.stages.aggregates",
    "Mean": "eddyline.stages.aggregates",
    "Min": "eddyline.stages.aggregates",
    "NotFound": "eddyline.records.errors",
    "Output": "eddyline.records",
    "Pipeline": "eddyline.pipeline",
    "Rejected": "eddyline.records.errors",
    "RowId": "eddyline.connectors",
    "RowTime": "eddyline.connectors",
    "Sklearn": "eddyline.models",
    "SourceError": "eddyline.records.errors",
    "StoreCorrupt": "eddyline.records.errors",
    "StoreError": "eddyline.records.errors",
    "StoreLocked": "eddyline.records.errors",
    "StoreMismatch": "eddyline.records.errors",
    "Sum": "eddyline.stages.aggregates",
    "Task": "eddyline.records",
    "Time": "eddyline.records",
    "TimeSince": "eddyline.stages.aggregates",
    "Truth": "eddyline.records",
    "Versions": "eddyline.pipeline",
    "Watch": "eddyline.stages.watch",
    "avro": "eddyline.connectors.kafka",
    "csv": "eddyline.connectors",
    "days": "eddyline.records.time",
    "every": "eddyline.stages.learn",
    "hours": "eddyline.records.time",
    "jsonl": "eddyline.connectors",
    "kafka": "eddyline.connectors.kafka",
    "memory": "eddyline.connectors",
    "minutes": "eddyline.records.time",
    "parquet": "eddyline.connectors",
    "protobuf": "eddyline.connectors.kafka",
    "seconds": "eddyline.records.time",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'eddyline' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
