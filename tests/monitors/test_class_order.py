"""What sums over classes says the same number in every process, and River's own where River's does not vary."""

from __future__ import annotations

import inspect
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from river import metrics
from tests.monitors import seeded

from eddyline.class_order import read
from eddyline.monitors.metrics import gauges
from eddyline.monitors.saving import to_bytes
from eddyline.policies.gates import Costs, Floor, Judged, Shown
from eddyline.records import Output, Task

ROOT = Path(__file__).parents[2]
river: Any = metrics  # untyped in River
Pairs = list[tuple[Any, Any]]


def go_on(seed: int, store: Path, many: int) -> dict[str, Any]:
    """What a process with its own seed says of a store, after it went on in it."""
    store.parent.mkdir(exist_ok=True)
    paths = os.pathsep.join([str(ROOT), *sys.path])
    run = subprocess.run(
        [sys.executable, str(Path(seeded.__file__)), str(store), str(many)],
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_processes_with_other_hash_seeds_read_the_same_of_one_store_and_write_the_same_state(tmp_path: Path) -> None:
    store, copied = tmp_path / "one" / "animals.eddyline", tmp_path / "copy" / "animals.eddyline"
    go_on(1, store, seeded.MANY // 2)
    shutil.copytree(store.parent, copied.parent)
    wrote, elsewhere, opened = (go_on(2, store, seeded.MANY), go_on(3, copied, seeded.MANY), go_on(4, store, seeded.MANY))
    assert wrote["sound"], wrote["faults"]
    assert wrote["closed"], "no group was given up, so no number of theirs is in the state"
    assert opened == wrote
    assert {**elsewhere, "head": wrote["head"]} == wrote, "blocks carry the time on the wall, all else is the same"


def pairs(classes: Sequence[Any], many: int = 300) -> Pairs:
    draw = random.Random(3)
    return [(draw.choice(classes), draw.choice(classes)) for _ in range(many)]


def shown(metric: Any, to: Pairs) -> Any:
    for truth, answer in to:
        metric.update(truth, answer)
    return metric


@pytest.fixture
def shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    """River's sets of classes stand in another order whenever they are asked for."""
    draw, rivers = random.Random(9), river.ConfusionMatrix.classes.fget

    def classes(matrix: Any) -> list[Any]:
        draw.shuffle(found := rivers(matrix))
        return list(found)

    monkeypatch.setattr(river.ConfusionMatrix, "classes", property(classes))


def of_classes() -> Iterator[Any]:
    """Every metric of River's that makes a number of a confusion matrix, and three around them."""
    told = {type(one): one for one in seeded.walkers()}
    kinds: list[Any] = [kind for kind in vars(river).values() if inspect.isclass(kind) and not inspect.isabstract(kind)]
    for kind in kinds:
        if issubclass(kind, river.base.ClassificationMetric):
            made = told.get(kind) or (kind() if kind not in (river.FBeta, river.MicroFBeta) else kind(0.7))
            if made.requires_labels and kind not in (river.ConfusionMatrix, river.ClassificationReport):
                yield made
    yield from (seeded.rolling(river.MacroF1(), 200), seeded.Missed(), seeded.Both())


@pytest.mark.usefixtures("shuffled")
def test_those_that_vary_with_the_order_of_the_classes_are_known_and_none_varies_when_it_is_read() -> None:
    vary = set()
    for many in (150, 300, 450):
        for metric in of_classes():
            name = type(shown(metric, pairs(seeded.CLASSES, many))).__name__
            if len({metric.get() for _ in range(60)}) > 1:
                vary.add(name)
            assert len({read(metric) for _ in range(60)}) == 1, name
    assert vary - {"Rolling", "Missed", "Both"} == {type(one).__name__ for one in seeded.walkers()}


@pytest.mark.parametrize("classes", [(False, True), tuple(range(-3, 40, 7)), (0.5, 2.0, -1.0, 1e9)])
def test_where_classes_are_numbers_it_is_rivers_own_number_to_the_last_digit(classes: tuple[Any, ...]) -> None:
    for metric in seeded.walkers(classes):
        shown(metric, pairs(classes))
        assert read(metric) == metric.get(), type(metric).__name__


def test_texts_are_summed_in_their_order_which_river_may_have_too() -> None:
    for ours, rivers in zip(seeded.walkers(), seeded.walkers(), strict=True):
        rivers.cm.__class__ = Sorted
        assert read(shown(ours, pairs(seeded.CLASSES))) == shown(rivers, pairs(seeded.CLASSES)).get()


class Sorted(river.ConfusionMatrix):  # type: ignore[misc]
    @property
    def classes(self) -> list[Any]:
        return sorted(super().classes)


@pytest.mark.usefixtures("shuffled")
def test_a_floor_measures_a_candidate_in_the_same_order() -> None:
    judged = [Judged(str(n), None, truth, None, Output(said)) for n, (truth, said) in enumerate(pairs(seeded.CLASSES, 450))]
    shown = Shown(task=Task.CLASSIFICATION, judged=judged, costs=Costs(1.0, 1.0, 1, 1), golden={}, golden_counts={})
    floor = Floor(river.MacroPrecision(), at_least=0.1)
    assert len({floor.check(shown).numbers["value"] for _ in range(60)}) == 1


def test_classes_of_several_types_have_an_order_too() -> None:
    metric = shown(river.MacroF1(), pairs(("b", 2, "a", 1, None, True)))
    assert read(metric) == pytest.approx(metric.get())


def test_reading_leaves_nothing_behind_even_where_it_fails() -> None:
    class Broken(river.MacroF1):  # type: ignore[misc]
        def get(self) -> float:
            raise ZeroDivisionError(len(self.cm.classes))

    metric = shown(Broken(), pairs(seeded.CLASSES))
    with pytest.raises(ZeroDivisionError):
        read(metric)
    assert type(metric.cm) is river.ConfusionMatrix


def test_a_fresh_metric_is_saved_as_before() -> None:
    (gauge,) = gauges([river.MacroF1()], Task.CLASSIFICATION, None, str)
    read(kept := gauge.fresh())
    assert to_bytes(kept, ()) == to_bytes(river.MacroF1(), ())
