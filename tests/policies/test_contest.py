"""A contest forgets nothing that matters, depends on no batch, and its verdict is computed again from the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.policies import (
    Contest,
    Loss,
    SplitContest,
    absolute,
    brier,
    log_loss,
    own,
    pinball,
    recomputed,
    squared,
    zero_one,
)
from eddyline.policies.losses import loss_of
from eddyline.records import Output, Task
from eddyline.records.errors import DeclarationError

LAW = settings(max_examples=60, deadline=None, derandomize=True)
CLASSES = ("a", "b", "c")
Pair = tuple[Output | None, Output | None, Any, bool]


def missed(truth: Any, value: Any, scores: Any) -> float:
    return 7.0 if truth == "a" and value != "a" else float(truth != value)


def scored(draw: st.DrawFn) -> Output:
    p = draw(st.floats(0, 1))
    value = draw(st.sampled_from(CLASSES))
    return Output(value, draw(st.sampled_from([None, {"a": p, "b": 1 - p}])))


classes = st.composite(scored)()
numbers = st.builds(Output, st.floats(-20, 20))
LOSSES: dict[str, tuple[Loss, st.SearchStrategy[Output], st.SearchStrategy[Any]]] = {
    "zero_one": (zero_one(), classes, st.sampled_from(CLASSES)),
    "brier": (brier(), classes, st.sampled_from(CLASSES)),
    "log_loss": (log_loss(4.0), classes, st.sampled_from(CLASSES)),
    "own": (own(missed, 7.0), classes, st.sampled_from(CLASSES)),
    "absolute": (absolute(10.0), numbers, st.floats(-20, 20)),
    "squared": (squared(50.0), numbers, st.floats(-20, 20)),
    "pinball": (pinball(0.9, 10.0), numbers, st.floats(-20, 20)),
}


def pairs(name: str) -> st.SearchStrategy[list[Pair]]:
    _, answers, truths = LOSSES[name]
    return st.lists(st.tuples(st.none() | answers, st.none() | answers, truths, st.booleans()), max_size=30)


def feed(contest: Contest, some: Sequence[Pair]) -> Contest:
    for champion, challenger, truth, known in some:
        contest.add(champion, challenger, truth if known else None, known=known)
    return contest


@pytest.mark.parametrize("name", LOSSES)
@LAW
@given(st.data())
def test_saving_and_looking_anywhere_changes_nothing(name: str, data: st.DataObject) -> None:
    loss, some = LOSSES[name][0], data.draw(pairs(name))
    whole = feed(Contest.new(loss), some)
    parts = Contest.new(loss)
    for pair in some:
        parts = Contest.of(msgspec.json.decode(msgspec.json.encode(parts.plain())), loss)
        parts.reached("better", 20)
        feed(parts, [pair])
    assert msgspec.msgpack.encode(parts.plain()) == msgspec.msgpack.encode(whole.plain())
    assert parts.verdict(20) == whole.verdict(20)


@pytest.mark.parametrize("name", LOSSES)
@LAW
@given(st.data())
def test_no_truth_gives_a_gain_outside_of_its_reach(name: str, data: st.DataObject) -> None:
    loss, answers, truths = LOSSES[name]
    champion, challenger, truth = data.draw(st.tuples(st.none() | answers, st.none() | answers, truths))
    low, high = loss.reaches(champion, challenger)
    assert low - 1e-12 <= loss.gain(truth, champion, challenger) <= high + 1e-12
    assert -loss.clip <= low <= 0.0 <= high <= loss.clip


@LAW
@given(pairs("zero_one"), st.sampled_from([2.0, 20.0]), st.sampled_from(["champion", "challenger"]))
def test_a_verdict_is_computed_again_from_its_evidence(some: list[Pair], evidence: float, favours: Any) -> None:
    verdict = feed(Contest.new(zero_one()), some).verdict(evidence, 0.01, favours)
    assert recomputed(json.loads(json.dumps(verdict.evidence(), allow_nan=False))) == verdict


@LAW
@given(pairs("brier"))
def test_a_verdict_over_means_is_computed_again_too(some: list[Pair]) -> None:
    verdict = feed(Contest.new(brier()), some).verdict(5.0)
    assert recomputed(json.loads(json.dumps(verdict.evidence(), allow_nan=False))) == verdict


@LAW
@given(st.lists(st.sampled_from([(1, 0), (0, 1), (0, 0)]), max_size=80))
def test_better_and_worse_change_places_with_the_seats(outcomes: list[tuple[int, int]]) -> None:
    here, there = Contest.new(zero_one()), Contest.new(zero_one())
    for win, loss in outcomes:
        here.count(wins=win, losses=loss, ties=1 - win - loss)
        there.count(wins=loss, losses=win, ties=1 - win - loss)
    ours, theirs = here.verdict(20), there.verdict(20)
    assert (ours.e_better, ours.e_worse) == (theirs.e_worse, theirs.e_better)
    assert (ours.low, ours.high) == pytest.approx((-theirs.high, -theirs.low))


@LAW
@given(st.lists(st.tuples(st.booleans(), st.none() | classes, st.sampled_from(CLASSES), st.booleans()), max_size=30))
def test_a_split_saved_anywhere_goes_on_the_same(some: list[tuple[bool, Output | None, str, bool]]) -> None:
    whole, parts = SplitContest.new(zero_one(), 0.2), SplitContest.new(zero_one(), 0.2)
    for ours, answer, truth, known in some:
        parts = SplitContest.of(msgspec.json.decode(msgspec.json.encode(parts.plain())), zero_one())
        for contest in (whole, parts):
            contest.add("challenger" if ours else "champion", answer, truth, known=known)
    assert parts.plain() == whole.plain()


def test_counting_is_adding_one_by_one() -> None:
    counted, added = Contest.new(zero_one()), Contest.new(zero_one())
    counted.count(wins=1, losses=2, ties=1, unlabelled=1)
    right, wrong = Output("a"), Output("b")
    feed(added, [(wrong, right, "a", True), (right, wrong, "a", True), (right, wrong, "a", True)])
    feed(added, [(right, right, None, False), (right, wrong, None, False)])
    assert counted.plain() == added.plain()


def test_a_missing_label_counts_against_whoever_would_gain_by_it() -> None:
    contest = Contest.new(zero_one())
    contest.count(wins=30, losses=10)
    before = contest.verdict(20), contest.verdict(20, favours="challenger")
    contest.count(unlabelled=15)
    after = contest.verdict(20), contest.verdict(20, favours="challenger")
    assert after[0].e_better < before[0].e_better
    assert after[0].e_worse < before[0].e_worse
    assert after[1].e_better > before[1].e_better
    assert (before[0].outcome, after[0].outcome) == ("better", "inconclusive")


def test_a_version_that_cannot_answer_loses_the_pair_whatever_the_truth() -> None:
    contest = Contest.new(zero_one())
    contest.add(Output("a"), None, "a")
    contest.add(Output("a"), Output(None), known=False)
    assert (contest.sums.losses, contest.sums.unlabelled, contest.sums.plain()[-2:]) == (1, 1, [1, 0])


def test_about_how_many_more_labels_is_about_right() -> None:
    contest = Contest.new(zero_one())
    contest.count(wins=36, losses=24, ties=540)
    more = contest.verdict(20).more_labels
    assert more is not None
    scale = 1 + more / 600
    contest.count(wins=round(36 * scale) - 36, losses=round(24 * scale) - 24, ties=round(540 * scale) - 540)
    assert 17 < contest.verdict(20).e_better < 23


def test_a_gain_worth_having_needs_more_evidence_than_any_gain() -> None:
    contest = Contest.new(zero_one())
    contest.count(wins=120, losses=70, ties=3_000)
    assert contest.verdict(20).outcome == "better"
    small, large = contest.verdict(20, better_by=0.001), contest.verdict(20, better_by=0.01)
    assert (small.outcome, large.outcome) == ("better", "inconclusive")
    assert contest.reached("better", 20, 0.001)
    assert not contest.reached("better", 20, 0.01)
    contest.count(ties=20_000)  # the same wins in many more events are a smaller gain
    assert not contest.reached("better", 20, 0.002)


@pytest.mark.parametrize(
    ("loss", "clip", "write"),
    [
        ("auc", None, 'loss="zero_one"'),
        ("squared", None, 'loss="squared", clip=10.0'),
        ("log_loss", -1.0, 'loss="log_loss", clip=10.0'),
        (missed, None, "loss=missed, clip=10.0"),
        ("absolute", 1e-200, 'loss="absolute", clip=10.0'),
        ("absolute", 1e300, 'loss="absolute", clip=10.0'),
        (7, None, 'loss="zero_one"'),
    ],
)
def test_a_loss_that_cannot_be_used_says_what_to_write(loss: Any, clip: Any, write: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        loss_of(loss, clip, "Promote")
    assert write in str(raised.value).splitlines()[1]


def test_a_loss_of_classes_is_refused_for_numbers() -> None:
    with pytest.raises(DeclarationError, match='"zero_one" is not for regression\nwrite Promote'):
        zero_one().check(Task.REGRESSION, "Promote")


def test_the_mean_gain_lies_in_its_interval_for_whomever_missing_labels_speak() -> None:
    contest = Contest.new(absolute(10.0))
    for number in range(400):
        contest.add(Output(8.0), Output(0.0), 4.0 if number % 2 else None, known=bool(number % 2))
    for favours in ("champion", "challenger"):
        verdict = contest.verdict(20.0, favours=favours)
        assert verdict.low <= verdict.mean_gain <= verdict.high, favours
    assert contest.verdict(20.0).mean_gain == 0.0
