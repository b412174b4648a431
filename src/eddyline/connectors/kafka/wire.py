"""The wire: what Eddyline writes to Kafka's topics, as JSON objects that a person can read and a program reads back exactly.

Each kind of record has an `encode_` and a `decode_`, and `decode(encode(record)) == record` to the last bit of every
float. Scores travel as pairs, because a class may be `true` or `3` and a JSON key may not. Bytes are base64 where they
are not text; the state of a version is compressed first, or told as what changed since the version before: which, is for
`deltas.py` to choose. Both engines write their topics with these functions.

Refuses to know Kafka: bytes in, bytes out.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

import msgspec
import zstandard

from eddyline.connectors.kafka.patches import patch, patched
from eddyline.records import (
    Alert,
    DeadLetter,
    Decision,
    Example,
    Features,
    Known,
    Measurement,
    ModelVersion,
    Prediction,
    Rollout,
    Said,
)
from eddyline.records.errors import SourceError
from eddyline.records.stream import Value

_encode = msgspec.json.Encoder().encode


class SaidWire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What another version said to the same event."""

    model: str
    position: int
    value: Value = None
    scores: list[tuple[Any, float | int]] | None = None
    features: Features | None = None
    fault: str | None = None


class PredictionWire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A prediction with its fields by name; `scores` as pairs of class and probability."""

    event_id: str
    key: str
    at: int
    value: Value
    scores: list[tuple[Any, float | int]] | None
    model: str
    position: int
    revision: int
    segment: str | None
    features: Features
    aggregates: dict[str, Value] | None
    others: list[SaidWire] | None = None


class ExampleWire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An example with its prediction inside. `position` is the learner's after it, -1 where it was only measured.

    `also` is where the other lines stood after it, those that learned it.
    """

    event_id: str
    truth: Any
    known: Known
    at: int
    revision: int
    position: int
    prediction: PredictionWire
    also: dict[str, int] | None = None


class DeadWire(msgspec.Struct, frozen=True):
    """A dead letter; its bytes as `text` where they are UTF-8, else as base64 in `raw`."""

    stream: str
    reason: str
    detail: str
    event_id: str | None
    origin: str
    size: int
    sha256: str
    text: str | None = None
    raw: bytes | None = None


