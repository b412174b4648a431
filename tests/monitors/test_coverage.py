"""Coverage counts every answer once, in any order, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eddyline.monitors.coverage import Coverage, Fate

counted = st.lists(st.tuples(st.sampled_from(Fate), st.integers(-3, 12)), max_size=100)


@given(counted, st.randoms(use_true_random=False))
def test_the_rows_do_not_depend_on_the_order_or_the_batches(seen: list[tuple[Fate, int]], random: object) -> None:
    in_order, shuffled = Coverage(days=4), Coverage(days=4)
    for fate, day in seen:
        in_order.add(fate, [day])
    mixed = list(seen)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    for fate in Fate:
        shuffled.add(fate, [day for one, day in mixed if one is fate])
    assert in_order.plain() == shuffled.plain()


@given(counted)
def test_nothing_is_lost_when_old_days_are_added_together(seen: list[tuple[Fate, int]]) -> None:
    coverage = Coverage(days=2)
    for fate, day in seen:
        coverage.add(fate, [day])
    assert coverage.total() == [sum(fate is column for fate, _ in seen) for column in Fate]
    assert len(coverage.rows) <= 2
