"""Decide: who answers from here on. A pure function of what is recorded: answers, truths, alerts and commands.

Policies look at fixed places of what was recorded, every `look_every` answers and truths, so decisions depend neither on
how inputs were cut into batches nor on what came twice, and a backtest on the journal is the run itself. Each decision
carries the evidence that it was made on. Keeps `named` (each rollout has a revision, an author and a reason),
`one-writer`, `split` and I17. Knows nothing of models' bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from eddyline.policies.action import Action, Now, Trial
from eddyline.policies.contest import Contest
from eddyline.policies.detector import ErrorDetector
from eddyline.policies.health import Health, Pulse
from eddyline.policies.losses import Loss
from eddyline.policies.policy import Policy
from eddyline.policies.roll_back import RollBack
from eddyline.records import (
    NOT_ASKED,
    Alert,
    DeadLetter,
    Decision,
    Example,
    Place,
    Prediction,
    Reason,
    Rollout,
    Said,
    Task,
    Unlabelled,
)
from eddyline.records.time import BEGINNING, to_us
from eddyline.stages.bouts import Bout, Roll
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.stages.orders import obeyed
from eddyline.stages.refuse import refuse
from eddyline.stages.rollouts import champion_of, place_of, put_in_force, without

Decided = Rollout | Decision | Entry | DeadLetter
"""What deciding comes to, in order."""
LOOK_EVERY = 100
GUARDRAIL = RollBack(name="guardrail")
"""What keeps challengers that fail away from callers where the pipeline declares no `RollBack` of its own."""
ALL = ""
"""The segment that stands for all examples."""
_FAULTS = {Reason.NOT_FINITE.value: "not_finite"}
_OF_ALL = ("retrain", "freeze", "resume")
"""What is done for the pipeline, whoever is champion."""
FAILURES = (Reason.MODEL_FAILED.value, Reason.NOT_FINITE.value)
"""Why an event has no answer where the champion is to blame."""


@dataclass(slots=True)
class DecideState:
    """Decide's memory. `record` counts what was taken: answers and what became of them; `number` the decisions made."""

    rollout: Rollout
    record: int = 0
    number: int = 0
    began_at: int | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    """lines that entered while it ran, by name"""
    ended: dict[str, int] = field(default_factory=dict)
    """where lines stood that nobody asks any more"""
    still: set[str] = field(default_factory=set)
    """lines that do not learn"""
    frozen_since: int | None = None
    quarantined: dict[str, int] = field(default_factory=dict)
    """by segment: since when (event time, µs)"""
    bouts: list[Bout] = field(default_factory=list)
    errors: dict[str, ErrorDetector] = field(default_factory=dict)
    """by policy: the champion's error against its objective"""
    pulses: dict[str, Pulse] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    """raised since the last look"""
    acted_at: dict[str, int] = field(default_factory=dict)
    """by policy: when it last acted (event time, µs)"""
    cooling: dict[str, int] = field(default_factory=dict)
    """by policy, action and subject: when that last happened"""
    proposed: dict[int, Decision] = field(default_factory=dict)
    """what waits for approval, by number"""
    told: set[str] = field(default_factory=set)
    """what was written down already and not carried out: it is written once under one rollout"""
    trials: dict[str, int] = field(default_factory=dict)
    promoted: int = 0
    roll: Roll | None = None

    @property
    def holding(self) -> bool:
        """Whether any example is held back from learning."""
        return self.frozen_since is not None or bool(self.quarantined)

    def held(self, example: Example) -> bool:
        """Whether this example is held back from learning."""
        if self.frozen_since is not None or ALL in self.quarantined:
            return True
        return (example.prediction.segment or ALL) in self.quarantined

    def learns(self, line: str) -> bool:
        """Whether a line learns by itself."""
        return line not in self.still

    def failed(self, line: str, reason: str) -> None:
        """A challenger could not learn an example."""
        self.pulses.setdefault(line, Pulse()).add(_FAULTS.get(reason, "exception"))

    def asked(self) -> set[str]:
        """The lines that somebody asks: the champion's, those beside it, and those that a pinned version belongs to."""
        names = [self.rollout.champion, self.rollout.former, *(place.who for place in self.rollout.places)]
        return {name for name in names if name is not None and "@" not in name}


