"""The records that travel between stages: frozen, without behaviour beyond saying what they hold.

The seven streams of the design carry `Event`, `Prediction`, `Label`, `Example`, `ModelVersion`, `Measurement` (with
`Alert`) and `Rollout` (with the `Decision` that made it). What a stage refuses travels as a `DeadLetter`. They are msgspec
structs: a tenth of the cost of a dataclass to make, and they encode themselves.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

Value = float | int | str | bool | None
"""One feature, as a model sees it."""
Features = dict[str, Value]
"""What a model sees: finite numbers, text, booleans and None by name, in the sorted order of the names."""
KEY_FEATURE = "@key"
"""The one name that eddyline keeps for itself among the features: the event's key, for models that are one per key."""
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


NOT_ASKED = "not_asked"
"""The fault of a version that was not asked: a split gave the event to another."""
UNSEEN = "not_asked_unseen"
"""The same, of a version whose features could not be made, either."""


class Said(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What another version said to the same event: recorded, never returned to the caller.

    `features` is None where it saw what the answering version saw. `fault` is a reason code where it could not answer, and
    `NOT_ASKED` where a split gave the event to another.
    """

    model: str
    position: int
    value: Value
    scores: Scores | None
    features: Features | None = None
    fault: str | None = None

    @property
    def version(self) -> str:
        """The version that said it: `name@position`."""
        return f"{self.model}@{self.position}"


class Prediction(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The answer that was given, with everything it takes to give it again.

    >>> said = Prediction("p-7", "card-1", 60, {"amount": 9.5}, None, False, {False: 0.9, True: 0.1}, "fraud", 15320, 2)
    >>> said.version, said.value, said.features
    ('fraud@15320', False, {'amount': 9.5})

    `model` and `position` name the version (`fraud@15320`), `revision` the rollout, `features` what the model saw and
    `aggregates` what history contributed to them. `others` is what the versions beside it said to the same event: the
    challengers', or the champion's where a challenger answered.
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
    others: list[Said] | None = None

    @property
    def version(self) -> str:
        """The version that answered, as it is written everywhere: `name@position`."""
        return f"{self.model}@{self.position}"


class Example(msgspec.Struct, frozen=True, gc=False):
    """A prediction with its truth: the unit of learning.

    >>> said = Prediction("p-7", "card-1", 60, {"amount": 9.5}, None, False, None, "fraud", 15320, 2)
    >>> example = Example(said, truth=True, known="label", at=3_600_000_060)
    >>> example.prediction.value == example.truth, (example.at - example.prediction.at) / 1e6  # wrong; known after an hour
    (False, 3600.0)

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


Mode = Literal["shadow", "canary", "split"]
"""How a challenger is asked: of every event and never returned, returned for a share of keys, or only asked for its share."""


class Place(msgspec.Struct, frozen=True):
    """A seat beside the champion: who sits there, how it is asked, and the share of keys that it answers.

    `who` is a line by name (`fraud.deep`: its learner, live) or a version (`fraud.deep@1200`: pinned).
    """

    who: str
    mode: Mode = "shadow"
    share: float = 0.0
    since: int = 0
    """event time in µs when it took its place"""


class Rollout(msgspec.Struct, frozen=True):
    """Who answers from here on, and who is asked beside.

    `champion` is a version, a line by name (its learner, live), or None for the pipeline's own learner (or the last version it
    published). `salt` fixes which keys a canary or a split answers: it changes only when a challenger takes its place, so
    that a growing share keeps the keys that it had.
    """

    revision: int
    champion: str | None
    author: str
    reason: str
    places: tuple[Place, ...] = ()
    former: str | None = None
    """the champion before, which a roll back goes to"""
    salt: int = 0
    since: int = 0
    """event time in µs when this champion came into force"""


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
    """A measurement crossed a line: what drifted, at which example and event time, and how far.

    `monitor` is the name that policies act on, `subject` what it is about (a feature, "error", "events"), `at` event time in
    µs, `position` where the model stood. `before` and `after` are in the unit of what is watched. Your own monitors make them:

    >>> alert = Alert("streak", "error", 60, 15320, before=0.0, after=3.0, reason="3 wrong answers in a row", segment="north")
    >>> alert.monitor, alert.reason, alert.effect
    ('streak', '3 wrong answers in a row', None)
    """

    monitor: str
    subject: str
    at: int
    position: int
    before: float
    after: float
    reason: str
    segment: str | None = None
    effect: float | None = None
    """the change of the labelled loss that came with it, for ranking; None where it is not known"""


class Decision(msgspec.Struct, frozen=True):
    """What was decided, by which policy or person, why, and the evidence from which it can be computed again.

    `number` counts the decisions of a store from 1. `status` is "done", "proposed" (waits for `eddyline approve`), "dry run",
    "approved", "rejected" or "lapsed". `action` is what is to happen: promote, roll_back, retire, retrain, freeze, resume,
    quarantine, release, alert; or what was asked for: roll_out, enter, leave, turn_away,
    hold, change. `subject` is whom it is about.

    >>> made = Decision(4, "promote", "promote", "fraud.deep", "done", 60, 1_200, 2, "promote", "better", {"e": 131.0})
    >>> f"decision {made.number}: {made.action} {made.subject}, {made.status}, by {made.author}"
    'decision 4: promote fraud.deep, done, by promote'
    """

    number: int
    policy: str
    action: str
    subject: str
    status: str
    at: int
    """event time in µs"""
    record: int
    """how many answers and outcomes had been taken: the place in the record"""
    revision: int
    """the rollout that was in force after it"""
    author: str
    reason: str
    evidence: dict[str, Any] = {}

    @property
    def carried_out(self) -> bool:
        """Whether it happened: at once, or when somebody approved it."""
        return self.status in ("done", "approved")

    @property
    def made_by(self) -> str:
        """The person who asked for it, else the policy."""
        return self.policy if self.author == "eddyline" else self.author


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
    TOO_FAR_AHEAD = "too_far_ahead"
    """dated further after the newest event before it than the pipeline allows (`ahead`)"""
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
