"""Gates: what they let through, what they stop, how often they err, and the words they say it in."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from river import metrics

from eddyline.models import CustomModel, adapt
from eddyline.policies.gates import (
    Cost,
    Costs,
    Difference,
    Expected,
    Floor,
    Gate,
    Golden,
    Judged,
    NoRegression,
    SegmentFloor,
    Shown,
    reproduces,
)
from eddyline.policies.losses import pinball
from eddyline.records import Features, Output, Task
from eddyline.records.errors import DeclarationError
from eddyline.store.golden import read_golden

SAME = Costs(10.0, 10.0, 1000, 1000)


def shown(
    judged: Sequence[Judged],
    task: Task = Task.CLASSIFICATION,
    costs: Costs = SAME,
    golden: Sequence[Difference] = (),
) -> Shown:
    """What gates look at; `golden` is what came out otherwise of the three answers in g.jsonl."""
    return Shown(task=task, judged=judged, costs=costs, golden={"g.jsonl": golden}, golden_counts={"g.jsonl": 3})


def pairs(wins: int, losses: int, both_right: int, both_wrong: int = 0) -> list[Judged]:
    """Examples of which the candidate wins so many and loses so many."""
    kinds = [(False, True)] * wins + [(True, False)] * losses + [(True, True)] * both_right + [(False, False)] * both_wrong
    return [Judged(str(n), None, True, Output(a), Output(b)) for n, (a, b) in enumerate(kinds)]


def numbers(errors: Sequence[tuple[float, float]]) -> list[Judged]:
    """Examples with the errors of champion and candidate."""
    return [Judged(str(n), None, 0.0, Output(a), Output(b)) for n, (a, b) in enumerate(errors)]


def test_a_floor_is_a_line_and_no_answer_is_below_it() -> None:
    judged = pairs(0, 10, 90)
    assert Floor("accuracy", at_least=0.9).check(shown(judged)).passed
    assert not Floor("accuracy", at_least=0.91).check(shown(judged)).passed
    assert Floor("zero_one", at_most=0.1).check(shown(judged)).passed
    assert Floor(metrics.Accuracy(), at_least=0.9).check(shown(judged)).passed
    assert Floor(lambda truth, value, scores: float(truth != value), at_most=0.1, clip=1.0).check(shown(judged)).passed
    silent = [one._replace(candidate=None) for one in judged]
    result = Floor("accuracy", at_least=0.1).check(shown(silent))
    assert (result.passed, result.said) == (False, "0 over 100 examples, wanted at least 0.1")
    assert not Floor(metrics.Accuracy(), at_least=0.0).check(shown(silent)).passed


def test_a_metric_of_rivers_that_ranks_is_given_the_scores() -> None:
    judged = [
        Judged(str(n), None, n % 2 == 0, None, Output(True, {True: 0.6 + 0.2 * (n % 2 == 0), False: 0.4 - 0.2 * (n % 2 == 0)}))
        for n in range(100)
    ]
    assert Floor(metrics.ROCAUC(), at_least=0.99).check(shown(judged)).passed
    assert not Floor("accuracy", at_least=0.51).check(shown(judged)).passed


def test_too_few_examples_open_nothing() -> None:
    for gate in (Floor("accuracy", at_least=0.5), NoRegression(), SegmentFloor("accuracy", at_least=0.5)):
        result = gate.check(shown(pairs(0, 0, 20)))
        assert not result.passed
        assert "20" in result.said or "no example has a segment" in result.said


def test_what_nobody_can_tell_apart_is_no_regression_and_no_proof() -> None:
    judged = pairs(20, 22, 258)
    assert NoRegression().check(shown(judged)).passed
    assert not NoRegression(by=0.01, proof=True).check(shown(judged)).passed
    assert NoRegression(by=0.2, proof=True).check(shown(judged)).passed


def test_a_shown_regression_closes_the_gate_unless_it_is_within_what_may_be_lost() -> None:
    judged = pairs(2, 40, 258)
    result = NoRegression().check(shown(judged))
    assert not result.passed
    assert result.numbers["evidence_worse"] > 1e6  # type: ignore[operator]
    assert "shown to be worse" in result.said
    assert NoRegression(by=0.2).check(shown(judged)).passed
    assert NoRegression(by=0.2).check(shown(pairs(0, 300, 0))).passed is False


def test_numbers_are_compared_by_their_bounded_loss() -> None:
    dice = random.Random(4)
    errors = [(abs(dice.gauss(0, 1)), abs(dice.gauss(0, 2))) for _ in range(2_000)]
    gate = NoRegression("absolute", clip=5.0)
    assert not gate.check(shown(numbers(errors), Task.REGRESSION)).passed
    assert gate.check(shown(numbers([(b, a) for a, b in errors]), Task.REGRESSION)).passed
    assert gate.check(shown(numbers([(a, a) for a, _ in errors]), Task.REGRESSION)).passed
    assert NoRegression(pinball(0.9, clip=5.0)).check(shown(numbers([(a, a) for a, _ in errors]), Task.REGRESSION)).passed
    low, high = (gate.check(shown(numbers(errors), Task.REGRESSION)).numbers[end] for end in ("low", "high"))
    assert low < sum(a - b for a, b in errors) / len(errors) < high < 0  # type: ignore[operator]


@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.4])
def test_an_equal_candidate_is_stopped_in_at_most_one_of_twenty_trials(disagreement: float) -> None:
    dice, stopped, runs = random.Random(11), 0, 600
    gate = NoRegression()
    for _ in range(runs):
        apart = sum(dice.random() < disagreement for _ in range(500))
        wins = sum(dice.random() < 0.5 for _ in range(apart))
        stopped += not gate.check(shown(pairs(wins, apart - wins, 500 - apart))).passed
    assert stopped / runs <= 0.056


def test_a_candidate_that_is_worse_by_a_third_is_stopped_in_nineteen_of_twenty_trials() -> None:
    dice, stopped = random.Random(12), 0
    for _ in range(200):
        judged = [Judged(str(n), None, True, Output(dice.random() > 0.06), Output(dice.random() > 0.12)) for n in range(2_000)]
        stopped += not NoRegression().check(shown(judged)).passed
    assert stopped >= 190


def test_a_segment_that_is_large_enough_is_judged_by_itself() -> None:
    good = [one._replace(segment="DE") for one in pairs(0, 0, 200)]
    bad = [one._replace(segment="US") for one in pairs(0, 60, 60)]
    few = [one._replace(segment="LI") for one in pairs(0, 9, 0)]
    gate = SegmentFloor("accuracy", at_least=0.8)
    result = gate.check(shown([*good, *bad, *few]))
    assert not result.passed
    assert result.said == "US 0.5 over 120; wanted at least 0.8; 1 more are too small to judge"
    assert gate.check(shown([*good, *few])).passed
    assert not gate.check(shown(few)).passed


def test_cost_is_a_ratio_where_it_can_be() -> None:
    costs = Costs(30.0, 10.0, 5_000, 1_000)
    for gate, passed in (
        (Cost(times=3), True),
        (Cost(times=2.9), False),
        (Cost(us_per_answer=30), True),
        (Cost(times=3, bytes=4_999), False),
        (Cost(bytes_times=5), True),
    ):
        assert gate.check(shown(pairs(0, 0, 100), costs=costs)).passed is passed
    assert not Cost(times=3).check(shown([], costs=Costs(0.0, 0.0, 1, 1))).passed


class Line(CustomModel):
    """Answers 2x; raises for a negative x."""

    task = Task.REGRESSION

    def predict(self, features: Features) -> Any:
        x = float(features["x"] or 0)
        if x < 0:
            raise ValueError("below zero")
        return Output(2 * x, {"half": x / 4})

    def learn(self, features: Features, truth: Any) -> None:
        """Nothing."""


def test_golden_answers_name_the_lines_that_came_out_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text(
        '{"features": {"x": 1.0}, "value": 2.0}\n\n'
        '{"features": {"x": 1.0}, "value": 2.05, "within": 0.1}\n'
        '{"features": {"x": 1.0}, "value": 2.05}\n'
        '{"features": {"x": 2.0}, "scores": {"half": 0.5}}\n'
        '{"features": {"x": 2.0}, "scores": {"whole": 0.5}}\n'
        '{"features": {"x": -1.0}, "value": 2.0}\n'
    )
    found = reproduces(adapt(Line()), read_golden(path))
    assert [(one.line, one.expected) for one in found] == [(3, "2.05"), (5, "{'whole': 0.5}"), (6, "2.0")]
    assert "ValueError: below zero" in found[-1].sentence()
    assert [one.line for one in reproduces(adapt(Line()), read_golden(path), within=0.1)] == [5, 6]
    assert not Golden("g.jsonl").check(shown([], golden=found)).passed
    assert Golden("g.jsonl").check(shown([])).passed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"features": {"x": 1}}', "line 1 expects nothing"),
        ('{"features": {"x": 1}, "valeu": 2}', "line 1: Object contains unknown field `valeu`"),
        ("x", "line 1: JSON is malformed"),
    ],
)
def test_a_golden_file_that_cannot_be_read_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "golden.jsonl").write_text(text)
    with pytest.raises(DeclarationError, match=r"golden\.jsonl") as caught:
        read_golden(tmp_path / "golden.jsonl")
    assert said in str(caught.value)


def test_classes_are_compared_and_not_subtracted() -> None:
    class Sure(Line):
        task = Task.CLASSIFICATION

        def predict(self, features: Features) -> Any:
            return Output(True, {True: 0.9, False: 0.1})

    lines = [Expected({}, False, None, 1.0), Expected({}, True, {"true": 0.9})]
    assert [one.line for one in reproduces(Sure(), lines)] == [1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Floor("accuracy"), "say at_least= or at_most="),
        (lambda: Floor("accuracy", at_least=0.9, at_most=1), "say at_least= or at_most="),
        (lambda: Floor("log_loss", at_most=0.5), 'Floor(at_most=5.0, metric="log_loss", clip=10.0)'),
        (lambda: Floor("accurcy", at_least=0.5), "is none that is known by name"),
        (lambda: NoRegression("absolute"), "needs its largest value"),
        (lambda: NoRegression(by=-1), "write by=0.01"),
        (lambda: NoRegression(proof=True), "write by=0.01"),
        (lambda: NoRegression(against="nobody"), 'against="champion"'),
        (lambda: Cost(), "says no limit"),
    ],
)
def test_a_gate_that_says_nothing_is_refused_with_what_to_write(declare: Any, said: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare()
    assert said in str(caught.value)


def test_a_loss_for_another_task_is_refused() -> None:
    with pytest.raises(DeclarationError, match="not for regression"):
        Floor("zero_one", at_most=0.5).check(shown(numbers([(1, 1)] * 50), Task.REGRESSION))


def test_every_gate_has_a_sentence_and_is_a_gate() -> None:
    gates: list[Gate] = [
        Floor("accuracy", at_least=0.5),
        NoRegression(),
        SegmentFloor("brier", at_most=1),
        Golden("g"),
        Cost(times=2),
    ]
    for gate in gates:
        assert isinstance(gate, Gate)
        assert gate.sentence()
        assert hash(gate) == hash(gate)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: NoRegression("absolute"),
        lambda: NoRegression("mistakes"),
        lambda: NoRegression(3),  # type: ignore[arg-type]
        lambda: Floor("absolute", at_most=5.0),
        lambda: SegmentFloor("squared", at_most=5.0),
    ],
)
def test_what_an_error_says_to_write_can_be_written(wrong: Callable[[], object]) -> None:
    with pytest.raises(DeclarationError) as refused:
        wrong()
    written = re.search(r"write ((?:NoRegression|Floor|SegmentFloor)\([^)]*\))", str(refused.value))
    assert written is not None
    assert eval(written[1], {"NoRegression": NoRegression, "Floor": Floor, "SegmentFloor": SegmentFloor})


def test_a_metric_that_has_no_name_here_is_to_be_written_as_a_value() -> None:
    with pytest.raises(DeclarationError, match=r"write a River metric as a value: Floor\(metrics.MAE\(\), at_most=5.0\)"):
        Floor("mae", at_most=3.0)
