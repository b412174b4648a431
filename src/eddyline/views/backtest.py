"""What other policies would have done on the recorded journal: where, on what evidence, and at what gain or loss.

The journal is told again (`views.retelling`) and a decide stage of its own listens, with the policies that are tried. It
hears recorded answers only, by name, so contests go on after it has decided otherwise than the run did; where nobody
recorded what its champion would have said, the event is counted as not followed. What operators asked for is asked of it
too. With the policies of the run itself it takes the run's decisions, at the same positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.pipeline.loading import imported
from eddyline.pipeline.naming import check_alerts
from eddyline.policies.losses import zero_one
from eddyline.policies.policy import Policy
from eddyline.records import Alert, DeadLetter, Decision, Example, Prediction, Rollout, Task, Unlabelled
from eddyline.records.errors import DeclarationError
from eddyline.records.time import BEGINNING, to_us
from eddyline.stages.bouts import Roll
from eddyline.stages.carry_decide import Carrying, carried
from eddyline.stages.commands import Command
from eddyline.stages.decide import FAILURES, Decide, Decided
from eddyline.stages.deciding import DecideState
from eddyline.store.database import Store
from eddyline.store.declarations import Memory
from eddyline.views.regret import Losses, Move, Sums, said_under
from eddyline.views.retelling import OnProgress, Retelling, Teller

MOVES = ("promote", "roll_back", "roll_out")


class Tried(msgspec.Struct, frozen=True):
    """A decision that the policies would have made, and what came of it.

    `gain` is the mean gain over the answers after it that both sides have in the record, `measured` how many those are;
    None where nothing moved or nobody can say: `unsaid` tells why of a move. A false alarm is a move that gained nothing.
    """

    decision: Decision
    block: int
    gain: float | None = None
    measured: int = 0
    unsaid: str = ""

    @property
    def happened(self) -> bool:
        """Whether somebody asked for it in the run, an operator or the trainer: no policy would have done it."""
        return self.decision.policy == "operator"

    @property
    def false_alarm(self) -> bool:
        """Whether it moved the champion, and gained nothing by it."""
        return self.gain is not None and self.gain <= 0.0


class Backtest(msgspec.Struct, frozen=True):
    """What policies would have done on a journal of `records` answers and truths.

    `since` is event time in µs, `record` how many answers and truths had come when they began. `recorded` are the run's own
    decisions over the same time. `not_followed` answers of theirs nobody recorded, the first at `not_followed_since` (event
    time, µs). `sums` compares losses; None where the policies name no loss.
    """

    policies: list[str]
    since: int
    record: int
    records: int
    tried: list[Tried]
    recorded: list[Decision]
    not_followed: int
    not_followed_since: int | None
    sums: Sums | None
    changed_in: int = 0
    """the block of the last change of declaration: what came before it was not told; 0 where there was none"""
    changed_by: int = 0
    """in a job, which has no blocks: the decision that records the last change"""

    @property
    def false_alarms(self) -> list[Tried]:
        """The moves that gained nothing."""
        return [one for one in self.tried if one.false_alarm]


def policies_of(file: Path) -> tuple[Policy, ...]:
    """The policies that a Python file declares as `decide = (Promote(...), RollBack(...))`, a Pipeline's file too."""
    if not file.is_file():
        raise DeclarationError(f"there is no file {file.name} in {file.parent}\nwrite one: decide = (Promote(), RollBack())")
    module = imported(file)
    found = getattr(module, "decide", None)
    if found is None:
        pipelines = [value for value in vars(module).values() if isinstance(value, Pipeline)]
        found = pipelines[0].decide if len(pipelines) == 1 else None
    found = (found,) if isinstance(found, Policy) else found
    if not isinstance(found, Sequence) or not found or not all(isinstance(one, Policy) for one in found):
        raise DeclarationError(
            f"{file.name} declares no policies\nwrite in it: from eddyline import Promote, RollBack\n"
            "decide = (Promote(evidence=100), RollBack())"
        )
    return tuple(found)


def backtest(
    store: Store,
    pipeline: Pipeline,
    policies: Sequence[Policy],
    *,
    since: timedelta | None = None,
    on_progress: OnProgress | None = None,
) -> Backtest:
    """Lets `policies` decide on the whole journal, or on its last `since` of event time; nothing is changed.

    Who had which seat then has it at first; memories of contests begin there. Where the declaration of the store changed, it
    begins at the last change: policies that are declared as in the run go on with what was remembered there. Costs what
    reading, joining and watching the journal cost, and no model. Raises `StoreMismatch` for another pipeline than the one
    that filled the store.
    """
    start = BEGINNING if since is None else _start(store, to_us(since))
    other = Hypothetical(pipeline, tuple(policies), start)
    recorded: list[Decision] = []
    retelling = Retelling(store, pipeline, other)
    turn = retelling.turn
    changed, began = (0, start) if turn is None else (turn.block, max(start, turn.declared.at))
    for block, _ in retelling.told(on_progress):
        recorded += block.notes.decisions if block.seq > changed else []
    return msgspec.structs.replace(found_by(other, began, recorded), changed_in=changed)


