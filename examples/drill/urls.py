"""The pipeline of `examples/urls` under guard: what is watched, and who may act without a person.

`watched` is the pipeline with its policies, `never` the same without any: nobody acts. Words, model and join are those of
the example. More than 3 wrong answers in 4 are taken for labels that are wrong, not for a world that has changed: learning
stops. `ErrorAbove` would be silent over the first fifth of the stream from an objective of 0.35 on, at one false alarm in a
million; the faults strike after that fifth. The README tells how these values were come by.
"""

from pathlib import Path

from river import metrics

from eddyline import (
    Alert,
    Example,
    FreezeLearning,
    Notify,
    Prediction,
    RollBack,
    Unlabelled,
    Watch,
    days,
    jsonl,
)
from eddyline.monitors.budget import one_in
from eddyline.monitors.error_above import ErrorAbove
from eddyline.pipeline.loading import imported

trust = imported(Path(__file__).parent / "trust.py")
case = imported(Path(__file__).parents[1] / "urls" / "pipeline.py")


class Wordless:
    """Alerts at every 20 addresses in a row in which there is no word: an address always has a host."""

    def __init__(self) -> None:
        self.row = 0

    def update(self, record: Prediction | Example | Unlabelled) -> Alert | None:
        if not isinstance(record, Prediction):
            return None
        self.row = 0 if record.features else self.row + 1
        if self.row == 0 or self.row % 20:
            return None
        reason = f"{self.row} addresses in a row without a word"
        return Alert("wordless", "words", record.at, record.position, 0.0, 1.0, reason)


never = case.urls.replace(
    events=jsonl("events.jsonl", case.Address),
    labels=jsonl("labels.jsonl", case.Verdict),
    watch=Watch(
        metrics=(metrics.Accuracy(),),
        monitors=(ErrorAbove(0.75, budget=one_in(1_000_000)), Wordless),
    ),
)
watched = never.replace(
    decide=(
        RollBack(),
        FreezeLearning(on=("wordless", "error_above"), until=days(7)),
        trust.RetrainOnTrust(on=("error_drift",), window="since_drift", cool_down=days(14)),
        trust.PromoteOnTrust(deadline=days(30)),
        Notify(on="any", cool_down=days(1)),
    ),
)
