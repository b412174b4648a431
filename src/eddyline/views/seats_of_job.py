"""Who has a seat beside the champion of a job on Flink, and how its contest stands: from the job's topics.

What a store's checkpoint remembers of contests, a job remembers in Flink; here it is made again, by the same decide stage, from
what learn and decide took, in the recorded order. Reads committed messages only; asks the job for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.audit_learn import LearnReplay
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.learners import Came, Learners, Record
from eddyline.engines.flink.told import Told, book_of, told_by
from eddyline.pipeline import Pipeline
from eddyline.records import Decision, Declared, Place
from eddyline.stages.commands import version_of
from eddyline.stages.rollouts import champion_of
from eddyline.views.seats import Seat, Seats, seats_of


def seats_of_job(pipeline: Pipeline, connection: Connection) -> Seats:
    """Everybody who is asked by a job. Costs what learning everything again costs, and disk for a copy of the topics.

    Raises `SourceError` where a topic is missing, and `StoreMismatch` where the job runs another declaration. Where the broker
    has let go of answers that a contest was counted from, the numbers are not known, and `Seats.counted` says so.
    """
    return seats_told(pipeline, told_by(pipeline, connection))


def seats_told(pipeline: Pipeline, told: Told) -> Seats:
    """The same, for the messages of a run, wherever they come from."""
    with book_of(pipeline, told) as book:
        return seats_in(book, told)[0]


@dataclass
class _Noting:
    """Where the pipeline's own learner stood when each rollout came."""

    at: dict[int, int] = field(default_factory=dict)

    def hears(self, record: Record, learners: Learners) -> None:
        """Nothing is asked before."""

    def heard(self, record: Record, came: Came, learners: Learners) -> None:
        """A record was taken."""
        self.at |= {rollout.revision: learners.positions()[learners.own] for rollout in came.rollouts}

    def turned(self, declared: Declared, learners: Learners) -> None:
        """A change of declaration is no rollout by itself."""


def seats_in(book: Book, told: Told) -> tuple[Seats, dict[int, int]]:
    """The seats, and where the pipeline's own learner stood when each rollout came, as far as that is known."""
    faults, noting = list[str](), _Noting()
    replay = LearnReplay(book, faults.append, noting, compare=False)
    if not replay.play():
        return _uncounted(book, told, [*faults, *book.faults.said]), {}
    learners = replay.learners
    found = seats_of(book.pipeline, learners.decide, learners.deciding, learners.positions(), learners.at, decided(book))
    return found, noting.at


def decided(book: Book) -> Iterator[Decision]:
    """Every decision, in order, each once."""
    for (raw,) in book.rows("SELECT raw FROM decisions GROUP BY number ORDER BY number"):
        yield wire.decode_decision(raw)


def _uncounted(book: Book, told: Told, faults: list[str]) -> Seats:
    """What the newest rollout alone says."""
    pipeline, rollout = book.pipeline, book.rollouts[max(book.rollouts)] if book.rollouts else book.start
    topic = JobTopics.of(pipeline).out.predictions
    why = f"what the job recorded is not whole: {faults[0]}; see eddyline verify FILE --brokers"
    if "predictions" in told.late:
        why = (
            f"topic {topic} does not begin at its first message, and contests are counted from all answers; to know, keep them "
            f"longer: retention.ms of {topic}"
        )
    champion = champion_of(rollout, pipeline.name)
    return Seats(
        champion=champion,
        former=rollout.former,
        position=_position(book, champion),
        learns="@" not in champion,
        frozen_since=None,
        quarantined={},
        seats=[_seat(book, place) for place in rollout.places],
        waiting=[],
        uncounted={},
        behind=why,
        counted=False,
    )


def _seat(book: Book, place: Place) -> Seat:
    return Seat(place, _position(book, place.who), "@" not in place.who, [], 0, 0, 0, None)


def _position(book: Book, who: str) -> int | None:
    """Which position of a line was published last, or which one a version is."""
    if "@" in who:
        return version_of(who)[1]
    newest = book.one("SELECT max(position) FROM versions WHERE model=?", who)
    return None if newest is None else int(newest)