def found_by(other: Hypothetical, start: int, recorded: Sequence[Decision]) -> Backtest:
    """What policies that have heard a record would have done; `recorded` are the run's own decisions."""
    sums = None if other.losses is None else other.losses.sums()
    return Backtest(
        policies=[policy.sentence() for policy in other.decide.policies],
        since=start,
        record=other.began,
        records=other.heard,
        tried=[_with_gain(decision, block, other.moves.get(decision.number)) for block, decision in other.decisions],
        recorded=[decision for decision in recorded if decision.record >= other.began],
        not_followed=other.unheard,
        not_followed_since=other.unheard_since,
        sums=sums,
    )


def _with_gain(decision: Decision, block: int, move: Move | None) -> Tried:
    if move is None or not move.measured:
        return Tried(decision, block, unsaid=_why_unsaid(decision, move))
    return Tried(decision, block, move.gain / move.measured, move.measured)


def _why_unsaid(decision: Decision, move: Move | None) -> str:
    """Why nobody can say what a move gained; nothing of what is no move."""
    if decision.action not in MOVES:
        return ""
    if not decision.carried_out:
        return f"nobody moved: it was {decision.status}"
    if move is None:
        return "the champion stayed, or these policies name no loss"
    return "no event after it has both answers and a truth; RollBack() keeps the champion before in a seat, and asks it"


def _start(store: Store, span_us: int) -> int:
    """So much event time before the newest of the last answers; the beginning where that is before the first."""
    if not store.slots:
        return BEGINNING
    _, first = store.prediction_group(0)
    _, last = store.prediction_group(store.slots - 1)
    start = max(prediction.at for prediction in last) - span_us
    return start if start > first[0].at else BEGINNING


