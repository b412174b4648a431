"""The pipeline of `examples/flights` under guard: what is watched, and who may act without a person.

`watched` is the pipeline with its policies, `never` the same without any: nobody acts. The features, the model and the join
are those of the example. Objectives and windows were written down before the first fault was injected: always saying "on
time" is wrong for 0.237 of the flights, so 0.35 is an error that nobody would accept.
"""

from pathlib import Path

from river import metrics

from eddyline import FreezeLearning, Notify, Promote, Retrain, RollBack, Watch, days, jsonl
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.psi import Psi
from eddyline.pipeline.loading import imported

case = imported(Path(__file__).parents[1] / "flights" / "pipeline.py")

never = case.flights.replace(
    events=jsonl("events.jsonl", case.Departure),
    labels=jsonl("labels.jsonl", case.Arrived),
    watch=Watch(metrics=(metrics.Accuracy(),), monitors=(ErrorAbove(0.35), Psi("distance"))),
)
watched = never.replace(
    decide=(
        RollBack(loss="brier"),
        FreezeLearning(on=("psi", "error_above"), until=days(2)),
        Retrain(on=("error_above",), window="since_drift"),
        Promote(loss="brier"),
        Notify(on="any", cool_down=days(1)),
    ),
)
