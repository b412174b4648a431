"""What a report says, as plain records: the numbers first, how they look elsewhere.

Frozen structs that encode to JSON as they are. What other views say already (seats, incidents, decisions) is held as they
say it. Reads no store and knows nothing of pages.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from eddyline.records import Alert, Measurement, Mode, ModelVersion
from eddyline.views.incidents import Incident
from eddyline.views.ledger import Declaration, Entered
from eddyline.views.seats import Seats

Better = Literal["higher", "lower", "unknown"]


class Row(msgspec.Struct, frozen=True):
    """A metric over one group of examples, a version or a segment; `count` is how many it measured."""

    name: str
    value: float | None
    count: int


class Day(msgspec.Struct, frozen=True):
    """A metric over one UTC day; `number` is that day counted from 1970-01-01."""

    day: str
    number: int
    value: float | None
    count: int


class Quality(msgspec.Struct, frozen=True):
    """The first metric in every way it is kept, and the overall value of all metrics.

    `days` are those of the events, `label_days` those on which the truths came: two different facts. `better`
    says which way is good, where the metric says so. Days and segments with fewer truths than `few` say
    little. `window` is of how many of the newest truths the first metric is, where it does not count all.
    """

    metric: str
    better: Better
    overall: list[Row]
    days: list[Day]
    label_days: list[Day]
    versions: list[Row]
    segments: list[Row]
    few: int
    window: int | None = None


class CoverageDay(msgspec.Struct, frozen=True):
    """What became of the answers given to the events of one UTC day. `waiting` is what is left."""

    day: str
    number: int
    answered: int
    labelled: int
    absent: int
    expired: int
    waiting: int


class Fates(msgspec.Struct, frozen=True):
    """What became of all answers: answered = labelled + absent + expired + waiting. `dead` was refused."""

    answered: int
    labelled: int
    absent: int
    expired: int
    waiting: int
    dead: int


class Delays(msgspec.Struct, frozen=True):
    """How long told truths took, in microseconds: bins as (middle, count), quantiles within 1 %."""

    count: int
    bins: list[tuple[float, int]]
    p50: float | None
    p90: float | None
    p99: float | None
    largest: int | None

    def quantiles(self) -> list[tuple[str, float]]:
        """The quantiles that are known, in words a person reads."""
        named = (("half", self.p50), ("90 %", self.p90), ("99 %", self.p99))
        return [(name, value) for name, value in named if value is not None]


class AlertLane(msgspec.Struct, frozen=True):
    """All alerts about one thing: how many, by UTC day (since 1970-01-01), and the newest."""

    monitor: str
    subject: str
    count: int
    days: list[tuple[int, int]]
    newest: Alert


class RolloutRow(msgspec.Struct, frozen=True):
    """A rollout, and from where it holds.

    `answer` is the number of the first answer under it and `at` that event's time (None: nothing was answered
    since), `position` where the learner stood (None: not known), `received_at` the wall clock in seconds when it was journaled
    in `block`.
    """

    revision: int
    answers: str
    author: str
    reason: str
    block: int
    position: int | None
    answer: int
    at: int | None
    received_at: float | None


class Refused(msgspec.Struct, frozen=True):
    """The dead letters of one stream and reason: how many, and the first of them as an example."""

    stream: str
    reason: str
    count: int
    detail: str
    event_id: str | None
    origin: str
    raw: str


class LineQuality(msgspec.Struct, frozen=True):
    """The first metric over what one line said to events that several answered: in all, and by UTC day of the event."""

    name: str
    value: float | None
    count: int
    days: list[Day]


class Spell(msgspec.Struct, frozen=True):
    """From when to when a line or a version answered (`mode` champion), or sat beside; event time in µs.

    `since` is None for the start, `until` for what still holds.
    """

    who: str
    mode: Literal["champion"] | Mode
    share: float
    since: int | None
    until: int | None


class Descent(msgspec.Struct, frozen=True):
    """Where a line comes from that nobody declared: retrained, cleaned of events, or branched off.

    `examples` says which examples made it, `learned` how many, `first_at` and `last_at` of which time (event time, µs), and
    `examples_digest` which in the end; all None where it was not trained. `digest` is that of its first version.
    """

    version: str
    digest: str
    created_by: str
    parent: str | None
    examples: str | None = None
    learned: int | None = None
    held_back: int | None = None
    seed: int | None = None
    first_at: int | None = None
    last_at: int | None = None
    examples_digest: str | None = None


class Deciding(msgspec.Struct, frozen=True):
    """What policies and people did with several lines: who has a seat, what was decided, what went wrong.

    `decisions` are the newest of all that were `decided`, `incidents` of all that `happened`, `spells` the newest.
    `lines_since` is the first block whose examples are in `lines`: 1, but for a very long record. A job counts no blocks but
    examples.
    """

    seats: Seats
    spells: list[Spell]
    lines: list[LineQuality]
    lines_since: int
    decisions: list[Entered]
    decided: int
    incidents: list[Incident]
    happened: int
    descents: list[Descent]


class ReportData(msgspec.Struct, frozen=True):
    """Everything the report shows.

    Numbers that the watch stage keeps are as of block `as_of`; everything else is as of block `blocks`, the
    last one. They are the same unless `behind` says why not. `received_at` is the wall clock in seconds of
    the last block, `first_at` and `last_at` are event time in microseconds. `alerts` are the newest of all
    that were `alerted`, `lanes` count them all, `worst` are those with the largest effect on labelled loss, where that is
    known. `deciding` is None for a pipeline with one line and nobody to decide.
    """

    pipeline: str
    digest: str
    store: str
    blocks: int
    as_of: int
    behind: str
    received_at: float | None
    first_at: int | None
    last_at: int | None
    answering: str
    rollout: RolloutRow
    fates: Fates
    quality: Quality | None
    coverage: list[CoverageDay]
    delays: Delays
    alerts: list[Alert]
    alerted: int
    lanes: list[AlertLane]
    worst: list[Alert]
    deciding: Deciding | None
    also: list[Measurement]
    versions: list[ModelVersion]
    rollouts: list[RolloutRow]
    refused: list[Refused]
    head: str
    fingerprint: str
    declarations: list[Declaration] = []
    """those that held, one after the other; what was measured under an earlier one alone is in its change's words"""
    job: str = ""
    """where the topics are of which all this is, for a job on Flink: it has no store, no blocks and no chain"""
    unknown: list[str] = []
    """what the topics of a job cannot tell, or tell otherwise than a store, in sentences"""

    @property
    def file(self) -> str:
        """How commands call what they are asked about: the file, and for a job on Flink that they ask the job."""
        return "FILE --brokers HOST:PORT" if self.job else "FILE"
