"""What it costs to watch, to ask a challenger beside the champion and to decide, on the electricity stream.

The same loop over the same rows, in one process and in turn: bare, with ten monitors, with a shadow, with policies, and
with all of it. What a part costs is the difference between two of them in the same round; what the shadow may cost is
what its model takes alone, for the same features and truths in the same round. Processor time, because a difference of
wall times on a shared machine says little.

    python -m benchmarks.watching            all 45,312 half hours, and 10,000 with a forest in the shadow
    python -m benchmarks.watching --quick    fewer of both
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.electricity import NAMES, HalfHour, Moved, Took, read, write
from benchmarks.stages import DECIDE, PARTS, Stopwatch, watched
from river import forest, linear_model, metrics, optim, preprocessing

from benchmarks import sizes
from eddyline import Challenger, Engine, Join, Pipeline, Promote, RollBack, Shadow, Watch, days, hours, jsonl
from eddyline.engines.embedded import replay
from eddyline.monitors.conformal import Conformal
from eddyline.monitors.declared import SCORE
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.estimate import Estimated
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi
from eddyline.monitors.ranges import Ranges
from eddyline.monitors.silence import Silence
from eddyline.monitors.unseen import Unseen
from eddyline.records import Features

Model = Callable[[], Any]
Rows = list[tuple[Features, bool]]
SHADOWS: dict[str, Model] = {
    "StandardScaler | LogisticRegression(SGD(0.05))": lambda: (
        preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.SGD(0.05))
    ),
    "ARFClassifier(n_models=3, seed=1)": lambda: forest.ARFClassifier(n_models=3, seed=1),
}
MONITORS = (
    ErrorAbove(0.3),
    ErrorAbove(0.3, statistic="cusum", name="error_cusum"),
    Psi(SCORE),
    Psi("nswprice", name="psi_price"),
    Conformal("nswdemand"),
    Missing("nswprice"),
    Unseen("day"),
    Ranges("nswdemand"),
    Silence(hours(1)),
    Estimated(),
)
POLICIES = (Promote(evidence=1e12), RollBack())
"""`evidence` is out of reach, so that the shadow stays one until the end; that is asked as often as any other."""
VARIANTS = {
    "bare": "",
    "monitors": "monitors",
    "shadow": "shadow",
    "frozen": "shadow frozen",
    "policies": "shadow policies",
    "all": "shadow policies monitors",
}
"""What each loop has beside the bare one."""


def declare(parts: str, shadow: Model) -> Pipeline:
    """The loop with these parts."""
    challenger = Challenger("beside", model=shadow(), mode=Shadow(), learns="frozen" not in parts)
    minimal = Watch(metrics=(), error=False)
    return Pipeline(
        name="elec",
        events=jsonl("events.jsonl", HalfHour),
        labels=jsonl("labels.jsonl", Moved),
        model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        join=Join(wait=days(1)),
        watch=Watch(metrics=(metrics.Accuracy(),), monitors=MONITORS) if "monitors" in parts else minimal,
        challengers=(challenger,) if "shadow" in parts else (),
        decide=POLICIES if "policies" in parts else (),
    )


def loop(folder: Path, path: Path, parts: str, shadow: Model) -> None:
    """One run of the whole loop."""
    with Engine(declare(parts, shadow), path) as engine:
        replay(engine, folder)
        assert len(engine.loop.states.rollout.places) == ("shadow" in parts), "the shadow lost its place"


def alone(rows: Rows, shadow: Model, *, versions: bool) -> None:
    """What the model of the shadow does by itself: answers each row, learns it; saves and names each of its versions."""
    plan = declare("shadow", shadow).plan()
    model, every = plan.lines["elec.beside"].model, plan.learn.snapshot_every
    predict, learn = model.predict, model.learn
    for number, (features, truth) in enumerate(rows, 1):
        predict(features)
        learn(features, truth)
        assert model.sound(features)
        if versions and number % every == 0:
            model.save()
            model.digest()


def in_river(rows: Rows, shadow: Model) -> None:
    """What a River user's loop asks of the same estimator."""
    estimator = shadow()
    for features, truth in rows:
        estimator.predict_proba_one(features)
        estimator.learn_one(features, truth)


