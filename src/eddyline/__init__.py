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
    from eddyline.models import CustomModel, OnnxModel, Sklearn, SkopsModel
    from eddyline.monitors.anomalies import Anomalies
    from eddyline.monitors.budget import one_in, per_week
    from eddyline.monitors.conformal import Conformal
    from eddyline.monitors.declared import SCORE
    from eddyline.monitors.error_above import ErrorAbove
    from eddyline.monitors.estimate import Estimated
    from eddyline.monitors.missing import Missing
    from eddyline.monitors.psi import Psi
    from eddyline.monitors.ranges import Ranges
    from eddyline.monitors.silence import Silence
    from eddyline.monitors.unseen import Unseen
    from eddyline.pipeline import Canary, Challenger, Pipeline, Shadow, Split, Versions
    from eddyline.policies import Action, ELond, FreezeLearning, Notify, Now, Policy, Promote, Quarantine, Retrain, RollBack
    from eddyline.policies.gates import Cost, Floor, Golden, NoRegression, SegmentFloor
    from eddyline.policies.losses import pinball
    from eddyline.records import (
        Alert,
        Decision,
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
        Rollout,
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
    from eddyline.stages.commands import Command
    from eddyline.stages.join import Join
    from eddyline.stages.learn import every
    from eddyline.stages.watch import Watch
    from eddyline.store.examples import Examples
    from eddyline.views.trial import Candidate

__version__ = "0.1.0"
__all__ = [
    "SCORE",
    "Action",
    "Alert",
    "Anomalies",
    "Canary",
    "Candidate",
    "Challenger",
    "Command",
    "Conformal",
    "Cost",
    "Count",
    "CustomModel",
    "Decision",
    "DeclarationError",
    "Distinct",
    "ELond",
    "EddylineError",
    "Engine",
    "EpochMicros",
    "EpochMillis",
    "EpochSeconds",
    "ErrorAbove",
    "Estimated",
    "Event",
    "Example",
    "Examples",
    "Floor",
    "FreezeLearning",
    "Golden",
    "Id",
    "Join",
    "Key",
    "Label",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Missing",
    "NoRegression",
    "NotFound",
    "Notify",
    "Now",
    "OnnxModel",
    "Output",
    "Pipeline",
    "Policy",
    "Prediction",
    "Promote",
    "Psi",
    "Quarantine",
    "Ranges",
    "Rejected",
    "Retrain",
    "RollBack",
    "Rollout",
    "RowId",
    "RowTime",
    "SegmentFloor",
    "Shadow",
    "Silence",
    "Sklearn",
    "SkopsModel",
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
    "Unseen",
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
    "one_in",
    "parquet",
    "per_week",
    "pinball",
    "protobuf",
    "replay",
    "seconds",
]

_HOMES = {
    "Action": "eddyline.policies",
    "Alert": "eddyline.records",
    "Anomalies": "eddyline.monitors.anomalies",
    "Canary": "eddyline.pipeline",
    "Candidate": "eddyline.views.trial",
    "Challenger": "eddyline.pipeline",
    "Command": "eddyline.stages.commands",
    "Conformal": "eddyline.monitors.conformal",
    "Cost": "eddyline.policies.gates",
    "Count": "eddyline.stages.aggregates",
    "CustomModel": "eddyline.models",
    "Decision": "eddyline.records",
    "DeclarationError": "eddyline.records.errors",
    "Distinct": "eddyline.stages.aggregates",
    "ELond": "eddyline.policies",
    "EddylineError": "eddyline.records.errors",
    "Engine": "eddyline.engines.embedded",
    "EpochMicros": "eddyline.records",
    "EpochMillis": "eddyline.records",
    "EpochSeconds": "eddyline.records",
    "ErrorAbove": "eddyline.monitors.error_above",
    "Estimated": "eddyline.monitors.estimate",
    "Event": "eddyline.records",
    "Example": "eddyline.records",
    "Examples": "eddyline.store.examples",
    "Floor": "eddyline.policies.gates",
    "FreezeLearning": "eddyline.policies",
    "Golden": "eddyline.policies.gates",
    "Id": "eddyline.records",
    "Join": "eddyline.stages.join",
    "Key": "eddyline.records",
    "Label": "eddyline.records",
    "Last": "eddyline.stages.aggregates",
    "Max": "eddyline.stages.aggregates",
    "Mean": "eddyline.stages.aggregates",
    "Min": "eddyline.stages.aggregates",
    "Missing": "eddyline.monitors.missing",
    "NoRegression": "eddyline.policies.gates",
    "NotFound": "eddyline.records.errors",
    "Notify": "eddyline.policies",
    "Now": "eddyline.policies",
    "OnnxModel": "eddyline.models",
    "Output": "eddyline.records",
    "Pipeline": "eddyline.pipeline",
    "Policy": "eddyline.policies",
    "Prediction": "eddyline.records",
    "Promote": "eddyline.policies",
    "Psi": "eddyline.monitors.psi",
    "Quarantine": "eddyline.policies",
    "Ranges": "eddyline.monitors.ranges",
    "Rejected": "eddyline.records.errors",
    "Retrain": "eddyline.policies",
    "RollBack": "eddyline.policies",
    "Rollout": "eddyline.records",
    "RowId": "eddyline.connectors",
    "RowTime": "eddyline.connectors",
    "SCORE": "eddyline.monitors.declared",
    "SegmentFloor": "eddyline.policies.gates",
    "Shadow": "eddyline.pipeline",
    "Silence": "eddyline.monitors.silence",
    "Sklearn": "eddyline.models",
    "SkopsModel": "eddyline.models",
    "SourceError": "eddyline.records.errors",
    "Split": "eddyline.pipeline",
    "StoreCorrupt": "eddyline.records.errors",
    "StoreError": "eddyline.records.errors",
    "StoreLocked": "eddyline.records.errors",
    "StoreMismatch": "eddyline.records.errors",
    "Sum": "eddyline.stages.aggregates",
    "Task": "eddyline.records",
    "Time": "eddyline.records",
    "TimeSince": "eddyline.stages.aggregates",
    "Truth": "eddyline.records",
    "Unlabelled": "eddyline.records",
    "Unseen": "eddyline.monitors.unseen",
    "Versions": "eddyline.pipeline",
    "Watch": "eddyline.stages.watch",
    "avro": "eddyline.connectors.kafka",
    "csv": "eddyline.connectors",
    "days": "eddyline.records.time",
    "every": "eddyline.stages.learn",
    "follow": "eddyline.engines.embedded",
    "hours": "eddyline.records.time",
    "jsonl": "eddyline.connectors",
    "kafka": "eddyline.connectors.kafka",
    "memory": "eddyline.connectors",
    "minutes": "eddyline.records.time",
    "one_in": "eddyline.monitors.budget",
    "parquet": "eddyline.connectors",
    "per_week": "eddyline.monitors.budget",
    "pinball": "eddyline.policies",
    "protobuf": "eddyline.connectors.kafka",
    "replay": "eddyline.engines.embedded",
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
