"""Who said what to an event is found in the prediction alone."""

from __future__ import annotations

import pytest

from eddyline.policies import zero_one
from eddyline.records import Place, Prediction, Rollout, Said
from eddyline.stages.bouts import Bout, Roll


def test_a_line_that_stands_where_a_version_is_pinned_is_heard_beside_it() -> None:
    rollout = Rollout(1, "fraud@0", "a test", "pinned", (Place("fraud"), Place("fraud.deep")))
    roll = Roll(rollout, "fraud")
    line, deep = Said("fraud", 0, True, None), Said("fraud.deep", 0, False, None)
    prediction = Prediction("p-1", "k", 0, {}, None, True, None, "fraud", 0, 1, None, [line, deep])
    heard = roll.heard(prediction)
    assert [heard[roll.places[who]] for who in ("fraud@0", "fraud", "fraud.deep")] == [prediction, line, deep]
    assert roll.said(Prediction("p-1", "k", 0, {}, None, True, None, "fraud", 0, 1, None, [deep]), "fraud") is None


def test_those_who_answered_together_are_those_who_are_heard() -> None:
    roll = Roll(Rollout(1, None, "a test", "two beside", (Place("fraud.deep"), Place("fraud.flat"))), "fraud")
    others = [Said("fraud.deep", 0, False, None), Said("fraud.flat", 0, True, None)]
    prediction = Prediction("p-1", "k", 0, {}, None, True, None, "fraud", 0, 1, None, others)
    assert list(roll.together(prediction, others) or ()) == list(roll.heard(prediction)) == [prediction, *others]
    for missing in (others[:1], others[::-1], [others[0], Said("fraud.flat", 0, None, None, None, "model_failed")]):
        assert roll.together(prediction, missing) is None


@pytest.mark.parametrize("cold", ["fraud", "fraud.deep"])
def test_who_has_learned_nothing_yet_and_says_nothing_is_no_case(cold: str) -> None:
    assert _counted(cold, 0, still=()) == 0
    assert _counted(cold, 1, still=()) == 1, "silence of a version that has learned counts"
    assert _counted(cold, 0, still=(cold,)) == 1, "a line that never learns is judged as it is"


def _counted(silent: str, position: int, still: tuple[str, ...]) -> int:
    """How many pairs come of one event to which one side says None."""
    roll = Roll(Rollout(1, None, "a test", "beside", (Place("fraud.deep"),)), "fraud")
    spoken: dict[str, tuple[int, bool | None]] = {
        name: (position, None) if name == silent else (9, True) for name in ("fraud", "fraud.deep")
    }
    said = Said("fraud.deep", *spoken["fraud.deep"], None)
    prediction = Prediction("p-1", "k", 0, {}, None, spoken["fraud"][1], None, "fraud", spoken["fraud"][0], 1, None, [said])
    bout = Bout("fraud", "fraud.deep", zero_one(), 1)
    bout.answered(roll, prediction, roll.heard(prediction), still)
    bout.order.settle("p-1", [True])
    bout.ripen(10**9)
    return bout.contest.pairs


def test_the_rate_of_a_contest_is_that_of_the_events_whose_truth_is_awaited_no_more() -> None:
    roll = Roll(Rollout(1, None, "a test", "beside", (Place("fraud.deep"),)), "fraud")
    bout = Bout("fraud", "fraud.deep", zero_one(), 1)
    for second in range(1, 101):
        said = Said("fraud.deep", 1, False, None)
        event = Prediction(f"p-{second}", "k", second * 10**6, {}, None, True, None, "fraud", 1, 1, None, [said])
        bout.answered(roll, event, roll.heard(event))
        if second <= 10:
            bout.order.settle(event.event_id, [True])
    bout.ripen(100 * 10**6)
    assert bout.contest.pairs == 10
    assert bout.rate(0, 100 * 10**6) == 10 / 11, "the eleventh event waits, and all after it"
