"""A decision to retrain comes to a line that passed its gates, sits in the shadow, and is promoted by evidence alone."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import msgspec

from eddyline.engines.embedded import Engine, replay
from eddyline.engines.embedded.trainer import Trainer
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import Decision
from eddyline.store.database import Store
from eddyline.views.verify import verify

FILE = """
from river import naive_bayes

from eddyline import (
    Challenger, EpochSeconds, Event, Id, Label, Pipeline, Promote, Retrain, Truth, Versions, jsonl, hours,
)


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float
    minutes: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


shop = Pipeline(
    name="shop",
    events=jsonl("visits.jsonl", Visit),
    labels=jsonl("sales.jsonl", Sale),
    model=naive_bayes.GaussianNB(),  # it never forgets, so a drift is its end
    versions=Versions(every=500),
    decide=(Retrain(on=("error_drift",), window="since_drift"{more}), Promote(evidence=20)),
)
"""


STRICT = """from dataclasses import dataclass

from eddyline import Floor


@dataclass(frozen=True, kw_only=True)
class Strict(Retrain):
    gates = (Floor("Accuracy", at_least=0.9999),)


class Visit"""


def write(folder: Path, *, more: str = "", drift_at: int = 3_000, events: int = 6_000) -> Loaded:
    """A stream whose meaning turns around once."""
    visits, sales, rnd = [], [], random.Random(5)
    for i in range(events):
        pages, minutes = rnd.gauss(0, 1), rnd.gauss(0, 1)
        bought = (pages + minutes > 0) == (i < drift_at)
        visits.append({"id": f"v-{i}", "at": 10 * i, "pages": pages, "minutes": minutes})
        sales.append({"id": f"v-{i}", "at": 10 * i + 5, "bought": bought})
    for name, rows in (("visits", visits), ("sales", sales)):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows) + b"\n")
    (folder / "shop.py").write_text(FILE.replace("{more}", more))
    return load(str(folder / "shop.py"))


def run(loaded: Loaded, limit: int | None = None) -> list[Decision]:
    with Engine(loaded.pipeline, loaded.store) as engine, Trainer(engine, str(loaded.file), wait=True) as trainer:
        replay(engine, loaded.base, batch=500, trainer=trainer, limit=limit)
    with closing(Store.read(loaded.store)) as store:
        return [decision for block in store.blocks() for decision in block.notes.decisions]


def test_a_drift_is_answered_by_a_new_model_that_is_promoted_on_evidence(tmp_path: Path) -> None:
    loaded = write(tmp_path)
    decisions = run(loaded)
    assert [(one.action, one.subject, one.author) for one in decisions[:2]] == [
        ("retrain", "shop", "eddyline"),
        ("enter", "shop.r1", "trainer"),
    ]
    assert ("promote", "shop.r1") in [(one.action, one.subject) for one in decisions]
    with closing(Store.read(loaded.store)) as store:
        assert verify(store, loaded.pipeline).faults == []
        (recipe,) = store.db.execute(
            "SELECT recipe FROM recipes WHERE digest=?", (store.versions("shop.r1")[0].recipe,)
        ).fetchone()
        lineage = msgspec.json.decode(recipe)["lineage"]
        assert lineage["learned"]["count"] > 0
        assert lineage["head"]


def test_a_training_that_was_not_begun_is_carried_out_by_the_next_run(tmp_path: Path) -> None:
    loaded = write(tmp_path)
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, loaded.base, batch=500, limit=9_000)
    decisions = run(loaded)
    assert [(one.action, one.subject) for one in decisions[:2]] == [("retrain", "shop"), ("enter", "shop.r1")]


def test_approval_comes_before_retraining(tmp_path: Path) -> None:
    from eddyline.stages.commands import Command
    from eddyline.views.operate import ask

    loaded = write(tmp_path, more=", approval=True")
    decisions = run(loaded, limit=9_000)
    assert [(one.action, one.status) for one in decisions] == [("retrain", "proposed")]
    ask(loaded.pipeline, loaded.store, Command(do="approve", number=1, author="ana"))
    after = run(loaded)
    assert [(one.action, one.status, one.author) for one in after[1:3]] == [
        ("retrain", "approved", "ana"),
        ("enter", "done", "trainer"),
    ]


def test_a_candidate_that_fails_its_gates_is_turned_away_and_said_why(tmp_path: Path) -> None:
    loaded = write(tmp_path, events=5_000)
    closed = loaded.file.read_text().replace("Retrain(", "Strict(").replace("class Visit", STRICT, 1)
    loaded.file.write_text(closed)
    decisions = run(load(str(loaded.file)))
    assert [(one.action, one.subject) for one in decisions[:2]] == [("retrain", "shop"), ("turn_away", "shop.r1")]
    assert "Accuracy" in decisions[1].reason
