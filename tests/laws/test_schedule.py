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
from tests.laws.drawn import LAW, PIPELINES, Chargeback, Payment, interleaved, roomy, sources

from eddyline.testing import Journey, run_in_memory
from eddyline.testing.stream import duplicated


def found_out(journey: Journey) -> dict[str, list[object]]:
    """What must not depend on the order of arrival."""
    total = journey.total
    return {
        "examples": _sorted((e.prediction.event_id, e.truth, e.known, e.at, e.revision) for e in total.examples),
        "seen": _sorted((e.prediction.event_id, e.prediction.at, e.prediction.key) for e in total.examples),
        "refused": _sorted({(letter.stream, letter.event_id, letter.raw) for letter in total.dead}),
        "answered": _sorted(p.event_id for p in total.predictions),
    }


def _sorted(things: Iterable[object]) -> list[object]:
    return sorted(things, key=repr)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_any_legal_interleaving_gives_the_same_examples(
    name: str, given: tuple[list[Payment], list[Chargeback]], random: Random
) -> None:
    journeys = []
    for _ in range(4):
        journey = run_in_memory(roomy(name), interleaved(name, given, random))
        journey.drain()
        journeys.append(found_out(journey))
    assert all(journey == journeys[0] for journey in journeys)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_records_that_come_twice_give_the_same_examples(
    name: str, given: tuple[list[Payment], list[Chargeback]], random: Random
) -> None:
    arriving = interleaved(name, given, random)
    once = run_in_memory(roomy(name), arriving)
    again = run_in_memory(roomy(name), duplicated(arriving, random, 0.4))
    for journey in (once, again):
        journey.drain()
    assert found_out(again)["examples"] == found_out(once)["examples"]
    assert again.total.predictions == once.total.predictions
    assert again.loop.states.learn.model.digest() == once.loop.states.learn.model.digest()
