"""The state of a job on Flink as the data of a report: from the topics of the job, measured by the stage that measures it.

The page is the one of a store (`views.page`). What the topics cannot tell, or tell otherwise than a store, is said in
`ReportData.unknown` and never guessed. Reads committed messages only, also while the job goes on; asks it for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.audit_followed import turns_in
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.taken import Truth, decides
from eddyline.engines.flink.told import Told, book_of, told_by
from eddyline.monitors.days import day_name
from eddyline.pipeline import Pipeline
from eddyline.records import DeadLetter, ModelVersion, Prediction, Rollout
from eddyline.records.errors import NotFound
from eddyline.records.time import DAY_US
from eddyline.stages.join import UNSET
from eddyline.stages.watch import WatchState
from eddyline.views.deciding import DECISIONS, EXAMPLES, by_line, descent_of, newest_of, spells
from eddyline.views.facts import CoverageDay, Deciding, Descent, Fates, Refused, ReportData, RolloutRow
from eddyline.views.incidents_of_job import UNKNOWN, incidents_in
from eddyline.views.ledger import Declaration
from eddyline.views.ledger_of_job import Annals, decisions, tenures
from eddyline.views.measured import Alerts, also_of, coverage_of, delays_of, fates_of, quality_of, refused_of
from eddyline.views.seats_of_job import decided, seats_in
from eddyline.views.watched_again import Said, example_of, measuring, messages, together, watched


def report_of_job(pipeline: Pipeline, connection: Connection) -> ReportData:
    """What `views.page.render` makes the page of, for a job. Costs reading its topics, and disk for a copy of them.

    Where somebody decides, contests are counted again, which costs what learning everything costs. Raises `SourceError` where a
    topic is missing, `NotFound` where nothing was answered yet, and `StoreMismatch` where the job runs another declaration.
    """
    return report_told(pipeline, told_by(pipeline, connection))


def report_told(pipeline: Pipeline, told: Told) -> ReportData:
    """The same, for the messages of a run, wherever they come from."""
    said = Said.of(told.streams["measurements"])  # first: what it counts is among what is read after it
    with book_of(pipeline, told) as book:
        if not book.count("predictions") + book.count("examples"):
            topic = JobTopics.of(pipeline).out.predictions
            raise NotFound(
                f"the job of {pipeline.name} has answered nothing yet: topic {topic} is empty\n"
                "answers are there once their checkpoint is complete: eddyline flink status"
            )
        return _Reporting(pipeline, told, said, book).data()


@dataclass
class _Reporting:
    """One report while it is put together."""

    pipeline: Pipeline
    told: Told
    said: Said
    book: Book

    def __post_init__(self) -> None:
        self.plan, self.late = self.pipeline.plan(), self.told.late
        self.decides, self.stage = decides(self.plan), measuring(self.plan.watch)
        self.watch: WatchState = watched(self.stage, self.book, self.said, decides=self.decides)
        self.others = self.said.others(self.stage.measurements(self.watch))
        self.since, self.until = self.book.row("SELECT min(at), max(at) FROM predictions")
        rollouts = [(self.book.rollouts[one], 0.0) for one in sorted(self.book.rollouts)]
        self.annals = Annals(rollouts, [(one, 0.0) for one in decided(self.book)])

    def data(self) -> ReportData:
        """The report."""
        pipeline, watch, alerts = self.pipeline, self.watch, Alerts()
        for alert in self.said.alerts:
            alerts.add(alert)
        refused = refused_of(self._letters())
        deciding, reached = self._deciding()
        rollouts = self._rollouts(reached)
        fates, coverage = self._fates(refused)
        return ReportData(
            pipeline=pipeline.name,
            digest=pipeline.digest,
            store="",
            blocks=0,
            as_of=0,
            behind="",
            received_at=self.told.written_at or None,
            first_at=self.since,
            last_at=self.until,
            answering=self._answering(),
            rollout=rollouts[-1],
            fates=fates,
            quality=quality_of(self.stage.quality.gauges, watch.quality),
            coverage=coverage,
            delays=delays_of(watch.delay),
            alerts=list(alerts.newest),
            alerted=alerts.count,
            lanes=alerts.lanes(),
            worst=alerts.worst(),
            deciding=deciding,
            also=also_of(self.stage, watch) + self.others,
            versions=self._versions(),
            rollouts=rollouts,
            refused=refused,
            head="",
            fingerprint="",
            declarations=self._declarations(),
            job=self.told.place,
            unknown=list(self._unknown(deciding)),
        )

    # Answers ---------------------------------------------------------------------------------------------------------

    def _fates(self, refused: list[Refused]) -> tuple[Fates, list[CoverageDay]]:
        """What became of the answers. Where the broker let go of some, in all as the job said last, by day from then on."""
        fates, days = fates_of(self.watch, refused), coverage_of(self.watch)
        if "predictions" not in self.late:
            return fates, days
        first = self._first_whole_day()
        days = [day for day in days if day.number >= first]
        answered, labelled, absent, expired = self.said.fates() or (0, 0, 0, 0)
        return Fates(answered, labelled, absent, expired, answered - labelled - absent - expired, fates.dead), days

    def _first_whole_day(self) -> int:
        """The first UTC day of which every partition of the topic of answers still holds every event."""
        firsts = [raw for (word, _), raw in self.told.begins.items() if word == "predictions"]
        gone = [wire.decode_prediction(raw).at if raw else self.until or 0 for raw in firsts]
        return max(gone, default=0) // DAY_US + 1

    def _letters(self) -> Iterator[DeadLetter]:
        """In an order that is the same each time: between partitions nobody says which came first."""
        for (raw,) in self.book.rows("SELECT raw FROM letters ORDER BY sha, n"):
            yield wire.decode_dead(raw)

    # Who answers -----------------------------------------------------------------------------------------------------

    def _answering(self) -> str:
        rollout = self._newest()
        if rollout.champion is None and self.book.per_key:
            return "each key's own model"
        newest = self.book.one("SELECT max(position) FROM versions WHERE model=?", self.pipeline.name)
        return rollout.champion or f"{self.pipeline.name}@{newest or 0}"

    def _newest(self) -> Rollout:
        return self.annals.rollouts[-1][0] if self.annals.rollouts else self.book.start

    def _rollouts(self, reached: dict[int, int]) -> list[RolloutRow]:
        """Every rollout, and from which event on somebody answered by it; the first one is the pipeline's start."""
        return [
            self._rollout(tenure.rollout, tenure.at, reached.get(tenure.rollout.revision))
            for tenure in tenures(self.annals, self.pipeline)
        ]

    def _rollout(self, rollout: Rollout, decided_at: int | None, position: int | None) -> RolloutRow:
        began = "SELECT min(at) FROM predictions WHERE revision>=?"
        at = decided_at if "predictions" in self.late else self.book.one(began, rollout.revision)
        return RolloutRow(
            revision=rollout.revision,
            answers=rollout.champion or "live",
            author=rollout.author,
            reason=rollout.reason,
            block=0,
            position=position if rollout.revision else 0,
            answer=self.book.one("SELECT count(*) FROM predictions WHERE revision<?", rollout.revision),
            at=at,
            received_at=None,
        )

    def _versions(self) -> list[ModelVersion]:
        """Those of the pipeline's own line that were published, in order."""
        rows = self.book.rows("SELECT raw FROM versions WHERE model=? GROUP BY position ORDER BY position", self.pipeline.name)
        return [wire.registered(raw) for (raw,) in rows]

    def _declarations(self) -> list[Declaration]:
        """The declarations that held, one after the other."""
        turns = turns_in(self.book)
        if not turns:
            return [Declaration(self.pipeline.digest, {}, 0)]
        first = turns[0]
        later = (
            Declaration(one.digest, one.parts, 0, one.answers, one.at, 0.0, one.author, one.reason, one.says) for one in turns
        )
        return [Declaration(first.was_digest, first.was, 0), *later]

    # Who decides -----------------------------------------------------------------------------------------------------

    def _deciding(self) -> tuple[Deciding | None, dict[int, int]]:
        """What policies and people did; None with one line where nobody was to decide anything. And where learners stood."""
        pipeline, past = self.pipeline, tenures(self.annals, self.pipeline)
        descents = self._descents()
        if not (pipeline.challengers or pipeline.decide or descents or any(tenure.rollout.places for tenure in past)):
            return None, {}
        found, reached = seats_in(self.book, self.told)
        made = decisions(self.annals)
        incidents = incidents_in(self.book, [one.decision for one in made])
        gauges, left_out = self.stage.quality.gauges, max(0, self.book.count("examples") - EXAMPLES)
        deciding = Deciding(
            seats=found,
            spells=spells(past)[-DECISIONS:],
            lines=by_line(together(self._answered(left_out)), gauges[0]) if gauges else [],
            lines_since=left_out + 1,
            decisions=made[-DECISIONS:],
            decided=len(made),
            incidents=newest_of(incidents),
            happened=len(incidents),
            descents=descents,
        )
        return deciding, reached

    def _answered(self, left_out: int) -> Iterator[tuple[Prediction, Any]]:
        """Answers with their truths in the order in which they were learned, but the first ones."""
        truths = (one for message in messages(self.book) for one in message.inputs if type(one) is Truth)
        for one in islice(truths, left_out, None):
            example = example_of(self.book, one)
            if example is not None:
                yield example.prediction, example.truth

    def _descents(self) -> list[Descent]:
        """The first version of each line that nobody declared, in the order in which they were published."""
        declared = self.plan.lines
        rows = self.book.rows("SELECT model, raw, min(position) FROM versions GROUP BY model ORDER BY min(n)")
        return [descent_of(wire.registered(raw), wire.lineage_of(raw) or {}) for line, raw, _ in rows if line not in declared]

    # What is not known -----------------------------------------------------------------------------------------------

    def _unknown(self, deciding: Deciding | None) -> Iterator[str]:
        """In sentences."""
        out = JobTopics.of(self.pipeline).out
        if "predictions" in self.late:
            since = day_name(self._first_whole_day())
            whole = "as the job said last" if self.said.fates() else "not at all, 0 stands for that: what the job said is gone"
            yield (
                f"The broker let go of the first answers: what became of them is told by day from {since} on, and in all "
                f"{whole}. Metrics are of all truths. To keep more: retention.ms of {out.predictions}."
            )
        elif not self.decides and self.pipeline.join.absent is UNSET:
            yield "How many answers never got a truth is as the job said last, some seconds before this page."
        for word, what in (("dead_letters", "dead letters"), ("measurements", "alerts")):
            if word in self.late:
                topic = getattr(out, word)
                yield f"The broker let go of the first {what}; these are those since. To keep more: retention.ms of {topic}."
        if self.others:
            yield "What monitors count is as the job said last, some seconds before this page."
        if len(self._declarations()) > 1:
            yield "Every metric is measured over all truths, also over those that came before it was declared."
        if deciding is not None:
            yield UNKNOWN
            if not deciding.seats.counted:
                yield f"How contests stand: {deciding.seats.behind}."
