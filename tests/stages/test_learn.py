"""Publishing: when a version falls due, by examples and by event time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model

from eddyline import every, minutes, seconds
from eddyline.models import adapt
from eddyline.records import Example, Prediction
from eddyline.records.errors import DeclarationError
from eddyline.stages.learn import Learn, LearnState, Publish

TIMES = st.lists(st.integers(0, 60), max_size=30)
PUBLISH = st.sampled_from([every(3), every(seconds(10)), every(4, seconds(10))])


def example(number: int, at_s: int, truth: Any = True) -> Example:
    prediction = Prediction(f"e-{number}", "k", 0, {"x": float(number)}, None, None, None, "m", 0, 0, None)
    return Example(prediction, truth, "label", at_s * 1_000_000)


def learning(publish: Publish) -> tuple[Learn, LearnState]:
    learn = Learn(snapshot_every=1_000, publish=publish, learn_revisions=False)
    return learn, learn.new_state(adapt(linear_model.LogisticRegression()), name="m")


def published(publish: Publish, times: list[int]) -> list[int]:
    """The positions that are published, when examples with these times are learned."""
    learn, state = learning(publish)
    found = [0]
    for number, at in enumerate(times):
        learn.one(state, example(number, at), [])
        if state.published_position != found[-1]:
            found.append(state.published_position)
    return found[1:]


def test_a_version_is_published_when_that_much_event_time_passed_since_the_last() -> None:
    assert published(every(seconds(10)), [0, 4, 9, 10, 11, 19, 20, 55, 56]) == [4, 7, 8]


def test_time_begins_with_the_first_example_not_with_the_epoch() -> None:
    assert published(every(seconds(10)), [50, 51, 59, 60]) == [4]


def test_an_example_of_long_ago_does_not_turn_time_back() -> None:
    assert published(every(seconds(10)), [0, 10, 3, 12, 19, 20]) == [2, 6]


def test_of_examples_and_time_each_publishes() -> None:
    assert published(every(4, seconds(10)), [0, 1, 10, 11, 12, 21, 22, 23]) == [3, 4, 6, 8]


def test_what_is_not_learned_publishes_nothing() -> None:
    learn, state = learning(every(seconds(10)))
    for number, at, truth in ((0, 0, True), (1, 30, float("inf")), (2, 9, True)):
        learn.one(state, example(number, at, truth), [])
    assert (state.position, state.published_position) == (2, 0)
    learn.one(state, example(3, 31), [])
    assert (state.position, state.published_position) == (3, 3)


@given(TIMES, PUBLISH)
def test_no_version_is_older_than_declared_when_the_next_example_is_learned(times: list[int], publish: Publish) -> None:
    positions = [0, *published(publish, times)]
    for position in range(1, len(times) + 1):
        last = max(one for one in positions if one <= position)
        if publish.examples is not None:
            assert position - last < publish.examples
        if publish.span_us is not None and last < position:
            began = max(times[:last], default=times[0])
            assert times[position - 1] - began < publish.span_us / 1_000_000


@pytest.mark.parametrize(
    "wrong", [(0,), (True,), (1.5,), (timedelta(0),), (minutes(5), minutes(1)), (10, 20), (seconds(1), 100), ("5 minutes",)]
)
def test_what_is_no_number_and_no_duration_is_refused_with_what_to_write(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(DeclarationError, match=r"every\(1000, minutes\(5\)\)"):
        every(*wrong)


def test_counting_examples_means_what_it_meant_before_there_was_time() -> None:
    assert repr(every(1000)) == "Publish(examples=1000)"
    assert every(1000) == Publish(1000)
