"""The address pipeline of `examples/urls` under guard: what is watched, and who may act without a person.

`watched` is the pipeline with its policies, `never` the same without any: nobody acts. The words, the model and the join are
those of the example. Objectives and windows were written down before the first fault was injected.
"""

from pathlib import Path

from river import metrics

from eddyline import FreezeLearning, Notify, Promote, Retrain, RollBack, Watch, days, jsonl
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.missing import Missing
from eddyline.pipeline.loading import imported

case = imported(Path(__file__).parents[1] / "urls" / "pipeline.py")

never = case.urls.replace(
    events=jsonl("events.jsonl", case.Address),
    labels=jsonl("labels.jsonl", case.Verdict),
    watch=Watch(metrics=(metrics.Accuracy(),), monitors=(ErrorAbove(0.1), Missing(("host com",)))),
)
watched = never.replace(
    decide=(
        RollBack(),
        FreezeLearning(on=("missing", "error_above"), until=days(2)),
        Retrain(on=("error_above",), window="since_drift"),
        Promote(),
        Notify(on="any", cool_down=days(1)),
    ),
)
