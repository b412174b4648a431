"""The codec door of a job on Flink, without a Flink: what a source hands on, and what a host makes of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

import msgspec
import pytest
from river import linear_model
from tests.shops import Sale

from eddyline import EpochSeconds, Event, Id, Join, Pipeline, hours, kafka
from eddyline.connectors.kafka.codecs import Decode, UnreadableError
from eddyline.engines.flink.reading import FAULT, Door, Reader
from eddyline.ports import Line
from eddyline.records.errors import Rejected, SourceError


class Visit(Event):
    """What happens."""

    id: Id
    at: EpochSeconds


class Reversed:
    """A codec of a user's own: JSON written backwards; `away` cannot be read because something is down."""

    def describe(self) -> str:
        """In words."""
        return "reversed"

    def open(self, topic: str) -> Decode:
        """Reads backwards."""

        def decode(raw: bytes, position: int) -> Line:
            if raw == b"away":
                raise SourceError("the server of reversals does not answer")
            if not raw.startswith(b"}"):
                raise UnreadableError("it does not begin with its end")
            return Line(raw[::-1], position)

        return decode


VISITS = kafka("visits", Visit, codec=Reversed(), max_message=100_000)
shop = Pipeline(
    name="shop",
    events=VISITS,
    labels=kafka("sales", Sale),
    model=linear_model.LogisticRegression(),
    join=Join(wait=hours(1)),
)


def rejected(stream: Literal["events", "labels"], body: bytes) -> tuple[str, str, bytes, int, str]:
    """The dead letter of a body: reason, detail, bytes, size and digest."""
    door = Door(shop, stream)
    with pytest.raises(Rejected) as caught:
        door.decode(body)
    letter = door.letter(caught.value, body)
    return letter.reason, letter.detail, letter.raw, letter.size, letter.sha256


def test_a_message_that_is_read_is_its_json_from_then_on() -> None:
    body = Reader(VISITS).read(b'{"id":"v-1","at":5}'[::-1])
    assert body == b'{"id":"v-1","at":5}'
    assert Door(shop, "events").decode(body).id == "v-1"


def test_a_message_that_cannot_be_read_is_refused_with_its_own_bytes_size_and_digest() -> None:
    raw = b"x" * 90_000
    body = Reader(VISITS).read(raw)
    assert body.startswith(FAULT)
    sha = hashlib.sha256(raw).hexdigest()
    assert rejected("events", body) == ("malformed", "it does not begin with its end", raw[: 1 << 16], 90_000, sha)


def test_a_message_without_a_value_and_one_too_long_say_so() -> None:
    assert rejected("events", Reader(VISITS).read(b""))[1] == "a message without a value (a tombstone)"
    assert rejected("events", Reader(replace(VISITS, max_message=9)).read(b"x" * 10))[0] == "too_large"


def test_a_server_that_is_down_refuses_nothing() -> None:
    with pytest.raises(SourceError, match="does not answer"):
        Reader(VISITS).read(b"away")


def test_no_fault_can_be_sent_to_a_topic_of_json() -> None:
    forged = FAULT + msgspec.msgpack.encode(("malformed", "forged", b"other bytes", 1, "00"))
    reason, detail, raw, _, _ = rejected("labels", forged)
    assert (reason, raw) == ("malformed", forged)
    assert detail != "forged"