def measure(shadow_name: str, rounds: int, limit: int | None) -> dict[str, Any]:
    """Rounds of all variants in turn. The one with everything is watched: a stopwatch read some times a batch."""
    stream = read(limit)
    rows: Rows = [({name: x[name] for name in NAMES}, y) for x, y in stream]
    shadow, took, watches = SHADOWS[shadow_name], Took(), []
    frozen = taught(shadow, rows)
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        write(folder, stream)
        for number in range(rounds):
            for name, parts in VARIANTS.items():
                with watched(PARTS + DECIDE) if name == "all" else nullcontext() as stopwatch:
                    path = folder / f"{name}-{number}.eddyline"
                    took.call(name, loop, folder, path, parts, frozen if "frozen" in parts else shadow)
                if stopwatch is not None:
                    watches.append(stopwatch)
            took.call("alone", partial(alone, versions=False), rows, shadow)
            took.call("alone with versions", partial(alone, versions=True), rows, shadow)
            took.call("in river", in_river, rows, shadow)
    return {
        "shadow": shadow_name,
        "events": len(rows),
        "rounds": rounds,
        "monitors": len(MONITORS),
        "cpu_us_per_event": {each: took.us(took.cpu, each, len(rows)) for each in took.cpu},
        **costs(took, len(rows)),
        **shares(watches, took, len(rows)),
    }


def taught(shadow: Model, rows: Rows) -> Model:
    """A model that learned the first rows, for the shadow that does not learn."""
    estimator = shadow()
    for features, truth in rows[:1000]:
        estimator.learn_one(dict(features), truth)
    return lambda: estimator


def costs(took: Took, events: int) -> dict[str, Any]:
    """What each part costs, and what the shadow costs beside its model."""
    seconds = took.cpu

    def more(name: str, than: str) -> float:
        return round(median(a - b for a, b in zip(seconds[name], seconds[than], strict=True)) / events * 1e6, 2)

    def times(alone: str) -> float:
        three = zip(seconds["shadow"], seconds["bare"], seconds[alone], strict=True)
        return round(median((a - b) / c for a, b, c in three), 3)

    return {
        "throughput_of_bare": took.ratio(seconds, "bare", "all"),
        "shadow_times_its_model": times("alone"),
        "shadow_times_its_model_with_versions": times("alone with versions"),
        "shadow_times_river": times("in river"),
        "parts_us_per_event": {
            "ten monitors and a metric": more("monitors", "bare"),
            "a shadow": more("shadow", "bare"),
            "- of which its answers": more("frozen", "bare"),
            "- of which its learning": more("shadow", "frozen"),
            "two policies beside a shadow": more("policies", "shadow"),
            "ten monitors and a metric beside both": more("all", "policies"),
        },
    }


def shares(watches: list[Stopwatch], took: Took, events: int) -> dict[str, Any]:
    """Where the time goes in the loop with everything."""
    runs = list(zip([watch.cpu for watch in watches], took.cpu["all"], strict=True))
    return {
        "watch_and_decide_share": round(median((parts["watch"] + parts["decide"]) / whole for parts, whole in runs), 3),
        "stages_cpu_us_per_event": {
            part: round(median(parts[part] for parts, _ in runs) / events * 1e6, 2) for part in runs[0][0]
        },
    }


SIZES: dict[str, list[tuple[str, int, int | None]]] = {
    "full": [("StandardScaler | LogisticRegression(SGD(0.05))", 7, None), ("ARFClassifier(n_models=3, seed=1)", 3, 10_000)],
    "quick": [("StandardScaler | LogisticRegression(SGD(0.05))", 3, 20_000), ("ARFClassifier(n_models=3, seed=1)", 1, 4_000)],
    "tiny": [("StandardScaler | LogisticRegression(SGD(0.05))", 1, 500)],
}

if __name__ == "__main__":
    options = sizes.parse(__doc__)
    print(json.dumps([measure(*each) for each in SIZES[options.size]]))
