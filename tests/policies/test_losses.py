"""No answer, truth or function of a user stops the loop: what cannot be computed costs most. Two losses are told apart."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eddyline
from eddyline.policies import (
    Contest,
    ErrorDetector,
    Loss,
    Promote,
    SplitContest,
    absolute,
    brier,
    log_loss,
    own,
    pinball,
    squared,
    zero_one,
)
from eddyline.policies.digests import digest_of
from eddyline.records import Output
from eddyline.records.errors import DeclarationError

LAW = settings(max_examples=200, deadline=None, derandomize=True)
Own = Callable[[Any, Any, Any], Any]


def fragile(truth: Any, value: Any, scores: Any) -> float:
    return 1.0 - float(scores[truth])


def no_number(truth: Any, value: Any, scores: Any) -> Any:
    return None


def not_a_number(truth: Any, value: Any, scores: Any) -> float:
    return math.nan


LOSSES = [
    zero_one(), brier(), log_loss(2.0), absolute(10.0), squared(0.1), pinball(0.9, 10.0),
    own(fragile, 1.0), own(no_number, 3.0), own(not_a_number, 3.0),
]  # fmt: skip
ODD = [
    "five",
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    -(10**400),
    1e308,
    [1],
    {},
    (1, 2),
    b"x",
    np.array([1.0, 2.0]),
    1j,
    True,
    3,
]
WEIGHTS: list[Any] = [
    None, {True: 3.0, False: 1.0}, {True: 1.0, False: 3.0}, {3: -2.0}, {3: math.nan}, {True: "much"}, {"five": 1e308}
]  # fmt: skip
answers = st.none() | st.builds(Output, st.sampled_from(ODD), st.sampled_from(WEIGHTS))
pairs = st.tuples(answers, answers, st.sampled_from(ODD), st.booleans())


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@LAW
@given(pairs)
def test_whatever_is_answered_and_told_a_loss_is_a_number_up_to_its_clip(loss: Loss, pair: Any) -> None:
    ours, theirs, truth, _ = pair
    low, high = loss.reaches(ours, theirs)
    assert 0.0 <= loss.cost(truth, ours) <= loss.clip
    assert -loss.clip <= low <= high <= loss.clip


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@LAW
@given(st.lists(pairs, max_size=12))
def test_no_answer_and_no_truth_stops_a_contest_a_split_or_an_objective(loss: Loss, some: Any) -> None:
    contest, split, error = Contest.new(loss), SplitContest.new(loss, 0.3), ErrorDetector(0.1)
    for ours, theirs, truth, known in some:
        contest.add(ours, theirs, truth, known=known)
        split.add("champion", ours, truth, known=known)
        split.add("challenger", theirs, truth, known=known)
        error.add(loss.cost(truth, ours) / loss.clip)
    for one in (contest, split):
        json.dumps(one.verdict(20).evidence(), allow_nan=False)


@pytest.mark.parametrize("told", [True, False])
def test_a_challenger_that_answers_text_for_a_number_is_found_worse_and_never_better(told: bool) -> None:
    contest = Contest.new(absolute(10.0))
    for _ in range(200):
        contest.add(Output(1.0), Output("five"), 1.0, known=told)
    assert contest.verdict(20).outcome == ("worse" if told else "inconclusive")


@pytest.mark.parametrize("loss", [own(fragile, 1.0), own(no_number, 1.0), own(not_a_number, 1.0)], ids=lambda loss: loss.name)
def test_a_loss_that_cannot_be_computed_is_the_largest(loss: Loss) -> None:
    assert loss.cost(True, Output(True)) == 1.0
    assert own(fragile, 1.0).cost(True, Output(True, {True: 0.75})) == 0.25


def test_weights_instead_of_probabilities_stay_within_the_clip_without_a_label_too() -> None:
    champion, challenger = Output(False, {True: 0.1, False: 0.9}), Output(True, {True: 3.0, False: 1.0})
    assert log_loss(2.0).reaches(champion, challenger) == (0.0, 2.0)
    Contest.new(log_loss(2.0)).add(champion, challenger, known=False)


def test_rounding_does_not_carry_a_split_out_of_its_bound() -> None:
    split = SplitContest.new(absolute(0.1), 0.5)
    for number in range(60):
        split.add("champion" if number % 3 else "challenger", Output(0.0), 5.0 if number < 30 else 0.0)
    assert split.pairs == 60


@LAW
@given(st.floats(1e-3, 1e3), st.floats(0.01, 0.99), st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans())))
def test_a_split_takes_the_dearest_answers_at_any_clip_and_share(clip: float, share: float, some: Any) -> None:
    split = SplitContest.new(absolute(clip), share)
    for ours, dear, known in [(True, True, True)] * 20 + some:
        split.add("challenger" if ours else "champion", Output(2 * clip if dear else 0.0), 0.0, known=known)
    assert split.pairs == 20 + len(some)


# Told apart ------------------------------------------------------------------------------------------------------------


def test_a_users_loss_called_zero_one_keeps_its_size() -> None:
    def users_own(truth: Any, value: Any, scores: Any) -> float:
        return 0.25 if truth != value else 0.0

    users_own.__name__ = "zero_one"
    loss = own(users_own, 1.0)
    contest = Contest.new(loss)
    contest.add(Output("a"), Output("b"), "b")
    assert contest.verdict(20).kind == "means"
    assert contest.verdict(20).mean_gain == 0.25
    assert loss.key != zero_one().key
    assert Contest.new(zero_one()).verdict(20).kind == "pairs"


def dear(cost: Any, *, at: str = "fraud") -> Own:
    """A loss that closes over its cost."""

    def loss(truth: Any, value: Any, scores: Any, at: str = at) -> Any:
        return cost * (truth == at and value != at)

    return loss


class Weighed:
    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, truth: Any, value: Any, scores: Any) -> float:
        return self.weight if truth != value else 0.0

    def method(self, truth: Any, value: Any, scores: Any) -> float:
        return self.weight if truth != value else 0.0


def weighed(weight: float, truth: Any, value: Any, scores: Any) -> float:
    return weight if truth != value else 0.0


DIFFERENT: list[Own] = [
    lambda t, v, s: float(t is True and v is not True),
    lambda t, v, s: float(t is False and v is not False),
    lambda t, v, s: float(t == 3),
    lambda t, v, s: float(t == 4),
    lambda t, v, s: math.sin(t),
    lambda t, v, s: math.cos(t),
    lambda t, v, s: float(t in {"a", "b"}),
    lambda t, v, s: float(t in {"a", "c"}),
    lambda t, v, s: max(map(lambda x: x + 1.0, [t])),  # noqa: C417 - a function within a function
    lambda t, v, s: max(map(lambda x: x + 2.0, [t])),  # noqa: C417
    dear(2.0), dear(3.0), dear(2.0, at="fine"), dear({"a": 1.0}), dear({"a": 2.0}),
    dear(np.array([1, 2])), dear(np.array([1, 3])),
    Weighed(1.0), Weighed(2.0), Weighed(1.0).method, Weighed(2.0).method,
    functools.partial(weighed, 1.0), functools.partial(weighed, 2.0),
]  # fmt: skip


def test_losses_that_do_something_else_have_other_keys() -> None:
    assert len({own(function, 1.0).key for function in DIFFERENT}) == len(DIFFERENT)
    named = [zero_one(), brier(), absolute(1.0), absolute(2.0), squared(1.0), log_loss(1.0)]
    quantiles = [pinball(0.9, 1.0), pinball(0.9000000001, 1.0)]
    assert len({loss.key for loss in [*named, *quantiles]}) == len(named) + len(quantiles)


def test_losses_that_do_the_same_have_the_same_key() -> None:
    again: list[Own] = [dear(2.0), dear({"a": 1.0}), dear(np.array([1, 2])), Weighed(1.0), functools.partial(weighed, 1.0)]
    keys = {own(function, 1.0).key for function in DIFFERENT}
    assert {own(function, 1.0).key for function in again} <= keys
    assert absolute(1).key == absolute(1.0).key


def test_a_function_that_holds_itself_has_a_digest() -> None:
    def around(truth: Any, value: Any, scores: Any) -> float:
        return 0.0 if truth == value else around(value, value, scores)

    assert len(digest_of(around)) == 12


def test_a_key_is_the_same_in_every_process_and_wherever_the_code_stands() -> None:
    script = """
    import sys
    from eddyline.policies import own
    {blank}
    def cost(truth, value, scores):
        {words}
        if truth in {{"fraud", "fine", "odd", "new"}}:  # an order that differs between processes
            return max((abs(x) for x in (1, 2)), key=lambda x: -x)
        return [str(each) for each in (truth, (3, "x"))] == value
    print(own(cost, 1.0).key)
    """
    found = set()
    for seed, blank, words in (
        ("1", "", "# what it costs"),
        ("2", "import os  # elsewhere", "# what it costs"),
        ("3", "", '"Says what it costs."'),
    ):
        code = textwrap.dedent(script).format(blank=blank, words=words)
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        found.add(run.stdout)
    assert len(found) == 1


def test_a_contest_does_not_go_on_under_another_loss() -> None:
    one, other = own(DIFFERENT[0], 1.0), own(DIFFERENT[1], 1.0)
    assert one.name == other.name
    with pytest.raises(AssertionError, match="under the loss it began with"):
        Contest.of(Contest.new(one).plain(), other)
    with pytest.raises(AssertionError, match="under the loss it began with"):
        SplitContest.of(SplitContest.new(one, 0.5).plain(), other)


def off_by(y_true: float, y_pred: float) -> float:
    return abs(y_true - y_pred)


def test_a_loss_that_cannot_be_called_is_refused_when_it_is_declared() -> None:
    with pytest.raises(DeclarationError, match=r"off_by\(y_true(?s:.*)write def off_by\(truth, value, scores\)"):
        Promote(loss=off_by, clip=10.0)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=r"write def loss\(truth, value, scores\)"):
        own(lambda truth: 0.0, 10.0)  # type: ignore[arg-type, misc]
    assert Promote(loss=lambda *given: 0.0, clip=10.0).loss_used.clip == 10.0


def test_a_forecast_quantile_has_its_loss_at_hand() -> None:
    assert eddyline.Promote(loss=eddyline.pinball(0.9, clip=10.0)).loss_used == pinball(0.9, 10.0)
