"""Another declaration in the hosts that Flink calls: what goes on, what begins, what is on record, and that it plays again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from river import metrics
from tests.views import contested

from eddyline import Canary, Challenger, Notify, Pipeline, Promote, Psi, RollBack, Versions, Watch
from eddyline.connectors.kafka import wire
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit import Audit, examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.learn import LearnHost
from eddyline.engines.flink.watch import WatchHost
from eddyline.records import Decision, Measurement, Place
from eddyline.records.errors import StoreMismatch
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.testing.hosted import Hosted
from eddyline.views.backtest_of_job import backtest_recorded
from eddyline.views.ledger_of_job import check_recorded

HALF, ALL = 500, 1_000
STRICT = Promote(evidence=1e12, better_by=0.9)
OLD: dict[str, Any] = {"decide": (STRICT, RollBack(evidence=20), Notify(on="any", name="tell"))}
NEW: dict[str, Any] = {
    "watch": Watch(metrics=(metrics.Accuracy(), metrics.F1()), monitors=(Psi("b"),)),
    "decide": (Promote(evidence=20), RollBack(evidence=20)),
    "look_every": 50,
}


def declared(**changes: Any) -> Pipeline:
    return contested.pipeline(**{**OLD, **changes})


def fed(hosted: Hosted, first: int, until: int) -> Hosted:
    """Takes this part of the stream, with a checkpoint now and then."""
    for number, record in enumerate(contested.stream()[first:until]):
        hosted.take(record)
        if number % 90 == 89:
            hosted.checkpoint()
    hosted.checkpoint()
    return hosted


@pytest.fixture(scope="module")
def upgraded() -> Hosted:
    """A job that goes on under other metrics, another monitor and another policy from the middle on, and restarts once."""
    hosted = fed(Hosted(declared(), parallelism=2), 0, 300)
    hosted.take(Command(do="quarantine", to="nobody's", author="ann"))
    fed(hosted, 300, HALF)
    hosted.upgrade(declared(**NEW), "ada", "a calm week")
    hosted.crash()
    fed(hosted, HALF, ALL - 100)
    hosted.crash()
    return fed(hosted, ALL - 100, ALL)


def measured(hosted: Hosted) -> list[Measurement]:
    (host,) = hosted.watch.hosts
    assert isinstance(host, WatchHost)
    return list(host.stage.measurements(host.state))


def learning(hosted: Hosted) -> LearnHost:
    (host,) = hosted.learn.hosts
    assert isinstance(host, LearnHost)
    return host


def changes_in(hosted: Hosted) -> list[Decision]:
    return [one for one in hosted.written.decisions if one.action == "change"]


def audited(hosted: Hosted, run: dict[str, list[Message]] | None = None) -> Audit:
    return examine(hosted.pipeline, hosted.recorded() if run is None else run)


# On record -----------------------------------------------------------------------------------------------------------


def test_the_ledger_says_once_who_changed_what_and_why(upgraded: Hosted) -> None:
    (made,) = changes_in(upgraded)
    new = declared(**NEW)
    assert (made.policy, made.subject, made.author, made.reason) == ("operator", new.digest, "ada", "a calm week")
    assert made.evidence["was"] == declared().digest
    said = "\n".join(made.evidence["changes"])
    for words in (
        "metric F1: counted from here on",
        "monitor Psi",
        "policy promote: ",
        "its evidence and cool-downs start anew",
        "policy tell: is no more",
        "policies that go on with their evidence: roll_back",
        "look_every: was 100, now 50",
    ):
        assert words in said


def test_the_record_of_an_upgraded_job_plays_again(upgraded: Hosted) -> None:
    done = audited(upgraded)
    assert done.faults == []
    assert done.sound
    assert done.decisions == len(upgraded.written.decisions)
    assert done.answered_again == len(upgraded.written.predictions)
    assert any(one.action == "promote" for one in upgraded.written.decisions), "the new policy never decided"


def test_a_restart_does_not_change_the_declaration_a_second_time(upgraded: Hosted) -> None:
    assert learning(upgraded).words.number == 1
    hosted = fed(Hosted(declared()), 0, 100)
    hosted.upgrade(declared(**NEW))
    fed(hosted, 100, 120)
    hosted.rescale(2)
    assert len(changes_in(hosted)) == 1


def test_an_upgrade_to_the_same_declaration_leaves_no_trace() -> None:
    hosted = fed(Hosted(declared()), 0, 100)
    before = len(hosted.written.messages)
    hosted.upgrade(declared())
    hosted.checkpoint()
    assert len(hosted.written.messages) == before


def test_history_and_backtest_begin_at_the_change(upgraded: Hosted) -> None:
    (made,) = changes_in(upgraded)
    done = check_recorded(upgraded.pipeline, upgraded.recorded())
    assert done.sound
    assert done.changed_by == made.number
    assert all((one.follows is None) == (one.decision.number < made.number) for one in done.decisions)
    found = backtest_recorded(upgraded.pipeline, upgraded.recorded(), upgraded.pipeline.decide)
    assert found.changed_by == made.number
    assert [one.decision for one in found.tried] == [one for one in upgraded.written.decisions if one.number > made.number]


# What goes on, and what begins ---------------------------------------------------------------------------------------


def test_metrics_that_both_declare_go_on_to_the_bit() -> None:
    turned, never = (fed(Hosted(declared()), 0, HALF) for _ in range(2))
    turned.upgrade(declared(watch=NEW["watch"]))
    never.upgrade(declared())
    accuracy = {one.version: one for one in overall(fed(never, HALF, ALL), "Accuracy")}
    assert {one.version: one for one in overall(fed(turned, HALF, ALL), "Accuracy")} == accuracy
    counts = {one.version: one.count for one in overall(turned, "F1")}
    assert counts
    assert all(0 < many < accuracy[version].count for version, many in counts.items())


def overall(hosted: Hosted, metric: str) -> list[Measurement]:
    return [one for one in measured(hosted) if one.metric == metric and one.day is None and one.segment is None]


def test_a_policy_that_is_as_before_keeps_its_contest_and_another_begins_its_own() -> None:
    new = declared(decide=(Promote(evidence=1e11, better_by=0.9), RollBack(evidence=20)))
    hosted = fed(Hosted(declared()), 0, HALF)
    before = {bout.who: bout.contest.pairs for bout in learning(hosted).learners.deciding.bouts}
    hosted.upgrade(new)
    state = learning(hosted).learners.deciding
    assert state.generations == {"promote": 1}
    pairs = {(bout.who, bout.generation): bout.contest.pairs for bout in state.bouts}
    for who, many in before.items():
        assert many > 0
        assert (pairs[who, 0], pairs[who, 1]) == (many, 0)


def test_a_proposal_of_a_policy_that_is_no_more_lapses() -> None:
    asking = Promote(evidence=5, approval=True)
    hosted = fed(Hosted(declared(decide=(asking, RollBack(evidence=20)))), 0, HALF)
    assert learning(hosted).learners.deciding.proposed, "nothing was proposed"
    hosted.upgrade(declared())
    fed(hosted, HALF, HALF + 50)
    assert any(one.status == "lapsed" and one.policy == "promote" for one in hosted.written.decisions)
    assert audited(hosted).faults == []


# The record ----------------------------------------------------------------------------------------------------------


def test_what_operators_did_before_a_change_plays_again() -> None:
    hosted = fed(Hosted(declared()), 0, 300)
    start = next(version for version, _ in reversed(hosted.written.versions) if version.model == "fraud.tree")
    hosted.take(Command(do="hold", to="fraud.tree", place=Place("fraud.late", "shadow"), author="ann"))
    held = hosted.written.decisions[-1].evidence["position"]
    fed(hosted, 300, 340)
    for number in (1, 2):  # the second is refused: the name is taken
        hosted.take(
            Command(
                do="enter",
                entry=Entry("fraud.copy", "fraud.tree", start.name),
                place=Place("fraud.copy", "canary", 0.3),
                author="ann",
                reason=f"try {number}",
            )
        )
    hosted.take(Command(do="freeze", author="ann"))
    fed(hosted, 340, 380)
    hosted.take(Command(do="resume", author="ann"), Command(do="leave", to="fraud.deep", author="ann"))
    fed(hosted, 380, 420)
    assert held > 0
    hosted.upgrade(declared(**NEW), "ada")
    fed(hosted, 420, 700)
    done = audited(hosted)
    assert done.faults == []
    assert done.sound
    assert {"hold", "enter", "freeze", "resume", "leave", "change"} <= {one.action for one in hosted.written.decisions}
    assert any(version.model == "fraud.copy" for version, _ in hosted.written.versions)


def test_two_changes_in_a_row_play_again() -> None:
    hosted = fed(Hosted(declared()), 0, 200)
    hosted.upgrade(declared(versions=Versions(every=50)), "ada")
    fed(hosted, 200, 400)
    hosted.upgrade(declared(**NEW), "bob")
    fed(hosted, 400, 600)
    assert [(one.author, one.subject) for one in changes_in(hosted)] == [
        ("ada", declared(versions=Versions(every=50)).digest),
        ("bob", declared(**NEW).digest),
    ]
    assert audited(hosted).faults == []


def test_another_file_than_the_job_runs_is_told_so(upgraded: Hosted) -> None:
    done = examine(declared(**{**NEW, "look_every": 7}), upgraded.recorded())
    assert any("the job goes on as" in fault and "give the file that runs" in fault for fault in done.faults)


def _another_memory(inputs: list[taken.One]) -> str:
    for at, one in enumerate(inputs):
        if isinstance(one, taken.Remembered):
            inputs[at] = taken.Remembered(one.piece[:-1])
    return "what decide remembered when"


def _another_way(inputs: list[taken.One]) -> str:
    for at, one in enumerate(inputs):
        if isinstance(one, taken.Turned):
            inputs[at] = taken.Turned(msgspec.structs.replace(one.declared, author="mallory"))
    return "was recorded otherwise: author"


def _another_past(inputs: list[taken.One]) -> str:
    for at, one in enumerate(inputs):
        if isinstance(one, taken.Turned):
            inputs[at] = taken.Turned(msgspec.structs.replace(one.declared, was_digest="0" * 16))
    return "made by recipe"


@pytest.mark.parametrize("plant", [_another_memory, _another_way, _another_past], ids=lambda plant: plant.__name__.strip("_"))
def test_a_change_that_was_tampered_with_is_found(upgraded: Hosted, plant: Callable[[list[taken.One]], str]) -> None:
    run = {stream: list(messages) for stream, messages in upgraded.recorded().items()}
    words = ""
    for at, message in enumerate(run["taken"]):
        told = taken.decode(message.value)
        if any(isinstance(one, taken.Remembered | taken.Turned) for one in told.inputs):
            words = plant(told.inputs)
            run["taken"][at] = message._replace(value=taken.encode(told))
    done = audited(upgraded, run)
    assert not done.sound
    assert any(words in fault for fault in done.faults), (words, done.faults)


def test_a_decision_that_is_missing_before_the_change_is_found(upgraded: Hosted) -> None:
    (made,) = changes_in(upgraded)
    assert made.number > 1, "nothing was decided before"
    run = {stream: list(messages) for stream, messages in upgraded.recorded().items()}
    run["decisions"] = [one for one in run["decisions"] if wire.decode_decision(one.value).number != 1]
    assert any("decisions were recorded until the declaration changed" in fault for fault in audited(upgraded, run).faults)


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, {"challengers": (Challenger("deep", features=contested.crossed, mode=Canary(0.2)),)}, "it changed in challengers"),
        ({}, {"watch": Watch(segment="card")}, r"named by the old ones\nput watch=Watch\(segment=...\) back"),
        ({"challengers": (), "decide": ()}, {"challengers": (), "decide": (RollBack(),)}, "put decide back"),
        (
            {"challengers": (), "decide": (RollBack(),)},
            {"challengers": (), "decide": ()},
            r"keep one policy: decide=\(RollBack",
        ),
    ],
    ids=["a challenger that left", "other segments", "a first policy", "no policy any more"],
)
def test_what_a_job_cannot_take_up_is_refused_in_words(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    hosted = fed(Hosted(declared(**old)), 0, 50)
    with pytest.raises(StoreMismatch, match=words):
        hosted.upgrade(declared(**new))


def test_the_end_of_every_policy_is_taken_up_where_challengers_are_compared() -> None:
    hosted = fed(Hosted(declared()), 0, 200)
    hosted.upgrade(declared(decide=()))
    fed(hosted, 200, 400)
    kinds: Sequence[str] = [one.action for one in hosted.written.decisions]
    assert kinds[-1] == "change"
    assert audited(hosted).faults == []
