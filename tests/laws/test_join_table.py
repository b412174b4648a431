"""Every line of the join's table, as a scenario: in memory, and on a disk.

The laws `schedule`, `twice` and `whole` by example; test_schedule.py and test_whole.py hold them for any stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from eddyline import DeclarationError, Join, every, seconds
from eddyline.testing import play

Play = Callable[..., None]


@pytest.fixture(params=["memory", "disk"])
def played(request: pytest.FixtureRequest) -> Play:
    return partial(play, disk=request.param == "disk")


def wait(count: float, **fields: Any) -> Join:
    return Join(wait=seconds(count), **fields)


def test_a_label_within_the_wait_becomes_an_example_until_the_last_moment(played: Play) -> None:
    table = """
        when  event  label   expect
        0     a, b
        10           a=yes   a is yes
        11           b=yes   b refused label_late
    """
    played(table, join=wait(10))


def test_a_label_is_late_by_its_own_time_and_not_by_its_arrival(played: Play) -> None:
    table = """
        when  event    label            expect
        0     a, b
        11             a=yes at 10      a is yes
        11             b=yes            b refused label_late
        5              b=yes            b is yes
    """
    played(table, join=wait(10))


def test_a_label_known_in_time_that_arrives_after_the_horizon_is_refused(played: Play) -> None:
    table = """
        when  event  label        expect
        0     a
        10    b                   a unlabelled
        11           a=yes at 5   a refused label_late
    """
    played(table, join=wait(10))


def test_a_declared_lateness_keeps_the_horizon_open_for_labels_on_their_way(played: Play) -> None:
    table = """
        when  event  label        expect
        0     a
        13    b
        13           a=yes at 5
        14    c                   a is yes
    """
    played(table, join=wait(10, lateness=seconds(4)))


def test_labels_out_of_order_within_the_lateness_are_put_in_order(played: Play) -> None:
    table = """
        when  event  label        expect
        0     a
        5            a=no
        4            a=yes
        9            z=no         a is yes, a is no revision 1 not learned
    """
    played(table, join=wait(20, lateness=seconds(4)))


def test_a_label_that_says_the_same_while_one_is_held_changes_nothing(played: Play) -> None:
    table = """
        when  event  label           expect
        0     a
        5            a=no, a=no
        9            z=no            a is no
    """
    played(table, join=wait(20, lateness=seconds(4)))


def test_time_lets_go_of_held_labels_when_no_label_follows(played: Play) -> None:
    table = """
        when  event  label   expect
        0     a
        5            a=no
        8     b
        9     c              a is no
    """
    played(table, join=wait(20, lateness=seconds(4)))


def test_a_label_before_its_event_waits_for_it(played: Play) -> None:
    table = """
        when  event  label    expect
        3            a=yes
        3     a               a is yes
    """
    played(table, join=wait(10))


def test_several_labels_before_their_event_come_out_in_their_order(played: Play) -> None:
    table = """
        when  event      label                expect
        3                a=yes, a=no at 4
        3                a=yes
        5     a at 3                          a is yes, a is no revision 1 not learned
    """
    played(table, join=wait(10))


def test_a_label_for_no_event_expires_after_the_wait(played: Play) -> None:
    table = """
        when  event  label   expect
        0            z=yes
        9     a
        10    b              z refused label_unmatched
        10           z=yes at 0   z refused label_unmatched
    """
    played(table, join=wait(10))


def test_of_two_early_labels_the_one_within_the_wait_counts(played: Play) -> None:
    table = """
        when  event  label           expect
        0            a=yes
        2            a=yes
        11    a                      a refused label_late, a is yes
    """
    played(table, join=wait(10))


def test_more_early_labels_than_declared_are_refused_and_said_so(played: Play) -> None:
    table = """
        when  event  label            expect
        0            x=yes, y=yes     y refused too_many_early
        0     x                       x is yes
        0            y=yes
    """
    played(table, join=wait(10, early=1))


def test_the_same_label_twice_is_one_label(played: Play) -> None:
    table = """
        when  event  label   expect
        0     a
        1            a=yes   a is yes
        1            a=yes
        2            a=yes
    """
    played(table, join=wait(10))


def test_another_truth_is_a_revision_and_never_an_overwrite(played: Play) -> None:
    table = """
        when  event  label     expect
        0     a
        1            a=yes     a is yes
        2            a=no      a is no revision 1 not learned
        3            a=yes
        4            a=maybe   a is maybe revision 2 not learned
        5            a=no
        6     b                b answered @1
    """
    played(table, join=wait(10))


def test_a_revision_is_learned_where_that_is_declared(played: Play) -> None:
    table = """
        when  event  label     expect
        0     a
        1            a=yes     a is yes
        2            a=no      a is no revision 1
        3     b                b answered @2
    """
    played(table, join=wait(10, revisions="learn"))


def test_a_revision_known_after_the_wait_is_late(played: Play) -> None:
    table = """
        when  event  label     expect
        0     a
        1            a=yes     a is yes
        11           a=no      a refused label_late
    """
    played(table, join=wait(10))


def test_silence_is_an_example_where_it_means_something(played: Play) -> None:
    table = """
        when  event  label   expect
        0     a
        5     b
        10    c              a is no by absence
        10           a=yes   a refused label_late
        15    d              b is no by absence, d answered @1
    """
    played(table, join=wait(10, absent="no"))


def test_silence_is_counted_where_it_means_nothing(played: Play) -> None:
    table = """
        when  event  label   expect
        0     a
        10    b              a unlabelled, b answered @0
    """
    played(table, join=wait(10))


def test_the_horizon_is_in_event_time_so_disorder_within_the_lateness_moves_nothing(played: Play) -> None:
    table = """
        when  event      label        expect
        0     a
        12    b
        12    c at 10
        12               a=yes at 9   a is yes
        13    d
        23    e                       c unlabelled
        25    f                       b unlabelled
    """
    played(table, join=wait(10), lateness=seconds(3))


def test_an_event_later_than_declared_is_answered_and_expires_at_once(played: Play) -> None:
    table = """
        when  event     label        expect
        50    a
        50    b at 1                 b unlabelled
        50              b=yes at 2   b refused label_late
    """
    played(table, join=wait(10))


def test_draining_brings_everything_that_waits_to_its_horizon(played: Play) -> None:
    table = """
        when  event  label   do      expect
        0     a, b
        5            a=yes           a is yes
        6     c
        6            z=yes
        7                    drain   b is no by absence, c is no by absence, z refused label_unmatched
        8                    drain
    """
    played(table, join=wait(10, absent="no"))


def test_draining_lets_go_of_held_labels(played: Play) -> None:
    table = """
        when  event  label   do      expect
        0     a
        5            a=yes
        5                    drain   a is yes
    """
    played(table, join=wait(10, lateness=seconds(4)))


def test_published_versions_answer_until_the_next_is_published(played: Play) -> None:
    table = """
        when  event  label          expect
        0     a, b, c
        1            a=yes          a is yes
        2     d                     d answered @0
        3            b=yes          b is yes
        4     e                     e answered @2
    """
    played(table, join=wait(10), publish=every(2))


def test_a_version_answers_when_an_operator_says_so_and_learning_goes_on(played: Play) -> None:
    table = """
        when  event  label   do             expect
        0     a
        1            a=yes                  a is yes
        2                    answer @0
        3     b                             b answered @0
        4            b=no                   b is no
        5                    answer @9      scenario@9 refused unknown_version
        6                    answer live
        7     c                             c answered @2
    """
    played(table, join=wait(10))


def test_stopping_and_crashing_keep_early_held_and_waiting_records() -> None:
    table = """
        when  event      label        do      expect
        0     a
        6                z=yes at 2
        6                a=no at 3
        6                             stop
        6                a=yes at 1
        6                             crash
        7     z at 3
        7                             stop
        8     b                               a is yes, a is no revision 1 not learned, z is yes
        9                             crash
        9                a=yes at 1
        12    c
    """
    play(table, disk=True, join=wait(20, lateness=seconds(5)), lateness=seconds(5))


@pytest.mark.parametrize("how", ["stop", "crash", None])
def test_a_label_for_no_event_is_judged_by_event_time_and_not_by_what_waits(how: str | None) -> None:
    table = f"""
        when  event  label         do      expect
        0     a
        1            a=yes                 a is yes
        {f"1                           {how}" if how else ""}
        15    b
        15           u=yes at 4            u refused label_unmatched
    """
    play(table, disk=True, join=wait(10))


@pytest.mark.parametrize("how", ["stop", "crash", None])
def test_an_event_behind_the_end_that_was_declared_expires_at_once(how: str | None) -> None:
    table = f"""
        when  event   label   do      expect
        0     a
        0                     drain   a unlabelled
        {f"0                     {how}" if how else ""}
        9     b at 0                  b unlabelled
        9     c
        19    d                       c unlabelled
    """
    play(table, disk=True, join=wait(10))


def test_an_absence_that_is_no_truth_is_refused_when_it_is_declared() -> None:
    absents: list[Any] = [None, [], float("nan"), float("inf"), 2**70]
    for absent in absents:
        with pytest.raises(DeclarationError, match="absent="):
            Join(absent=absent)