class VersionWire(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version with its state, or without it where `left_out` says why; format 2: with what changed since another version.

    `like` is set for a line that entered while the pipeline ran: the declared line as which it is made. `sum` is the digest of
    the state's bytes. In format 2, `patch` makes the state out of the bytes with the digest `base_sum`, which are those of this
    line's version at the position `base`.
    """

    version: str
    model: str
    position: int
    digest: str
    recipe: str
    parent: str | None
    fingerprint: str
    created_by: str
    size: int
    state: bytes | None
    left_out: str | None = None
    like: str | None = None
    sum: str | None = None
    format: int = 1
    base: int | None = None
    base_sum: str | None = None
    patch: bytes | None = None
    lineage: dict[str, Any] | None = None
    """of a model that was retrained: which examples it learned, and how (`store.training.Lineage`)"""


FORMAT = 2
"""The newest format of a version that is read here; the first one is written wherever it can be."""
AGAIN = "take another version, or make this one again from the examples"


class Measured(msgspec.Struct, frozen=True):
    """A measurement, and the learner's position when it was taken."""

    kind: Literal["measurement"]
    metric: str
    value: float | None
    count: int
    version: str | None
    day: str | None
    segment: str | None
    position: int


class Alerted(msgspec.Struct, frozen=True):
    """An alert, in the same topic as the measurements."""

    kind: Literal["alert"]
    alert: Alert


_prediction = msgspec.json.Decoder(PredictionWire).decode
_example = msgspec.json.Decoder(ExampleWire).decode
_dead = msgspec.json.Decoder(DeadWire).decode
_version = msgspec.json.Decoder(VersionWire).decode
_decision = msgspec.json.Decoder(Decision).decode
_rollout = msgspec.json.Decoder(Rollout).decode
_measured = msgspec.json.Decoder(Measured).decode
_alerted = msgspec.json.Decoder(Alerted).decode


def _to_wire(p: Prediction) -> PredictionWire:
    scores = None if p.scores is None else list(p.scores.items())
    others = None if p.others is None else [_said_to_wire(said) for said in p.others]
    return PredictionWire(
        p.event_id, p.key, p.at, p.value, scores, p.model, p.position, p.revision, p.segment, p.features, p.aggregates, others
    )


def _said_to_wire(s: Said) -> SaidWire:
    return SaidWire(s.model, s.position, s.value, None if s.scores is None else list(s.scores.items()), s.features, s.fault)


def _said_from_wire(w: SaidWire) -> Said:
    return Said(w.model, w.position, w.value, None if w.scores is None else dict(w.scores), w.features, w.fault)


def _from_wire(w: PredictionWire) -> Prediction:
    scores = None if w.scores is None else dict(w.scores)
    others = None if w.others is None else [_said_from_wire(said) for said in w.others]
    return Prediction(
        w.event_id, w.key, w.at, w.features, w.aggregates, w.value, scores, w.model, w.position, w.revision, w.segment, others
    )


def encode_prediction(prediction: Prediction) -> bytes:
    """A prediction as the value of a message in `<pipeline>.predictions`; its key there is the event's key.

    >>> one = Prediction("p-1", "c1", 0, {"amount": 0.1}, None, True, {True: 0.75, False: 0.25}, "fraud", 7, 0)
    >>> encode_prediction(one).decode()[:75]
    '{"event_id":"p-1","key":"c1","at":0,"value":true,"scores":[[true,0.75],[fal'
    >>> decode_prediction(encode_prediction(one)) == one
    True
    """
    return _encode(_to_wire(prediction))


def decode_prediction(raw: bytes) -> Prediction:
    """The prediction that `encode_prediction` wrote."""
    return _from_wire(_prediction(raw))


def encode_example(example: Example, position: int, also: dict[str, int] | None = None) -> bytes:
    """An example for `<pipeline>.examples`, keyed there by the event's id, with the learner's position after it.

    `also` is where the other lines stood after it: from this topic every version of every line can be made again.
    """
    p = _to_wire(example.prediction)
    return _encode(ExampleWire(p.event_id, example.truth, example.known, example.at, example.revision, position, p, also))


def decode_example(raw: bytes) -> tuple[Example, int]:
    """The example that `encode_example` wrote, and the learner's position after it (-1: only measured)."""
    w = _example(raw)
    return Example(_from_wire(w.prediction), w.truth, w.known, w.at, w.revision), w.position


def decode_also(raw: bytes) -> dict[str, int]:
    """Where the other lines stood after an example that `encode_example` wrote; those that learned it."""
    return _example(raw).also or {}


def encode_dead(letter: DeadLetter) -> bytes:
    """A dead letter for `<pipeline>.dead-letters`.

    >>> letter = DeadLetter("events", "malformed", "not JSON", None, b"{oops", 5, "00", "events/0:12")
    >>> b'"text":"{oops"' in encode_dead(letter), decode_dead(encode_dead(letter)) == letter
    (True, True)
    """
    try:
        text, raw = letter.raw.decode(), None
    except UnicodeDecodeError:
        text, raw = None, letter.raw
    d = letter
    return _encode(DeadWire(d.stream, d.reason, d.detail, d.event_id, d.origin, d.size, d.sha256, text, raw))


def decode_dead(raw: bytes) -> DeadLetter:
    """The dead letter that `encode_dead` wrote."""
    w = _dead(raw)
    body = w.text.encode() if w.text is not None else (w.raw or b"")
    return DeadLetter(w.stream, w.reason, w.detail, w.event_id, body, w.size, w.sha256, w.origin)


def sum_of(state: bytes) -> str:
    """The digest of a state's bytes, by which a version that is told as a patch names those that it belongs on."""
    return hashlib.blake2b(state, digest_size=16).hexdigest()


class Base(NamedTuple):
    """A version that was told before, as the next one of its line may build on it: its position, and its state."""

    position: int
    state: bytes


def encode_version(
    version: ModelVersion,
    state: bytes,
    limit: int | None = None,
    like: str | None = None,
    base: Base | None = None,
    lineage: dict[str, Any] | None = None,
) -> bytes:
    """A version with its state for `<pipeline>.versions`, keyed there by its name, `fraud@15320`.

    `like` is the declared line as which its own was made, where that entered while the pipeline ran. With a `base` the state is
    told as what changed since, and reading it takes the base.

    A message above `limit` bytes would be refused by the broker: then the state is left out, and the message says so.
    """
    v = version
    named = (v.name, v.model, v.position, v.digest, v.recipe, v.parent, v.fingerprint, v.created_by, len(state))
    said = VersionWire(*named, state=None, like=like, sum=sum_of(state), lineage=lineage)
    if base is None:
        whole = zstandard.ZstdCompressor(level=3).compress(state)
        raw = _encode(msgspec.structs.replace(said, state=whole))
    else:
        told = {"format": 2, "base": base.position, "base_sum": sum_of(base.state), "patch": patch(base.state, state)}
        raw = _encode(msgspec.structs.replace(said, **told))
    if limit is None or len(raw) <= limit:
        return raw
    return _encode(msgspec.structs.replace(said, left_out=f"with its state it takes {len(raw)} bytes, above {limit}"))


def decode_version(raw: bytes, base: bytes | None = None) -> tuple[ModelVersion, bytes]:
    """The version that `encode_version` wrote, and the bytes of its state; `base` is the state that a patch belongs on.

    Raises `SourceError` when its state was left out because it was too large for a message, when it is told as a patch and
    `base` is missing or another state, and when what comes out is not what was written.
    """
    w = _version(raw)
    version = ModelVersion(w.model, w.position, w.digest, w.recipe, w.parent, w.fingerprint, w.created_by)
    if w.format > FORMAT:
        raise SourceError(
            f"the topic holds {w.version} in format {w.format}, and this Eddyline reads formats up to {FORMAT}\n"
            "read it with the Eddyline that the job runs with"
        )
    if w.patch is not None:
        state = _on_base(w, base)
    elif w.state is not None:
        state = zstandard.ZstdDecompressor().decompress(w.state, max_output_size=w.size)
    else:
        raise SourceError(
            f"the topic holds {w.version} without its state: {w.left_out}\n"
            "take it from the store that made it, or raise max.message.bytes of the versions topic and message.max.bytes"
        )
    if w.sum is not None and sum_of(state) != w.sum:
        raise SourceError(f"the state of {w.version} is not the one that was written: its message was changed\n{AGAIN}")
    return version, state


def registered(raw: bytes) -> ModelVersion:
    """What is registered about the version in a message; its state is not read."""
    return _registered(raw)


_registered = msgspec.json.Decoder(ModelVersion).decode


def _on_base(w: VersionWire, base: bytes | None) -> bytes:
    """The state of a version that is told as what changed since another."""
    since = f"{w.version} is told as what changed since {w.model}@{w.base}"
    if base is None:
        raise SourceError(f"{since}, and that is not here\n{AGAIN}")
    if sum_of(base) != w.base_sum:
        raise SourceError(f"{since}, and what is here by that name has other bytes\n{AGAIN}")
    assert w.patch is not None, "only a patch is put on a base"
    try:
        return patched(base, w.patch, w.size)
    except zstandard.ZstdError as error:
        raise SourceError(f"{since}, and that cannot be read ({error}): its message was changed\n{AGAIN}") from error


class Told(msgspec.Struct, frozen=True):
    """What is known of a version without reading its state; `base` is set where reading it takes another of its line."""

    model: str
    position: int
    like: str | None = None
    sum: str | None = None
    base: int | None = None
    base_sum: str | None = None
    left_out: str | None = None
    """why it has no state: nobody can read it"""

    @property
    def whole(self) -> bool:
        """Whether the message can be read by itself."""
        return self.base is None and self.left_out is None


_told = msgspec.json.Decoder(Told).decode


def peek_version(raw: bytes) -> Told:
    """Which version a message holds, without its state."""
    return _told(raw)


class _Lineage(msgspec.Struct, frozen=True):
    lineage: dict[str, Any] | None = None


_lineage = msgspec.json.Decoder(_Lineage).decode


def lineage_of(raw: bytes) -> dict[str, Any] | None:
    """Where the version in a message comes from, where it was retrained beside the job; None where nobody says."""
    return _lineage(raw).lineage


def encode_decision(decision: Decision) -> bytes:
    """A decision for `<pipeline>.decisions`, keyed there by its number.

    >>> made = Decision(1, "promote", "promote", "fraud.deep", "done", 7, 300, 1, "eddyline", "better", {"pairs": 250})
    >>> decode_decision(encode_decision(made)) == made
    True
    """
    return _encode(decision)


def decode_decision(raw: bytes) -> Decision:
    """The decision that `encode_decision` wrote."""
    return _decision(raw)


def encode_rollout(rollout: Rollout) -> bytes:
    """A rollout for `<pipeline>.rollouts`, keyed there by its revision."""
    return _encode(rollout)


def decode_rollout(raw: bytes) -> Rollout:
    """The rollout that `encode_rollout` wrote."""
    return _rollout(raw)


class _Kind(msgspec.Struct, frozen=True):
    kind: str


_kind = msgspec.json.Decoder(_Kind).decode


def encode_measurement(measurement: Measurement, position: int = -1) -> bytes:
    """A measurement for `<pipeline>.measurements`, with the learner's position when it was taken (-1: not known)."""
    m = measurement
    return _encode(Measured("measurement", m.metric, m.value, m.count, m.version, m.day, m.segment, position))


def decode_measurement(raw: bytes) -> tuple[Measurement, int]:
    """The measurement that `encode_measurement` wrote, and the learner's position when it was taken."""
    w = _measured(raw)
    return Measurement(w.metric, w.value, w.count, w.version, w.day, w.segment), w.position


def encode_alert(alert: Alert) -> bytes:
    """An alert for `<pipeline>.measurements`: `kind` tells it from a measurement."""
    return _encode(Alerted("alert", alert))


def decode_alert(raw: bytes) -> Alert:
    """The alert that `encode_alert` wrote."""
    return _alerted(raw).alert


def decode_watched(raw: bytes) -> Measurement | Alert:
    """What watch wrote to `<pipeline>.measurements`: a number, or an alert."""
    return decode_alert(raw) if _kind(raw).kind == "alert" else decode_measurement(raw)[0]
