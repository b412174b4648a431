"""Who sits in a job, from its topics: the same seats, verdicts and lost places as the job's own memory of deciding has."""

from __future__ import annotations

from functools import cache

import pytest
from tests.beside.told import messages
from tests.views import contested

from eddyline.cli.challengers import _page
from eddyline.engines.flink.told import Told
from eddyline.testing.hosted import Hosted
from eddyline.views.seats import Seats, seats_of
from eddyline.views.seats_of_job import seats_told

DECIDED = contested.pipeline()


@cache
def job(many: int = 4_000) -> Hosted:
    """A job whose challengers are judged; the worse one loses its seat. A checkpoint after every hundredth record."""
    hosted = Hosted(DECIDED, 2)
    for number, record in enumerate(contested.stream(many)):
        hosted.take(record)
        if number % 100 == 99:
            hosted.checkpoint()
    hosted.checkpoint()
    return hosted


def remembered(hosted: Hosted) -> Seats:
    """The seats as the hosts remember them, which is what Flink keeps."""
    learners = hosted.learn.hosts[0].learners  # type: ignore[attr-defined]
    state, positions = learners.deciding, learners.positions()
    return seats_of(hosted.pipeline, learners.decide, state, positions, learners.at, hosted.written.decisions)


@pytest.mark.parametrize("many", [500, 4_000])
def test_the_seats_of_a_job_are_those_that_it_remembers(many: int) -> None:
    hosted = job(many)
    found = seats_told(DECIDED, messages(hosted))
    assert found == remembered(hosted)
    assert found.counted
    assert not found.behind


def test_contests_are_counted_and_a_lost_seat_has_its_decision() -> None:
    early, late = (seats_told(DECIDED, messages(job(many))) for many in (500, 4_000))
    contests = [contest for seat in early.seats for contest in seat.contests]
    assert contests
    assert all(contest.verdict.pairs > 100 for contest in contests)
    assert all(seat.answers > 100 for seat in early.seats)
    assert late.unseated
    for one in late.unseated:
        assert one.decision.action == "retire"
        assert one.line in {challenger.place.who for challenger in early.seats}


def test_who_sits_is_known_without_all_answers_and_how_they_do_is_said_to_be_not(capsys: pytest.CaptureFixture[str]) -> None:
    told = messages(job(500))
    answers = list(told.streams["predictions"])
    found = seats_told(DECIDED, Told({**told.streams, "predictions": answers[100:]}, late=frozenset({"predictions"})))
    whole = seats_told(DECIDED, told)
    assert not found.counted
    assert (found.champion, found.former) == (whole.champion, whole.former)
    assert [seat.place for seat in found.seats] == [seat.place for seat in whole.seats] != []
    _page(found, "FILE")
    said = " ".join(capsys.readouterr().out.split())
    assert "how they do, what learns and what waits for approval is not known" in said
    assert "retention.ms of fraud.predictions" in said
    assert "learner at" not in said.partition("asked as")[2]
    assert "nobody compares it" not in said


def test_hints_about_a_job_name_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    _page(seats_told(DECIDED, messages(job())), "FILE --brokers HOST:PORT")
    said = " ".join(capsys.readouterr().out.split())
    assert "has no seat: retire by" in said
    assert "eddyline challengers FILE --brokers HOST:PORT --enter fraud." in said
