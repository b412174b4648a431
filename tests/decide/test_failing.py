"""A challenger that fails says why: before the stream, at the event, and in the ledger, in words that are true."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from eddyline.cli.challengers import command as challengers
from eddyline.cli.check import command as check
from eddyline.cli.explain import command as explain
from eddyline.engines.embedded import Engine, replay
from eddyline.pipeline.loading import Loaded, load
from eddyline.store.database import Store
from eddyline.views.seats import seats

FILE = """
from river import linear_model

from eddyline import Challenger, EpochSeconds, Event, Id, Label, Pipeline, Promote, Truth, jsonl


class Ride(Event):
    id: Id
    at: EpochSeconds
    km: float


class Paid(Label):
    id: Id
    at: EpochSeconds
    euros: Truth[float]


def per_minute(ride):
    return {"pace": ride.km / ride.minutes}


class Clumsy(linear_model.LinearRegression):
    def learn_one(self, x, y):
        raise OverflowError("too much to learn")


rides = Pipeline(
    name="rides_of_failing",
    events=jsonl("rides.jsonl", Ride),
    labels=jsonl("paid.jsonl", Paid),
    model=linear_model.LinearRegression(),
    challengers=(Challenger("pace", features=per_minute), Challenger("clumsy", model=Clumsy()), Challenger("fine")),
    decide=(Promote(loss="absolute", clip=5.0),),
)
"""


@pytest.fixture(scope="module")
def rides(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("rides")
    rows = [{"id": f"r-{i}", "at": 10 * i, "km": i % 7 + 0.5} for i in range(60)]
    paid = [{"id": f"r-{i}", "at": 10 * i + 5, "euros": 2.0 * (i % 7)} for i in range(60)]
    for name, records in (("rides", rows), ("paid", paid)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "failing_rides.py").write_text(FILE)
    loaded = load(str(folder / "failing_rides.py"))
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, loaded.base, batch=50)
    return loaded


def test_check_says_which_challenger_would_fail_and_why(rides: Loaded) -> None:
    ran = CliRunner().invoke(check, [str(rides.file)], catch_exceptions=False, standalone_mode=False)
    said = " ".join(ran.output.split())
    assert "rides_of_failing.pace FAILS: its features: AttributeError: 'Ride' object has no attribute 'minutes'" in said
    assert "(failing_rides.py, line 20)" in said
    assert "rides_of_failing.clumsy FAILS: it cannot learn: OverflowError: too much to learn (failing_rides.py" in said
    assert "rides_of_failing.fine answers 0.0" in said
    assert ran.return_value == 5


def test_explain_tells_what_the_others_said_and_what_they_raise(rides: Loaded) -> None:
    ran = CliRunner().invoke(explain, [str(rides.file), "r-1"], catch_exceptions=False)
    said = " ".join(ran.output.split())
    assert "rides_of_failing.pace@0 no answer, features_failed: its features: AttributeError" in said
    assert "rides_of_failing.clumsy@0 0.0" in said


def test_who_only_fails_to_learn_is_not_said_to_fail_at_answering(rides: Loaded) -> None:
    with closing(Store.read(rides.store)) as store:
        decided = [one for block in store.blocks() for one in block.notes.decisions if one.subject.endswith(".clumsy")]
        assert [one.action for one in decided] == ["retire"]
        assert "answers or examples raised; of at least 100, at most a share of 0.01 may" in decided[0].reason
        assert [seat.place.who for seat in seats(store, rides.pipeline).seats] == ["rides_of_failing.fine"]


def test_an_open_contest_tells_the_gain_so_far(rides: Loaded) -> None:
    said = CliRunner().invoke(challengers, [str(rides.file)], catch_exceptions=False).output
    assert "gain so far" in said
    assert "0 on average (" in said
