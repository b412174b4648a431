"""What one model per key costs: memory, bytes and processor time a key, beside one model for all of the same recipe.

Each recipe is measured in a process of its own, so that memory that one leaves behind is not another's. Prints the table of
docs/per-key.md.

    python -m benchmarks.per_key             20,000 keys of a linear model, 5,000 of a tree
    python -m benchmarks.per_key --quick     a tenth of both
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

from river import linear_model, preprocessing, tree

from eddyline.models import adapt
from eddyline.ports import Model
from eddyline.records import KEY_FEATURE, Features

Rows = list[tuple[Features, bool]]
RECIPES: dict[str, tuple[Callable[[], Any], int]] = {
    "scaler and logistic regression": (lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(), 20_000),
    "Hoeffding tree": (tree.HoeffdingTreeClassifier, 5_000),
}
ROUNDS = 10
"""Examples that each key learns."""
ASKED = 2_000


def main(arguments: list[str]) -> None:
    """Measures every recipe, each in its own process, or the one that is named."""
    tenth = 10 if "--quick" in arguments else 1
    named = [name for name in RECIPES if name in arguments]
    if named:
        print(_row(named[0], RECIPES[named[0]][1] // tenth))
        return
    print(
        "| recipe, 8 features | keys | memory a key | in a version | learn | answer | one for all: both | save, one learned |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in RECIPES:
        command = [sys.executable, "-m", "benchmarks.per_key", name, *arguments]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="", flush=True)


def _row(name: str, keys: int) -> str:
    make, random = RECIPES[name][0], Random(1)
    rows: Rows = []
    for number in range(keys):
        seen: Features = {KEY_FEATURE: f"card-{number}"}
        seen.update({f"f{i}": random.random() for i in range(8)})
        rows.append((seen, random.random() < 0.5))
    many, before = adapt(make(), per="key"), _memory()
    for _ in range(ROUNDS - 1):
        _learn(many, rows)
    learn, answer = _us(lambda: _learn(many, rows), keys), _us(lambda: _ask(many, rows[:ASKED]), min(keys, ASKED))
    saved = len(many.save())
    memory = _memory() - before
    _learn(many, rows[:1])
    save_one = _us(many.save, 1)
    shared = adapt(make())
    alone = [({name: value for name, value in seen.items() if name != KEY_FEATURE}, truth) for seen, truth in rows[:ASKED]]
    learn_shared = _us(lambda: _learn(shared, alone), len(alone))
    answer_shared = _us(lambda: _ask(shared, alone), len(alone))
    return (
        f"| {name} | {keys:,} | {memory / keys / 1e3:.0f} kB | {saved / keys / 1e3:.1f} kB | {learn:.0f} µs | {answer:.0f} µs "
        f"| {learn_shared:.0f}, {answer_shared:.0f} µs | {save_one / 1e3:.0f} ms |"
    )


def _learn(model: Model, rows: Rows) -> None:
    for seen, truth in rows:
        model.learn(seen, truth)


def _ask(model: Model, rows: Rows) -> None:
    for seen, _ in rows:
        model.predict(seen)


def _us(work: Callable[[], object], many: int) -> float:
    """Microseconds of processor time for each of `many`."""
    started = process_time()
    work()
    return (process_time() - started) / many * 1e6


def _memory() -> int:
    """The memory that this process holds, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(sys.argv[1:])
