"""A copy of a job's log gives a training what a store gives it, however it was read, and refuses what is not its own."""

from __future__ import annotations

import random
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from river import linear_model
from tests.beside.shop import HostedJob, shop, visits

from eddyline import Challenger, Engine, Event, Pipeline, Promote, StoreMismatch
from eddyline.engines.flink.copying import STREAMS, LogCopy, Sent
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.store.rebuild import StoredLines
from eddyline.store.training import Spec, Trained, train

RECORDS = 600


def declared() -> Pipeline:
    return shop(challengers=(Challenger("narrow", features=lambda visit: {"pages": visit.pages}),))


def stored(pipeline: Pipeline, path: Path) -> None:
    """The same records in an engine's store."""
    with Engine(pipeline, path) as engine:
        for record in islice(visits(), RECORDS):
            if isinstance(record, Event):
                engine.answer(record)
            else:
                engine.tell(record)


def trained(store: Store, pipeline: Pipeline, folder: Path, line: str = "shop") -> Trained:
    return train(store, pipeline, Spec(name="shop.r1", model=pipeline.plan().lines[line].model, line=line), folder)


@pytest.mark.parametrize("line", ["shop", "shop.narrow"])
def test_a_training_from_topics_is_the_one_from_a_store(tmp_path: Path, line: str) -> None:
    pipeline = declared()
    job = HostedJob(pipeline, visits(), flow=0)
    job.run(RECORDS)
    stored(pipeline, tmp_path / "shop.eddyline")
    with LogCopy(pipeline, tmp_path / "copy.eddyline") as copy:
        job.fetch(copy)
        mine = trained(copy.store, pipeline, tmp_path / "mine", line)
        assert StoredLines(copy.store, pipeline.plan()).rebuild(line, 250).digest()
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        theirs = trained(store, pipeline, tmp_path / "theirs", line)
    assert mine.digest == theirs.digest
    assert mine.lineage.learned == theirs.lineage.learned
    assert mine.position == mine.lineage.learned.count > 200


def test_topics_that_are_read_in_pieces_and_out_of_step_give_the_same_copy(tmp_path: Path) -> None:
    pipeline, dice = declared(), random.Random(7)
    job = HostedJob(pipeline, visits(), flow=0)
    job.run(RECORDS)
    job.hosted.checkpoint()
    run = job.hosted.recorded()
    left = {stream: list(run[stream]) for stream in STREAMS}
    with LogCopy(pipeline, tmp_path / "whole.eddyline") as whole:
        job.fetch(whole)
        expected = examples(whole)
    while any(left.values()):
        with LogCopy(pipeline, tmp_path / "pieces.eddyline") as copy:  # opened anew each time, as after a kill
            stream = dice.choice([name for name, messages in left.items() if messages])
            many = dice.randrange(1, 40)
            copy.take(Sent(stream, 0, one.offset, 1.0, one.value) for one in left[stream][:many])
            del left[stream][:many]
            if dice.random() < 0.7:
                copy.settle()
    with LogCopy(pipeline, tmp_path / "pieces.eddyline") as copy:
        copy.settle()
        assert examples(copy) == expected
        assert len(expected) == copy.store.examples > 250
        lines = StoredLines(copy.store, pipeline.plan())
        for line, model in (("shop", job.model("shop")), ("shop.narrow", job.model("shop.narrow"))):
            assert lines.rebuild(line, copy.position(line)).digest() == model.digest()


def test_what_was_decided_is_there_though_later_examples_are_not(tmp_path: Path) -> None:
    job = HostedJob(declared(), visits(), flow=0)
    job.run(200)
    job.take(Command(do="leave", to="shop.narrow", author="ann"))
    job.run(100)
    job.hosted.checkpoint()
    run = {stream: list(messages) for stream, messages in job.hosted.recorded().items()}
    late = run["examples"][-20:]
    del run["examples"][-20:]
    with LogCopy(declared(), tmp_path / "copy.eddyline") as copy:
        for stream in STREAMS:
            copy.take(Sent(stream, 0, one.offset, 1.0, one.value) for one in run[stream] if stream != "rollouts")
        copy.settle()
        assert not copy.current, "a decision says that there is another rollout, which has not come"
        copy.take(Sent("rollouts", 0, one.offset, 1.0, one.value) for one in run["rollouts"])
        copy.settle()
        assert copy.store.block(copy.store.seq).notes.rollout.places == ()
        assert copy.current
        assert copy.store.examples < len(run["examples"]) + len(late)
        copy.take(Sent("examples", 0, one.offset, 1.0, one.value) for one in late)
        copy.settle()
        assert copy.store.examples == len(run["examples"]) + len(late)


def test_a_copy_counts_records_as_decisions_count_them(tmp_path: Path) -> None:
    job = HostedJob(declared(), visits(), flow=0)
    job.run(RECORDS)
    job.take(Command(do="freeze", author="ann"))
    job.run(50)
    with LogCopy(declared(), tmp_path / "copy.eddyline") as copy:
        job.fetch(copy)
        assert copy.records == job.hosted.learn.hosts[0].learners.deciding.record  # type: ignore[attr-defined]
        assert copy.inputs == copy.records + 1


def test_a_copy_is_refused_to_another_declaration_and_an_engines_store_to_a_copy(tmp_path: Path) -> None:
    with LogCopy(declared(), tmp_path / "copy.eddyline"):
        pass
    with pytest.raises(StoreMismatch, match="was copied for another declaration of shop, which differs in model"):
        LogCopy(shop(model=linear_model.LogisticRegression(), challengers=declared().challengers), tmp_path / "copy.eddyline")
    with Engine(declared(), tmp_path / "shop.eddyline"):
        pass
    with pytest.raises(StoreMismatch, match="is the store of an engine"):
        LogCopy(declared(), tmp_path / "shop.eddyline")


def test_a_file_that_the_job_does_not_run_is_refused(tmp_path: Path) -> None:
    job = HostedJob(declared(), visits(), flow=0)
    job.run(100)
    other = shop(model=linear_model.LogisticRegression(l2=0.5), challengers=declared().challengers)
    with LogCopy(other, tmp_path / "copy.eddyline") as copy, pytest.raises(StoreMismatch, match="runs another declaration"):
        job.fetch(copy)


def test_a_copy_goes_on_across_an_upgrade_of_the_job_with_the_file_that_runs(tmp_path: Path) -> None:
    newer = declared().replace(decide=(Promote(evidence=1e11),))
    job = HostedJob(declared(), visits(), flow=0)
    job.run(RECORDS)
    with LogCopy(declared(), tmp_path / "copy.eddyline") as copy:
        job.fetch(copy)
    job.hosted.upgrade(newer, "ann")
    job.run(50)
    with LogCopy(declared(), tmp_path / "copy.eddyline") as copy, pytest.raises(StoreMismatch, match="it took up"):
        job.fetch(copy)
    with LogCopy(newer, tmp_path / "copy.eddyline") as copy:
        job.fetch(copy)
        assert copy.current
        assert copy.records == job.hosted.learn.hosts[0].learners.deciding.record  # type: ignore[attr-defined]
        assert copy.store.examples == len(job.hosted.written.examples)
        for line in ("shop", *(f"shop.{one.name}" for one in newer.challengers)):
            assert copy.position(line) == job.hosted.learn.hosts[0].learners.states[line].position  # type: ignore[attr-defined]


def examples(copy: LogCopy) -> list[bytes]:
    """Every example of a copy, with its number, to the byte."""
    rows = [row for seq in range(1, copy.store.seq + 1) for row in copy.store.examples_of(seq)]
    return [msgspec.msgpack.encode(row) for row in rows]
