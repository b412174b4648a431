"""What is counted at once, or speaker by speaker, is to the byte what example by example would have given."""

from __future__ import annotations

import random
from typing import Any

import pytest
from river import metrics

from eddyline.monitors import quality
from eddyline.monitors.metrics import gauges
from eddyline.monitors.pairs import Pairs
from eddyline.monitors.quality import Group, Quality
from eddyline.monitors.saving import to_bytes
from eddyline.records import Example, Prediction, Said, Task

CLASSES = ("deep", "flat", "odd")


@pytest.mark.parametrize("metric", [metrics.Accuracy(), metrics.MacroF1(), metrics.MicroJaccard(), metrics.CohenKappa()])
def test_counted_pairs_leave_a_metric_as_pairs_one_by_one_do(metric: Any) -> None:
    draw = random.Random(7)
    truths = [draw.choice(CLASSES) for _ in range(200)]
    answers = [draw.choice((*CLASSES, None)) for _ in truths]
    (gauge,) = gauges([metric], Task.CLASSIFICATION, None, str)
    at_once, one_by_one = Group([gauge.fresh()], [0]), Group([gauge.fresh()], [0])
    assert at_once.tallies[0] is not None
    at_once.add(Pairs(truths, [answers]))
    for truth, answer in zip(truths, answers, strict=True):
        one_by_one.add(Pairs([truth], [[answer]]))
    assert at_once.counts == one_by_one.counts == [len(truths) - answers.count(None)]
    assert to_bytes(at_once.metrics, ()) == to_bytes(one_by_one.metrics, ())


@pytest.mark.parametrize("live", [2, 5, 512])
def test_speaker_by_speaker_is_example_by_example(live: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "LIVE", live)
    measured = Quality(gauges(None, Task.CLASSIFICATION, None, bool), 10, segmented=False, max_segments=1)
    draw = random.Random(11)
    examples = [example(i, draw) for i in range(120)]
    whole, single = measured.new_state(), measured.new_state()
    measured.feed(whole, examples)
    for one in examples:
        measured.feed(single, [one])
    assert to_bytes(measured.plain(whole), ()) == to_bytes(measured.plain(single), ())
    assert {one.version for one in measured.measurements(whole) if one.version} >= {"m.deep", "m.flat"}


def example(i: int, draw: random.Random) -> Example:
    """An example of a champion, a challenger that is behind it and sometimes silent, and one that stays as it is."""
    probability = draw.random()
    scores = {False: 1.0 - probability, True: probability}
    others = [
        Said("m.deep", i // 2, draw.random() < 0.5 if draw.random() < 0.9 else None, scores),
        Said("m.flat", 3, True, {False: 0.25, True: 0.75}),
    ]
    at = i * 3_600_000_000
    prediction = Prediction(f"e-{i}", "k", at, {}, None, probability > 0.5, scores, "m", i, 0, None, others)
    return Example(prediction, draw.random() < probability, "label", at + 1)


@pytest.mark.parametrize("metric", [metrics.ROCAUC(), metrics.RollingROCAUC(50), metrics.RollingPRAUC(50)])
def test_a_ranking_of_one_class_has_no_number(metric: Any) -> None:
    draw = random.Random(3)
    (gauge,) = gauges([metric], Task.CLASSIFICATION, None, bool)
    group = Group([gauge.fresh()], [0])

    def shown(truths: list[bool]) -> float | None:
        group.add(Pairs(truths, [[{True: share, False: 1.0 - share} for share in (draw.random() for _ in truths)]]))
        ((value, _),) = group.numbers()
        assert group.last_numbers()[0][0] == value
        return value

    assert shown([False] * 30) is None
    assert shown([True] * 5) is not None
    rolling = gauge.window is not None
    assert (shown([False] * 60) is None) == rolling


def test_a_ranking_that_is_wrong_everywhere_is_zero() -> None:
    (gauge,) = gauges([metrics.RollingROCAUC(50)], Task.ANOMALY, None, bool)
    group = Group([gauge.fresh()], [0])
    group.add(Pairs([True] * 5 + [False] * 40, [[0.1] * 5 + [0.9] * 40]))
    assert group.numbers() == ((0.0, 45),)
