"""Who sits in a job, from its topics: the same seats, verdicts and lost places as the job's own memory of deciding has."""

from __future__ import annotations

from functools import cache

import pytest
from tests.beside.told import messages
from tests.views import contested

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
