"""Join's host on its own: what event time does to an id, up to the end of event time, which a drain reaches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from river import linear_model

from eddyline import EpochSeconds, Event, Id, Join, Label, Pipeline, Truth, hours, memory
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import EXAMPLE, LABEL, PREDICTION, TIMER
from eddyline.engines.flink.join import JoinHost
from eddyline.records import Prediction

END = 2**63 - 1
"""Flink's last watermark in milliseconds: in microseconds it is beyond 64 bits."""


class Visit(Event):
    id: Id
    at: EpochSeconds


class Bought(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


def host() -> JoinHost:
    visits = Pipeline(
        name="visits",
        events=memory([], Visit),
        labels=memory([], Bought),
        features=lambda visit: {"one": 1.0},
        model=linear_model.LogisticRegression(),
        join=Join(wait=hours(1), absent=False),
    )
    return JoinHost(visits)


def given(host: JoinHost, kind: int, at: int, body: bytes, known: bytes | None, watermark: int) -> tuple[list[Any], bytes]:
    """One record about visit `a`: what comes out, and what is remembered."""
    batch = msgspec.msgpack.encode([(kind, 7, "", "a", at, body, "", known)])
    out, remembered, _ = msgspec.msgpack.decode(host.step(batch, watermark))
    return out, remembered[0][2]


@pytest.mark.parametrize("labelled", [True, False])
def test_at_the_end_of_event_time_what_waits_is_judged_once_and_what_has_its_truth_stays(labelled: bool) -> None:
    join = host()
    answer = wire.encode_prediction(Prediction("a", "", 5_000_000, {"one": 1.0}, None, True, None, "visits", 0, 0))
    out, known = given(join, PREDICTION, 5_000_000, answer, None, -(2**63))
    assert out == []
    found: list[Any] = []
    if labelled:
        found, known = given(join, LABEL, 6_000_000, b'{"id":"a","at":6,"bought":true}', known, -(2**63))
    for _ in range(2):
        out, known = given(join, TIMER, 3_605_000_000, b"", known, END)
        found += out
    assert [one[0] for one in found] == [EXAMPLE]
