"""A decision to retrain comes to a line that passed its gates, sits in the shadow, and is promoted by evidence alone."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from eddyline.engines.embedded import Engine, replay
from eddyline.engines.embedded.trainer import Trainer
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import Decision
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.database import Store
from eddyline.store.examples import position_at
from eddyline.store.training import Lineage, trained_in
from eddyline.views.dropping import drop_back
from eddyline.views.forget import forget
from eddyline.views.operate import ask
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
    loaded = write(tmp_path, more=", approval=True")
    decisions = run(loaded, limit=9_000)
    assert [(one.action, one.status) for one in decisions] == [("retrain", "proposed")]
    ask(loaded.pipeline, loaded.store, Command(do="approve", number=1, author="ana"))
    after = run(loaded)
    assert [(one.action, one.status, one.author) for one in after[1:3]] == [
        ("retrain", "approved", "ana"),
        ("enter", "done", "trainer"),
    ]


def test_after_a_branch_a_retrained_line_catches_up_from_the_branch(tmp_path: Path) -> None:
    loaded = write(tmp_path, more=", approval=True")
    (asked,) = run(loaded, limit=9_000)
    with closing(Store.read(loaded.store)) as store:
        learner = store.block(store.seq).notes.learner
    drop_back(loaded.pipeline, loaded.store, f"shop@{learner - 100}", author="ana")
    with Engine(loaded.pipeline, loaded.store) as engine:
        engine.command(Command(do="approve", number=asked.number, author="ana"))
        replay(engine, loaded.base, batch=500, limit=2_500)
        branch = engine.loop.states.rivals["shop.b1"].position
        with Trainer(engine, str(loaded.file), wait=True) as trainer:
            trainer.step()
            entry = engine.loop.states.decide.entries["shop.r3"]
            lineage = trained_of(loaded, "shop.r3")
            newcomer = engine.loop.states.rivals["shop.r3"].position
    with closing(Store.read(loaded.store)) as store:
        rows = [row for block in range(1, store.seq + 1) for row in store.examples_of(block)]
        assert lineage.learned.last is not None
        before = [row.also["shop.b1"] for row in rows[: lineage.learned.last.number + 1] if row.also]
        known = max(before, default=learner - 100)
        assert entry.after == f"shop.b1@{known}"
        assert newcomer - lineage.learned.count == branch - known > 0
        assert verify(store, loaded.pipeline).faults == []


def test_where_a_line_stood_at_an_example_is_told_from_the_log(tmp_path: Path) -> None:
    loaded = write(tmp_path, events=300)
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, loaded.base, batch=50, limit=200)
        engine.command(Command(do="enter", to="shop.b1", entry=Entry("shop.b1", "shop", "shop@40", after="shop@100")))
        replay(engine, loaded.base, batch=50)
    with closing(Store.read(loaded.store)) as store:
        assert [position_at(store, "shop", number) for number in (-1, 0, 39, 99, 250)] == [0, 1, 40, 100, 100]
        assert [position_at(store, "shop.b1", number) for number in (-1, 99, 100, 250, 299)] == [40, 40, 41, 191, 240]


def test_a_training_that_may_have_learned_what_was_forgotten_since_is_made_again(tmp_path: Path) -> None:
    loaded = write(tmp_path, more=", approval=True")
    (asked,) = run(loaded, limit=9_000)
    folder = loaded.store.with_name(f"{loaded.store.name}-shop.r2")
    with Engine(loaded.pipeline, loaded.store) as engine:
        engine.command(Command(do="approve", number=asked.number, author="ana"))
        replay(engine, loaded.base, batch=500, limit=2_500)
    options = ["--name", "shop.r2", "--from-at", str(asked.evidence["from_at"]), "--seed", "2", "--unlearned"]
    command = [sys.executable, "-m", "eddyline.cli", "retrain", str(loaded.file), "--store", str(loaded.store)]
    assert subprocess.run([*command, "--out", str(folder), "--json", *options], stdout=subprocess.DEVNULL).returncode == 0
    early = trained_in(folder)
    assert early is not None
    assert early.lineage.learned.first is not None
    forget(loaded.pipeline, loaded.store, {early.lineage.learned.first.event_id}, author="ana")
    with Engine(loaded.pipeline, loaded.store) as engine, Trainer(engine, str(loaded.file), wait=True) as trainer:
        trainer.step()
        entry = engine.loop.states.decide.entries["shop.r2"]
    lineage = trained_of(loaded, "shop.r2")
    assert lineage.learned.first is not None
    assert lineage.learned.first.number == early.lineage.learned.first.number + 1
    assert entry.skip == (early.lineage.learned.first.event_id,)


@pytest.fixture
def often(tmp_path: Path) -> tuple[Loaded, list[str]]:
    """A pipeline whose policy retrained twice, and the lines that entered."""
    loaded = write(tmp_path, more='), Retrain(name="often", every=hours(3), window=1000, cool_down=hours(1)')
    entered = [one.subject for one in run(loaded, limit=5_000) if one.action == "enter"]
    assert len(entered) == 2
    return loaded, [line.partition("@")[0] for line in entered]


def test_what_policies_retrained_forgets_and_proves_it(often: tuple[Loaded, list[str]]) -> None:
    loaded, entered = often
    trained = trained_of(loaded, entered[1])
    assert trained.learned.last is not None
    forgot = forget(loaded.pipeline, loaded.store, {trained.learned.last.event_id}, author="ana")
    assert entered[1] in {one.line for one in forgot}
    assert all(one.proved for one in forgot)


def test_who_stands_in_the_way_of_forgetting_is_said_at_once(often: tuple[Loaded, list[str]]) -> None:
    loaded, entered = often
    with closing(sqlite3.connect(loaded.store)) as db, db:
        db.execute("UPDATE recipes SET recipe='{}' WHERE recipe LIKE '%lineage%'")
    with pytest.raises(EddylineError, match="no lineage of it is here") as refused:
        forget(loaded.pipeline, loaded.store, {"v-7"}, author="ana")
    assert all(line in str(refused.value) for line in entered)


def trained_of(loaded: Loaded, line: str) -> Lineage:
    """Where a retrained model comes from, by its folder."""
    trained = trained_in(loaded.store.with_name(f"{loaded.store.name}-{line}"))
    assert trained is not None
    return trained.lineage


def test_a_candidate_that_fails_its_gates_is_turned_away_and_said_why(tmp_path: Path) -> None:
    loaded = write(tmp_path, events=5_000)
    closed = loaded.file.read_text().replace("Retrain(", "Strict(").replace("class Visit", STRICT, 1)
    loaded.file.write_text(closed)
    decisions = run(load(str(loaded.file)))
    assert [(one.action, one.subject) for one in decisions[:2]] == [("retrain", "shop"), ("turn_away", "shop.r1")]
    assert "Accuracy" in decisions[1].reason


def test_after_a_promotion_it_is_the_champions_recipe_that_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path, drift_at=9_999, events=2_400)
    text = FILE.replace('(Retrain(on=("error_drift",), window="since_drift"{more}), Promote(evidence=20))', "DECIDE")
    text = text.replace("DECIDE", "Retrain(every=hours(5), window=1_000)").replace(
        "    versions=", "    challengers=DEEP,\n    versions="
    )
    text = text.replace("class Sale", "def both(visit):\n    return {'sum': visit.pages + visit.minutes}\n\n\nclass Sale")
    text = text.replace("DEEP", "(Challenger('deep', features=both),)")
    (tmp_path / "deep_shop.py").write_text(text)
    loaded = load(str(tmp_path / "deep_shop.py"))
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, loaded.base, batch=500, limit=600)
        engine.rollback("shop.deep", author="ana")
    decisions = run(loaded)
    asked, came = [(one.action, one.subject, one.reason) for one in decisions[1:3]]
    assert (asked[:2], came[:2]) == (("retrain", "shop.deep"), ("enter", "shop.r2"))
    assert came[2].startswith("the recipe of shop.deep, made of the last 1,000 examples")
    with closing(Store.read(loaded.store)) as store:
        (entry,) = [entry for block in store.blocks() for entry in block.notes.entered]
        assert (entry.like, str(entry.after).partition("@")[0]) == ("shop.deep", "shop.deep")
        assert trained_of(loaded, "shop.r2").learned.count == 800
        assert verify(store, loaded.pipeline).faults == []


def test_a_window_leaves_out_what_was_held_back_from_learning(tmp_path: Path) -> None:
    write(tmp_path, drift_at=9_999, events=1_900)
    text = FILE.replace('(Retrain(on=("error_drift",), window="since_drift"{more}), Promote(evidence=20))', "DECIDE")
    (tmp_path / "doubt.py").write_text(text.replace("DECIDE", "Retrain(every=hours(5), window=1_000)"))
    loaded = load(str(tmp_path / "doubt.py"))
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, loaded.base, batch=100, limit=2_400)
        engine.command(Command(do="freeze", author="ana", reason="labels look wrong"))
        replay(engine, loaded.base, batch=100, limit=600)
        engine.command(Command(do="resume", author="ana"))
    decisions = run(loaded)
    assert [one.action for one in decisions[:4]] == ["freeze", "resume", "retrain", "enter"]
    learned = trained_of(loaded, f"shop.r{decisions[2].number}").learned
    with closing(Store.read(loaded.store)) as store:
        rows = [row for block in range(1, store.seq + 1) for row in store.examples_of(block)]
    assert learned.first is not None
    assert learned.last is not None
    taken = rows[learned.first.number : learned.last.number + 1]
    assert sum(row.position < 0 for row in taken) > 200
    assert learned.count == sum(row.position >= 0 for row in taken) == 800
