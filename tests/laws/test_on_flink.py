"""The laws in the hosts that Flink calls (I24: one logic). What only a cluster can show is in tests/flink.

Times are a thousand times those of the other laws: Flink's timers count milliseconds. Streams are legal: nothing arrives after
event time has passed it; what an illegal stream meets on Flink and not in one process is in decision 13.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import AMOUNTS, CARDS, HONEST, LAW, PIPELINES, Chargeback, Payment, features, interleaved, roomy, sources

from eddyline import Count, Distinct, Event, FreezeLearning, Join, Label, Pipeline, Promote, RollBack, Sum
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit import examine
from eddyline.ports import Model
from eddyline.records import Example, Features, Place, Prediction, Said, Watermark
from eddyline.stages.commands import Command
from eddyline.stages.learn import Publish
from eddyline.stages.lines import Entry, seen_by
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
        publish=scaled(declared.publish),
        decide=POLICIES if declared.decide else (),
    )


def scaled(publish: Publish | None) -> Publish | None:
    if publish is None or publish.span_us is None:
        return publish
    return Publish(publish.examples, publish.span_us * 1000)


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


POLICIES = (
    Promote(evidence=1.4, deadline=ms(60)),
    RollBack(evidence=1.5, exceptions=0.2),
    FreezeLearning(on="any", until=ms(9), approval=True, deadline=ms(40)),
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
        written.of("examples"),
        [version for version, _ in written.versions],
        [wire.encode_dead(letter) for letter in written.dead],
        [written.of(stream) for stream in ("rollouts", "decisions", "taken")],
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
    plan = hosted.pipeline.plan()
    folds = {line.name: Fold(line.name, line.model) for line in plan.lines.values()}
    makers = {line.name: line.maker for line in plan.lines.values()}
    for raw in hosted.written.of("examples"):
        example, position = wire.decode_example(raw)
        reached = {**wire.decode_also(raw), **({hosted.pipeline.name: position} if position > 0 else {})}
        for line, at in reached.items():
            seen = seen_by(example.prediction, line, makers)
            assert seen is not None
            folds[line].learn(example, seen, at)
    for version, state in hosted.written.versions:
        fold = folds[version.model]
        assert fold.model.restored(state).digest() == fold.at(version.position).digest() == version.digest
    for p in hosted.written.predictions:
        for said in (p, *(p.others or ())):
            if type(said) is Prediction or said.fault is None:
                output = folds[said.model].at(said.position).predict(p.features if said.features is None else said.features)
                assert (output.value, output.scores) == (said.value, said.scores)


class Fold:
    """A line's learner over the examples, with the state of each position."""

    def __init__(self, name: str, model: Model) -> None:
        self.name, self.model = name, model
        self.states = [model.save()]

    def learn(self, example: Example, seen: Features, position: int) -> None:
        """Learns one more."""
        assert position == len(self.states), "positions are 1, 2, 3, ... without a gap or a repeat"
        told: list[Prediction | Said] = [example.prediction, *(example.prediction.others or ())]
        assert all(said.position < position for said in told if said.model == self.name), "first-test"
        self.model.learn(seen, example.truth)
        self.states.append(self.model.save())

    def at(self, position: int) -> Model:
        """The model at a position."""
        return self.model.restored(self.states[position])


# Deciding ------------------------------------------------------------------------------------------------------------


@st.composite
def orders(draw: st.DrawFn) -> Command:
    """What an operator may ask for, often of somebody who is not there."""
    line = draw(st.sampled_from(LINES))
    pinned = f"contested@{draw(st.integers(0, 6))}"
    number, reason = draw(st.integers(0, 4)), draw(st.sampled_from(["", "because"]))
    after = draw(st.sampled_from([None, f"contested@{draw(st.integers(0, 6))}"]))
    entry = Entry(f"contested.b{number}", draw(st.sampled_from(["contested", "contested.seen"])), pinned, after)
    asked: Command = draw(
        st.sampled_from(
            (
                Command(do="freeze"),
                Command(do="resume"),
                Command(do="approve", number=number),
                Command(do="quarantine", to="north"),
                Command(do="leave", to=line),
                Command(do="enter", place=Place(line, "canary", 0.5)),
                Command(do="enter", place=Place(pinned, "split", 0.5)),
                Command(do="enter", entry=entry, place=Place(entry.name, "canary", 0.5)),
                Command(do="enter", entry=entry, to=entry.name),
                Command(do="hold", to=line, place=Place(entry.name), number=draw(st.integers(0, 2))),
                Command(do="turn_away", to=entry.name),
                Command(to=line),
                Command(to=pinned),
                Command(to="live"),
            )
        )
    )
    return msgspec.structs.replace(asked, author="a test", reason=reason)


