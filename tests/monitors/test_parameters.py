"""What monitors refuse when they are declared, in the user's words and with what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eddyline.monitors.anomalies import Anomalies
from eddyline.monitors.conformal import Conformal
from eddyline.monitors.declared import Monitor
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.missing import Missing
from eddyline.monitors.psi import Psi
from eddyline.monitors.ranges import Ranges
from eddyline.monitors.unseen import Unseen
from eddyline.records.errors import DeclarationError
from eddyline.records.time import days
from eddyline.stages.watch import Watch

BUDGETED: list[Callable[..., Monitor[Any]]] = [
    lambda **more: Anomalies(**more),
    lambda **more: Conformal("x", **more),
    lambda **more: ErrorAbove(0.1, **more),
    lambda **more: Missing("x", **more),
    lambda **more: Psi("x", **more),
    lambda **more: Ranges("x", **more),
    lambda **more: Unseen("x", **more),
]


@pytest.mark.parametrize("declare", BUDGETED)
@pytest.mark.parametrize("budget", [1, "weekly", days(7), None])
def test_what_is_no_budget_is_refused_before_anything_runs(declare: Callable[..., Monitor[Any]], budget: object) -> None:
    with pytest.raises(DeclarationError, match=r"is not a budget\nwrite budget=per_week\(1\)"):
        declare(budget=budget)


@pytest.mark.parametrize("declare", BUDGETED[1:])
def test_by_segment_is_true_or_false(declare: Callable[..., Monitor[Any]]) -> None:
    with pytest.raises(DeclarationError, match=r"by_segment='carrier'\) is not True or False"):
        declare(by_segment="carrier")


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Psi("temp", "rain"), 'write Psi(("temp", "rain"))'),  # type: ignore[arg-type]
        (lambda: Conformal("temp", "rain"), 'write Conformal(("temp", "rain"))'),  # type: ignore[arg-type]
        (lambda: Missing("temp", "rain"), 'write Missing(("temp", "rain"))'),  # type: ignore[arg-type]
        (lambda: Ranges("temp", "rain"), 'write Ranges(("temp", "rain"))'),  # type: ignore[arg-type]
        (lambda: Unseen("carrier", "UA"), 'write Unseen("carrier", known=("UA",))'),
        (lambda: Unseen("carrier", known=5), 'write Unseen("carrier", known=("UA", "AA"))'),  # type: ignore[arg-type]
        (lambda: Unseen("carrier", known=()), 'write Unseen("carrier", known=("UA", "AA"))'),
        (lambda: Unseen("carrier", known=(["UA"],)), 'write Unseen("carrier", known=("UA", "AA"))'),  # type: ignore[arg-type]
        (lambda: Ranges({"temp": 5}), "write the least and the largest: (0, 10_000)"),
        (lambda: Ranges({"temp": "ab"}), "write the least and the largest: (0, 10_000)"),
        (lambda: Psi(""), "names no feature"),
        (lambda: ErrorAbove(0.1, statistic=["cusum"]), 'write statistic="cusum"'),  # type: ignore[arg-type]
        (
            lambda: Watch(monitors=(Psi,)),
            'watch: monitors=(Psi,) names a kind of monitor, not one\nwrite monitors=(Psi("amount"),)',
        ),
        (lambda: Watch(monitors=(ErrorAbove,)), "write monitors=(ErrorAbove(0.08),)"),
        (lambda: Watch(drift=("",)), "is not the name of a feature"),
    ],
)
def test_a_slip_is_answered_with_what_to_write(declare: Callable[[], object], said: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        declare()
    assert said in str(refused.value)
