"""In which order the one instance that learns and decides took its inputs: a message a batch, in `<pipeline>.taken`.

On Flink nobody prescribes an order between answers, truths, alerts and commands: it is the one in which they came to this
instance, so it is written down. Records that other topics hold are named, by place or by id; what no other topic keeps is
written whole. Whoever plays these messages through the same stage gets the same decisions at the same places (decision 17).
"""

from __future__ import annotations

import msgspec

from eddyline.pipeline import Plan
from eddyline.records import Alert, Declared
from eddyline.stages.commands import Command


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """A prediction, by its place: shard and number."""

    place: str


class Truth(msgspec.Struct, frozen=True, array_like=True, tag="truth"):
    """An example, by its event and revision."""

    event_id: str
    revision: int


class Expiry(msgspec.Struct, frozen=True, array_like=True, tag="expiry"):
    """A prediction whose horizon passed without a truth, by its event."""

    event_id: str


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """An event that the champion could not answer, by its place, and why."""

    place: str
    reason: str


class Warned(msgspec.Struct, frozen=True, array_like=True, tag="alert"):
    """An alert, whole."""

    alert: Alert


class Asked(msgspec.Struct, frozen=True, array_like=True, tag="command"):
    """A command, whole, but for the bytes of versions."""

    command: Command


class Remembered(msgspec.Struct, frozen=True, array_like=True, tag="remembered"):
    """A piece of what decide remembered under the declaration before, compressed; the change that ends the pieces follows."""

    piece: bytes


class Turned(msgspec.Struct, frozen=True, array_like=True, tag="declared"):
    """Another declaration, which holds from here on."""

    declared: Declared


One = Answer | Truth | Expiry | Failure | Warned | Asked | Remembered | Turned
UNCOUNTED = (Warned, Asked, Remembered, Turned)
"""Those that are no answers, truths or failures: places of the record do not count them."""


class Taken(msgspec.Struct, frozen=True):
    """Some inputs in the order they were taken. `first` counts those before it, `at` is event time then, in µs."""

    first: int
    at: int
    inputs: list[One]


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Taken).decode


def decides(plan: Plan) -> bool:
    """Whether anybody beside operators decides in this pipeline: then answers, alerts and failures come to learn, too.

    >>> encode(Taken(7, 60_000_000, [Answer("17.3"), Truth("p-1", 0)])).decode()
    '{"first":7,"at":60000000,"inputs":[["answer","17.3"],["truth","p-1",0]]}'
    """
    return bool(plan.decide.policies or plan.decide.places)