@dataclass(frozen=True, slots=True)
class Decide:
    """Decides for one pipeline: `model` is the name that its versions carry, `places` are taken from the start."""

    model: str
    task: Task = Task.CLASSIFICATION
    policies: tuple[Policy, ...] = ()
    places: tuple[Place, ...] = ()
    still: tuple[str, ...] = ()
    look_every: int = LOOK_EVERY

    def __post_init__(self) -> None:
        for policy in self.policies:
            policy.check(self.task)

    @property
    def losses(self) -> dict[tuple[str, float], Loss]:
        """The losses that policies look at."""
        found = [policy.loss_used for policy in self.policies]
        return {(loss.name, loss.clip): loss for loss in found if loss is not None}

    @property
    def guards(self) -> bool:
        """Whether a policy compares the champion with the one before it."""
        return any(isinstance(policy, RollBack) for policy in self.policies)

    def new_state(self) -> DecideState:
        """Before any command the learner answers (or the last published version)."""
        start = Rollout(0, None, "eddyline", "the pipeline's start", self.places)
        state = DecideState(start, still=set(self.still))
        self._seated(state)
        return state

    # What comes ------------------------------------------------------------------------------------------------------

    def take(
        self,
        state: DecideState,
        records: Sequence[Prediction | Example | Unlabelled],
        alerts: Sequence[Alert],
        dead: Sequence[DeadLetter],
    ) -> bool:
        """Takes what was answered and found out, in order, and what was refused meanwhile; whether it is time to look."""
        state.alerts += alerts
        looks = state.record // self.look_every
        state.record += len(records)
        revision, roll, bouts, pulses = state.rollout.revision, state.roll, state.bouts, state.pulses
        assert roll is not None
        together = 0
        for record in records:
            if type(record) is Prediction:
                if state.began_at is None:
                    state.began_at = record.at
                if not record.others:
                    together = _beat_together(pulses, roll, together)
                    pulses[roll.champion].add()
                    continue
                heard: Sequence[Prediction | Said | None] | None = roll.together(record, record.others)
                if heard is not None:
                    together += 1
                else:
                    together = _beat_together(pulses, roll, together)
                    heard = roll.heard(record)
                    _beat(pulses, roll, heard)
                if record.revision == revision:
                    for bout in bouts:
                        bout.answered(roll, record, heard)
            elif type(record) is Example:
                if record.revision == 0:
                    for bout in bouts:
                        bout.known(record.prediction.event_id, record.truth)
                    if state.errors and record.prediction.revision == revision:
                        self._errors(state, roll, record)
            elif type(record) is Unlabelled:
                for bout in bouts:
                    bout.expired(record.prediction.event_id)
        _beat_together(pulses, roll, together)
        for letter in dead:
            if letter.stream == "events" and letter.reason in FAILURES:
                state.record += 1
                state.pulses.setdefault(roll.champion, Pulse()).add(_FAULTS.get(letter.reason, "exception"))
        return state.record // self.look_every > looks

    def room(self, state: DecideState) -> int:
        """How many records may come before it is time to look."""
        return self.look_every - state.record % self.look_every

    def _errors(self, state: DecideState, roll: Roll, example: Example) -> None:
        said = roll.said(example.prediction, roll.champion)
        for policy in self.policies:
            detector, loss = state.errors.get(policy.called), policy.loss_used
            if detector is not None and loss is not None and said is not None:
                detector.add(loss.cost(example.truth, said) / loss.clip)

    # Looking ---------------------------------------------------------------------------------------------------------

    def look(self, state: DecideState, watermark: int) -> list[Decided]:
        """Lets every policy look, in the order of their declaration; each sees what those before it have done."""
        for bout in state.bouts:
            bout.ripen(watermark)
        out: list[Decided] = []
        self._lapse(state, watermark, out)
        for policy in self.policies if self.guards else (GUARDRAIL, *self.policies):
            action = policy.look(self._now(state, policy, watermark))
            if action is not None and (policy is not GUARDRAIL or action.kind == "retire"):
                self._act(state, policy, action, watermark, out)
        state.alerts.clear()
        return out

    def _now(self, state: DecideState, policy: Policy, at: int) -> Now:
        rollout, loss = state.rollout, policy.loss_used
        champion = champion_of(rollout, self.model)
        mine = [bout for bout in state.bouts if loss is not None and (bout.loss.name, bout.loss.clip) == (loss.name, loss.clip)]
        former = next((bout.contest for bout in mine if bout.who == rollout.former), None)
        guard = rollout.former if self.guards else None
        names = [champion, *(place.who for place in rollout.places)]
        rate = max((_rate(bout, at, state) for bout in mine), default=0.0)
        return Now(
            at=at,
            champion=champion,
            began_at=BEGINNING if state.began_at is None else state.began_at,
            champion_since=rollout.since,
            acted_at=state.acted_at.get(policy.called),
            contests={bout.who: bout.contest for bout in mine if bout.who != guard},
            trials={who: Trial(number, min(state.promoted, number - 1)) for who, number in state.trials.items()},
            places={place.who: place for place in rollout.places if place.who != guard},
            former=former if isinstance(former, Contest) else None,
            former_name=rollout.former,
            error=state.errors.get(policy.called),
            health={name: self._health(state, name) for name in names},
            alerts=tuple(state.alerts),
            labels_per_s=rate or None,
            frozen_since=state.frozen_since,
            quarantined=dict(state.quarantined),
        )

    def _health(self, state: DecideState, who: str) -> Health:
        return state.pulses[who].health(state.latency_ms.get(who))

    def _lapse(self, state: DecideState, at: int, out: list[Decided]) -> None:
        """Proposals that nobody approved in time, or whose subject has left meanwhile."""
        waits = {policy.called: policy.deadline for policy in self.policies}
        for number, proposal in list(state.proposed.items()):
            deadline = waits.get(proposal.policy)
            late = deadline is not None and at - proposal.at >= to_us(deadline)
            gone = proposal.action in ("promote", "retire") and place_of(state.rollout, proposal.subject) is None
            if late or gone:
                del state.proposed[number]
                why = "nobody approved decision {} in time" if late else "decision {} is about somebody who has left"
                reason = f"{why.format(number)}: {proposal.reason}"
                out.append(self.decided(state, proposal.policy, proposal.action, proposal.subject, "lapsed", at, reason=reason))

    def _act(self, state: DecideState, policy: Policy, action: Action, at: int, out: list[Decided]) -> None:
        mark = f"{policy.called}/{action.kind}/{'' if action.kind in _OF_ALL else action.subject}"
        acted = state.cooling.get(mark)
        if acted is not None and at - acted < to_us(policy.cool_down):
            return
        status = "dry run" if policy.dry_run else "proposed" if policy.approval else "done"
        if status != "done" and mark in state.told:
            return
        if status == "done":
            self.effect(state, action.kind, action.subject, at, policy.called, action.reason, out)
        else:
            state.told.add(mark)
        state.acted_at[policy.called] = state.cooling[mark] = at
        if policy.called in state.errors:
            state.errors[policy.called] = ErrorDetector(state.errors[policy.called].objective)
        decision = self.decided(
            state, policy.called, action.kind, action.subject, status, at, reason=action.reason, evidence=action.evidence
        )
        if status == "proposed":
            state.proposed[decision.number] = decision
        out.append(decision)

    # What it comes to ------------------------------------------------------------------------------------------------

    def effect(
        self, state: DecideState, kind: str, subject: str, at: int, author: str, reason: str, out: list[Decided]
    ) -> None:
        """Makes an action true in the state. `retrain` and `alert` are for whoever reads the ledger."""
        rollout = state.rollout
        if kind == "promote":
            state.promoted += 1
            keep = self.guards
            self.put(state, put_in_force(rollout, subject, self.model, keep=keep, at=at, author=author, reason=reason), out)
        elif kind == "roll_back":
            to = rollout.former or self.model
            back = put_in_force(rollout, to, self.model, keep=False, at=at, author=author, reason=reason)
            self.put(state, msgspec.structs.replace(back, former=None), out)
        elif kind == "retire":
            if place_of(rollout, subject) is not None:
                self.put(state, without(rollout, subject, author=author, reason=reason), out)
        elif kind == "freeze":
            state.frozen_since = at
        elif kind == "resume":
            state.frozen_since = None
        elif kind == "quarantine":
            state.quarantined[subject] = at
        elif kind == "release":
            state.quarantined.pop(subject, None)

    def put(self, state: DecideState, rollout: Rollout, out: list[Decided]) -> None:
        """Puts a rollout in force."""
        assert rollout.revision == state.rollout.revision + 1, "each rollout has a revision of its own"
        state.rollout = rollout
        self._seated(state)
        out.append(rollout)

    def _seated(self, state: DecideState) -> None:
        """Gives everybody beside the champion a bout with it under each loss; those that go on, go on."""
        rollout, before = state.rollout, state.roll
        roll = state.roll = Roll(rollout, self.model)
        if before is None or before.champion != roll.champion:
            state.bouts, state.pulses = [], {}
            state.errors = {
                policy.called: ErrorDetector(policy.error_above)
                for policy in self.policies
                if isinstance(policy, RollBack) and policy.error_above is not None
            }
        known = {(bout.who, bout.loss.name, bout.loss.clip, bout.share): bout for bout in state.bouts}
        bouts = []
        for place in rollout.places:
            share = place.share if place.mode == "split" else None
            for (name, clip), loss in self.losses.items():
                going_on = known.get((place.who, name, clip, share))
                bouts.append(going_on or Bout(roll.champion, place.who, loss, rollout.revision, share))
            if place.who not in state.trials:
                state.trials[place.who] = len(state.trials) + 1
        state.bouts = bouts
        state.pulses = {who: state.pulses.get(who) or Pulse() for who in roll.parties}
        state.told.clear()

    def decided(
        self,
        state: DecideState,
        policy: str,
        action: str,
        subject: str,
        status: str,
        at: int,
        *,
        reason: str,
        author: str = "eddyline",
        evidence: dict[str, Any] | None = None,
    ) -> Decision:
        """The next decision of the ledger."""
        state.number += 1
        return Decision(
            number=state.number,
            policy=policy,
            action=action,
            subject=subject,
            status=status,
            at=at,
            record=state.record,
            revision=state.rollout.revision,
            author=author,
            reason=reason,
            evidence=evidence or {},
        )

    # Memory ----------------------------------------------------------------------------------------------------------

    def save(self, state: DecideState) -> bytes:
        """The state as bytes."""
        plain = {name: getattr(state, name) for name in _PLAIN}
        kept = Saved(
            **plain,
            bouts=[bout.plain() for bout in state.bouts],
            errors={name: detector.plain() for name, detector in state.errors.items()},
            pulses={name: pulse.plain() for name, pulse in state.pulses.items()},
        )
        return msgspec.msgpack.encode(kept)

    def restore(self, raw: bytes) -> DecideState:
        """The state that `save` wrote, which goes on as if it had never been saved."""
        kept = msgspec.msgpack.decode(raw, type=Saved)
        state = DecideState(**{name: getattr(kept, name) for name in _PLAIN})
        state.roll = Roll(state.rollout, self.model)
        state.bouts = [Bout.of(plain, self.losses) for plain in kept.bouts]
        state.errors = {name: ErrorDetector.of(plain) for name, plain in kept.errors.items()}
        state.pulses = {name: Pulse.of(plain) for name, plain in kept.pulses.items()}
        return state

    def step(
        self, state: DecideState, command: Command, at: int, positions: Mapping[str, int], *, start_known: bool = True
    ) -> list[Decided]:
        """What a command comes to, at event time `at`, while the learners stand at `positions`.

        `start_known` says whether the version that a newcomer starts from can be made.
        """
        if command.entry is not None and not start_known:
            detail = f"{command.entry.start} does not exist, and {command.entry.name} was to start from it"
            return [refuse("commands", Reason.UNKNOWN_VERSION, detail, command, event_id=command.entry.name)]
        return obeyed(self, state, command, at, positions)


