"""Serve's host answers a hundred events together: what it gives is what it gives for one after the other."""

from __future__ import annotations

import msgspec
import pytest
from river import linear_model, preprocessing
from tests.shops import KeyedVisit, Sale

from eddyline import Join, Pipeline, Sum, hours, memory
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import DEAD, EVENT, PREDICTION, Given, Remembered, Saved, Taken
from eddyline.engines.flink.hosts import host_of
from eddyline.engines.flink.serve import TOGETHER

shop = Pipeline(
    name="shop",
    events=memory([], KeyedVisit),
    labels=memory([], Sale),
    aggregates={"read": Sum("pages", over=hours(1))},
    features=lambda visit, read: {"pages": visit.pages, "read": read},
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(1)),
)


def visit(number: int, pages: float = 1.0, shard: int = 0) -> Taken:
    body = msgspec.json.encode({"id": f"v-{number}", "who": f"w-{shard}", "at": number, "pages": pages})
    return EVENT, shard, f"w-{shard}", f"v-{number}", number * 1_000_000, body, "", None


def given(*batches: list[Taken]) -> tuple[list[Given], list[Remembered]]:
    """What a new host gives for these batches, and what it has remembered about their ids."""
    host = host_of("serve", shop, Saved({}, []))
    steps = [msgspec.msgpack.decode(host.step(msgspec.msgpack.encode(batch), 0)) for batch in batches]
    return [one for step in steps for one in step[0]], [one for step in steps for one in step[1]]


def test_many_events_in_one_batch_are_answered_as_one_after_the_other() -> None:
    visits = [visit(number, number % 7, number % 3) for number in range(2 * TOGETHER + 50)]
    visits[TOGETHER] = (EVENT, 1, "", "", 0, b"{oops", "", None)
    whole, alone = given(visits), given(*([one] for one in visits))
    assert whole == alone
    assert [one[0] for one in whole[0]].count(PREDICTION) == len(visits) - 1 == len(whole[1])
    assert whole[0][TOGETHER][0] == DEAD


@pytest.mark.parametrize("apart", [1, TOGETHER])
def test_an_event_that_comes_again_in_the_same_batch_is_answered_once(apart: int) -> None:
    said, remembered = given([visit(0), *(visit(number) for number in range(1, apart)), visit(0)])
    assert [wire.decode_prediction(one[4]).event_id for one in said] == [f"v-{number}" for number in range(apart)]
    assert [one[1] for one in remembered] == [f"v-{number}" for number in range(apart)]


def test_another_event_by_an_id_of_the_same_batch_is_refused_and_the_first_answer_stands() -> None:
    said, remembered = given([visit(0), visit(0, pages=2.0)])
    assert [one[0] for one in said] == [PREDICTION, DEAD]
    assert wire.decode_dead(said[1][4]).reason == "id_conflict"
    assert len(remembered) == 1


def test_an_event_that_was_answered_before_the_batch_is_told_from_another_by_what_is_remembered() -> None:
    ((_, _, digest),) = given([visit(0)])[1]
    again, other = [(*one[:7], digest) for one in (visit(0), visit(0, pages=2.0))]
    assert given([again]) == ([], [])
    assert [one[0] for one in given([other])[0]] == [DEAD]
