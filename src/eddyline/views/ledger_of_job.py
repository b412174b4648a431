"""The ledger of a job on Flink, from its topics: who was in production, every decision, and each made again.

What a store keeps in blocks, a job keeps in `<pipeline>.rollouts` and `<pipeline>.decisions`; the order in which it decided is
in `<pipeline>.taken`. A rollout counts from the event time at which it was decided; scorers took it with the checkpoint after.
Reads committed messages only. What it cannot say is which version gave the last answer before a time: answers are not read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink.audit import Audit
from eddyline.engines.flink.audit_book import Book, Faults
from eddyline.engines.flink.audit_learn import LearnReplay
from eddyline.engines.flink.audit_topics import Recorded, recorded
from eddyline.engines.flink.job import JobTopics
from eddyline.engines.flink.looking import FIRST, spans, stored
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline
from eddyline.records import Decision, Rollout
from eddyline.store.blocks import Notes
from eddyline.views.ledger import Check, Checked, Clock, Entered, Held, Tenure, held, same_evidence, tenures_of


class Annals(msgspec.Struct, frozen=True):
    """What a job decided, in order: rollouts and decisions, each with when the broker took it (s since 1970)."""

    rollouts: list[tuple[Rollout, float]]
    decisions: list[tuple[Decision, float]]


def annals(pipeline: Pipeline, connection: Connection) -> Annals:
    """Reads them. Raises `SourceError` where there is no such job."""
    topics = JobTopics.of(pipeline)
    rollouts, decisions = dict[int, tuple[Rollout, float]](), dict[int, tuple[Decision, float]]()
    starts = dict.fromkeys(spans(connection, [topics.out.rollouts, topics.decisions]), FIRST)
    for message in stored(connection, starts):
        kind, at = message.timestamp()
        body, taken_at = message.value() or b"", at / 1000 if kind else 0.0
        if message.topic() == topics.decisions:
            decision = wire.decode_decision(body)
            decisions[decision.number] = decision, taken_at
        else:
            rollout = wire.decode_rollout(body)
            rollouts[rollout.revision] = rollout, taken_at
    return Annals([rollouts[one] for one in sorted(rollouts)], [decisions[one] for one in sorted(decisions)])


def tenures(told: Annals, pipeline: Pipeline) -> list[Tenure]:
    """Who was in production, one after the other, from the start."""
    made_by: dict[int, Decision] = {}
    for decision, _ in told.decisions:
        made_by.setdefault(decision.revision, decision)
    noted = [
        (0, Notes({}, 0, one, at, rollouts=[one], decisions=[made_by[one.revision]] if one.revision in made_by else []))
        for one, at in told.rollouts
    ]
    return tenures_of(noted, pipeline)


def decisions(told: Annals) -> list[Entered]:
    """Every decision, in order."""
    return [Entered(one, 0, at) for one, at in told.decisions]


def in_production(told: Annals, pipeline: Pipeline, at: float, *, clock: Clock = "event") -> Held:
    """What was in force at `at`: event time in µs, or with `clock="wall"` seconds since 1970 when it was committed."""
    past = tenures(told, pipeline)

    def began(one: Tenure) -> float:
        return one.received_at if clock == "wall" or one.at is None else one.at

    return held(past, [one for one in past if one is past[0] or began(one) <= at][-1])


def check(pipeline: Pipeline, connection: Connection) -> Check:
    """Makes every decision again: its verdict from its evidence, and itself from what was taken, in the recorded order.

    Where the job took up another declaration (`eddyline flink upgrade`), those before the last change follow from policies that
    are in no file any more: of them the verdicts alone are made again. Costs what learning everything again costs. Raises
    `SourceError` where a topic is missing or begins too late.
    """
    return check_recorded(pipeline, recorded(pipeline, connection))


def check_recorded(pipeline: Pipeline, run: Recorded) -> Check:
    """The same, for the messages of a run, wherever they come from."""
    told = [wire.decode_decision(message.value) for message in run["decisions"]]
    again, before, changed_by, written_as = _decided_again(pipeline, run)
    made = {decision.number: wire.encode_decision(decision) for decision in again}
    known = {one.number for one in told}
    ordered = sorted(told, key=lambda one: one.number)
    return Check(
        decisions=[
            Checked(
                one,
                same_evidence(one.evidence),
                None if one.number <= before else made.get(one.number) == wire.encode_decision(one),
            )
            for one in ordered
        ],
        missing=[one for one in again if one.number not in known],
        comparable=Audit(fingerprint=fingerprint(pipeline.plan().models), written_as=written_as).comparable,
        changed_by=changed_by,
    )


def _decided_again(pipeline: Pipeline, run: Recorded) -> tuple[list[Decision], int, int, str]:
    """What deciding again comes to, as far as the recorded order is whole; how many decisions before the last change of
    declaration were followed, and which one records it; and by which machine all was recorded.
    """
    needed: dict[str, Iterable[object]] = {**run, "events": [], "labels": []}
    with tempfile.TemporaryDirectory(prefix="eddyline-history-") as folder:
        book = Book.filled(pipeline, needed, Path(folder), Faults())  # type: ignore[arg-type]
        try:
            replay = LearnReplay(book, book.faults.add)
            replay.run()
            written = {msgspec.json.decode(raw, type=_Written).fingerprint for (raw,) in book.rows("SELECT raw FROM versions")}
        finally:
            book.close()
    return replay.again, replay.before, replay.changed_by, " and ".join(sorted(written)) or fingerprint(pipeline.plan().models)


class _Written(msgspec.Struct, frozen=True):
    fingerprint: str
