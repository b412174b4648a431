"""The report of a job from its topics: what a store of the same stream would show, and in words what topics cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from river import base
from tests.beside.shop import shop
from tests.beside.told import messages
from tests.shops import LongVisit, Sale
from tests.views import contested

from eddyline import Engine, Event, Join, Label, NotFound, Pipeline, Rejected, RollBack, Watch, days, hours, minutes, seconds
from eddyline.engines.flink import watch
from eddyline.engines.flink.told import Told
from eddyline.records.errors import StoreMismatch
from eddyline.store.database import Store
from eddyline.testing.hosted import Hosted, run_hosted
from eddyline.views.facts import ReportData
from eddyline.views.incidents import Incident
from eddyline.views.page import render
from eddyline.views.report import report_data
from eddyline.views.report_of_job import report_told

DECIDES = {"decide": (RollBack(evidence=100),)}
ELSEWHERE = {
    *("store", "blocks", "as_of", "received_at", "answering", "versions", "head", "fingerprint", "declarations"),
    *("job", "unknown"),
}
"""What is about a store or a job, or about which version of a learner is out: a job publishes them, and has no blocks."""


class Rule(base.Classifier):
    """Answers by a rule and learns nothing: so a job answers as a store does, by whichever version."""

    def learn_one(self, x: Any, y: Any, **_: Any) -> None:
        """Nothing is learned."""

    def predict_proba_one(self, x: Any, **_: Any) -> Any:
        """By pages and minutes."""
        sure = min(0.99, max(0.01, (x["pages"] * 2 + x["minutes"]) / 40))
        return {True: sure, False: 1 - sure}


def ruled(**more: Any) -> Pipeline:
    """A shop that answers by the rule, measured by segment; a truth comes in twelve hours or never."""
    declared = {"model": Rule(), "decide": (), "join": Join(wait=hours(12)), "watch": Watch(segment=_pages, drift=("pages",))}
    return shop(**declared | more)


def _pages(visit: Any) -> str:
    return f"{int(visit.pages) // 3}"


def three_days(many: int = 900) -> list[Event | Label]:
    """Visits five minutes apart, which turn longer after a day; every seventh has no truth, every eleventh one that is late."""
    return list(_three_days(many))


def _three_days(many: int) -> Iterator[Event | Label]:
    random, waiting = Random(7), list[tuple[int, str, bool]]()
    for n in range(many):
        at, pages, minutes = 300 * n, random.random() * (9 if n < 300 else 30), random.random() * 20
        while waiting and waiting[0][0] <= at:
            told_at, visit, bought = waiting.pop(0)
            yield Sale(id=visit, at=told_at, bought=bought)
        yield LongVisit(id=f"v-{n}", at=at, pages=pages, minutes=minutes)
        if n % 7:
            later = at + (86_400 if n % 11 == 0 else 600)
            waiting.append((later, f"v-{n}", pages * 2 + minutes > 18 + 4 * random.random()))
            waiting.sort()


def hosted(pipeline: Pipeline, records: list[Event | Label], every: int, parallelism: int = 2) -> Hosted:
    """A job that took them, with a checkpoint after the last one."""
    job = run_hosted(pipeline, records, parallelism=parallelism, every=every)
    job.checkpoint()
    return job


def of_store(pipeline: Pipeline, folder: Path, records: list[Event | Label]) -> ReportData:
    """The report of one process that took the same stream."""
    path = folder / "shop.eddyline"
    with Engine(pipeline, path) as engine:
        for record in records:
            with suppress(Rejected):  # a dead letter
                if isinstance(record, Event):
                    engine.answer(record)
                else:
                    engine.tell(record)
    with closing(Store.read(path)) as store:
        return report_data(store, pipeline)


def plain(report: ReportData) -> dict[str, Any]:
    """What a job and a store have to agree about; an alert names the version that answered, which is not the same.

    Of dead letters a store shows the first of each kind, a job one.
    """
    found = {name: getattr(report, name) for name in ReportData.__struct_fields__ if name not in ELSEWHERE}
    found["alerts"] = [msgspec.structs.replace(alert, position=0) for alert in report.alerts]
    found["refused"] = [(pile.stream, pile.reason, pile.count) for pile in report.refused]
    found["lanes"] = [(lane.monitor, lane.subject, lane.count, lane.days) for lane in report.lanes]
    return found


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch tells its numbers at every checkpoint, not every five seconds."""
    monkeypatch.setattr(watch, "PUBLISH_SECONDS", 0.0)