class Hypothetical:
    """A decide stage that listens to a journal, from the first look at or after `start` (event time, µs) on."""

    def __init__(self, pipeline: Pipeline, policies: tuple[Policy, ...], start: int) -> None:
        plan = pipeline.plan()
        check_alerts(policies, pipeline.watch, plan.model.task)
        self.own, self.start = pipeline.name, start
        self.decide: Decide = replace(plan.decide, policies=policies)
        self.lived_policies = plan.decide.policies
        self.state: DecideState | None = self.decide.new_state() if start == BEGINNING else None
        self.began = self.heard = self.slot = self.block = self.revision = self.first_slot = 0
        self.decisions: list[tuple[int, Decision]] = []
        self.proposed: dict[int, Decision] = {}
        """what the run proposed, by its own numbers"""
        self.rolls: dict[int, tuple[Rollout, Roll]] = {}
        """its own rollouts, and who is who under them, by revision"""
        self.lived: dict[int, Roll] = {}
        """the run's"""
        self.changed: dict[str, int] = {}
        """by event that waits: the revision under which it would have been answered, where that has another number"""
        self.unheard = 0
        self.unheard_since: int | None = None
        loss = next((one.loss_used for one in policies if one.loss_used is not None), None)
        if loss is None and self.decide.task is Task.CLASSIFICATION:
            loss = zero_one()
        self.losses = None if loss is None else Losses(loss)
        self.moves: dict[int, Move] = {}
        if self.state is not None:
            self._remember(self.state.rollout)

    # Listening -------------------------------------------------------------------------------------------------------

    def begins(self, loop: Teller) -> int:
        """Notes under which rollout the next answers are given; gives how many records there are until the next look."""
        self.slot, self.block = loop.disk.count, loop.block
        lived = loop.states.rollout
        if lived.revision not in self.lived:
            self.lived[lived.revision] = Roll(lived, self.own)
        if self.state is not None:
            self.revision = self.state.rollout.revision
            return self.decide.room(self.state)
        return self.decide.look_every - self.heard % self.decide.look_every

    def failed(self, line: str, reason: str) -> None:
        """A challenger could not learn an example."""
        if self.state is not None and line not in self.state.ended:
            self.state.failed(line, reason)

    def command(self, command: Command, at: int, positions: Mapping[str, int], refused: str | None) -> None:
        """Does what an operator asked for; an approval counts for the proposal of the same action, where there is one."""
        if self.state is None:
            return
        if command.do in ("approve", "reject"):
            number = self._same_proposal(command.number)
            if number is None:
                return
            command = msgspec.structs.replace(command, number=number)
        decided = self.decide.step(self.state, command, at, positions, problem=refused)
        self._effect(self.state, decided, positions)

    def measured(self, records: Sequence[Any], alerts: Sequence[Alert], dead: Sequence[DeadLetter], loop: Teller) -> None:
        """Hears what was answered and found out, under its own rollout, and looks where it is time to."""
        every, before = self.decide.look_every, self.heard
        self.heard += len(records) + sum(one.stream == "events" and one.reason in FAILURES for one in dead)
        self.proposed.update(loop.states.decide.proposed)
        if self.state is None:
            if before // every < self.heard // every and loop.watermark >= self.start:
                self._begin(loop)
        elif self.decide.take(self.state, [self._mine(record, loop) for record in records], alerts, dead):
            self.slot = loop.disk.count
            self._effect(self.state, self.decide.look(self.state, loop.watermark), loop.positions())

    def turned(self, loop: Teller, number: int, memory: Memory) -> None:
        """Begins where the present declaration came, with what was remembered there of policies that are declared alike."""
        self.heard = loop.states.decide.record
        if self.start > max(BEGINNING, loop.watermark):
            self.state = None
            return
        own = {policy.called: policy for policy in self.lived_policies}
        kept = {policy.called for policy in self.decide.policies if own.get(policy.called) == policy}
        carrying = Carrying(number=number + 1, kept=kept)
        state, _ = carried(self.decide, memory.decide, carrying, at=0, author="", reason="")
        self.state, self.began, self.first_slot = state, self.heard, loop.disk.count
        self.rolls.clear()
        self._remember(state.rollout)

    # Deciding --------------------------------------------------------------------------------------------------------

    def _begin(self, loop: Teller) -> None:
        """Takes over as the run stands; contests begin here."""
        lived = loop.states.decide
        state = replace(self.decide, places=lived.rollout.places).new_state()
        state.rollout = msgspec.structs.replace(lived.rollout, revision=lived.rollout.revision - 1)
        self.decide.put(state, lived.rollout, [])
        state.record, state.frozen_since = self.heard, lived.frozen_since
        state.entries, state.ended, state.still = dict(lived.entries), dict(lived.ended), set(lived.still)
        state.quarantined, state.latency_ms = dict(lived.quarantined), dict(lived.latency_ms)
        self.state, self.began, self.first_slot = state, self.heard, loop.disk.count
        self._remember(lived.rollout)

    def _same_proposal(self, number: int) -> int | None:
        """The number that its own proposal of the same action has."""
        assert self.state is not None
        theirs = self.proposed.get(number)
        for own, mine in self.state.proposed.items():
            if theirs is not None and (mine.action, mine.subject) == (theirs.action, theirs.subject):
                return own
        return None

    def _effect(self, state: DecideState, decided: Sequence[Decided], positions: Mapping[str, int]) -> None:
        """Writes down what was decided, and follows who answers."""
        moved: tuple[str, str] | None = None
        _, before = self.rolls[max(self.rolls)]
        for one in decided:
            if type(one) is Rollout:
                roll = self._remember(one)
                moved = (roll.champion, before.champion) if roll.champion != before.champion else None
                before = roll
            elif type(one) is Decision:
                self.decisions.append((self.block, one))
                if moved is not None and one.action in MOVES and one.carried_out and self.losses is not None:
                    self.moves[one.number] = Move.of(self.losses.loss, self.own, *moved, self.slot)
                moved = None
        if any(type(one) is Rollout for one in decided):
            asked = state.asked()
            for name, position in positions.items():
                if name != self.own and name not in asked:
                    state.ended.setdefault(name, position)

    def _remember(self, rollout: Rollout) -> Roll:
        roll = Roll(rollout, self.own)
        self.rolls[rollout.revision] = rollout, roll
        return roll

    # Hearing ---------------------------------------------------------------------------------------------------------

    def _mine(self, record: Prediction | Example | Unlabelled, loop: Teller) -> Prediction | Example | Unlabelled:
        """A record as it would have been under its own rollouts: the same words, under another number."""
        if type(record) is Prediction:
            return self._answered(record)
        if type(record) is Example:
            return self._found_out(record, loop)
        self.changed.pop(record.prediction.event_id, None)  # type: ignore[union-attr]
        return record

    def _answered(self, prediction: Prediction) -> Prediction:
        rollout, roll = self.rolls[self.revision]
        if said_under(rollout, roll, prediction) is None:
            self.unheard += 1
            if self.unheard_since is None:
                self.unheard_since = prediction.at
        if prediction.revision == self.revision:
            return prediction
        self.changed[prediction.event_id] = self.revision
        return msgspec.structs.replace(prediction, revision=self.revision)

    def _found_out(self, example: Example, loop: Teller) -> Example:
        given = example.prediction
        event_id = given.event_id
        revision = self.changed.get(event_id, given.revision)
        if example.revision == 0:
            self.changed.pop(event_id, None)
            slot = loop.disk.find(event_id)
            if self.losses is not None and slot is not None and slot >= self.first_slot:
                self._count(example, slot, revision)
        if revision == given.revision:
            return example
        return msgspec.structs.replace(example, prediction=msgspec.structs.replace(given, revision=revision))

    def _count(self, example: Example, slot: int, revision: int) -> None:
        """Compares losses on an event whose truth is known."""
        assert self.losses is not None
        given = example.prediction
        for move in self.moves.values():
            move.add(given, example.truth, slot)
        mine = said_under(*self.rolls[revision], given)
        if mine is not None:
            self.losses.add(self.lived[given.revision], given, example.truth, mine)
