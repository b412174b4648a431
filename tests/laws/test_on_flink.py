"""The laws in the hosts that Flink calls (I24: one logic). What only a cluster can show is in tests/flink.

Times are a thousand times those of the other laws: Flink's timers count milliseconds. Streams are legal: nothing arrives after
event time has passed it; what an illegal stream meets on Flink and not in one process is in decision 13.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, PIPELINES, Chargeback, Payment, features, interleaved, roomy, sources

from eddyline import Count, Distinct, Event, Label, Pipeline, Sum
from eddyline.connectors.kafka import wire
from eddyline.records import Example, Watermark
from eddyline.stages.voices import Voice
from eddyline.testing import Journey, run_in_memory
from eddyline.testing.hosted import END_MS, Hosted, run_hosted
from eddyline.testing.stream import duplicated

Sources = tuple[list[Payment], list[Chargeback]]


def slow(name: str) -> Pipeline:
    """The pipeline in milliseconds."""
    declared = roomy(name)
    join = declared.join
    return declared.replace(
        lateness=declared.lateness * 1000,
        join=type(join)(
            wait=join.wait * 1000,
            absent=join.absent,
            revisions=join.revisions,
            lateness=join.lateness * 1000,
            early=join.early,
        ),
        aggregates={
            "often": Count(over=declared.aggregates["often"].over * 1000),
            "spent": Sum("amount", over=declared.aggregates["spent"].over * 1000),
            "shops": Distinct("shop", over=declared.aggregates["shops"].over * 1000),
        },
        features=features,
    )


def arriving(name: str, given: Sources, random: Random) -> list[Event | Label]:
    """One legal arrival of everything, in milliseconds."""
    found: list[Event | Label] = []
    for one in interleaved(name, given, random):
        if isinstance(one, Payment):
            found.append(Payment(id=one.id, card=one.card, at=one.at * 1000, amount=one.amount, shop=one.shop))
        else:
            assert isinstance(one, Chargeback)
            found.append(Chargeback(id=one.id, at=one.at * 1000, fraud=one.fraud, note=one.note))
    return found


def found_out(examples: Iterable[Example]) -> list[Any]:
    """Which truth came to which event, how and when; whatever the order."""
    return sorted(((e.prediction.event_id, e.truth, e.known, e.at, e.revision) for e in examples), key=repr)


def drained(journey: Journey) -> Journey:
    """To the end of event time, as Flink drains; `drain` of one process stops at the last horizon."""
    journey.take(Watermark(END_MS * 1000))
    return journey


def everything(hosted: Hosted) -> list[Any]:
    """What the topics hold, in order, to the byte; the states of versions by their digests, because pickles differ."""
    written = hosted.written
    return [
        [wire.encode_prediction(p) for p in written.predictions],
        [wire.encode_example(*one) for one in written.examples],
        [version for version, _ in written.versions],
        [wire.encode_dead(letter) for letter in written.dead],
    ]


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_hosts_find_out_what_one_process_finds_out(name: str, given: Sources, random: Random, parallelism: int) -> None:
    hosted = run_hosted(slow(name), arriving(name, given, random), parallelism=parallelism)
    hosted.drain()
    journey = drained(run_in_memory(slow(name), arriving(name, given, random)))
    assert found_out(e for e, _ in hosted.written.examples) == found_out(journey.total.examples)
    assert {p.event_id for p in hosted.written.predictions} == {p.event_id for p in journey.total.predictions}
    refused = {(letter.stream, letter.event_id, letter.reason) for letter in hosted.written.dead}
    assert refused == {(letter.stream, letter.event_id, letter.reason) for letter in journey.total.dead}


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_windows_and_features_do_not_depend_on_the_parallelism(name: str, given: Sources, random: Random) -> None:
    records = arriving(name, given, random)
    journey = run_in_memory(slow(name), records)
    seen = {p.event_id: (p.aggregates, p.features) for p in journey.total.predictions}
    for parallelism in (1, 2, 3):
        hosted = run_hosted(slow(name), records, parallelism=parallelism)
        assert {p.event_id: (p.aggregates, p.features) for p in hosted.written.predictions} == seen


FEW = st.sets(st.integers(0, 30), max_size=3)
"""Where something happens: opening the hosts again costs more than all records between."""


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False), FEW, FEW)
def test_crashing_anywhere_changes_nothing(
    name: str, given: Sources, random: Random, crashes: set[int], checkpoints: set[int]
) -> None:
    records = arriving(name, given, random)
    crashing, steady = Hosted(slow(name), 2), Hosted(slow(name), 2)
    for number, record in enumerate(records):
        for hosted in (crashing, steady):
            hosted.take(record)
            if number in checkpoints:
                hosted.checkpoint()
        if number in crashes:
            crashing.crash()
    assert everything(crashing) == everything(steady)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False), FEW, st.lists(st.integers(1, 5), min_size=3, max_size=3))
def test_rescaling_anywhere_changes_nothing(
    name: str, given: Sources, random: Random, places: set[int], scales: list[int]
) -> None:
    records = arriving(name, given, random)
    rescaled, steady = Hosted(slow(name), scales[0]), Hosted(slow(name), 1)
    for number, record in enumerate(records):
        rescaled.take(record)
        steady.take(record)
        if number in places:
            rescaled.rescale(scales[number % 3])
            steady.checkpoint()
    assert regardless_of_order(rescaled) == regardless_of_order(steady)
    positions = [position for _, position in rescaled.written.examples if position > 0]
    assert positions == list(range(1, len(positions) + 1))


def regardless_of_order(hosted: Hosted) -> list[Any]:
    """What instances beside each other may not change: in which order they are heard is not promised between ids."""
    written = hosted.written
    return [
        {p.event_id: (p.aggregates, p.features) for p in written.predictions},
        found_out(example for example, _ in written.examples),
        sorted(map(wire.encode_dead, written.dead)),
    ]


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_what_comes_twice_is_answered_and_applied_once(name: str, given: Sources, random: Random) -> None:
    records = arriving(name, given, random)
    once = run_hosted(slow(name), records, every=10**9)
    again = run_hosted(slow(name), duplicated(records, random, 0.4), every=10**9)
    for hosted in (once, again):
        hosted.drain()
    assert found_out(e for e, _ in again.written.examples) == found_out(e for e, _ in once.written.examples)
    assert again.written.predictions == once.written.predictions
    assert [position for _, position in again.written.examples] == [position for _, position in once.written.examples]


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_each_version_is_rebuilt_and_gives_the_answers_it_gave(name: str, given: Sources, random: Random) -> None:
    hosted = run_hosted(slow(name), arriving(name, given, random), parallelism=2, every=3)
    model = hosted.pipeline.plan().model
    states = {0: model.save()}
    for example, position in hosted.written.examples:
        if position > 0:
            assert position == len(states), "positions are 1, 2, 3, ... without a gap or a repeat"
            assert example.prediction.position < position, "first-test"
            model.learn(example.prediction.features, example.truth)
            states[position] = model.save()
    for version, state in hosted.written.versions:
        assert model.restored(state).digest() == model.restored(states[version.position]).digest() == version.digest
    for p in hosted.written.predictions:
        voice = Voice(model.restored(states[p.position]), p.model, p.position, p.revision)
        output = voice.model.predict(p.features)
        assert (output.value, output.scores) == (p.value, p.scores)
