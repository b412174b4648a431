"""After another line became champion: its recipe is made anew, from what it saw, and timed beside it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from river import linear_model, preprocessing
from tests.shops import LongVisit, Sale

from eddyline import Challenger, Engine, Pipeline, Versions, memory
from eddyline.engines.embedded import replay
from eddyline.records.errors import NotFound
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.store.examples import Examples
from eddyline.store.training import chosen_by, reader_of, train
from eddyline.views.lines import lines
from eddyline.views.retraining import Request, retrain, spec_of
from eddyline.views.summary import summarize
from eddyline.views.trial import Candidate, Tried, _as_answered, try_candidate
from eddyline.views.trial_report import facts


def only_pages(visit: LongVisit) -> dict[str, float]:
    return {"pages": visit.pages}


def both(visit: LongVisit) -> dict[str, float]:
    return {"pages": visit.pages, "minutes": visit.minutes}


def shop(visits: list[LongVisit], sales: list[Sale]) -> Pipeline:
    return Pipeline(
        name="shop",
        events=memory(visits, LongVisit),
        labels=memory(sales, Sale),
        features=only_pages,
        model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        challengers=(Challenger("deep", features=both),),
        versions=Versions(every=100),
    )


def stream(many: int) -> tuple[list[LongVisit], list[Sale]]:
    dice = random.Random(3)
    visits = [LongVisit(id=f"v-{i}", at=10 * i, pages=dice.gauss(0, 1), minutes=dice.gauss(0, 1)) for i in range(many)]
    sales = [Sale(id=visit.id, at=10 * i + 5, bought=visit.minutes > 0) for i, visit in enumerate(visits)]
    return visits, sales


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, Store]]:
    """A store in which `shop.deep` answers alone since visit 200, so that nobody sees as `shop` does; frozen after 900."""
    folder = tmp_path_factory.mktemp("promoted")
    pipeline = shop(*stream(1_200))
    with Engine(pipeline, folder / "shop.eddyline") as engine:
        replay(engine, folder, batch=50, limit=400)
        engine.rollback("shop.deep", author="ana")
        replay(engine, folder, batch=50, limit=1_400)
        engine.command(Command(do="freeze", author="ana"))
        replay(engine, folder, batch=50)
    with closing(Store.read(folder / "shop.eddyline")) as store:
        yield pipeline, store


def retrained(promoted: tuple[Pipeline, Store], folder: Path, challenger: str | None = None) -> Tried:
    pipeline, store = promoted
    return retrain(store, pipeline, Request(name="shop.new", challenger=challenger), folder, folder / "out")


def test_the_champions_recipe_is_made_anew_from_what_it_saw(promoted: tuple[Pipeline, Store], tmp_path: Path) -> None:
    tried = retrained(promoted, tmp_path)
    assert (tried.learned, tried.lineage.unseen) == (720, 0)
    assert tried.passed
    (gate,) = tried.gates
    assert (gate.numbers["wins"], gate.numbers["losses"]) == (0, 0)  # the same recipe, from all that the champion learned
    assert dict(facts(tried))["learned"].startswith("720 (numbers 0 to 719 of the log)")


def test_it_is_timed_beside_the_champion(promoted: tuple[Pipeline, Store], tmp_path: Path) -> None:
    tried = retrained(promoted, tmp_path)
    assert tried.champion == "shop.deep@900"
    assert tried.costs.champion_us > 0


def test_what_nobody_saw_opens_no_gate(promoted: tuple[Pipeline, Store], tmp_path: Path) -> None:
    pipeline, store = promoted
    request = Request(name="shop.new", challenger="shop", examples=Examples(last=500))
    with pytest.raises(NotFound, match="0 of 400 examples could be learned: nobody who sees as shop does was asked"):
        retrain(store, pipeline, request, tmp_path, tmp_path / "out")


def test_while_learning_was_frozen_a_candidate_learns_no_truth_before_it_was_told(
    promoted: tuple[Pipeline, Store], tmp_path: Path
) -> None:
    pipeline, store = promoted
    spec = spec_of(store, pipeline, Request(name="shop.new", examples=Examples(last=400, unlearned=True, held_back=0.75)))
    made = train(store, pipeline, spec, tmp_path / "out")
    held = list(reader_of(store, pipeline, spec).read(chosen_by(store, spec, made).judge))
    assert [sample.row.also for sample in held] == [None] * 300
    known = _as_answered(store, held)
    assert all(number < sample.number for number, sample in known)
    assert known[-1][0] > 1_100  # and it does learn what was told


def test_a_candidate_without_a_model_is_judged_beside_who_answered(promoted: tuple[Pipeline, Store], tmp_path: Path) -> None:
    pipeline, store = promoted
    tried = try_candidate(store, pipeline, Candidate(pipeline=pipeline, features=both), tmp_path)
    assert (tried.champion, tried.silent) == ("shop.deep@900", 0)


def test_every_line_says_where_it_stands_and_which_has_stopped(promoted: tuple[Pipeline, Store]) -> None:
    pipeline, store = promoted
    own, deep = lines(store, pipeline)
    assert (own.line, own.position, own.learns) == ("shop", 200, False)
    assert (deep.line, deep.position, deep.learns, deep.since) == ("shop.deep", 900, True, None)
    assert own.sentence() == "shop stands still at 200 since 1970-01-01T00:33:15Z"


def test_a_run_is_summed_up_with_who_answers_by_the_name_of_its_line(tmp_path: Path) -> None:
    pipeline = shop(*stream(300))
    with Engine(pipeline, tmp_path / "shop.eddyline") as engine:
        replay(engine, tmp_path, limit=400)
        engine.rollback("shop.deep", author="ana")
        replay(engine, tmp_path)
        summary = summarize(engine)
    assert (summary.voice, summary.learner) == ("shop.deep@300", "shop.deep@300")
    assert summary.versions == 3 + 4
