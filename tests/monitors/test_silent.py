"""Answers of None are no case for a metric, however many of them come at once."""

from __future__ import annotations

import pytest
from river.metrics import Accuracy

from eddyline.records import Example, Prediction, Task
from eddyline.stages.watch import Watch


@pytest.mark.parametrize("many", [7, 8, 20])
def test_a_batch_in_which_nothing_was_answered_leaves_the_bytes_of_batches_of_one(many: int) -> None:
    watch = Watch(metrics=(Accuracy(),), error=False, segment="s").bind(Task.CLASSIFICATION, 1000, None, bool)
    silent = [Prediction(f"e-{i}", "k", i, {}, None, None, None, "m", 0, 0, "n") for i in range(many)]
    examples = [Example(one, False, "label", one.at + 1) for one in silent]
    whole, single = watch.new_state(), watch.new_state()
    watch.step(whole, examples)
    for one in examples:
        watch.step(single, [one])
    assert watch.save(whole) == watch.save(single)
