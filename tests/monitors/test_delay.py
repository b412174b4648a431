"""The delay histogram answers within its promise, whatever the batches."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from eddyline.monitors.delay import DelayHistogram

delays = st.lists(st.integers(-(2**50), 2**62), min_size=1, max_size=200)
shares = st.floats(0, 1)


def filled(values: list[int]) -> DelayHistogram:
    histogram = DelayHistogram()
    histogram.add(values)
    return histogram


@given(delays, shares)
def test_a_quantile_is_within_one_per_cent_of_the_value_of_that_rank(values: list[int], q: float) -> None:
    exact = sorted(values)[max(1, ceil(q * len(values))) - 1]
    answered = filled(values).quantile(q)
    assert answered is not None
    assert abs(answered - exact) <= 0.01 * abs(exact)


@given(delays)
def test_count_least_largest_and_mean_are_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert (histogram.count, histogram.least, histogram.largest) == (len(values), min(values), max(values))
    assert histogram.mean == sum(values) / len(values)


@given(delays, delays)
def test_merging_two_histograms_is_filling_one(left: list[int], right: list[int]) -> None:
    merged = filled(left)
    merged.merge(filled(right))
    assert merged.plain() == filled(left + right).plain() == filled(right + left).plain()


@given(delays)
def test_the_order_and_the_batches_do_not_matter(values: list[int]) -> None:
    singly = DelayHistogram()
    for value in reversed(values):
        singly.add([value])
    assert singly.plain() == filled(values).plain()
    assert DelayHistogram.of(singly.plain()).plain() == singly.plain()


def test_the_number_of_bins_is_bounded_for_any_input() -> None:
    every_octave = [sign * (step << shift) >> 8 for shift in range(63) for step in range(256) for sign in (1, -1)]
    assert len(filled(every_octave).bins) <= 7_424


def test_an_empty_histogram_has_no_quantile() -> None:
    assert DelayHistogram().quantile(0.5) is None
    assert DelayHistogram().mean is None
    assert list(DelayHistogram().measurements()) == []
