"""A backtest on a job's topics is the job itself: with its own policies, the same decisions at the same places."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.beside.shop import HostedJob, shop, visits
from tests.shops import LongVisit

from eddyline import Challenger, DeclarationError, Promote, RollBack, SourceError
from eddyline.engines.flink.audit_topics import Message
from eddyline.records import Place
from eddyline.stages.commands import Command
from eddyline.views.backtest_of_job import backtest_recorded

OWN = (Promote(evidence=20), RollBack(evidence=50))


def narrow(visit: LongVisit) -> dict[str, float]:
    return {"pages": visit.pages}


def nothing(visit: LongVisit) -> dict[str, float]:
    return {"one": 1.0}


@pytest.fixture(scope="module")
def job() -> HostedJob:
    """The blind one answers at first; who sees is promoted, and operators ask for this and that."""
    challengers = (Challenger("narrow", features=narrow), Challenger("blind", features=nothing))
    pipeline = shop(features=nothing, challengers=challengers, decide=OWN, look_every=20)
    made = HostedJob(pipeline, visits())
    made.run(300)
    made.take(Command(do="freeze", author="ann"))
    made.run(20)
    made.take(Command(do="resume", author="ann"))
    made.take(Command(do="enter", place=Place("shop", "canary", 0.2), author="ann"))
    made.run(300)
    made.hosted.checkpoint()
    return made


def test_the_policies_of_the_job_take_its_decisions_again(job: HostedJob) -> None:
    found = backtest_recorded(job.hosted.pipeline, job.hosted.recorded(), OWN)
    assert [one.decision for one in found.tried] == job.hosted.written.decisions == found.recorded
    assert ("promote", "shop.narrow") in [(one.decision.action, one.decision.subject) for one in found.tried]
    assert found.not_followed == 0
    assert found.sums is not None
    assert found.sums.regret is not None


def test_stricter_policies_would_have_held_still(job: HostedJob) -> None:
    found = backtest_recorded(job.hosted.pipeline, job.hosted.recorded(), (Promote(evidence=1e12),))
    assert [one.decision.action for one in found.tried if one.decision.author == "eddyline"] == []
    assert found.sums is not None
    assert found.sums.policy > found.sums.recorded


def test_only_the_last_part_can_be_asked_about(job: HostedJob) -> None:
    found = backtest_recorded(job.hosted.pipeline, job.hosted.recorded(), OWN, since=timedelta(seconds=600))
    assert 0 < found.record < found.records
    assert all(one.record >= found.record for one in found.recorded)


def test_a_record_with_a_gap_is_refused(job: HostedJob) -> None:
    run = {stream: list[Message](messages) for stream, messages in job.hosted.recorded().items()}
    del run["taken"][5]
    with pytest.raises(SourceError, match="what the job recorded is not whole"):
        backtest_recorded(job.hosted.pipeline, run, OWN)


def test_a_job_in_which_nobody_decides_is_told_so() -> None:
    made = HostedJob(shop(decide=()), visits())
    made.run(20)
    with pytest.raises(DeclarationError, match="nobody decides in its job"):
        backtest_recorded(made.hosted.pipeline, made.hosted.recorded(), OWN)
