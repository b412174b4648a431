"""What a run says at its end where nothing went well, and where monitors were not shown everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eddyline.cli.totals import print_totals
from eddyline.engines.embedded import Progress
from eddyline.records import Measurement
from eddyline.views.summary import Summary

Run = Callable[..., Any]
DECLARED = """
from river import linear_model
from eddyline import Event, Id, Label, Pipeline, Time, Truth, jsonl


class Hour(Event):
    id: Id
    at: Time
    rain: float


class Hired(Label):
    id: Id
    at: Time
    hired: Truth[float]


def features(hour):
    return {"rain": hour.rain / 0}


bikes = Pipeline(name="bikes", events=jsonl("hours.jsonl", Hour), labels=jsonl("counts.jsonl", Hired), features=features,
                 model=linear_model.LinearRegression())
"""


def test_a_run_that_answered_nothing_warns_with_the_line_of_the_file(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "bikes.py"
    file.write_text(DECLARED)
    (tmp_path / "hours.jsonl").write_text('{"id": "h-1", "at": "2026-03-01T00:00:00Z", "rain": 0.5}\n')
    (tmp_path / "counts.jsonl").write_text("")
    said = run("replay", file).out
    assert "warning: nothing was answered; most of what came was refused as features_failed (1)" in said
    assert f"see why: eddyline dead-letters {file} --show 1" in said
    assert "ZeroDivisionError: float division by zero (bikes.py, line 19)" in run("dead-letters", file, "--show", 1).out


def test_answers_that_monitors_of_a_feature_were_not_shown_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    said = Summary("bikes", "s", 9, 0, 0, 9, 0, {}, [], {"hires": 7}, 1, "bikes@0", "bikes@0", 1)
    print_totals(said, Progress(), "bikes.py")
    assert "hires paused" in capsys.readouterr().out


def test_a_metric_of_the_newest_examples_says_of_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [Measurement("RollingROCAUC", 0.9, 80_000), Measurement("RollingPRAUC", None, 80_000)]
    windows = {"RollingROCAUC": 1000, "RollingPRAUC": 1000}
    said = Summary("ovens", "s", 9, 0, 0, 9, 0, {}, numbers, {}, 1, "ovens@0", "ovens@0", 1, windows=windows)
    print_totals(said, Progress(), "ovens.py")
    out = " ".join(capsys.readouterr().out.split())
    assert "RollingROCAUC 0.9000 over the last 1,000 of 80,000 examples" in out
    assert "RollingPRAUC none over the last 1,000 of 80,000 examples: it gives no number" in out
