"""A model that was made beside a running job enters it and knows every example once; whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.beside.shop import Easy, HostedJob, shop, visits, workshop
from tests.shops import LongVisit

from eddyline import Challenger, DeclarationError, Engine, Event, Floor, Label, NotFound, Retrain, days, hours
from eddyline.connectors.kafka import wire
from eddyline.engines.embedded.codec import command_input
from eddyline.engines.flink.learn import Request
from eddyline.engines.flink.newcomers import entered
from eddyline.records import Decision, Place
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.examples import position_at
from eddyline.store.rebuild import StoredLines
from eddyline.store.training import Lineage, trained_in
from eddyline.views.beside import Follower, Workshop
from eddyline.views.operate import ask
from eddyline.views.retraining import Request as Wanted

R1 = Wanted(name="shop.r1")
SHADOW = Place("", "shadow")


@dataclass(frozen=True, kw_only=True)
class Strict(Retrain):
    """Nothing is good enough."""

    gates = (Floor("accuracy", at_least=1.0),)


NEVER = Easy(every=days(10_000))
HOURLY = Easy(every=hours(1), cool_down=timedelta(0), window=150)


@contextmanager
def beside(job: HostedJob, folder: Path, **more: Any) -> Iterator[Workshop]:
    made = workshop(job, folder, **more)
    with closing(made.copy):
        yield made


def running(*, records: int = 400, **more: Any) -> HostedJob:
    """A job that has taken some records."""
    job = HostedJob(shop(**{"decide": (NEVER,)} | more), visits())
    job.run(records)
    return job


def replayed_in_one_process(job: HostedJob, path: Path, name: str, folder: Path) -> str:
    """The digest of a line after an engine took the same records, and let the same model in at the same place."""
    pipeline = job.hosted.pipeline
    trained = trained_in(folder)
    assert trained is not None
    with Engine(pipeline, path) as engine:
        taken = iter(job.log)
        for record in taken:
            if isinstance(record, Command):
                if record.do == "enter":
                    break
                hold = Command(**{name: getattr(record, name) for name in Command.__struct_fields__})
                (decision,) = engine.take([command_input(hold)], [hold]).decisions
                assert decision == next(one for one in job.hosted.written.decisions if one.action == "hold")
            elif isinstance(record, Event):
                engine.answer(record)
            else:
                assert isinstance(record, Label)
                engine.tell(record)
    entry = Entry(name, "shop", trained.version.name, f"shop@{trained.lineage.reached}", digest=trained.digest)
    command = Command(do="enter", entry=entry, place=Place(name), author="test")
    ask(pipeline, path, command, version=(trained.version, trained.state, "{}"))
    with Engine(pipeline, path) as engine:
        for record in taken:
            if isinstance(record, Event):
                engine.answer(record)
            elif isinstance(record, Label):
                engine.tell(record)
        return engine.loop.states.rivals[name].model.digest()


def test_a_newcomer_that_entered_while_events_flowed_is_the_one_of_one_process(tmp_path: Path) -> None:
    job = running()
    with beside(job, tmp_path) as made:
        came = made.retrain(R1, SHADOW, author="ann")
        assert came.decision is not None
        assert (came.decision.action, came.decision.subject, came.decision.author) == ("enter", "shop.r1", "ann")
        job.run(100)
        entry = entered(made.copy, "shop.r1")
        assert entry is not None
        versions = made.copy.store.versions("shop.r1")
    assert [one.created_by.split()[0] for one in versions] == ["retrain", "entered"]
    assert versions[1].position > versions[0].position > came.tried.learned, "it caught up twice"
    assert job.model("shop.r1").digest() == replayed_in_one_process(job, tmp_path / "e", "shop.r1", tmp_path / "shop.r1")
    job.sound()


def test_a_lineage_travels_with_what_was_made(tmp_path: Path) -> None:
    job = running()
    with beside(job, tmp_path) as made:
        came = made.retrain(R1, SHADOW, author="ann")
    lineages = [wire.lineage_of(raw) for raw in job.hosted.written.of("versions")]
    (told,) = [one for one in lineages if one is not None]
    assert msgspec.convert(told, Lineage) == came.tried.lineage
    assert told["learned"]["digest"] in (came.decision.reason if came.decision else "")


@pytest.mark.parametrize("place", [None, Place("", "canary", 0.3)])
def test_a_newcomer_takes_the_seat_that_it_was_given(tmp_path: Path, place: Place | None) -> None:
    job = running()
    with beside(job, tmp_path) as made:
        made.retrain(R1, place, author="ann")
        job.run(100)
        rollout = made.copy.store.block(made.copy.store.seq).notes.rollout
    if place is None:
        assert rollout.champion == "shop.r1"
        assert job.hosted.written.predictions[-1].model == "shop.r1"
    else:
        assert [(seat.who, seat.mode, seat.share) for seat in rollout.places] == [("shop.r1", "canary", 0.3)]
    job.sound()


def narrow(visit: LongVisit) -> dict[str, float]:
    return {"pages": visit.pages}


def test_where_a_challenger_answers_its_recipe_is_retrained_and_it_is_caught_up_with(tmp_path: Path) -> None:
    job = running(challengers=(Challenger("narrow", features=narrow),))
    job.take(Command(to="shop.narrow", author="ann"))
    with beside(job, tmp_path) as made:
        came = made.retrain(R1, SHADOW, author="ann")
        entry = entered(made.copy, "shop.r1")
        assert entry is not None
        assert came.decision is not None
        assert (entry.like, str(entry.after).partition("@")[0]) == ("shop.narrow", "shop.narrow")
        assert came.decision.reason.startswith("the recipe of shop.narrow, made of ")
        job.run(60)
        job.flow = 0
        made.job.fetch(made.copy)
        trained = trained_in(tmp_path / "shop.r1")
        assert trained is not None
        assert trained.lineage.learned.last is not None
        model = made.copy.plan.lines["shop.narrow"].model.restored(trained.state)
        since = position_at(made.copy.store, "shop.narrow", trained.lineage.learned.last.number)
        for step in StoredLines(made.copy.store, made.copy.plan).past("shop.narrow", since, 10**9):
            model.learn(step.features, step.truth)
    assert job.model("shop.r1").digest() == model.digest()
    job.sound()


def test_a_crash_while_examples_are_held_loses_none_of_them(tmp_path: Path) -> None:
    job = running()
    job.crashes = True  # with each look into the log, also between the hold and the entry
    with beside(job, tmp_path) as made:
        made.retrain(R1, SHADOW, author="ann")
    job.crashes = False
    job.run(60)
    assert job.model("shop.r1").digest() == replayed_in_one_process(job, tmp_path / "e", "shop.r1", tmp_path / "shop.r1")
    job.sound()


def test_what_is_held_is_bounded_and_what_is_let_go_of_is_recorded(tmp_path: Path) -> None:
    job = running()
    with beside(job, tmp_path, hold=3) as made, pytest.raises(NotFound, match=r"shop\.r1 would have to catch up with shop"):
        made.retrain(R1, SHADOW, author="ann")
    letters = [letter for letter in job.hosted.written.dead if letter.stream == "commands"]
    assert letters[0].detail.startswith("3 examples that shop learned since shop@")
    assert "held for shop.r1" in letters[0].detail
    assert "shop.r1" not in job.hosted.learn.hosts[0].learners.holding.kept  # type: ignore[attr-defined]
    job.sound()


def test_a_model_that_is_turned_away_is_held_for_no_more() -> None:
    job = running()
    job.ask(Command(do="hold", to="shop", place=Place("shop.r1"), author="ann"))
    assert "shop.r1" in job.hosted.learn.hosts[0].learners.holding.kept  # type: ignore[attr-defined]
    job.ask(Command(do="turn_away", to="shop.r1", author="ann"))
    assert job.hosted.learn.hosts[0].learners.holding.kept == {}  # type: ignore[attr-defined]
    job.sound()


def test_a_hold_says_from_where_and_refuses_what_makes_no_sense() -> None:
    job = running()
    decision = job.ask(Command(do="hold", to="shop", place=Place("shop.r1"), author="ann", reason="soon"))
    assert (decision.action, decision.subject, decision.evidence["line"]) == ("hold", "shop.r1", "shop")
    assert 200 < decision.evidence["position"] < 210
    for to, who, said in (
        ("shop", "shop", "hold says for whom"),
        ("shop@10", "shop.r2", "is a version, and learns nothing"),
        ("nobody", "shop.r2", "there is no line nobody"),
    ):
        with pytest.raises(NotFound, match=said):
            job.ask(Command(do="hold", to=to, place=Place(who), author="ann"))
    job.sound()


def test_events_that_were_forgotten_are_neither_learned_nor_caught_up_with(tmp_path: Path) -> None:
    job = running()
    bytes_of = job.model("shop").restored(job.model("shop").save())
    job.hosted.checkpoint()
    with beside(job, tmp_path) as made:
        made.job.fetch(made.copy)
        # A branch that shall never learn two events: one long ago, one that comes while the next model catches up.
        upcoming = f"v-{len(job.hosted.written.predictions) + 8}"
        now = made.copy.position("shop")
        entry = Entry("shop.f1", "shop", f"shop.f1@{now}", f"shop@{now}", skip=("v-3", upcoming))
        job.flow = 0
        version = wire.encode_version(
            msgspec.structs.replace(made.copy.store.versions("shop")[-1], model="shop.f1", position=now),
            bytes_of.save(),
            like="shop",
        )
        job.take(Request.of(Command(do="enter", entry=entry, place=Place("shop.f1"), author="ann"), version))
        job.hosted.checkpoint()
        job.flow = 6
        came = made.retrain(R1, SHADOW, author="ann")
        newcomer = entered(made.copy, "shop.r1")
    assert newcomer is not None
    assert newcomer.skip == tuple(sorted(("v-3", upcoming)))
    assert came.tried.lineage.learned.ranges is not None
    assert came.tried.lineage.learned.ranges[0] == (0, 2)
    job.run(40)
    source, line = job.hosted.learn.hosts[0].learners.states["shop"], job.hosted.learn.hosts[0].learners.states["shop.r1"]  # type: ignore[attr-defined]
    assert source.position - line.position == 2
    job.sound()


# Decisions -----------------------------------------------------------------------------------------------------------


def made_by(job: HostedJob) -> list[tuple[str, str]]:
    found = [one for one in job.hosted.written.decisions if one.action in ("enter", "turn_away")]
    return [(one.action, one.subject) for one in found]


def asked(job: HostedJob) -> list[str]:
    return [f"shop.r{one.number}" for one in job.hosted.written.decisions if one.action == "retrain"]


def follow(made: Workshop) -> list[Decision]:
    """Carries out what waits, until nothing does."""
    follower, done = Follower(made, SHADOW), list[Decision]()
    while (decision := follower.step()) is not None:
        done.append(decision)
    return done


def test_decisions_to_retrain_are_carried_out_once_each_whoever_starts_anew(tmp_path: Path) -> None:
    job = running(decide=(HOURLY,), records=800)
    assert len(asked(job)) == 1
    job.flow = 2
    with beside(job, tmp_path / "one") as made:
        assert [one.subject for one in follow(made)] == asked(job)
    job.run(900)
    assert len(asked(job)) == 2
    with beside(job, tmp_path / "two") as made:  # from nothing but the topics
        assert [one.subject for one in follow(made)] == asked(job)[1:]
        assert made.waiting() == []
        assert follow(made) == []
    assert made_by(job) == [("enter", name) for name in asked(job)]
    job.sound()


def test_a_request_that_was_sent_before_a_kill_is_not_sent_twice(tmp_path: Path) -> None:
    job = running(decide=(HOURLY,), records=800)

    class Killed(Exception):  # noqa: N818 - as by a signal, between what it sent and what it would have noted
        pass

    obeyed = job.ask

    def ask_and_die(command: Command, version: bytes = b"") -> Decision:
        decision = obeyed(command, version)
        if command.do == "enter":
            raise Killed
        return decision

    with beside(job, tmp_path) as made:
        job.ask = ask_and_die  # type: ignore[method-assign]
        with pytest.raises(Killed):
            Follower(made, SHADOW).step()
        job.ask = obeyed  # type: ignore[method-assign]
    with beside(job, tmp_path) as made:
        assert follow(made) == []
    assert made_by(job) == [("enter", name) for name in asked(job)]
    job.sound()


def test_a_model_that_does_not_pass_its_gates_is_turned_away_for_good(tmp_path: Path) -> None:
    job = running(decide=(Strict(every=hours(1), cool_down=timedelta(0)),), records=800)
    with beside(job, tmp_path) as made:
        (decision,) = follow(made)
        assert (decision.action, decision.subject) == ("turn_away", asked(job)[0])
        assert "wanted at least 1" in decision.reason
        assert follow(made) == []
    job.sound()


def test_a_job_that_compares_nobody_is_told_so_before_anything_is_made(tmp_path: Path) -> None:
    job = running(decide=(), records=100)
    with beside(job, tmp_path) as made, pytest.raises(DeclarationError, match="its job compares nobody"):
        made.retrain(R1, SHADOW, author="ann")


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    job = running()
    with beside(job, tmp_path) as made:
        made.retrain(R1, SHADOW, author="ann")
        with pytest.raises(NotFound, match=r"there is a line shop\.r1 already"):
            made.retrain(R1, SHADOW, author="ann")
