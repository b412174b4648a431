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
from eddyline.stages.join import JoinState
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
        """Takes a batch of inputs in order. Consecutive events, and consecutive labels, go through a stage together."""
        out = Outcome()
        run: list[Arrival] = []
        events = True
        for record in batch:
            if type(record) is Arrival:
                is_event = record.truth is None
                if run and is_event is not events:
                    self._arrivals(run, events, out)
                    run = []
                events = is_event
                run.append(record)
                continue
            if run:
                self._arrivals(run, events, out)
                run = []
            self._other(record, out)
        if run:
            self._arrivals(run, events, out)
        out.alerts += self.plan.watch.step(self.states.watch, out.watched)
        return out

    def _arrivals(self, run: list[Arrival], events: bool, out: Outcome) -> None:
        states, join = self.states, self.plan.join
        if not events:
            joined = join.step(states.join, self.ledger, run)
            if joined:
                self._joined(joined, out)
            return
        if len(run) > 1:
            last = max(arrival.at for arrival in run) - self.lateness_us
            if states.join.early or join.next_due(states.join, self.ledger) <= last:
                for arrival in run:
                    self._events([arrival], out)
                return
        self._events(run, out)

    def _events(self, run: list[Arrival], out: Outcome) -> None:
        states, ledger, join = self.states, self.ledger, self.plan.join
        answers = self.plan.serve.step(states.serve, ledger, self.voice, run)
        if states.join.early:
            self._answered(answers, out, joining=True)
        else:
            self._answered(answers, out, joining=False)
        watermark = states.serve.frontier - self.lateness_us
        if join.next_due(states.join, ledger) <= watermark:
            self._joined(join.step(states.join, ledger, [Watermark(watermark)]), out)

    def _answered(self, answers: list[Prediction | DeadLetter], out: Outcome, *, joining: bool) -> None:
        for answer in answers:
            if type(answer) is Prediction:
                out.predictions.append(answer)
                out.watched.append(answer)
                if joining:
                    self._joined(self.plan.join.step(self.states.join, self.ledger, [answer]), out)
            else:
                out.dead.append(answer)  # type: ignore[arg-type]

    def _joined(self, joined: Sequence[Example | Unlabelled | DeadLetter], out: Outcome) -> None:
        examples: list[Example] = []
        for record in joined:
            if type(record) is Example:
                examples.append(record)
                out.watched.append(record)
            elif type(record) is Unlabelled:
                out.watched.append(record)
            else:
                out.dead.append(record)  # type: ignore[arg-type]
        if not examples:
            return
        out.examples += examples
        learn = self.states.learn
        for result in self.plan.learn.step(learn, examples):
            if type(result) is int:
                out.positions.append(result)
            elif type(result) is Snapshot:
                out.snapshots.append(result)
            else:
                out.dead.append(result)  # type: ignore[arg-type]
        if self.states.rollout.champion is None:
            self.take_voice()

    def _other(self, record: Command | Watermark | DeadLetter, out: Outcome) -> None:
        if type(record) is Watermark:
            self._joined(self.plan.join.step(self.states.join, self.ledger, [record]), out)
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
