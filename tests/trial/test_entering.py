"""What `eddyline retrain` made by hand takes a seat, as what a policy asked for does; and CI's files have a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.trial.shop import make

from eddyline.cli.challengers import command as challengers
from eddyline.cli.retrain import command as retrain
from eddyline.cli.test import command as trial
from eddyline.pipeline import Pipeline
from eddyline.pipeline.loading import Loaded
from eddyline.records.errors import EddylineError, NotFound, StoreCorrupt, StoreMismatch
from eddyline.store.database import Store
from eddyline.store.reader import PredictionReader
from eddyline.store.training import trained_in
from eddyline.views.forget import forget
from eddyline.views.verify import verify

Ask = Callable[..., Result]
BAD = ("v-100", "v-101")
LINES = ("shop", "shop.narrow", "shop.trees", "shop.retrained")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Path]:
    """A shop of its own, and a model that was retrained for it by hand."""
    loaded = make(tmp_path_factory.mktemp("entering"))
    folder = loaded.base / "fresh"
    ran = CliRunner().invoke(retrain, [str(loaded.file), "--out", str(folder)], catch_exceptions=False)
    assert "passed" in ran.output
    assert f"eddyline challengers shop.py --enter {folder}" in ran.output.replace("\n", "")
    return loaded, folder


@pytest.fixture
def enter(made: tuple[Loaded, Path], tmp_path: Path) -> Ask:
    """Asks for a seat in a copy of the shop."""
    loaded, _ = made
    store = tmp_path / "shop.eddyline"
    shutil.copy(loaded.store, store)

    def enter(folder: Path, *more: str) -> Result:
        asked = [str(loaded.file), "--store", str(store), "--enter", str(folder), *more]
        return CliRunner().invoke(challengers, asked, catch_exceptions=False)

    return enter


def test_a_model_that_was_retrained_by_hand_takes_a_seat(made: tuple[Loaded, Path], enter: Ask, tmp_path: Path) -> None:
    loaded, folder = made
    said = enter(folder, "--canary", "0.1").output
    assert "enter shop.retrained, done" in said
    assert "shop.retrained (canary)" in said.replace("\n", " ")
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        trained = trained_in(folder)
        assert trained is not None
        assert store.versions("shop.retrained")[0].digest == trained.digest
        assert store.block(store.seq).notes.entered[0].after == f"shop@{trained.lineage.reached}"
        assert verify(store, loaded.pipeline).faults == []


def test_a_retrained_model_forgets_as_if_its_training_had_never_seen_the_event(
    made: tuple[Loaded, Path], enter: Ask, tmp_path: Path
) -> None:
    enter(made[1])
    path, pipeline = tmp_path / "shop.eddyline", made[0].pipeline
    forgot = {one.line: one for one in forget(pipeline, path, BAD, author="ana")}
    assert all(one.proved for one in forgot.values())
    assert {one.line: one.examples for one in forgot.values()} == dict.fromkeys(LINES, 2)
    successor = forgot["shop.retrained"].successor
    with closing(Store.read(path)) as store:
        assert successor in [place.who for place in store.block(store.seq).notes.rollout.places]
        assert forgot["shop.retrained"].digest == never_saw(store, pipeline, made[1])
        assert verify(store, pipeline).faults == []
    again = forget(pipeline, path, ["v-102"], author="ana")  # whoever took its place can tell it, too
    assert [one.proved for one in again] == [True] * len(LINES)


def never_saw(store: Store, pipeline: Pipeline, folder: Path) -> str:
    """The digest of a fresh model that learned what the training did, and all that came after it, but for those events."""
    trained, model = trained_in(folder), pipeline.plan().lines["shop"].model
    assert trained is not None
    assert trained.lineage.learned.last is not None
    model = model.restored(model.save())
    until, reached = trained.lineage.learned.last.number, trained.lineage.reached
    predictions = PredictionReader(store)
    rows = [row for seq in range(1, store.seq + 1) for row in store.examples_of(seq)]
    for number, row in enumerate(rows):
        prediction = predictions.read(row.slot)
        if (number <= until or row.position > reached) and prediction.event_id not in BAD:
            model.learn(prediction.features, row.truth)
    return model.digest()


def test_where_a_training_cannot_be_told_forgetting_is_refused_before_anything_changes(
    made: tuple[Loaded, Path], enter: Ask, tmp_path: Path
) -> None:
    folder = tmp_path / "on"
    asked = [str(made[0].file), "--out", str(folder), "--continue-from", "shop@50", "--name", "shop.on"]
    assert "passed" in CliRunner().invoke(retrain, asked, catch_exceptions=False).output
    enter(folder)
    path, pipeline = tmp_path / "shop.eddyline", made[0].pipeline
    with closing(Store.read(path)) as store:
        before = store.seq
    with pytest.raises(EddylineError, match=r"went on from shop@50: it cannot be told which it learned\n.*--leave shop\.on"):
        forget(pipeline, path, BAD, author="ana")
    with closing(Store.read(path)) as store:
        assert store.seq == before


def test_a_model_whose_gates_are_closed_takes_none(made: tuple[Loaded, Path], enter: Ask, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made[1], tmp_path / "closed"))
    (folder / "gates.json").write_text('{"gates": [{"name": "floor", "passed": false, "said": "0.4"}]}')
    with pytest.raises(NotFound, match=r"did not pass its gates: floor: 0\.4"):
        enter(folder)
    (folder / "gates.json").unlink()
    with pytest.raises(NotFound, match=r"nobody led the model of .* through its gates\ndo: eddyline retrain"):
        enter(folder)


def test_bytes_that_were_changed_are_refused(made: tuple[Loaded, Path], enter: Ask, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made[1], tmp_path / "changed"))
    raw = bytearray((folder / "model.bin").read_bytes())
    raw[3] ^= 1
    (folder / "model.bin").write_bytes(raw)
    with pytest.raises(StoreCorrupt, match="was changed on disk"):
        enter(folder)


def test_a_model_of_another_recipe_is_refused(made: tuple[Loaded, Path], enter: Ask, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made[1], tmp_path / "other"))
    (folder / "plan.json").write_text((folder / "plan.json").read_text().replace('"line":"shop"', '"line":"shop.trees"'))
    with pytest.raises(StoreMismatch, match=r"another recipe than shop\.trees's"):
        enter(folder)


def test_the_folder_of_a_report_is_made_before_the_training(made: tuple[Loaded, Path], tmp_path: Path) -> None:
    loaded, _ = made
    file = loaded.base / "candidate_reports.py"
    file.write_text(
        "from eddyline import Candidate, Examples, Floor\n"
        "candidate = Candidate(pipeline='shop.py', examples=Examples(last=200), gates=(Floor('accuracy', at_least=0.1),))\n"
    )
    junit = tmp_path / "reports" / "ci" / "candidate.xml"
    ran = CliRunner().invoke(trial, [str(file), "--junit", str(junit)], catch_exceptions=False)
    assert (ran.exit_code, junit.is_file()) == (0, True)


def test_a_share_that_is_none_says_what_to_type(made: tuple[Loaded, Path]) -> None:
    ran = CliRunner().invoke(challengers, [str(made[0].file), "--enter", "trees", "--split", "2"])
    assert (ran.exit_code, "write --split 0.05" in ran.output) == (2, True)
