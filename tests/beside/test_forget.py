"""Forgetting in a running job: to the digest, it becomes the one that never saw those events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from river import forest, naive_bayes, tree
from tests.beside.shop import Easy, HostedJob, shop, visits, workshop
from tests.shops import LongVisit, Sale

from eddyline import Challenger, EddylineError, Engine, Event, NotFound, days
from eddyline.records import Place
from eddyline.stages.commands import Command
from eddyline.store.reader import PredictionReader
from eddyline.store.rebuild import entered_as
from eddyline.store.training import trained_in
from eddyline.views.beside import Workshop
from eddyline.views.forget_beside import forget_beside
from eddyline.views.retraining import Request

BAD = ("v-40", "v-41", "v-160")


@contextmanager
def beside(job: HostedJob, folder: Path) -> Iterator[Workshop]:
    made = workshop(job, folder)
    with closing(made.copy):
        yield made


def without(path: Path, records: int, **more: Any) -> str:
    """The digest of a run in one process that never saw those events."""
    with Engine(shop(**more), path) as engine:
        for record in islice(visits(leave_out=BAD), records - 2 * len(BAD)):
            if isinstance(record, Event):
                engine.answer(record)
            else:
                engine.tell(record)
        return engine.loop.states.learn.model.digest()


MODELS: dict[str, Callable[[], Any]] = {
    "bayes": naive_bayes.GaussianNB,
    "tree": lambda: tree.HoeffdingAdaptiveTreeClassifier(grace_period=30, seed=1),
    "forest": lambda: forest.ARFClassifier(n_models=3, seed=1),
}


@pytest.mark.parametrize("model", MODELS)
def test_after_forgetting_the_job_is_one_that_never_saw_the_events(tmp_path: Path, model: str) -> None:
    job = HostedJob(shop(model=MODELS[model]()), visits())
    job.run(400)
    with beside(job, tmp_path) as made:
        forgot = forget_beside(made, BAD, author="ann", reason="poisoned")
    assert [(one.line, one.successor, one.examples, one.proved) for one in forgot] == [("shop", "shop.f1", 3, True)]
    job.run(40)
    records = sum(isinstance(one, LongVisit | Sale) for one in job.log)
    assert job.hosted.written.predictions[-1].model == "shop.f1"
    assert job.model("shop.f1").digest() == without(tmp_path / "never", records, model=MODELS[model]())
    job.sound()


def test_challengers_forget_too_and_versions_that_learned_leave(tmp_path: Path) -> None:
    job = HostedJob(shop(challengers=(Challenger("tree", model=MODELS["tree"]()),)), visits())
    job.run(400)
    pinned = next(
        version.name for version, _ in job.hosted.written.versions if version.model == "shop" and version.position > 45
    )
    job.take(Command(do="enter", place=Place(pinned), author="ann"))
    with beside(job, tmp_path) as made:
        first = forget_beside(made, BAD[:1], author="ann")
        assert [(one.line, one.successor, one.proved) for one in first] == [
            ("shop", "shop.f1", True),
            ("shop.tree", "shop.f2", True),
        ]
        made.job.fetch(made.copy)
        seats = made.copy.store.block(made.copy.store.seq).notes.rollout.places
        assert [place.who for place in seats] == ["shop.f2"]
        again = forget_beside(made, BAD, author="ann")
        assert [(one.line, one.successor, one.examples, one.proved) for one in again] == [
            ("shop.f1", "shop.f3", 2, True),
            ("shop.f2", "shop.f4", 2, True),
        ]
    job.sound()


def test_an_event_whose_truth_is_still_to_come_is_never_learned(tmp_path: Path) -> None:
    job = HostedJob(shop(), visits())
    job.run(100)
    job.take(LongVisit(id="late", at=520, pages=1.0, minutes=1.0))
    job.flow = 2
    with beside(job, tmp_path) as made:
        (one,) = forget_beside(made, ["late"], author="ann")
        assert (one.examples, one.proved) == (0, True)
    before = job.hosted.learn.hosts[0].learners.states["shop.f1"].position  # type: ignore[attr-defined]
    job.take(Sale(id="late", at=530, bought=True))
    assert job.hosted.learn.hosts[0].learners.states["shop.f1"].position == before  # type: ignore[attr-defined]
    assert job.hosted.written.examples[-1][0].prediction.event_id == "late"
    job.sound()


def test_what_was_retrained_forgets_too_and_is_the_model_that_never_saw_the_events(tmp_path: Path) -> None:
    job = HostedJob(shop(decide=(Easy(every=days(10_000)),)), visits())
    job.run(400)
    with beside(job, tmp_path) as made:
        entered = made.retrain(Request(name="shop.r1"), None, author="ann").decision
        assert entered is not None
        job.run(60)
        forgot = forget_beside(made, BAD, author="ann")
        assert [(one.line, one.successor, one.proved) for one in forgot] == [("shop.r1", "shop.f1", True)]
        assert forgot[0].digest == never_saw(made, "shop.r1")
        again = forget_beside(made, ["v-50"], author="ann")
        assert [(one.line, one.proved) for one in again] == [("shop.f1", True)]
    job.sound()


def never_saw(made: Workshop, line: str) -> str:
    """The digest of a fresh model that learned what a training did and all that came until its successor entered, but those."""
    trained, model = trained_in(made.work / line), made.pipeline.plan().lines["shop"].model
    assert trained is not None
    assert trained.lineage.learned.last is not None
    store, until = made.copy.store, trained.lineage.learned.last.number
    model, predictions = model.restored(model.save()), PredictionReader(store)
    many = entered_as(store, "shop.f1").position
    learned = 0
    for number, row in enumerate(row for seq in range(1, store.seq + 1) for row in store.examples_of(seq)):
        prediction = predictions.read(row.slot)
        came_after = row.position > trained.lineage.reached or line in (row.also or {})
        if (number <= until or came_after) and prediction.event_id not in BAD and learned < many:
            model.learn(prediction.features, row.truth)
            learned += 1
    return model.digest()


def test_a_line_that_cannot_tell_what_it_learned_says_so_before_anything_is_changed(tmp_path: Path) -> None:
    job = HostedJob(shop(decide=(Easy(every=days(10_000)),)), visits())
    job.run(300)
    with beside(job, tmp_path) as made:
        made.retrain(Request(name="shop.r1", continues="shop@50"), Place("", "shadow"), author="ann")
        with pytest.raises(
            EddylineError, match=r"shop\.r1 was made by retrain, and went on from shop@50(?s:.*)--leave shop\.r1"
        ):
            forget_beside(made, BAD, author="ann")
        assert [one.subject for one in made.decided() if one.action == "enter"] == ["shop.r1"]
        job.ask(Command(do="leave", to="shop.r1", author="ann"))
        assert [one.proved for one in forget_beside(made, BAD, author="ann")] == [True]
    job.sound()


def test_what_nobody_learned_is_said(tmp_path: Path) -> None:
    job = HostedJob(shop(), visits())
    job.run(100)
    with beside(job, tmp_path) as made, pytest.raises(NotFound, match="nobody who answers has learned nobody"):
        forget_beside(made, ["nobody"], author="ann")
