"""The loop: calls the five stages in the one order that the streams prescribe, and collects what they said.

It owns the stages' memories and nothing else: no file, no clock, no thread. Whoever calls it hands inputs in their order
and commits what comes back. Because every answer is a function of the inputs before it, the same inputs give the same
outcome in a live run, in recovery, in an audit and in a test; however they are cut into batches (`split`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eddyline.pipeline import Plan
from eddyline.ports import Ledger, Model
from eddyline.records import (
    Alert,
    Arrival,
    DeadLetter,
    Example,
    Prediction,
    Rollout,
    Unlabelled,
    Watermark,
)
from eddyline.stages.decide import Command, version_of
from eddyline.stages.join import Joined, JoinState
from eddyline.stages.learn import LearnState, Snapshot
from eddyline.stages.serve import ServeState, Voice
from eddyline.stages.watch import WatchState

Record = Arrival | Command | Watermark | DeadLetter
"""What may arrive: an event or a label (an arrival with a truth), a command, a watermark, or what was refused at the door."""


@dataclass(slots=True)
class Outcome:
    """What a batch came to, in order. `positions` runs beside `examples`: where the learner stood after each, or -1."""

    predictions: list[Prediction] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    watched: list[Prediction | Example | Unlabelled] = field(default_factory=list)


@dataclass(slots=True)
class States:
    """The memories of the five stages."""

    serve: ServeState
    join: JoinState
    learn: LearnState
    watch: WatchState
    rollout: Rollout


class Loop:
    """Five stages over one stream of inputs.

    `rebuild` gives the model at a position, for rollouts that name a version; it is told only positions that were
    committed before.
    """

    def __init__(self, plan: Plan, states: States, ledger: Ledger, rebuild: Callable[[int], Model]) -> None:
        self.plan = plan
        self.states = states
        self.ledger = ledger
        self.rebuild = rebuild
        self.lateness_us = max(plan.serve.lateness_us, plan.join.lateness_us)
        self.due = plan.join.next_due(states.join, ledger)
        self.extras: list[Snapshot | DeadLetter] = []
        self.voice = Voice(states.learn.model, plan.decide.model, states.learn.position, states.rollout.revision)
        self.take_voice()

    @staticmethod
    def first_states(plan: Plan) -> States:
        """The memories before the first input."""
        return States(
            serve=plan.serve.new_state(),
            join=plan.join.new_state(),
            learn=plan.learn.new_state(plan.model),
            watch=plan.watch.new_state(),
            rollout=plan.decide.new_state(),
        )

    def advance(self, batch: Sequence[Record]) -> Outcome:
        """Takes a batch of inputs in order."""
        out = Outcome()
        states, ledger, voice = self.states, self.ledger, self.voice
        answer, hear = self.plan.serve.answer, self.plan.join.label
        serve, join, wait_us = states.serve, states.join, self.plan.join.wait_us
        joined: list[Joined] = []
        for record in batch:
            if type(record) is not Arrival:
                self._other(record, joined, out)
            elif record.truth is None:
                prediction = answer(serve, ledger, voice, record)
                if type(prediction) is Prediction:
                    out.predictions.append(prediction)
                    out.watched.append(prediction)
                    if join.early:
                        self.plan.join.answered(join, ledger, prediction, joined)
                    if record.at + wait_us < self.due:
                        self.due = record.at + wait_us
                    if serve.frontier - self.lateness_us >= self.due or join.watermark >= self.due:
                        self._time_passes(joined)
                elif prediction is not None:
                    out.dead.append(prediction)  # type: ignore[arg-type]
            else:
                # Join is told the time only when something falls due; a label is judged by what it is now.
                if serve.frontier - self.lateness_us > join.watermark:
                    join.watermark = serve.frontier - self.lateness_us
                hear(join, ledger, record, joined)
                if join.early or join.held:
                    self.due = min(self.due, self.plan.join.next_due(join, ledger))
            if joined:
                self._joined(joined, out)
                joined.clear()
        out.alerts += self.plan.watch.step(states.watch, out.watched)
        return out

    def _time_passes(self, joined: list[Joined], watermark: int | None = None) -> None:
        """Tells join how far event time has come, because something falls due."""
        if watermark is None:
            watermark = self.states.serve.frontier - self.lateness_us
        joined += self.plan.join.step(self.states.join, self.ledger, [Watermark(watermark)])
        self.due = self.plan.join.next_due(self.states.join, self.ledger)

    def _joined(self, joined: Sequence[Joined], out: Outcome) -> None:
        learn, learn_one, extras = self.states.learn, self.plan.learn.one, self.extras
        for record in joined:
            if type(record) is Example:
                out.examples.append(record)
                out.watched.append(record)
                out.positions.append(learn_one(learn, record, extras))
                for extra in extras:
                    if type(extra) is Snapshot:
                        out.snapshots.append(extra)
                    else:
                        out.dead.append(extra)  # type: ignore[arg-type]
                extras.clear()
            elif type(record) is Unlabelled:
                out.watched.append(record)
            else:
                out.dead.append(record)  # type: ignore[arg-type]
        if self.states.rollout.champion is None:
            if learn.published is None:
                self.voice.model, self.voice.position = learn.model, learn.position
            else:
                self.take_voice()

    def _other(self, record: Record, joined: list[Joined], out: Outcome) -> None:
        if type(record) is Watermark:
            self._time_passes(joined, record.at)
        elif type(record) is Command:
            decided = self.plan.decide.step(self.states.rollout, record, self.states.learn.position)
            if type(decided) is Rollout:
                self.states.rollout = decided
                out.rollouts.append(decided)
                self.take_voice()
            else:
                out.dead.append(decided)  # type: ignore[arg-type]
        else:
            out.dead.append(record)  # type: ignore[arg-type]

    def take_voice(self) -> None:
        """Makes the voice what the rollout says: the learner, what it last published, or a version by name."""
        voice, learn, rollout = self.voice, self.states.learn, self.states.rollout
        voice.revision = rollout.revision
        if rollout.champion is not None:
            voice.position = version_of(rollout.champion)[1]
            voice.model = self.rebuild(voice.position)
        elif learn.published is not None:
            voice.model, voice.position = learn.published, learn.published_position
        else:
            voice.model, voice.position = learn.model, learn.position
