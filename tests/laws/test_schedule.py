"""schedule: any legal interleaving of inputs gives the same examples. Also I24, as far as one engine can show it.

Legal: events and labels may be shuffled within what the pipeline declares (`lateness`, `Join(lateness=...)`), labels may
run ahead of events by any time, and no record arrives after event time has passed it. What was learned when may differ,
and so may answers; which truth came to which event, how and when it was known, and what was refused, may not.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import AMOUNTS, CARDS, HONEST, LAW, PIPELINES, TOLD, Chargeback, Payment, pipeline

from eddyline.records.time import to_us
from eddyline.testing import Journey, Stream, run_in_memory
from eddyline.testing.stream import duplicated

Sources = tuple[list[Payment], list[Chargeback]]


@st.composite
def sources(draw: st.DrawFn) -> Sources:
    """Events, and labels about them and about nobody, each with its time."""
    events, labels, now = [], [], 0
    for number in range(draw(st.integers(1, 30))):
        now += draw(st.integers(0, 5))
        card, amount, shop = draw(st.tuples(CARDS, AMOUNTS, HONEST))
        events.append(Payment(id=f"p-{number}", card=card, at=now, amount=amount, shop=shop))
        for after, fraud, _ in draw(TOLD):
            labels.append(Chargeback(id=f"p-{number}", at=now + after, fraud=fraud))
    for at, fraud in draw(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=3)):
        labels.append(Chargeback(id="nobody", at=at, fraud=fraud))
    return events, sorted(labels, key=lambda label: label.at)


def interleaved(name: str, given: Sources, random: Random) -> Stream:
    """One legal arrival of everything, drawn at random."""
    events, labels = given
    declared = pipeline(name)
    for_events, for_labels = to_us(declared.lateness), to_us(declared.join.lateness)
    # Labels of one source without lateness keep their order; all of them together may run ahead, or behind a little.
    behind = max(for_events, for_labels) - for_labels
    shift = random.choice([-1_000, -7, 0, max(0, behind - 1)])
    stream = Stream()
    for event in events:
        stream.event(event, arrives=event.at + random.randrange(max(1, for_events)))
    for label in labels:
        stream.label(label, arrives=label.at + shift + random.randrange(max(1, for_labels)))
    return stream


def found_out(journey: Journey) -> dict[str, list[object]]:
    """What must not depend on the order of arrival."""
    total = journey.total
    return {
        "examples": _sorted((e.prediction.event_id, e.truth, e.known, e.at, e.revision) for e in total.examples),
        "seen": _sorted((e.prediction.event_id, e.prediction.at, e.prediction.key) for e in total.examples),
        "refused": _sorted((letter.stream, letter.event_id, letter.raw) for letter in total.dead),
        "answered": _sorted(p.event_id for p in total.predictions),
    }


def _sorted(things: Iterable[object]) -> list[object]:
    return sorted(things, key=repr)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_any_legal_interleaving_gives_the_same_examples(name: str, given: Sources, random: Random) -> None:
    journeys = []
    for _ in range(4):
        journey = run_in_memory(pipeline(name), interleaved(name, given, random).records())
        journey.drain()
        journeys.append(found_out(journey))
    assert all(journey == journeys[0] for journey in journeys)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_records_that_come_twice_give_the_same_examples(name: str, given: Sources, random: Random) -> None:
    arriving = interleaved(name, given, random).records()
    once = run_in_memory(pipeline(name), arriving)
    again = run_in_memory(pipeline(name), duplicated(arriving, random, 0.4))
    for journey in (once, again):
        journey.drain()
    assert found_out(again)["examples"] == found_out(once)["examples"]
    assert again.total.predictions == once.total.predictions
    assert again.loop.states.learn.model.digest() == once.loop.states.learn.model.digest()
