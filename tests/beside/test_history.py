"""The history of a job from its topics: who was in production, and every decision made again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
from tests.beside.shop import HostedJob, shop, visits, workshop

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit_topics import Message
from eddyline.views.forget_beside import forget_beside
from eddyline.views.ledger_of_job import Annals, check_recorded, decisions, in_production, tenures


def forgetting(folder: Path) -> HostedJob:
    """A job in which somebody made two events be forgotten."""
    job = HostedJob(shop(), visits())
    job.run(300)
    made = workshop(job, folder)
    with closing(made.copy):
        forget_beside(made, ["v-3"], author="ann", reason="poisoned")
        forget_beside(made, ["v-9"], author="bob")
    job.run(20)
    job.hosted.checkpoint()
    return job


def test_who_was_in_production_is_told_from_the_topics(tmp_path: Path) -> None:
    job = forgetting(tmp_path)
    told = Annals([(one, 10.0 * one.revision) for one in job.hosted.written.rollouts],
                  [(one, 10.0 * one.number) for one in job.hosted.written.decisions])  # fmt: skip
    past = tenures(told, job.hosted.pipeline)
    assert [(one.champion, one.rollout.author) for one in past] == [
        ("shop", "eddyline"),
        ("shop.f1", "ann"),
        ("shop.f2", "bob"),
    ]
    assert [one.decision.action if one.decision else "" for one in past] == ["", "enter", "enter"]
    assert [one.decision.action for one in decisions(told)] == ["hold", "enter", "hold", "enter"]
    first, second = past[1].at, past[2].at
    assert first is not None
    assert second is not None
    held = in_production(told, job.hosted.pipeline, (first + second) / 2)
    assert (held.put_there.champion, held.put_there.rollout.reason, held.until) == ("shop.f1", "poisoned", second)
    assert in_production(told, job.hosted.pipeline, 25.0, clock="wall").put_there.champion == "shop.f2"
    assert in_production(told, job.hosted.pipeline, 0).put_there.champion == "shop"


def test_every_decision_follows_from_what_was_taken_and_a_changed_one_does_not(tmp_path: Path) -> None:
    job = forgetting(tmp_path)
    run = job.hosted.recorded()
    done = check_recorded(job.hosted.pipeline, run)
    assert done.sound
    assert len(done.decisions) == 4
    changed = msgspec.structs.replace(wire.decode_decision(run["decisions"][0].value), author="mallory")
    run["decisions"][0] = Message(wire.encode_decision(changed))
    done = check_recorded(job.hosted.pipeline, run)
    assert [one.follows for one in done.decisions] == [False, True, True, True]
    del run["decisions"][1]
    assert [one.number for one in check_recorded(job.hosted.pipeline, run).missing] == [2]
