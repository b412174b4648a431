"""Pairs leave in event order, once, however they came and wherever the buffer was saved."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.policies import InOrder

LAW = settings(max_examples=200, deadline=None, derandomize=True)
STEPS = st.lists(st.tuples(st.sampled_from(["expect", "settle", "ready"]), st.integers(0, 12), st.integers(0, 3)), max_size=60)
Left = list[tuple[int, str, object, object]]


def play(steps: list[tuple[str, int, int]], *, limit: int, saved: bool) -> tuple[bytes, Left]:
    left: Left = []
    order, watermark, known = InOrder(limit), -1, set[str]()
    for what, at, tail in steps:
        if saved:
            order = InOrder.of(msgspec.json.decode(msgspec.json.encode(order.plain())))
        event_id = f"{at}-{tail}"
        if what == "expect" and event_id not in known:
            known.add(event_id)
            order.expect(at, event_id, [at, tail])
        elif what == "settle":
            order.settle(event_id, tail % 2 == 0)
        else:
            watermark = max(watermark, at)
            left += order.ready(watermark)
    return msgspec.json.encode(order.plain()), left


@LAW
@given(STEPS, st.integers(1, 8))
def test_saving_and_restoring_anywhere_changes_nothing(steps: list[tuple[str, int, int]], limit: int) -> None:
    assert play(steps, limit=limit, saved=True) == play(steps, limit=limit, saved=False)


@LAW
@given(STEPS)
def test_pairs_leave_in_event_order_and_once(steps: list[tuple[str, int, int]]) -> None:
    _, left = play(steps, limit=100, saved=False)
    keys = [(at, event_id) for at, event_id, _, _ in left]
    assert keys == sorted(set(keys))


@LAW
@given(st.permutations(range(12)), st.permutations(range(12)))
def test_the_order_in_which_labels_come_does_not_matter(first: list[int], second: list[int]) -> None:
    def left(labels: list[int]) -> Left:
        found: Left = []
        order = InOrder()
        for at in range(12):
            order.expect(at, str(at), None)
        for at in labels:
            order.settle(str(at), at)
            found += order.ready(20)
        return found

    assert left(first) == left(second)


@LAW
@given(STEPS)
def test_who_is_admitted_does_not_depend_on_what_becomes_of_them(steps: list[tuple[str, int, int]]) -> None:
    def admitted(outcome: bool) -> list[bool]:
        order, found, known = InOrder(3), [], set[str]()
        for what, at, tail in steps:
            event_id = f"{at}-{tail}"
            if what == "expect" and event_id not in known:
                known.add(event_id)
                found.append(order.expect(at, event_id, None))
            elif what == "settle":
                order.settle(event_id, outcome)
            else:
                list(order.ready(at))
        return found

    assert admitted(True) == admitted(False)


def test_a_full_buffer_admits_nobody_and_counts_them() -> None:
    order = InOrder(limit=2)
    assert [order.expect(at, str(at), None) for at in range(3)] == [True, True, False]
    assert (order.refused, len(order), "2" in order) == (1, 2, False)
    order.settle("0", True)
    assert [event_id for _, event_id, _, _ in order.ready(5)] == ["0"]
    assert order.expect(3, "3", None)


def test_an_event_older_than_one_that_left_is_not_admitted() -> None:
    order = InOrder()
    order.expect(10, "b", None)
    order.settle("b", True)
    assert len(list(order.ready(10))) == 1
    assert not order.expect(9, "a", None)
    assert order.late == 1


def test_the_first_outcome_counts() -> None:
    order = InOrder()
    order.expect(1, "a", None)
    assert order.settle("a", False)
    assert not order.settle("a", True)
    assert not order.settle("nobody", True)
    assert list(order.ready(1)) == [(1, "a", None, False)]


def test_nothing_leaves_before_the_watermark() -> None:
    order = InOrder()
    order.expect(5, "a", None)
    order.settle("a", 1)
    assert list(order.ready(4)) == []


def test_who_needs_no_truth_counts_with_those_among_whom_he_came() -> None:
    order = InOrder()
    assert order.follow(0, "a")
    order.expect(1, "b", None)
    assert [order.follow(2, "c"), order.follow(3, "d")] == [False, False]
    order.expect(4, "e", None)
    assert not order.follow(5, "f")
    order.settle("e", True)
    assert (list(order.ready(9)), order.followed()) == ([], 0)
    order = InOrder.of(msgspec.json.decode(msgspec.json.encode(order.plain())))
    order.settle("b", True)
    assert ([event_id for _, event_id, _, _ in order.ready(9)], order.followed(), order.followed()) == (["b", "e"], 3, 0)
    assert (order.follow(4, "d"), order.late, order.follow(6, "g")) == (False, 1, True)


def test_a_group_is_dropped_whatever_is_known_of_it() -> None:
    order = InOrder()
    for at, group in enumerate(["north", "south", "north"]):
        order.expect(at, str(at), None, group)
    order.settle("0", True)
    order.drop("dropped", "north")
    assert not order.settle("2", True)
    order.settle("1", True)
    assert [outcome for *_, outcome in order.ready(9)] == ["dropped", True, "dropped"]
    order.expect(10, "10", None, "south")
    order.drop("all")
    assert [outcome for *_, outcome in order.ready(10)] == ["all"]


def test_a_buffer_saved_before_there_were_followers_goes_on() -> None:
    saved = b'[10, 0, 0, [3, "c"], [[5, "e", "pair", []], [6, "f", "other", [true]]]]'
    order = InOrder.of(msgspec.json.decode(saved))
    assert order.settle("e", False)
    assert list(order.ready(9)) == [(5, "e", "pair", False), (6, "f", "other", True)]


def test_a_crowd_that_waits_leaves_room_for_who_comes_late() -> None:
    order = InOrder(limit=10_000)
    came = [at for at in range(300_000) if order.expect(at, f"e-{at}", None)]
    assert came[:5_000] == list(range(5_000))
    assert len([at for at in came if at >= 250_000]) > 30
    assert (len(order) < 10_000, order.refused) == (True, 300_000 - len(came))
    agreed = sum(order._admits(at, f"e-{at}") for at in range(300_000, 400_000))
    assert 60 < agreed < 140