LINES = ("contested.grown", "contested.seen", "contested", "contested.still", "contested.b1", "nobody")


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False), st.dictionaries(st.integers(0, 40), orders(), max_size=6), FEW)
def test_what_was_recorded_plays_again_to_the_same_answers_versions_and_decisions(
    name: str, given: Sources, random: Random, asked: dict[int, Command], crashes: set[int]
) -> None:
    records = arriving(name, given, random)
    hosted = Hosted(slow(name), 2)
    for number, record in enumerate(records):
        hosted.take(record)
        if number in asked:
            hosted.take(asked[number])
        if number % 3 == 2:
            hosted.checkpoint()
        if number in crashes:
            hosted.crash()
    hosted.drain()
    hosted.checkpoint()
    done = examine(hosted.pipeline, hosted.recorded())
    assert done.faults == []
    assert done.sound or not hosted.written.versions  # who computed it is told by versions
    assert (done.decisions, done.rollouts) == (len(hosted.written.decisions), len(hosted.written.rollouts))


@st.composite
def steady(draw: st.DrawFn) -> list[Event | Label]:
    """Events at different times, each labelled within its wait: each record comes to exactly one for whoever decides."""
    records, now = list[Payment | Chargeback](), 0
    for number in range(draw(st.integers(1, 40))):
        now += draw(st.integers(1, 5))
        card, amount, shop = draw(st.tuples(CARDS, AMOUNTS, HONEST))
        after, fraud = draw(st.tuples(st.integers(1, 17), st.booleans()))
        records.append(Payment(id=f"p-{number}", card=card, at=now * 1000, amount=amount, shop=shop))
        records.append(Chargeback(id=f"p-{number}", at=(now + after) * 1000, fraud=fraud))
    ordered = sorted(records, key=lambda record: (record.at, isinstance(record, Chargeback)))
    return [*ordered]


@pytest.mark.parametrize("name", ["live", "contested"])
@LAW
@given(steady())
def test_hosts_that_hear_of_each_version_at_once_answer_and_decide_as_one_process(
    name: str, given: list[Event | Label]
) -> None:
    pipeline = slow(name).replace(lateness=ms(0), join=Join(wait=ms(20), absent=False))
    hosted, journey = run_hosted(pipeline, given, every=1), run_in_memory(pipeline, given)
    assert list(map(wire.encode_prediction, hosted.written.predictions)) == [
        wire.encode_prediction(prediction) for prediction in journey.total.predictions
    ]
    assert hosted.written.decisions == journey.total.decisions
    assert hosted.written.rollouts == journey.total.rollouts


def test_a_command_that_scorers_could_not_follow_is_refused() -> None:
    hosted = Hosted(slow("contested"))
    for number in range(3):
        hosted.take(Payment(id=f"p-{number}", card="c-1", at=number * 1000, amount=1.0, shop="north"))
        hosted.take(Chargeback(id=f"p-{number}", at=number * 1000 + 500, fraud=True))
    hosted.take(Payment(id="p-9", card="c-1", at=9000, amount=1.0, shop="north"))
    hosted.checkpoint()
    reached = hosted.written.examples[-1][1]
    assert reached > 1
    hosted.take(Command(to="contested@1", author="a test"))
    late = Entry("contested.r1", "contested", f"contested@{reached}", after="contested@1")
    hosted.take(Command(do="enter", entry=late, author="a test"))
    assert [letter.stream for letter in hosted.written.dead] == ["commands", "commands"]
    unpublished, catching_up = (letter.detail for letter in hosted.written.dead)
    assert "does not bring its bytes" in unpublished
    assert "contested.r1 would have to catch up with contested from contested@1" in catching_up
    assert hosted.written.rollouts == []
