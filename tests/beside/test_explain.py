"""An answer of a job is explained from its topics, as one of a store is, and given again to the bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from river import linear_model, naive_bayes
from tests.beside.shop import HostedJob, shop, visits, workshop
from tests.shops import KeyedVisit, Sale

from eddyline import Challenger, Event, Label, NotFound, Shadow, memory
from eddyline.engines.flink.fetching import Answered
from eddyline.views.explain import Explanation
from eddyline.views.explain_beside import explain_beside


def ran(records: int = 400, **more: Any) -> HostedJob:
    """A job that took so many records."""
    job = HostedJob(shop(**more), visits(), flow=0)
    job.run(records)
    return job


def explained(job: HostedJob, folder: Path, event_id: str) -> Explanation:
    """What is told of an event, by a copy that is up to date."""
    made = workshop(job, folder)
    with closing(made.copy):
        job.fetch(made.copy)
        return explain_beside(job, job.hosted.pipeline, made.copy.store, event_id)


def test_an_answer_is_told_with_its_event_its_truth_and_itself_again(tmp_path: Path) -> None:
    told = explained(ran(), tmp_path, "v-150")
    assert told.event is not None
    assert told.event["id"] == "v-150"
    assert (told.prediction.event_id, told.version, told.block) == ("v-150", told.prediction.version, 0)
    assert told.prediction.position > 0
    assert (told.again, told.again_detail) == ("equal", "bit for bit")
    truth = Sale(id="v-150", at=1505, bought=told.truths[0].truth)
    assert [(one.known, one.version, one.at) for one in told.truths] == [("label", "shop@151", truth.at * 1_000_000)]


def test_every_answer_is_given_again_by_the_version_it_names(tmp_path: Path) -> None:
    job = ran()
    made = workshop(job, tmp_path)
    with closing(made.copy):
        job.fetch(made.copy)
        for event_id in (f"v-{n}" for n in range(0, 200, 7)):
            assert explain_beside(job, job.hosted.pipeline, made.copy.store, event_id).again == "equal"


def test_an_answer_whose_truth_has_not_come_is_explained_too(tmp_path: Path) -> None:
    job = ran(401)  # a visit, and its sale not yet
    told = explained(job, tmp_path, "v-200")
    assert told.truths == []
    assert told.again == "equal"


class Picky(linear_model.LogisticRegression):
    """Learns all but one visit, of which it is half changed when it fails."""

    def learn_one(self, x: Any, y: Any, w: Any = 1.0) -> None:
        super().learn_one(x, y, w)
        if x["pages"] == 99.0:
            raise ValueError("not this one")


def visits_of_seven() -> Iterator[Event | Label]:
    """Visits of seven people in turn; the truth of one of them cannot be learned."""
    for n in range(10**9):
        pages = random.Random(n).random() * 9
        yield KeyedVisit(id=f"v-{n}", who=f"w-{n % 7}", at=10 * n, pages=99.0 if n == 37 else pages)
        yield Sale(id=f"v-{n}", at=10 * n + 5, bought=pages > 4)


def test_an_answer_of_a_model_per_key_is_given_again_by_what_its_key_had_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = shop(per="key", model=Picky(), events=memory([], KeyedVisit))
    job = HostedJob(keyed, visits_of_seven(), flow=0)
    job.run(400)
    assert [letter.event_id for letter in job.hosted.written.dead] == ["v-37"]
    made = workshop(job, tmp_path)
    with closing(made.copy):
        job.fetch(made.copy)
        for event_id in (f"v-{n}" for n in range(200)):
            told = explain_beside(job, keyed, made.copy.store, event_id)
            assert (event_id, told.again) == (event_id, "equal")
        forged = msgspec.structs.replace(told.prediction, position=told.prediction.position - 7)
        assert told.prediction.position > 100
        monkeypatch.setattr(job, "answer", lambda _: Answered(forged, 1.0))
        assert explain_beside(job, keyed, made.copy.store, event_id).again == "different"


def test_what_the_others_said_is_told(tmp_path: Path) -> None:
    beside = Challenger("naive", model=naive_bayes.GaussianNB(), mode=Shadow())
    told = explained(ran(challengers=(beside,)), tmp_path, "v-150")
    assert [one.version.partition("@")[0] for one in told.beside] == ["shop.naive"]


def test_another_answer_than_the_recorded_one_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ran()
    honest = job.answer("v-150")
    assert honest is not None
    forged = honest._replace(prediction=msgspec.structs.replace(honest.prediction, value=not honest.prediction.value))
    monkeypatch.setattr(job, "answer", lambda _: forged)
    assert explained(job, tmp_path, "v-150").again == "different"


def test_a_copy_that_lags_claims_nothing(tmp_path: Path) -> None:
    job = ran()
    made = workshop(job, tmp_path)
    with closing(made.copy):
        job.fetch(made.copy)
        job.run(100)
        told = explain_beside(job, job.hosted.pipeline, made.copy.store, "v-249")
    assert (told.again, told.truths) == ("not claimed", [])
    assert "the copy of the log ends at shop@200" in told.again_detail


def test_an_event_that_was_not_answered_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="event 'v-9999' was not answered by the job of shop"):
        explained(ran(), tmp_path, "v-9999")
