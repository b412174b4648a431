"""The pipeline of `examples/flights` under guard: what is watched, and who may act without a person.

`watched` is the pipeline with its policies, `never` the same without any: nobody acts. Features, model and join are those
of the example. The objective of the error is the lowest of 0.05, 0.10, ... at which `ErrorAbove` stays silent over the first
fifth of the stream, at one false alarm in a million: a day of storms is wrong for more than half of its flights. The faults
strike after that fifth.
"""

from pathlib import Path

from river import metrics

from eddyline import FreezeLearning, Notify, RollBack, Watch, days, jsonl
from eddyline.monitors.budget import one_in
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.psi import Psi
from eddyline.pipeline.loading import imported

trust = imported(Path(__file__).parent / "trust.py")
case = imported(Path(__file__).parents[1] / "flights" / "pipeline.py")

never = case.flights.replace(
    events=jsonl("events.jsonl", case.Departure),
    labels=jsonl("labels.jsonl", case.Arrived),
    watch=Watch(
        metrics=(metrics.Accuracy(),),
        monitors=(ErrorAbove(0.6, budget=one_in(1_000_000)), Psi("distance")),
    ),
)
watched = never.replace(
    decide=(
        RollBack(loss="brier"),
        FreezeLearning(on=("psi", "error_above"), until=days(2)),
        trust.RetrainOnTrust(on=("error_drift",), window="since_drift", cool_down=days(7)),
        trust.PromoteOnTrust(loss="brier", deadline=days(14)),
        Notify(on="any", cool_down=days(1)),
    ),
)
