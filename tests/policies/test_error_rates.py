"""What the verdicts promise, by Monte-Carlo through the public policies: looks after each event, seeds fixed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.policies.harness import (
    NAME,
    RIGHT,
    WRONG,
    Row,
    first_action,
    first_action_looking_everywhere,
    first_action_of_naive,
    rows,
    seen_by,
)

from eddyline.policies import Contest, InOrder, Now, Promote, RollBack, zero_one

RUNS, EVENTS, AT_MOST = 2_000, 10_000, 0.056
AT_5_PERCENT = Promote(evidence=20)


@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.4])
def test_an_equal_challenger_is_promoted_in_at_most_one_run_of_twenty(disagreement: float) -> None:
    acted = [first_action(AT_5_PERCENT, row, 20) for row in rows(RUNS, EVENTS, disagreement / 2, disagreement / 2, seed=1)]
    promoted = sum(found is not None and found[0] == "promote" for found in acted)
    assert 0.005 * RUNS < promoted <= AT_MOST * RUNS


@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.4])
def test_the_same_runs_fool_a_z_rule_in_two_of_five(disagreement: float) -> None:
    fooled = sum(
        first_action_of_naive(row) is not None for row in rows(RUNS, EVENTS, disagreement / 2, disagreement / 2, seed=1)
    )
    assert fooled > 0.4 * RUNS


@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.4])
def test_looking_after_each_event_finds_what_the_quick_harness_finds(disagreement: float) -> None:
    some = [
        *rows(6, EVENTS, disagreement / 2, disagreement / 2, seed=2),
        *rows(4, EVENTS, disagreement * 0.6, disagreement * 0.4, seed=3),
    ]
    slow = [first_action_looking_everywhere(AT_5_PERCENT, row) for row in some]
    assert slow == [first_action(AT_5_PERCENT, row, 20) for row in some]
    assert any(slow)


@pytest.mark.parametrize(("evidence", "runs"), [(20, 2_000), (100, 3_000)])
def test_6_against_4_percent_error_is_decided_within_2600_events_at_the_median(evidence: int, runs: int) -> None:
    policy = Promote(evidence=evidence)
    acted = [first_action(policy, row, evidence) for row in rows(runs, EVENTS, 0.06, 0.04, seed=5)]
    decided = [events for found in acted if found is not None for kind, events in [found] if kind == "promote"]
    assert len(decided) >= 0.99 * runs
    assert np.median(decided) <= 2_600


def delayed(row: Row, seed: int) -> list[tuple[int, int, int]]:
    """(when its label comes, the event, its gain) for each disagreement: wins are labelled soon, losses late."""
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(row)
    waits = np.where(row[places] > 0, rng.integers(1, 200, len(places)), rng.integers(1_000, 4_000, len(places)))
    return sorted(zip((places + waits).tolist(), places.tolist(), row[places].tolist(), strict=True))


def promoted_in_event_order(row: Row, seed: int) -> bool:
    """Labels shuffled by their delay; a buffer puts pairs into event order, and the policy looks after each label."""
    order, contest, watermark = InOrder(limit=2_000), Contest.new(zero_one()), -1
    places = iter(np.flatnonzero(row).tolist())
    coming = next(places, None)
    for arrives, place, gain in delayed(row, seed):
        if arrives >= EVENTS:
            break
        while coming is not None and coming <= arrives:
            assert order.expect(coming, str(coming), None)
            coming = next(places, None)
        watermark = arrives
        assert order.settle(str(place), gain)
        changed = False
        for _, _, _, won in order.ready(watermark):
            contest.add(*((WRONG, RIGHT) if won > 0 else (RIGHT, WRONG)), "fine")
            changed = True
        action = seen_by(AT_5_PERCENT, contest, watermark) if changed else None
        if action is not None:
            return action.kind == "promote"
    return False


def promoted_in_arrival_order(row: Row, seed: int) -> bool:
    """The same labels, taken as they come."""
    contest = Contest.new(zero_one())
    for arrives, _, gain in delayed(row, seed):
        if arrives >= EVENTS:
            break
        contest.add(*((WRONG, RIGHT) if gain > 0 else (RIGHT, WRONG)), "fine")
        action = seen_by(AT_5_PERCENT, contest, arrives)
        if action is not None:
            return action.kind == "promote"
    return False


def test_labels_shuffled_by_delay_do_not_fool_event_order() -> None:
    runs = list(rows(RUNS, EVENTS, 0.05, 0.05, seed=7))
    assert sum(promoted_in_event_order(row, seed) for seed, row in enumerate(runs)) <= AT_MOST * RUNS
    some = runs[:100]
    assert sum(promoted_in_arrival_order(row, seed) for seed, row in enumerate(some)) > 0.5 * len(some)


def missing(row: Row, seed: int) -> tuple[Row, Row]:
    """30 % of all labels are missing, the challenger's losses first: the gains that are known, and those that are not."""
    rng = np.random.default_rng(seed)
    share = float((row < 0).mean())
    gone = (row < 0) | (rng.random(len(row)) < (0.3 - share) / (1.0 - share))
    return np.where(gone, 0, row).astype(np.int8), np.where(gone, row, 0).astype(np.int8)


@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.4])
def test_labels_missing_not_at_random_do_not_promote_an_equal_challenger(disagreement: float) -> None:
    runs = [missing(row, seed) for seed, row in enumerate(rows(RUNS, EVENTS, disagreement / 2, disagreement / 2, seed=8))]
    acted = [first_action(AT_5_PERCENT, known, 20, lost) for known, lost in runs]
    assert sum(found is not None and found[0] == "promote" for found in acted) <= AT_MOST * RUNS
    assert [first_action_looking_everywhere(AT_5_PERCENT, known, lost) for known, lost in runs[:5]] == acted[:5]
    fooled = [first_action_looking_everywhere(AT_5_PERCENT, known, lost, dropped=True) for known, lost in runs[:30]]
    assert sum(found is not None and found[0] == "promote" for found in fooled) > 0.9 * len(fooled)


def test_labels_missing_not_at_random_do_not_hide_a_harmful_champion() -> None:
    contest = Contest.new(zero_one())
    contest.count(wins=3, losses=3, unlabelled=40)
    now = Now(at=0, champion="fraud@2", former=contest, former_name="fraud@1")
    assert RollBack(evidence=20).look(now) is not None
    assert RollBack(evidence=20, unlabelled="against the former").look(now) is None


def test_an_equal_champion_is_rolled_back_in_at_most_one_run_of_twenty() -> None:
    def rolled_back(row: Row) -> bool:
        contest = Contest.new(zero_one())
        for place in np.flatnonzero(row).tolist():
            contest.add(*((WRONG, RIGHT) if row[place] > 0 else (RIGHT, WRONG)), "fine")
            now = Now(at=place, champion="fraud@2", former=contest, former_name="fraud@1")
            if RollBack(evidence=20).look(now) is not None:
                return True
        return False

    runs = rows(500, EVENTS, 0.05, 0.05, seed=9)
    assert sum(map(rolled_back, runs)) <= 35  # 5 % and two standard errors


def test_the_promoted_challenger_is_named() -> None:
    contest = Contest.new(zero_one())
    contest.count(wins=50, losses=10)
    action = seen_by(AT_5_PERCENT, contest, 60)
    assert action is not None
    assert (action.kind, action.subject) == ("promote", NAME)
