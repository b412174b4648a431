"""A backtest on a journal is the run itself: the same decisions at the same places, however the run was cut or stopped."""

from __future__ import annotations

import itertools
import math
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.views import contested

from eddyline import Challenger, CustomModel, Event, FreezeLearning, Label, Promote, RollBack, Task, days, every, hours, minutes
from eddyline.policies.policy import Policy
from eddyline.records import Decision, Features, Place
from eddyline.records.errors import DeclarationError
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.views.backtest import Backtest, backtest, policies_of
from eddyline.views.forget import forget
from eddyline.views.retelling import decided_again


class Fragile(CustomModel):
    """Raises at some examples, and is spoiled by others."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.worth = 1.0
        self.learned = 0

    def predict(self, features: Features) -> float:
        return self.worth

    def learn(self, features: Features, truth: object) -> None:
        self.learned += 1
        if abs(float(features["b"] or 0.0)) > 2.0:
            raise ZeroDivisionError("too far out")
        if float(features["a"] or 0.0) > 2.2:
            self.worth = math.nan


PIPELINE = contested.pipeline()
STREAM = contested.stream()


def _tested(path: Path, *policies: Policy, since: timedelta | None = None) -> Backtest:
    with closing(Store.read(path)) as store:
        return backtest(store, PIPELINE, policies or PIPELINE.decide, since=since)


def _taken(found: Backtest) -> list[Decision]:
    return [one.decision for one in found.tried]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lived") / "fraud.eddyline"
    contested.run(PIPELINE, path, STREAM)
    return path


def test_the_stream_makes_the_policies_promote_roll_back_freeze_resume_and_tell(lived: Path) -> None:
    assert {one.action for one in contested.decisions(lived)} >= {"promote", "roll_back", "freeze", "resume", "alert"}


@pytest.mark.parametrize(("batch", "stops"), [(250, ()), (1, (100, 1001, 2000)), (37, (20, 33, 71)), (1_999, (1,))])
def test_a_backtest_takes_the_decisions_of_the_run_at_the_same_positions(
    tmp_path: Path, lived: Path, batch: int, stops: tuple[int, ...]
) -> None:
    path = tmp_path / "fraud.eddyline"
    contested.run(PIPELINE, path, STREAM, batch=batch, stops=stops)
    live = contested.decisions(path)
    assert live == contested.decisions(lived)
    found = _tested(path)
    assert _taken(found) == live
    assert found.recorded == live
    assert found.not_followed == 0


def test_operators_have_the_same_say_in_a_backtest(tmp_path: Path) -> None:
    by: dict[str, Any] = {"author": "ada", "reason": "to see"}
    records: list[Event | Label | Command] = [*STREAM]
    for place, command in (
        (5_000, Command(do="roll_out", to="fraud@100", **by)),
        (4_000, Command(do="approve", number=1, **by)),
        (3_000, Command(do="enter", place=Place("fraud.tree", "canary", 0.3), **by)),
        (2_500, Command(do="quarantine", to="", **by)),
        (4_600, Command(do="leave", to="fraud.deep", **by)),
        (4_800, Command(do="observe", to="fraud.tree", value=12.0)),
        (1_000, Command(do="freeze", **by)),
        (1_400, Command(do="resume", **by)),
    ):
        records.insert(place, command)
    declared = contested.pipeline(
        decide=(Promote(evidence=50, approval=True, deadline=hours(6)), RollBack(latency_ms=10.0), contested.POLICIES[3])
    )
    path = tmp_path / "fraud.eddyline"
    contested.run(declared, path, records, batch=77, stops=(10, 21))
    live = contested.decisions(path)
    with closing(Store.read(path)) as store:
        tried = backtest(store, declared, declared.decide).tried
        assert [one.decision for one in tried] == live
        asked_for = {one.decision.action for one in tried if one.happened}
        assert {"roll_out", "enter", "quarantine", "freeze"} <= asked_for
        assert "retire" not in asked_for  # no person did that
        moves = [one for one in tried if one.decision.action in ("promote", "roll_back", "roll_out")]
        assert all((one.gain is None) == bool(one.unsaid) for one in moves)
        assert decided_again(store, declared).differing == []
    assert {"operator", "promote", "roll_back"} <= {one.policy for one in live}


def test_other_policies_decide_otherwise_and_are_told_what_it_would_have_cost(lived: Path) -> None:
    eager, deaf = _tested(lived, Promote(evidence=1.5), RollBack(evidence=1.5)), _tested(lived, FreezeLearning(on=("watch",)))
    assert _taken(eager)[0].record < contested.decisions(lived)[0].record
    assert _taken(deaf) == []
    assert eager.sums is not None
    assert deaf.sums is not None
    assert min(eager.sums.events, deaf.sums.events) > 1_000
    assert deaf.sums.policy != deaf.sums.recorded
    assert deaf.sums.oracle <= min(deaf.sums.recorded, deaf.sums.best_line_loss)


def test_the_gain_of_a_move_is_measured_on_what_came_after_it(lived: Path) -> None:
    """Of two promotions of one line, the one before the drift pays; the one that comes late is a false alarm."""
    soon, late = _tested(lived, Promote(evidence=50)), _tested(lived, Promote(evidence=50), since=hours(5))
    (first, *_), (second, *_) = ([one for one in found.tried if one.decision.action == "promote"] for found in (soon, late))
    assert first.decision.subject == "fraud.deep"
    assert first.measured > 1_000
    assert soon.false_alarms == [one for one in soon.tried if one.gain is not None and one.gain <= 0]
    assert second.gain != first.gain


def test_what_nobody_recorded_is_counted_as_not_followed(lived: Path) -> None:
    """The run rolled back and asked the challenger no more; policies that stay with it cannot be followed from there."""
    back = next(one for one in contested.decisions(lived) if one.action == "roll_back")
    found = _tested(lived, Promote(evidence=50))
    assert [one.action for one in _taken(found)] == ["promote", "retire"]
    assert found.not_followed > 900
    assert found.not_followed_since is not None
    assert found.not_followed_since > back.at


def test_a_backtest_of_the_last_days_begins_there(lived: Path) -> None:
    whole, late = _tested(lived), _tested(lived, since=hours(2))
    assert 0 < late.record < late.records == whole.records
    assert all(one.decision.record >= late.record for one in late.tried)
    assert _taken(_tested(lived, since=days(90))) == _taken(whole)


def test_a_changed_decision_does_not_follow_from_the_journal(lived: Path) -> None:
    with closing(Store.read(lived)) as store:
        found = decided_again(store, PIPELINE)
    assert found.differing == []
    found.recorded[1] = msgspec.structs.replace(found.recorded[1], reason="because")
    del found.recorded[-1]
    assert found.differing == [2, len(found.again)]


def test_a_file_of_policies_declares_them_as_a_pipeline_does(tmp_path: Path) -> None:
    file = tmp_path / "careful.py"
    file.write_text("from eddyline import Promote, RollBack\ndecide = (Promote(evidence=1000), RollBack())\n")
    assert policies_of(file) == (Promote(evidence=1000), RollBack())
    (tmp_path / "empty.py").write_text("decide = 7\n")
    with pytest.raises(DeclarationError, match="declares no policies"):
        policies_of(tmp_path / "empty.py")
    with pytest.raises(DeclarationError, match="there is no file"):
        policies_of(tmp_path / "none.py")


def test_cool_down_and_deadline_are_in_event_time_in_a_backtest_too(lived: Path) -> None:
    often = [one for one in _taken(_tested(lived, contested.POLICIES[2])) if one.action == "alert"]
    gaps = [after.at - before.at for before, after in itertools.pairwise(often)]
    assert often
    assert all(gap >= minutes(30).total_seconds() * 1e6 for gap in gaps)


@pytest.mark.parametrize("guard", [RollBack(exceptions=0.03, not_finite=None), RollBack(exceptions=None, not_finite=0.01)])
def test_a_challenger_that_failed_to_learn_fails_in_the_same_way_when_the_journal_is_told_again(
    tmp_path: Path, guard: RollBack
) -> None:
    declared = contested.pipeline(challengers=(Challenger("fragile", model=Fragile()),), decide=(guard,), publish=every(10))
    path = tmp_path / "fraud.eddyline"
    contested.run(declared, path, STREAM[:3_000], stops=(3,))
    with closing(Store.read(path)) as store:
        assert decided_again(store, declared).differing == []
        found = backtest(store, declared, declared.decide)
    assert [(one.decision.action, one.decision.subject) for one in found.tried] == [("retire", "fraud.fragile")]
    assert [one.decision for one in found.tried] == contested.decisions(path)


def test_a_line_that_forgot_events_has_not_failed_where_it_does_not_learn_them(tmp_path: Path) -> None:
    """Its seat would be taken from it by the guardrail, if what it must not learn counted as an exception."""
    declared, path = contested.pipeline(decide=(RollBack(exceptions=0.001),)), tmp_path / "fraud.eddyline"
    contested.run(declared, path, STREAM[:1_500])
    soon = [f"p-{number}" for number in range(780, 1_600)]
    forget(declared, path, ["p-3", *soon], author="ada")
    contested.run(declared, path, STREAM[1_500:3_000], stops=(2,))
    with closing(Store.read(path)) as store:
        assert decided_again(store, declared).differing == []
        found = backtest(store, declared, declared.decide)
    assert [one.decision for one in found.tried] == contested.decisions(path)
    assert "enter" in {one.decision.action for one in found.tried}
