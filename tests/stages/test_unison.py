"""What is taken column by column is to the byte what one by one would have come to."""

from __future__ import annotations

import random

import pytest

from eddyline.policies import Promote, RollBack
from eddyline.records import Example, Place, Prediction, Said
from eddyline.stages.decide import Decide
from eddyline.stages.unison import taken_together

SEEDS = (1, 2, 3, 4)
PLACES = (Place("m.deep"), Place("m.flat"))
Taken = list[Prediction | Example]


def stream(seed: int, odd: float) -> Taken:
    """Answers of a champion and two beside it, and truths that come later; so large a share of them is `odd` in some way."""
    draw = random.Random(seed)
    records: list[tuple[float, Prediction | Example]] = []
    for i in range(1_500):
        strange = draw.random() < odd
        at = i * 60_000_000 - (draw.randrange(10) * 60_000_000 if strange else 0)
        value = None if strange and draw.random() < 0.2 else draw.random() < 0.5
        said = [Said(place.who, i, value if draw.random() < 0.9 else draw.random() < 0.5, None) for place in PLACES]
        others: list[Said] | None = said
        if strange and draw.random() < 0.3:
            others = draw.choice([None, said[:1], [said[0], Said("m.flat", i, None, None, None, "model_failed")]])
        who = "m.deep" if strange and draw.random() < 0.1 else "m"
        revision = 1 if strange and draw.random() < 0.1 else 0
        answer = Prediction(f"e-{i}", "k", at, {}, None, value, None, who, i, revision, None, others)
        records.append((i, answer))
        if draw.random() < 0.95:
            came = i + draw.expovariate(0.1) - (5 if strange else 0)  # on a cluster a truth may be here before its answer
            records.append((came, Example(answer, draw.random() < 0.5, "label", at + 1)))
    return [record for _, record in sorted(records, key=lambda found: found[0])]


def played(records: Taken, sizes: list[int]) -> list[bytes]:
    """What decide remembers after each look, where records come in batches of these sizes, one after the other."""
    decide = Decide(
        "m", policies=(Promote(evidence=1e9), Promote(evidence=1e9, loss="brier", name="b"), RollBack()), places=PLACES
    )
    state, seen, number, start = decide.new_state(), [], 0, 0
    while start < len(records):
        end = start + min(sizes[number % len(sizes)], decide.room(state))
        batch, start, number = records[start:end], end, number + 1
        if decide.take(state, batch, [], []):
            decide.look(state, batch[-1].at - 600_000_000)
            seen.append(decide.save(state))
    return [*seen, decide.save(state)]


@pytest.mark.parametrize("odd", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("seed", SEEDS)
def test_together_is_one_by_one(seed: int, odd: float) -> None:
    records = stream(seed, odd)
    assert played(records, [100]) == played(records, [1]) == played(records, [13, 40, 2])


@pytest.mark.parametrize("policies", [(), (Promote(),), (RollBack(),)], ids=["none", "promote", "roll_back"])
def test_a_calm_stream_is_taken_together(policies: tuple[Promote | RollBack, ...]) -> None:
    state = Decide("m", policies=policies, places=PLACES).new_state()
    assert taken_together(state, stream(1, 0.0)[:100], state.bouts)


@pytest.mark.parametrize("first", ["truth", "answer"])
def test_a_truth_is_for_who_waits_when_it_comes(first: str) -> None:
    answers = [record for record in stream(1, 0.0)[:100] if type(record) is Prediction]
    one = next(answer for answer in answers if answer.others and answer.others[0].value != answer.value)
    truth = Example(one, True, "label", 1)
    state = Decide("m", policies=(Promote(),), places=PLACES).new_state()
    assert taken_together(state, [truth, *answers] if first == "truth" else [*answers, truth], state.bouts)
    outcomes = {event_id: outcome for _, event_id, _, outcome, *_ in state.bouts[0].order.plain()[4]}
    assert outcomes[one.event_id] == ([] if first == "truth" else [[True]])
