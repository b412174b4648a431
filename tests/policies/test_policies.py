"""Policies are values with a sentence: what each does in the situation that it is for, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from eddyline.policies import (
    Action,
    Contest,
    ELond,
    ErrorDetector,
    FreezeLearning,
    Health,
    Notify,
    Now,
    Policy,
    Promote,
    Pulse,
    Quarantine,
    Retrain,
    RollBack,
    Trial,
    absolute,
    recomputed,
    zero_one,
)
from eddyline.records import Alert, Place, Task
from eddyline.records.errors import DeclarationError
from eddyline.records.time import days, hours, to_us

HOUR = to_us(hours(1))
DEEP = "fraud.deep"


def contest(wins: int, losses: int, ties: int = 0, unlabelled: int = 0) -> Contest:
    made = Contest.new(zero_one())
    made.count(wins=wins, losses=losses, ties=ties, unlabelled=unlabelled)
    return made


def now(**changes: Any) -> Now:
    return dataclasses.replace(Now(at=100 * HOUR, champion="fraud", champion_since=0), **changes)


def alert(monitor: str = "error_drift", **changes: Any) -> Alert:
    made: dict[str, Any] = {"subject": "fraud", "at": 99 * HOUR, "position": 7, "before": 0.1, "after": 0.3, "reason": "rose"}
    return Alert(**{"monitor": monitor, **made, **changes})


def asked(policy: Policy, seen: Now) -> tuple[str, str] | None:
    action = policy.look(seen)
    if action is not None:
        json.dumps(action.evidence, allow_nan=False)
    return None if action is None else (action.kind, action.subject)


# Promote ---------------------------------------------------------------------------------------------------------------


def test_a_better_challenger_is_promoted_a_worse_one_retired_and_an_equal_one_waits() -> None:
    policy = Promote(evidence=100)
    assert asked(policy, now(contests={DEEP: contest(60, 20)})) == ("promote", DEEP)
    assert asked(policy, now(contests={DEEP: contest(20, 60)})) == ("retire", DEEP)
    assert asked(policy, now(contests={DEEP: contest(40, 40)})) is None


def test_a_promotion_carries_evidence_that_is_computed_again() -> None:
    action = Promote(evidence=100).look(now(contests={DEEP: contest(60, 20, 900)}))
    assert action is not None
    verdict = recomputed(json.loads(json.dumps(action.evidence)))
    assert verdict.outcome == "better"
    assert verdict.low > 0.0
    assert action.reason == verdict.sentence()


def test_at_the_deadline_an_undecided_contest_keeps_the_champion() -> None:
    policy = Promote(deadline=days(4))
    seen = now(contests={DEEP: contest(12, 10)}, places={DEEP: Place(DEEP, since=0)}, labels_per_s=0.1)
    assert asked(policy, seen) == ("retire", DEEP)
    assert asked(policy, dataclasses.replace(seen, at=95 * HOUR)) is None
    action = policy.look(seen)
    assert action is not None
    assert action.reason.startswith("the deadline of 4 days passed; inconclusive: 12 wins")


def test_the_deadline_counts_anew_against_a_new_champion() -> None:
    policy, places = Promote(deadline=days(4)), {DEEP: Place(DEEP, since=0)}
    seen = now(contests={DEEP: contest(12, 10)}, places=places, champion_since=5 * HOUR)
    assert asked(policy, seen) is None
    assert asked(policy, dataclasses.replace(seen, at=101 * HOUR)) == ("retire", DEEP)


def test_a_better_challenger_is_promoted_at_the_deadline_too() -> None:
    seen = now(contests={DEEP: contest(60, 20)}, places={DEEP: Place(DEEP, since=0)})
    assert asked(Promote(deadline=days(4)), seen) == ("promote", DEEP)


def test_a_promotion_comes_before_a_retirement() -> None:
    seen = now(contests={"fraud.a": contest(20, 60), DEEP: contest(60, 20)})
    assert asked(Promote(), seen) == ("promote", DEEP)


def test_a_named_challenger_is_the_only_one_looked_at() -> None:
    seen = now(contests={"fraud.wide": contest(60, 20), DEEP: contest(40, 40)})
    assert asked(Promote(challenger="deep"), seen) is None
    assert asked(Promote(challenger="wide"), seen) == asked(Promote(challenger="fraud.wide"), seen) == ("promote", "fraud.wide")


def test_a_gain_too_small_to_matter_does_not_promote() -> None:
    seen = now(contests={DEEP: contest(60, 20, 20_000)})
    assert asked(Promote(), seen) == ("promote", DEEP)
    assert asked(Promote(better_by=0.01), seen) is None


def test_under_e_lond_the_tenth_challenger_needs_more_than_the_first() -> None:
    policy, found = Promote(evidence=ELond(0.05)), contest(40, 16)
    assert asked(policy, now(contests={DEEP: found})) == ("promote", DEEP)
    assert asked(policy, now(contests={DEEP: found}, trials={DEEP: Trial(number=10)})) is None


# RollBack --------------------------------------------------------------------------------------------------------------


def test_a_harmful_champion_is_rolled_back_on_less_evidence_than_a_promotion_needs() -> None:
    seen = now(champion="fraud@9", former=contest(34, 12), former_name="fraud@5")
    assert asked(RollBack(), seen) == ("roll_back", "fraud@9")
    assert asked(RollBack(evidence=1_000), seen) is None
    assert asked(RollBack(), now(champion="fraud@9", former=contest(12, 34), former_name="fraud@5")) is None


@pytest.mark.parametrize(
    ("policy", "bad"),
    [
        (RollBack(), Health(answers=1_000, exceptions=11)),
        (RollBack(), Health(answers=20, not_finite=1)),
        (RollBack(latency_ms=50), Health(answers=1_000, latency_ms=51.0)),
    ],
)
def test_a_guardrail_rolls_a_champion_back_at_once_and_costs_a_challenger_its_place(policy: RollBack, bad: Health) -> None:
    good = Health(answers=1_000, exceptions=10, latency_ms=1.0)
    places = {DEEP: Place(DEEP)}
    assert asked(policy, now(health={"fraud": bad}, former_name="fraud@5")) == ("roll_back", "fraud")
    assert asked(policy, now(health={"fraud": good, DEEP: bad}, places=places, former_name="fraud@5")) == ("retire", DEEP)
    assert asked(policy, now(health={"fraud": good, DEEP: good}, places=places, former_name="fraud@5")) is None


def test_a_guardrail_that_is_none_never_trips() -> None:
    policy = RollBack(exceptions=None, not_finite=None)
    assert asked(policy, now(health={"fraud": Health(10, 10, 10)}, former_name="fraud@5")) is None


def test_where_there_is_nobody_to_go_back_to_somebody_is_told() -> None:
    action = RollBack().look(now(health={"fraud": Health(answers=10, exceptions=10)}))
    assert action is not None
    assert (action.kind, "no former champion" in action.reason) == ("alert", True)


def test_an_error_above_its_objective_rolls_back() -> None:
    policy, error = RollBack(error_above=0.1, false_alarm_every=10_000), ErrorDetector(0.1)
    for number in range(300):
        error.add(float(number % 20 == 0))
    assert asked(policy, now(error=error, former_name="fraud@5")) is None
    for number in range(300):
        error.add(float(number % 3 == 0))
    assert asked(policy, now(error=error, former_name="fraud@5")) == ("roll_back", "fraud")
    assert asked(policy, now(error=error)) == ("alert", "fraud")
    worse, alike = contest(10, 60), contest(30, 31)
    assert asked(policy, now(error=error, former=alike, former_name="fraud@5")) == ("roll_back", "fraud")
    assert asked(policy, now(error=error, former=worse, former_name="fraud@5")) == ("alert", "fraud")


def test_a_declaration_that_says_nothing_of_silence_means_what_it_meant_before_it_could() -> None:
    plain, other = RollBack(error_above=0.08), RollBack(error_above=0.08, silent="left out")
    assert set(other.parts()) - set(plain.parts()) == {"silent"}
    assert plain.parts() == RollBack(error_above=0.08, silent="wrong").parts()
    assert "answers of None left out" in other.sentence()


def test_while_learning_is_frozen_nobody_is_promoted_or_retired() -> None:
    policy = Promote(evidence=20, deadline=days(1))
    for found in (contest(60, 10), contest(10, 60)):
        assert asked(policy, now(contests={DEEP: found})) is not None
        assert asked(policy, now(contests={DEEP: found}, frozen_since=5)) is None


def test_segments_that_have_no_room_of_their_own_are_nobodys_to_set_apart() -> None:
    policy = Quarantine(on="missing")
    alerts = [Alert("missing", "amount", 7, 1, 0.1, 0.5, "is missing", segment) for segment in ("other", "'other'")]
    assert [policy.matches(alert) for alert in alerts] == [False, True]
    assert [action.subject for action in policy.wishes(now(alerts=alerts))] == ["'other'"]


def test_a_pulse_forgets_good_answers_of_long_ago() -> None:
    pulse = Pulse()
    for _ in range(100_000):
        pulse.add()
    for _ in range(11):
        pulse.add("exception")
    assert pulse.health().share("exceptions") > 0.01
    assert 500 <= pulse.health().answers <= 1_000
    assert Pulse.of(json.loads(json.dumps(pulse.plain()))).plain() == pulse.plain()


# Retrain, FreezeLearning, Quarantine, Notify ----------------------------------------------------------------------------


def test_a_drift_asks_for_a_model_from_the_window() -> None:
    policy = Retrain(on=("error_drift",), window=days(2))
    assert asked(policy, now(alerts=[alert("psi")])) is None
    action = policy.look(now(alerts=[alert("psi"), alert()]))
    assert action is not None
    assert (action.kind, action.evidence["from_at"]) == ("retrain", 99 * HOUR - 48 * HOUR)


def test_the_clock_asks_for_a_model_counted_from_the_last_one() -> None:
    policy = Retrain(every=days(2), window=5_000)
    assert asked(policy, now()) == ("retrain", "fraud")
    assert asked(policy, now(acted_at=60 * HOUR)) is None
    assert asked(policy, now(acted_at=52 * HOUR)) == ("retrain", "fraud")
    assert asked(policy, now(began_at=60 * HOUR)) is None


def test_learning_freezes_on_an_alert_and_resumes_after_its_time() -> None:
    policy = FreezeLearning(on="label_share", until=hours(6))
    mine = {"frozen_by": "freeze_learning"}
    assert asked(policy, now(alerts=[alert("label_share")])) == ("freeze", "fraud")
    assert asked(policy, now(alerts=[alert("label_share")], frozen_since=10 * HOUR, **mine)) is None
    assert asked(policy, now(frozen_since=95 * HOUR, **mine)) is None
    assert asked(policy, now(frozen_since=94 * HOUR, **mine)) == ("resume", "fraud")
    assert asked(FreezeLearning(on="label_share"), now(frozen_since=0, **mine)) is None
    assert asked(policy, now()) is None


def test_its_time_counts_from_the_last_alert_that_concerned_it() -> None:
    policy = FreezeLearning(on="label_share", until=hours(6))
    frozen = now(frozen_since=0, frozen_by="freeze_learning")
    assert asked(policy, dataclasses.replace(frozen, alerted_at=95 * HOUR)) is None
    assert asked(policy, dataclasses.replace(frozen, alerted_at=94 * HOUR)) == ("resume", "fraud")
    assert asked(policy, dataclasses.replace(frozen, frozen_since=95 * HOUR, alerted_at=90 * HOUR)) is None


@pytest.mark.parametrize("who", ["ann", "another_policy", None])
def test_it_resumes_only_what_it_froze_itself(who: str | None) -> None:
    policy = FreezeLearning(on="label_share", until=hours(6))
    assert asked(policy, now(frozen_since=0, frozen_by=who)) is None
    named = FreezeLearning(on="label_share", until=hours(6), name="careful")
    assert asked(named, now(frozen_since=0, frozen_by="freeze_learning")) is None
    assert asked(named, now(frozen_since=0, frozen_by="careful")) == ("resume", "fraud")


def test_a_policy_says_which_alerts_concern_it() -> None:
    policies: list[Policy] = [
        FreezeLearning(on="psi"), Retrain(on=("psi", "range")), Notify(on="psi"), Quarantine(on="psi"),
    ]  # fmt: skip
    for policy in policies:
        assert policy.matches(alert("psi", segment="north"))
        assert not policy.matches(alert("adwin", segment="north"))
    assert FreezeLearning(on="any").matches(alert("adwin"))
    assert not FreezeLearning(on="any").matches(alert("error_drift", before=0.3, after=0.1))
    assert not Quarantine(on="psi").matches(alert("psi"))
    assert not Notify(on="psi", effect_above=0.1).matches(alert("psi", effect=0.05))
    for policy in (Retrain(every=days(1)), RollBack(), Promote()):
        assert not policy.matches(alert())


def test_the_segment_with_the_largest_effect_is_quarantined_first_and_released_in_time() -> None:
    policy = Quarantine(on="missing_rate", for_=hours(10))
    alerts = [alert("missing_rate", segment="north", effect=0.1), alert("missing_rate", segment="south", effect=0.4)]
    assert asked(policy, now(alerts=alerts)) == ("quarantine", "south")
    assert asked(policy, now(alerts=alerts, quarantined={"south": 99 * HOUR})) == ("quarantine", "north")
    assert asked(policy, now(alerts=[alert("missing_rate")])) is None
    assert asked(policy, now(quarantined={"south": 89 * HOUR, "north": 95 * HOUR})) == ("release", "south")
    assert asked(policy, now(quarantined={"north": 95 * HOUR})) is None


def test_the_alert_with_the_largest_effect_is_told_first() -> None:
    alerts = [alert("psi", effect=0.001), alert("adwin", effect=0.2), alert("range")]
    action = Notify().look(now(alerts=alerts))
    assert action is not None
    assert action.reason == "adwin: rose (and 2 more)"
    assert asked(Notify(effect_above=0.5), now(alerts=alerts[:2])) is None


# Wishes ----------------------------------------------------------------------------------------------------------------


def wished(policy: Policy, seen: Now) -> list[tuple[str, str]]:
    return [(action.kind, action.subject) for action in policy.wishes(seen)]


def test_a_challenger_that_fails_does_not_keep_back_a_harmful_champion() -> None:
    bad, good, error = Health(answers=1_000, exceptions=500), Health(answers=1_000), ErrorDetector(0.1)
    for _ in range(300):
        error.add(1.0)
    seen = now(
        health={"fraud": good, "fraud.a": bad, DEEP: bad},
        places={DEEP: Place(DEEP), "fraud.a": Place("fraud.a"), "fraud.b": Place("fraud.b")},
        former=contest(34, 12),
        former_name="fraud@5",
        error=error,
    )
    policy = RollBack(error_above=0.1)
    retired = [("retire", "fraud.a"), ("retire", DEEP)]
    assert wished(policy, seen) == [*retired, ("roll_back", "fraud"), ("roll_back", "fraud")]
    failing = dataclasses.replace(seen, health={"fraud": bad, DEEP: bad}, error=None)
    assert wished(policy, failing) == [("roll_back", "fraud"), ("retire", DEEP), ("roll_back", "fraud")]
    alone = dataclasses.replace(failing, former=None, former_name=None)
    assert wished(policy, alone) == [("retire", DEEP), ("alert", "fraud")]


def test_every_challenger_that_is_decided_is_wished_for_promotions_first() -> None:
    seen = now(contests={"fraud.a": contest(20, 60), "fraud.b": contest(60, 20), "fraud.c": contest(40, 40)})
    seen = dataclasses.replace(seen, contests={**seen.contests, "fraud.d": contest(20, 60), "fraud.e": contest(60, 20)})
    expected = [("promote", "fraud.b"), ("promote", "fraud.e"), ("retire", "fraud.a"), ("retire", "fraud.d")]
    assert wished(Promote(), seen) == expected


def test_every_segment_that_alerts_is_wished_away_once_and_the_others_released() -> None:
    alerts = [alert("psi", segment=segment, effect=effect) for segment, effect in (("a", 0.1), ("b", 0.4), ("b", 0.2))]
    seen = now(alerts=alerts, quarantined={"a": 0, "c": 0, "d": 0, "e": 99 * HOUR})
    assert wished(Quarantine(on="psi"), seen) == [("quarantine", "b"), ("release", "c"), ("release", "d")]


# All of them -----------------------------------------------------------------------------------------------------------

ALL: list[Policy] = [
    Promote(deadline=days(14), approval=True),
    RollBack(error_above=0.08),
    Retrain(on="error_drift", every=days(7)),
    FreezeLearning(on=("label_share", "psi"), until=hours(1), dry_run=True),
    Quarantine(on="missing_rate", cool_down=hours(2)),
    Notify(on="any"),
]


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.called)
def test_a_policy_is_a_value(policy: Policy) -> None:
    same = dataclasses.replace(policy)
    assert same == policy
    assert hash(same) == hash(policy)
    assert same.parts() == policy.parts()
    assert len({other.sentence() for other in ALL}) == len(ALL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.approval = True  # type: ignore[misc]


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.called)
def test_looking_twice_at_the_same_says_the_same(policy: Policy) -> None:
    seen = now(
        contests={DEEP: contest(60, 20)},
        alerts=[alert(), alert("psi"), alert("missing_rate", segment="north")],
        former=contest(60, 20),
        former_name="fraud@1",
    )
    assert policy.look(seen) == policy.look(seen) is not None
    assert list(policy.wishes(seen)) == list(policy.wishes(seen))
    assert policy.look(seen) == next(iter(policy.wishes(seen)))
    assert list(policy.wishes(Now(at=0, champion="fraud"))) == []
    assert asked(policy, Now(at=0, champion="fraud")) is None


def test_a_policy_says_when_it_does_not_fit_the_task() -> None:
    with pytest.raises(DeclarationError, match='loss="zero_one" is not for regression'):
        Promote().check(Task.REGRESSION)
    Promote(loss="absolute", clip=5.0).check(Task.REGRESSION)
    Promote(loss=absolute(5.0)).check(Task.REGRESSION)
    Notify().check(Task.REGRESSION)


@pytest.mark.parametrize(
    ("kind", "fields", "write"),
    [
        (Promote, {"evidence": 0.5}, "write Promote(evidence=100)"),
        (Promote, {"better_by": 2}, "write Promote(better_by=0.002)"),
        (Promote, {"challenger": ""}, 'write Promote(challenger="deep")'),
        (Promote, {"deadline": 14}, "write Promote(deadline=hours(6))"),
        (Promote, {"approval": "yes"}, "write Promote(approval=True)"),
        (Promote, {"name": "My Rule"}, 'write Promote(name="strict")'),
        (ELond, {"alpha": 5.0}, "write ELond(alpha=0.05)"),
        (RollBack, {"error_above": 8}, "write RollBack(error_above=0.08)"),
        (RollBack, {"exceptions": -1}, "write RollBack(exceptions=0.01)"),
        (RollBack, {"latency_ms": 0}, "write RollBack(latency_ms=50)"),
        (RollBack, {"unlabelled": "drop"}, 'write RollBack(unlabelled="against the champion"), or "against the former"'),
        (RollBack, {"silent": "fine"}, 'write RollBack(error_above=0.08, silent="left out"), or silent="wrong"'),
        (Retrain, {}, 'write Retrain(on=("error_drift",)), or on="any"'),
        (Retrain, {"every": timedelta(0)}, "write Retrain(every=hours(6))"),
        (Retrain, {"on": "x", "window": 0}, 'write Retrain(window=days(30)), window=50_000 or window="since_drift"'),
        (Retrain, {"every": days(1), "window": "since_drift"}, 'write Retrain(on=("error_drift",), window="since_drift")'),
        (FreezeLearning, {"on": 3}, 'write FreezeLearning(on=("error_drift",)), or on="any"'),
        (Quarantine, {"on": "x", "for_": 5}, "write Quarantine(for_=hours(6))"),
        (Notify, {"on": "x", "effect_above": -1}, "write Notify(effect_above=0.01)"),
    ],
)
def test_a_policy_declared_wrongly_says_what_to_write(kind: type[Any], fields: dict[str, Any], write: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        kind(**fields)
    assert str(raised.value).splitlines()[-1] == write


@pytest.mark.parametrize("many", [1, 499, 500, 501, 1_700])
def test_many_answers_count_as_each_of_them(many: int) -> None:
    at_once, one_by_one = Pulse(), Pulse()
    at_once.add("exception")
    one_by_one.add("exception")
    at_once.answered(many)
    for _ in range(many):
        one_by_one.add()
    assert at_once.plain() == one_by_one.plain()


class Patient(Promote):
    """Promotes nobody before noon."""

    def look(self, now: Now) -> Action | None:
        return None if now.at < 12 else super().look(now)


class Silent(Promote):
    def wishes(self, now: Now) -> Iterator[Action]:
        yield from ()


def test_a_policy_derived_from_one_of_several_wishes_has_the_last_word_by_look_or_by_wishes() -> None:
    seen = now(contests={DEEP: contest(90, 10)}, at=11)
    assert list(Patient().wanted(seen)) == []
    later = now(contests={DEEP: contest(90, 10)}, at=13)
    assert [action.kind for action in Patient().wanted(later)] == ["promote"]
    assert (list(Silent().wanted(later)), Silent().look(later)) == ([], None)
    assert [action.kind for action in Promote().wanted(seen)] == ["promote"]
