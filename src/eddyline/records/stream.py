"""The records that travel between stages: frozen, without behaviour beyond saying what they hold.

The seven streams of the design carry `Event`, `Prediction`, `Label`, `Example`, `ModelVersion`, `Measurement` (with
`Alert`) and `Rollout`. What a stage refuses travels as a `DeadLetter`. They are msgspec structs: a tenth of the cost of a
dataclass to make, and they encode themselves.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

Value = float | int | str | bool | None
"""One feature, as a model sees it."""
Features = dict[str, Value]
"""What a model sees: finite numbers, text, booleans and None by name, in the sorted order of the names."""
Scores = dict[Any, float | int]
"""The probability of each class the model knows."""
Known = Literal["label", "absence"]
"""How a truth came to be known: somebody told it, or nobody did by the horizon."""
LIMIT = 1e100
"""The largest magnitude of a number that may enter. A square, summed 10^100 times over, still is a finite float."""


class Task(enum.Enum):
    """What a model answers."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    ANOMALY = "anomaly"


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One validated record with what every stage needs to know of it, taken out of the user's type once.

    `value` is the user's `Event` or `Label`; `at` is event time in microseconds. `truth` is set for labels.
    """

    id: str
    key: str
    at: int
    value: Any
    truth: Any = None


class Output(msgspec.Struct, frozen=True, gc=False):
    """A model's answer: the class, number or anomaly score, and the probabilities where there are any.

    `value` is None when the model has seen too little to say anything, as River does it.
    """

    value: Value
    scores: Scores | None = None


class Prediction(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The answer that was given, with everything it takes to give it again.

    `model` and `position` name the version (`fraud@15320`), `revision` the rollout, `features` what the model saw and
    `aggregates` what history contributed to them.
    """

    event_id: str
    key: str
    at: int
    features: Features
    aggregates: dict[str, Value] | None
    value: Value
    scores: Scores | None
    model: str
    position: int
    revision: int
    segment: str | None = None

    @property
    def version(self) -> str:
        """The version that answered, as it is written everywhere: `name@position`."""
        return f"{self.model}@{self.position}"


class Example(msgspec.Struct, frozen=True, gc=False):
    """A prediction with its truth: the unit of learning.

    `at` is when the truth became known, in event time. `revision` is 0 for the first truth; a different later truth
    about the same event comes as revision 1, 2, ...
    """

    prediction: Prediction
    truth: Any
    known: Known
    at: int
    revision: int = 0


class Unlabelled(msgspec.Struct, frozen=True, gc=False):
    """A prediction whose horizon passed without a truth, where absence means nothing."""

    prediction: Prediction
    at: int


class ModelVersion(msgspec.Struct, frozen=True):
    """A position of a model: the bytes of its state by digest, how it was made, and from what."""

    model: str
    position: int
    digest: str
    recipe: str
    parent: str | None
    fingerprint: str
    created_by: str = "cadence"

    @property
    def name(self) -> str:
        """`name@position`."""
        return f"{self.model}@{self.position}"


class Rollout(msgspec.Struct, frozen=True):
    """Who answers from here on. `champion` is a version, or None for the live learner (or the last published one)."""

    revision: int
    champion: str | None
    author: str
    reason: str


class Measurement(msgspec.Struct, frozen=True):
    """A number about a version over a span: `value` of `metric` over `count` examples.

    `version`, `day` and `segment` say which examples; None means all of them.
    """

    metric: str
    value: float | None
    count: int
    version: str | None = None
    day: str | None = None
    segment: str | None = None


class Alert(msgspec.Struct, frozen=True):
    """A measurement crossed a line: what drifted, at which example and event time, and how far."""

    monitor: str
    subject: str
    at: int
    position: int
    before: float
    after: float
    reason: str


class Watermark(msgspec.Struct, frozen=True, gc=False):
    """Event time has come this far: no record at or before `at` is expected any more."""

    at: int


class Reason(enum.Enum):
    """Why a record is in the dead letters. The value is the code users see and filter by."""

    MALFORMED = "malformed"
    """not JSON, not UTF-8, nested too deep"""
    TOO_LARGE = "too_large"
    """longer than the source's limit"""
    INVALID = "invalid"
    """a field is missing or of another type"""
    NAIVE_TIME = "naive_time"
    """a time without an offset, and the type declares no zone"""
    OUT_OF_RANGE = "out_of_range"
    """NaN, infinity or a magnitude above 1e100, in a field or in a feature"""
    FEATURES_FAILED = "features_failed"
    """the features function raised or returned something that is not a dict of plain values"""
    MODEL_FAILED = "model_failed"
    """the model raised while answering or learning"""
    NOT_FINITE = "not_finite"
    """the model answered, or would answer after learning this, NaN or infinity"""
    ID_CONFLICT = "id_conflict"
    """an event with this id but other fields was answered before"""
    LABEL_LATE = "label_late"
    """known later than the join waits"""
    LABEL_UNMATCHED = "label_unmatched"
    """no event with this id within the horizon"""
    TOO_MANY_EARLY = "too_many_early"
    """more labels wait for their event than the join may hold"""
    TRUTH_CONFLICT = "truth_conflict"
    """the model cannot learn this truth"""
    UNKNOWN_VERSION = "unknown_version"
    """a command names a version that does not exist"""


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that was refused: from which stream, why, in whose words, and its bytes so that it can be driven again.

    `origin` is `source:offset` where that is known. `raw` is cut at 64 KiB; `size` and `sha256` describe the whole.
    """

    stream: str
    reason: str
    detail: str
    event_id: str | None
    raw: bytes
    size: int
    sha256: str
    origin: str
