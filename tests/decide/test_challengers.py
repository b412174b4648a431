"""Challengers: another model, other features, a file, a version; asked in the shadow, for a share of keys, or in a split."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import linear_model, preprocessing
from tests.shops import Sale

from eddyline import (
    Canary,
    Challenger,
    DeclarationError,
    Engine,
    EpochSeconds,
    Event,
    Id,
    Key,
    NotFound,
    OnnxModel,
    Pipeline,
    Promote,
    RollBack,
    Split,
    Task,
    Versions,
    memory,
)
from eddyline.records import Place, Prediction
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.views.verify import verify


class Visit(Event):
    id: Id
    shopper: Key
    at: EpochSeconds
    pages: float
    minutes: float


def crossed(visit: Visit) -> dict[str, float]:
    return {"crossed": visit.pages * visit.minutes}


def plain(visit: Visit) -> dict[str, float]:
    return {"pages": visit.pages, "minutes": visit.minutes}


def shop(**more: Any) -> Pipeline:
    return Pipeline(
        name="shop",
        events=memory([], Visit),
        labels=memory([], Sale),
        features=plain,
        model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        versions=Versions(every=200),
        **more,
    )


def feed(engine: Engine, start: int, stop: int) -> list[Prediction]:
    """Visits whose truth is the sign of a product: the pipeline's own features cannot tell it."""
    answers = []
    for i in range(start, stop):
        drawn = random.Random(i)
        pages, minutes = drawn.gauss(0, 1), drawn.gauss(0, 1)
        answers.append(engine.answer(Visit(id=f"v-{i}", shopper=f"s-{i % 40}", at=10 * i, pages=pages, minutes=minutes)))
        engine.tell(Sale(id=f"v-{i}", at=10 * i + 5, bought=pages * minutes > 0))
    return answers


def decisions(path: Path) -> list[tuple[str, str]]:
    with closing(Store.read(path)) as store:
        return [(one.action, one.subject) for block in store.blocks() for one in block.notes.decisions]


def test_other_features_earn_the_traffic_and_the_former_champion_goes_on_beside(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("crossed", features=crossed),), decide=(Promote(), RollBack()))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        answers = feed(engine, 0, 400)
        assert [place.who for place in engine.loop.states.rollout.places] == ["shop"]
    assert decisions(tmp_path / "shop.eddyline") == [("promote", "shop.crossed")]
    assert {answer.model for answer in answers[:40]} == {"shop"}
    assert {answer.model for answer in answers[200:]} == {"shop.crossed"}
    assert list(answers[-1].features) == ["crossed"]
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert verify(store, declared).faults == []


def test_a_canary_keeps_its_keys_when_its_share_grows(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("crossed", features=crossed, mode=Canary(0.2)),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        few = {one.key for one in feed(engine, 0, 200) if one.model == "shop.crossed"}
        engine.command(Command(do="enter", place=Place("shop.crossed", "canary", 0.6), author="ana", reason="more"))
        more = {one.key for one in feed(engine, 200, 400) if one.model == "shop.crossed"}
    assert 0 < len(few) < len(more) < 40
    assert few < more


def test_in_a_split_each_key_has_one_voice_and_the_other_is_not_asked(tmp_path: Path) -> None:
    declared = shop(challengers=(Challenger("crossed", features=crossed, mode=Split(0.5)),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        answers = feed(engine, 0, 200)
    voices: dict[str, set[str]] = {}
    for one in answers:
        voices.setdefault(one.key, set()).add(one.model)
    assert all(len(models) == 1 for models in voices.values())
    assert set.union(*voices.values()) == {"shop", "shop.crossed"}


def test_a_file_is_asked_beside_and_never_learns(tmp_path: Path) -> None:
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is missing: no ONNX file can be made")
    types = pytest.importorskip("skl2onnx.common.data_types")
    sklearn = pytest.importorskip("sklearn.linear_model")
    seen = np.random.default_rng(1).normal(size=(500, 1))
    fitted = sklearn.LogisticRegression().fit(seen, (seen[:, 0] > 0))
    made = skl2onnx.convert_sklearn(fitted, initial_types=[("x", types.FloatTensorType([None, 1]))], options={"zipmap": False})
    (tmp_path / "crossed.onnx").write_bytes(made.SerializeToString())
    model = OnnxModel(tmp_path / "crossed.onnx", task=Task.CLASSIFICATION, features=["crossed"], classes=[False, True])
    challenger = Challenger("file", model=model, features=crossed, learns=False)
    declared = shop(challengers=(challenger,), decide=(Promote(),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        answers = feed(engine, 0, 300)
    assert answers[-1].version == "shop.file@0"
    assert decisions(tmp_path / "shop.eddyline") == [("promote", "shop.file")]
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert verify(store, declared).faults == []


def test_a_pinned_version_can_be_asked_beside_its_own_line(tmp_path: Path) -> None:
    declared = shop(decide=(Promote(),))
    with Engine(declared, tmp_path / "shop.eddyline") as engine:
        feed(engine, 0, 100)
        engine.command(Command(do="enter", place=Place("shop@50"), author="ana"))
        (last, *_) = feed(engine, 100, 101)
        assert (last.version, last.others and last.others[0].version) == ("shop@100", "shop@50")
        with pytest.raises(NotFound, match="shop@5000 does not exist; the learner is at shop@101"):
            engine.command(Command(do="enter", place=Place("shop@5000"), author="ana"))
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert verify(store, declared).faults == []


def test_two_challengers_of_one_name_are_refused_when_declared() -> None:
    with pytest.raises(DeclarationError, match="two are called 'new'"):
        shop(challengers=(Challenger("new"), Challenger("new")))