class Saved(msgspec.Struct, frozen=True):
    """Decide's memory as plain values."""

    rollout: Rollout
    record: int
    number: int
    began_at: int | None
    entries: dict[str, Entry]
    ended: dict[str, int]
    still: set[str]
    frozen_since: int | None
    quarantined: dict[str, int]
    latency_ms: dict[str, float]
    alerts: list[Alert]
    acted_at: dict[str, int]
    cooling: dict[str, int]
    proposed: dict[int, Decision]
    told: set[str]
    trials: dict[str, int]
    promoted: int
    bouts: list[Any]
    errors: dict[str, tuple[float, list[float], int, float]]
    pulses: dict[str, list[list[int]]]


_PLAIN = tuple(name for name in Saved.__struct_fields__ if name not in ("bouts", "errors", "pulses"))


def _beat_together(pulses: Mapping[str, Pulse], roll: Roll, many: int) -> int:
    """Counts events to which everybody had an answer; gives 0, for how many are left to count."""
    for who in roll.parties if many else ():
        pulses[who].answered(many)
    return 0


def _beat(pulses: Mapping[str, Pulse], roll: Roll, heard: Sequence[Prediction | Said | None]) -> None:
    """Counts for everybody who was asked whether he could answer."""
    for who, said in zip(roll.parties, heard, strict=True):
        if said is not None:
            fault = said.fault if type(said) is Said else None
            if fault is None:
                pulses[who].add()
            elif fault != NOT_ASKED:
                pulses[who].add(_FAULTS.get(fault, "exception"))


def _rate(bout: Bout, at: int, state: DecideState) -> float:
    """Matured pairs a second of event time, since the bout's rollout came into force."""
    place = place_of(state.rollout, bout.who)
    began = max(0 if place is None else place.since, state.rollout.since, state.began_at or 0)
    return bout.contest.pairs / ((at - began) / 1e6) if at > began else 0.0
