"""Runs, parts and counts are what key by key and pair by pair would give."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.monitors.declared import CONFIDENCE, SCORE
from eddyline.monitors.host import column
from eddyline.monitors.keys import Keys
from eddyline.monitors.pairs import FEW, Pairs
from eddyline.records import Prediction, Scores, Value

numbers = st.lists(st.integers(-50, 50), min_size=1, max_size=60)
pairs_of = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=FEW, max_size=60)


@given(numbers, st.integers(1, 20), st.booleans())
def test_keys_by_span_are_the_keys_one_by_one(found: list[int], span: int, in_order: bool) -> None:
    found = sorted(found) if in_order else found
    plain = [number // span for number in found]
    keys = Keys.by_span(found, span)
    assert [key for key, start, end in keys.runs() for _ in range(start, end)] == plain
    assert [key for key, _, _ in keys.runs()] == [key for key, _ in groupby(plain)]
    members = {key: list(chosen) for key, chosen in keys.members().items()}
    assert members == {key: [i for i, one in enumerate(plain) if one == key] for key in plain}
    assert list(members) == list(dict.fromkeys(reversed(plain)))[::-1], "in the order in which they come last"


@given(pairs_of, st.data())
def test_yes_and_no_are_counted_in_parts_as_pair_by_pair(found: list[tuple[bool, bool]], data: st.DataObject) -> None:
    pairs = Pairs([truth for truth, _ in found], [[answer for _, answer in found]])
    assert pairs.counts(0) == [(*pair, many) for pair, many in Counter(found).items()]
    start = data.draw(st.integers(0, len(found) - 1))
    end = data.draw(st.integers(start + 1, len(found)))
    part = pairs.some(range(start, end)).counts(0)
    plain = [(*pair, many) for pair, many in Counter(found[start:end]).items()]
    assert part == (plain if end - start >= FEW else None)


@pytest.mark.parametrize("odd", [None, 1, "yes"], ids=["none", "one", "text"])
def test_what_is_no_truth_value_stays_what_it_is(odd: Any) -> None:
    truths, answers = [True] * FEW, [True] * (FEW - 1) + [odd]
    expected = [(True, True, FEW - 1), (True, odd, 1)]
    counted = Pairs(truths, [answers]).counts(0)
    assert counted is not None
    assert counted == ([(True, True, FEW)] if odd == 1 else [one for one in expected if one[1] is not None])


@pytest.mark.parametrize(
    ("value", "scores", "score", "confidence"),
    [
        (True, {False: 0.25, True: 0.75}, 0.75, 0.75),
        (False, {False: 0.75, True: 0.25}, 0.25, 0.75),
        ("red", {"red": 0.5, "blue": 0.5}, 0.5, 0.5),
        ("red", {"blue": 0.9, "green": 0.1}, 0.9, None),
        (3.5, None, 3.5, None),
        (None, {}, None, None),
    ],
    ids=["yes", "no", "class", "unlikely", "number", "silent"],
)
def test_a_column_is_the_same_whoever_stands_beside(
    value: Value, scores: Scores | None, score: Value, confidence: float | None
) -> None:
    usual = Prediction("p-1", "k", 0, {}, None, True, {False: 0.4, True: 0.6}, "m", 0, 0)
    one = Prediction("p-2", "k", 0, {}, None, value, scores, "m", 0, 0)
    assert column(SCORE, [one]) == [score]
    assert column(SCORE, [usual, one]) == [0.6, score]
    assert column(CONFIDENCE, [one]) == [confidence]
    assert column(CONFIDENCE, [usual, one]) == [0.6, confidence]