@pytest.mark.parametrize("more", [{}, DECIDES], ids=["nobody decides", "somebody decides"])
def test_a_job_has_the_figures_that_a_store_of_the_same_stream_has(tmp_path: Path, more: dict[str, Any]) -> None:
    pipeline, records = ruled(**more), three_days()
    mine = report_told(pipeline, messages(hosted(pipeline, records, every=50)))
    theirs = of_store(pipeline, tmp_path, records)
    fates, quality = theirs.fates, theirs.quality
    assert quality is not None
    assert mine.quality is not None
    assert min(fates.labelled, fates.expired, fates.waiting, fates.dead, theirs.alerted, len(quality.segments)) > 0
    versions = [(row.name, row.count) for row in mine.quality.versions]
    assert sum(count for _, count in versions) == quality.overall[0].count  # by other versions, of the same answers
    mine.quality.versions[:] = quality.versions
    assert plain(mine) == plain(theirs)
    assert mine.answering.startswith("shop@")


def test_deciding_is_told_as_a_store_tells_it(tmp_path: Path) -> None:
    """With a version after every record a job answers as one process does, so it decides the same: to the same sums."""
    pipeline = contested.pipeline(lateness=seconds(0), join=Join(wait=minutes(10), lateness=seconds(0)))
    records = contested.stream(1_500)
    mine = report_told(pipeline, messages(hosted(pipeline, records, every=1, parallelism=1)))
    theirs = of_store(pipeline, tmp_path, records)
    ours, known = mine.deciding, theirs.deciding
    assert ours is not None
    assert known is not None
    assert known.seats.unseated
    assert known.happened > 1
    for name in ("seats", "spells", "lines", "decided", "happened", "descents"):
        assert getattr(ours, name) == getattr(known, name), name
    assert [one.decision for one in ours.decisions] == [one.decision for one in known.decisions]
    assert [outside(one) for one in ours.incidents] == [outside(one) for one in known.incidents]
    assert [(row.revision, row.answers, row.position) for row in mine.rollouts] == [
        (row.revision, row.answers, row.position) for row in theirs.rollouts
    ]
    assert "eddyline incidents FILE --brokers HOST:PORT NUMBER" in render(mine)
    assert "eddyline incidents FILE NUMBER" in render(theirs)
    for name in ("fates", "coverage", "delays", "quality", "lanes", "also"):
        assert getattr(mine, name) == getattr(theirs, name), name


def outside(one: Incident) -> Incident:
    """An incident without the block and the wall clock of each moment, which a job has not."""
    timeline = [msgspec.structs.replace(each, block=0, received_at=0.0) for each in one.timeline]
    return msgspec.structs.replace(one, block=0, closed_block=None, opened_received_at=0.0, timeline=timeline)


def cut(told: Told, stream: str, many: int) -> Told:
    """The same where the broker has let go of the first messages of a stream."""
    left = list(told.streams[stream])[many:]
    return Told({**told.streams, stream: left}, told.place, frozenset({stream}), begins={(stream, 0): left[0].value})


def test_answers_that_the_broker_let_go_of_are_said_and_not_guessed() -> None:
    pipeline = ruled(**DECIDES)
    told = messages(hosted(pipeline, three_days(), every=50))
    whole, late = report_told(pipeline, told), report_told(pipeline, cut(told, "predictions", 400))
    assert (late.quality, late.delays, late.fates) == (whole.quality, whole.delays, whole.fates)
    assert late.coverage == whole.coverage[2:]
    assert late.deciding is not None
    assert not late.deciding.seats.counted
    page = render(late)
    assert "told by day from 1970-01-03 on" in page
    assert "retention.ms of shop.predictions" in page
    assert "what waits for approval is not known" in page


def test_a_look_while_the_job_goes_on_plays_as_far_as_the_order_tells() -> None:
    pipeline = ruled(**DECIDES)
    told = messages(hosted(pipeline, three_days(), every=50))
    order = list(told.streams["taken"])
    found = report_told(pipeline, Told({**told.streams, "taken": order[: len(order) // 2]}))
    assert found.deciding is not None
    assert found.deciding.seats.counted
    assert 0 < found.fates.labelled < report_told(pipeline, told).fates.labelled


def test_where_nothing_was_answered_yet_it_is_said_with_what_to_type() -> None:
    with pytest.raises(NotFound, match=r"has answered nothing yet: topic shop\.predictions is empty\n.*eddyline flink status"):
        report_told(ruled(), messages(Hosted(ruled())))


def test_a_file_that_the_job_does_not_run_is_refused() -> None:
    job = hosted(ruled(), three_days(200), every=50)
    with pytest.raises(StoreMismatch, match="runs another declaration than this file"):
        report_told(ruled(join=Join(wait=days(1))), messages(job))


def test_the_page_of_a_job_speaks_of_topics_and_of_no_store() -> None:
    page = render(report_told(ruled(**DECIDES), messages(hosted(ruled(**DECIDES), three_days(), every=50))))
    assert "job on Flink, topics <code>shop.*</code> at <code>memory</code>" in page
    assert "</strong> answers now, as it is learned, since the start" in page
    assert "eddyline verify FILE --brokers HOST:PORT" in page
    assert "eddyline dead-letters FILE --brokers HOST:PORT" in page
    assert "Bursts of dead letters are not among the incidents" in page
    assert "block" not in page.partition("<body>")[2]
    assert "the journal" not in page
