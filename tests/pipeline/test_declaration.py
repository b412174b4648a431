"""The declaration: what it accepts, what it says when it cannot, and what it means by "equal"."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from river import forest, linear_model, preprocessing
from tests.shops import Chargeback, Payment

from eddyline import (
    Count,
    DeclarationError,
    EpochSeconds,
    Event,
    FreezeLearning,
    Id,
    Join,
    Pipeline,
    Promote,
    Retrain,
    Silence,
    Sum,
    Versions,
    Watch,
    days,
    every,
    hours,
    memory,
    minutes,
)
from eddyline.pipeline.meaning import differing, meaning
from eddyline.pipeline.turn_words import Facts, sentences
from eddyline.pipeline.turning import segments_of, turn_of
from eddyline.stages.carry_watch import layout_of


class Keyless(Event):
    id: Id
    at: EpochSeconds
    amount: float


def features(payment: Payment, spent_1h: float) -> dict[str, float]:
    return {"amount": payment.amount, "spent": spent_1h}


def declared(**changes: Any) -> Pipeline:
    fields: dict[str, Any] = {
        "name": "fraud",
        "events": memory([], Payment),
        "labels": memory([], Chargeback),
        "aggregates": {"spent_1h": Sum("amount", over=hours(1))},
        "features": features,
        "model": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        "join": Join(wait=days(7), absent=False),
    }
    return Pipeline(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Fraud Model"}, ["'Fraud Model'", 'name="fraud-model"']),
        ({"events": "payments.jsonl"}, ["events='payments.jsonl' is not a source", "jsonl("]),
        ({"labels": memory([], Payment)}, ["labels: Payment is not a Label", "class Payment(Label)"]),
        ({"events": memory([], Chargeback)}, ["events: Chargeback is not an Event"]),
        ({"aggregates": {"spent": Sum("amount", over=hours(1))}}, ["features() asks for 'spent_1h'", "did you mean spent?"]),
        ({"aggregates": {"spent_1h": Sum("amuont", over=hours(1))}}, ["amuont", "amount"]),
        ({"aggregates": {}}, ["features() asks for 'spent_1h'", "aggregates="]),
        (
            {"aggregates": {"amount": Sum("amount", over=hours(1))}, "features": None},
            ["aggregate 'amount' has the name of a field of Payment", "rename the aggregate"],
        ),
        ({"model": forest.ARFClassifier()}, ["ARFClassifier", "seed=42"]),
        ({"model": linear_model.LogisticRegression}, ["LogisticRegression is a class", "LogisticRegression()"]),
        ({"model": preprocessing.StandardScaler()}, ["StandardScaler"]),
        ({"join": days(7)}, ["join=", "Join("]),
        ({"lateness": 5}, ["lateness=5", "minutes(5)"]),
        ({"publish": 1000}, ["publish=1000", "every(1000)"]),
        ({"watch": Watch(segment="amuont")}, ["segment='amuont'", "did you mean 'amount'"]),
        ({"events": memory([], Keyless)}, ["Keyless has no Key", "card: Key"]),
    ],
)
def test_what_cannot_work_is_refused_in_the_users_words_with_what_to_type(changes: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(DeclarationError) as refused:
        declared(**changes)
    for words in said:
        assert words in str(refused.value)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_counts_must_be_whole_and_positive(wrong: Any) -> None:
    with pytest.raises(DeclarationError, match="every"):
        every(wrong)
    with pytest.raises(DeclarationError, match="every"):
        Versions(every=wrong)
    with pytest.raises(DeclarationError, match=r"write Versions\(whole_every=20\)"):
        Versions(whole_every=wrong)


def test_deltas_are_on_or_off() -> None:
    with pytest.raises(DeclarationError, match=r"deltas=20\nwrite deltas=True, or deltas=False"):
        Versions(deltas=20)  # type: ignore[arg-type]


def test_how_versions_travel_is_no_part_of_what_a_pipeline_means() -> None:
    assert declared().replace(versions=Versions(deltas=False, whole_every=3)).digest == declared().digest


def test_a_pipeline_says_when_it_publishes() -> None:
    said = declared(publish=every(500, timedelta(minutes=5))).describe()
    assert "from versions published every 500 examples or 5 minutes of event time; a version is kept" in said


def test_a_negative_wait_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"days\(7\)"):
        Join(wait=timedelta(days=-1))


def test_two_declarations_with_one_meaning_are_equal() -> None:
    assert declared() == declared()
    assert hash(declared()) == hash(declared())
    assert declared() == declared().replace()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"join": Join(wait=days(8), absent=False)},
        {"aggregates": {"spent_1h": Sum("amount", over=hours(2))}},
        {"aggregates": {"spent_1h": Count(over=hours(1))}},
        {"model": preprocessing.StandardScaler() | linear_model.LogisticRegression(l2=0.1)},
        {"features": lambda payment, spent_1h: {"amount": payment.amount}},
        {"versions": Versions(every=5)},
        {"publish": every(10)},
        {"publish": every(timedelta(seconds=10))},
        {"lateness": timedelta(seconds=1)},
        {"watch": Watch(error=False)},
    ],
)
def test_another_meaning_is_another_digest(changes: dict[str, Any]) -> None:
    changed = declared().replace(**changes)
    assert changed != declared()
    assert changed.digest != declared().digest


def test_a_pipeline_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        declared().name = "other"  # type: ignore[misc]


def test_the_digest_is_the_same_in_another_process() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from tests.pipeline.test_declaration import declared; print(declared().digest)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "7", "PATH": ""},
    )
    assert told.stdout.strip() == declared().digest


def test_describe_says_every_part_in_a_line() -> None:
    lines = declared().describe().splitlines()
    assert lines[0].startswith("fraud (")
    assert [line.split()[0] for line in lines[1:]] == [
        "events", "labels", "aggregate", "features", "model", "join", "serving", "watch",
    ]  # fmt: skip


def lasting() -> Pipeline:
    """Everything that lasts: a monitor, policies and a join with durations."""
    return declared(
        features=None,
        join=Join(wait=days(7), lateness=minutes(5)),
        watch=Watch(monitors=(Silence(hours(1)), Silence(days(7.5), name="week"))),
        decide=(
            Retrain(every=days(7), window=days(14), cool_down=hours(2)),
            Promote(deadline=days(14)),
            FreezeLearning(on="silence", until=hours(3)),
        ),
    )


def test_durations_are_described_in_words() -> None:
    said = lasting().describe()
    assert "drift of the error; Silence(longer_than=1 hour); Silence(longer_than=180 hours, name='week')" in said
    assert "timedelta" not in said


def test_a_duration_means_what_it_meant_however_it_is_shown() -> None:
    parts = lasting().parts()
    hour, week = "longer_than=datetime.timedelta(seconds=3600)", "longer_than=datetime.timedelta(days=7, seconds=43200)"
    assert parts["watch"].endswith(f"; Silence({hour}); Silence({week}, name='week')")
    assert parts["decide"][0]["cool_down"] == "datetime.timedelta(seconds=7200)"
    assert lasting().digest == "9a506fef9f16c753"


def test_what_differs_between_two_declarations_is_told_with_durations_in_words() -> None:
    before, after = lasting(), lasting().replace(join=Join(wait=days(7)), watch=Watch(monitors=(Silence(hours(2)),)))
    refused = str(differing(meaning(before), after, "fraud.eddyline", ["join", "watch"]))
    assert "now Silence(longer_than=2 hours)" in refused
    assert "Join(wait=7 days" in refused
    assert "timedelta" not in refused


def test_what_a_change_means_is_told_with_durations_in_words() -> None:
    before = lasting()
    after = before.replace(watch=Watch(monitors=(Silence(hours(2)),)), decide=(Retrain(every=days(1)), Promote()))
    layout = layout_of(before.plan().watch)
    turn = turn_of(meaning(before), segments_of(before), after)
    said = sentences(turn, meaning(before), layout, after, Facts(0))
    assert "every: was 7 days, now 1 day" in " ".join(said)
    assert "monitor Silence(longer_than=1 hour): is no more; its alerts stay in the journal" in said
    assert not [line for line in said if "timedelta" in line]


def test_without_a_features_function_the_model_sees_fields_and_aggregates() -> None:
    plan = declared(features=None).plan()
    event = Payment(id="p", card="c", at=0, amount=3.0)
    assert plan.serve.maker.features(event, spent_1h=2.0) == {"amount": 3.0, "spent_1h": 2.0}
    assert plan.serve.maker.features(event, spent_1h=None) == {"amount": 3.0}
