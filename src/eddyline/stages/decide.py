"""Decide: who answers from here on. A pure function of what is recorded: answers, truths, alerts and commands.

Policies look at fixed places of what was recorded, every `look_every` answers and truths, so decisions depend neither on
how inputs were cut into batches nor on what came twice, and a backtest on the journal is the run itself. Each decision
carries the evidence that it was made on. Keeps `named` (each rollout has a revision, an author and a reason),
`one-writer`, `split` and I17. Knows nothing of models' bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import msgspec

from eddyline.policies.action import Action, Now, Trial
from eddyline.policies.contest import Contest
from eddyline.policies.detector import ErrorDetector
from eddyline.policies.health import Health, Pulse
from eddyline.policies.losses import Loss
from eddyline.policies.order import InOrder
from eddyline.policies.policy import Policy
from eddyline.policies.roll_back import RollBack
from eddyline.records import (
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
from eddyline.records.errors import DeclarationError
from eddyline.records.time import BEGINNING, to_us
from eddyline.stages.bouts import DROPPED, Bout, Fault, Roll, output_of, plain_answer
from eddyline.stages.commands import Command
from eddyline.stages.deciding import DecideState, beat, beat_together, restored_state, saved_state, trial_of
from eddyline.stages.lines import Entry
from eddyline.stages.orders import obeyed, problem_with, refused
from eddyline.stages.rollouts import as_written, cannot, champion_of, place_of, put_in_force, without
from eddyline.stages.unison import taken_together

Decided = Rollout | Decision | Entry | DeadLetter
"""What deciding comes to, in order."""
LOOK_EVERY = 100
REASONS = 100
"""So many policies and reasons are told apart when losses cannot be computed."""
GUARDRAIL = RollBack(name="guardrail")
"""What keeps challengers that fail away from callers where the pipeline declares no `RollBack` that acts."""
_OF_ALL = ("retrain", "freeze", "resume")
"""What is done for the pipeline, whoever is champion."""
LASTING = ("promote", "retire", "roll_back", "release", "resume")
"""What is wished for at every look while its reason lasts: who said no is not asked a hundred times."""
FAILURES = (Reason.MODEL_FAILED.value, Reason.NOT_FINITE.value)
"""Why an event has no answer where the champion is to blame."""


@dataclass(slots=True)
class _Known:
    """What policies were shown at one look, and who of ours wished for nothing; whoever changes anything forgets it."""

    shown: dict[str, Now] = field(default_factory=dict)
    """by policy"""
    everyone: dict[str, Any] | None = None
    """what is the same for all"""
    idle: set[str] = field(default_factory=set)

    def clear(self) -> None:
        """Forgets it."""
        self.shown.clear()
        self.idle.clear()
        self.everyone = None


@dataclass(frozen=True, slots=True)
class Decide:
    """Decides for one pipeline: `model` is the name that its versions carry, `places` are taken from the start."""

    model: str
    task: Task = Task.CLASSIFICATION
    policies: tuple[Policy, ...] = ()
    places: tuple[Place, ...] = ()
    still: tuple[str, ...] = ()
    look_every: int = LOOK_EVERY
    guards: bool = field(init=False, repr=False, compare=False)
    """whether a policy compares the champion with the one before it"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "guards", any(map(_rolls_back, self.policies)))
        called = [policy.called for policy in self.policies]
        for policy in self.policies:
            policy.check(self.task)
            if called.count(policy.called) > 1:
                raise DeclarationError(
                    f"decide: two policies are called {policy.called!r}, and the ledger could not tell them apart\n"
                    f'name one of them: {type(policy).__name__}(name="strict", ...)'
                )

    @property
    def losses(self) -> dict[str, Loss]:
        """The losses that policies look at, by key."""
        found = [policy.loss_used for policy in self.policies]
        return {loss.key: loss for loss in found if loss is not None}

    def contested(self, state: DecideState) -> dict[int, list[Loss]]:
        """The losses under which everybody beside the champion has a bout, by the generation of the policies that look."""
        found: dict[int, dict[str, Loss]] = {}
        for policy in self.policies:
            loss = policy.loss_used
            if loss is not None:
                found.setdefault(state.generations.get(policy.called, 0), {})[loss.key] = loss
        return {generation: list(losses.values()) for generation, losses in sorted(found.items())} or {0: []}

    def new_state(self) -> DecideState:
        """Before any command the learner answers (or the last published version)."""
        start = Rollout(0, None, "eddyline", "the pipeline's start", self.places)
        state = DecideState(start, still=set(self.still))
        self.seat(state)
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
        judged = state.judged(self._guard_of(state))
        if not taken_together(state, records, judged):
            self._one_by_one(state, records, judged)
        for letter in dead:
            if letter.stream == "events" and letter.reason in FAILURES:
                state.record += 1
                assert state.roll is not None, "nobody answers"
                state.failed(state.roll.champion, letter.reason)
        return state.record // self.look_every > looks

    def _one_by_one(
        self, state: DecideState, records: Sequence[Prediction | Example | Unlabelled], judged: Sequence[Bout]
    ) -> None:
        """Takes answers and what became of them, whatever they are."""
        revision, roll, bouts, pulses = state.rollout.revision, state.roll, state.bouts, state.pulses
        quarantined, together = state.quarantined, 0
        assert roll is not None
        waiting = [bout.order for bout in bouts]
        if state.errors or len(state.expected):
            waiting.append(state.expected)
        for record in records:
            if type(record) is Prediction:
                if state.began_at is None:
                    state.began_at = record.at
                counts = record.revision == revision and not (quarantined and state.apart(record.segment))
                if state.errors and counts:
                    said = record if not record.others else roll.said(record, roll.champion)
                    state.expected.expect(record.at, record.event_id, plain_answer(said), record.segment)
                if not record.others:
                    together = beat_together(pulses, roll, together)
                    pulses[roll.champion].add()
                    continue
                heard: Sequence[Prediction | Said | None] | None = roll.together(record, record.others)
                if heard is not None:
                    together += 1
                else:
                    together = beat_together(pulses, roll, together)
                    heard = roll.heard(record)
                    beat(pulses, roll, heard)
                if counts:
                    for bout in judged:
                        bout.answered(roll, record, heard, state.still)
            elif type(record) is Example:
                if record.revision == 0:
                    event_id, truth = record.prediction.event_id, [record.truth]
                    for order in waiting:
                        order.settle(event_id, truth)
            elif type(record) is Unlabelled:
                state.expected.settle(record.prediction.event_id, DROPPED)
                for bout in bouts:
                    bout.expired(record.prediction.event_id)
        beat_together(pulses, roll, together)

    def room(self, state: DecideState) -> int:
        """How many records may come before it is time to look."""
        return self.look_every - state.record % self.look_every

    # Looking ---------------------------------------------------------------------------------------------------------

    def look(self, state: DecideState, watermark: int) -> list[Decided]:
        """Lets every policy look, in the order of their declaration; each sees what those before it have done.

        Before them all, challengers that trip a guardrail lose their seats.
        """
        out: list[Decided] = []
        self._ripen(state, watermark, out)
        self._lapse(state, watermark, out)
        known = self._guard(state, watermark, out)
        for policy in self.policies:
            if policy.called in known.idle:
                continue
            for action in self._wanted(state, policy, watermark, out, known):
                known.clear()
                if self._act(state, policy, action, watermark, out):
                    break
        state.alerts.clear()
        return out

    def _wanted(self, state: DecideState, policy: Policy, at: int, out: list[Decided], known: _Known) -> Iterator[Action]:
        """What a policy wants and what can be done. One of the user's that raises, or wants what nobody can, is told of."""
        called, idle = policy.called, True
        ours = type(policy).__module__.startswith("eddyline.")
        try:
            now = known.shown.get(called)
            if now is None:
                matching = [alert.at for alert in state.alerts if policy.matches(alert)]
                if matching:
                    state.alerted_at[called] = max(*matching, state.alerted_at.get(called, BEGINNING))
                now = known.shown[called] = self._now(state, policy, at, known)
            for action in policy.wanted(now):
                idle = False
                why = cannot(state.rollout, action)
                if why is None:
                    yield action if ours else replace(action, evidence=as_written(action.evidence))
                else:
                    self._told_once(state, called, why, called, f"it {why}; nothing was done", {}, at, out)
            if idle and ours:
                known.idle.add(called)
        except Exception as error:
            if ours:
                raise
            why = f"raised {type(error).__name__}"  # not its words, which may be others in a replay
            self._told_once(state, policy.called, why, policy.called, f"it {why}; the others look on", {}, at, out)

    def _guard(self, state: DecideState, at: int, out: list[Decided]) -> _Known:
        """Challengers that fail lose their seats before anybody can promote them; what the declared policies were shown."""
        acting = [policy for policy in self.policies if _rolls_back(policy) and not policy.dry_run]
        known = _Known()
        for policy in acting or [GUARDRAIL]:
            for action in self._wanted(state, policy, at, out, known):
                if action.kind == "retire":
                    known.clear()
                    self._act(state, policy, action, at, out)
        return known if acting else _Known()

    def _ripen(self, state: DecideState, watermark: int, out: list[Decided]) -> None:
        """Counts what is mature in the order of events, and what failed since the last look."""
        for bout in state.bouts:
            for fault in bout.ripen(watermark):
                self._uncounted(state, bout.loss, fault, watermark, out, bout.generation)
        for _, event_id, answer, outcome in state.expected.ready(watermark):
            if outcome != DROPPED:
                for policy in self.policies:
                    detector, loss = state.errors.get(policy.called), policy.loss_used
                    if detector is not None and loss is not None and not _left_out(policy, answer):
                        cost, why = loss.judged(outcome[0], output_of(answer))
                        detector.add(cost / loss.clip)
                        if why is not None:
                            self._uncounted(state, loss, (why, event_id), watermark, out)
        for who, (exceptions, not_finite) in state.failing.items():
            pulse = state.pulses.get(who)
            for kind, many in (("exception", exceptions), ("not_finite", not_finite)):
                for _ in range(many if pulse is not None else 0):
                    pulse.add(kind)  # type: ignore[union-attr]
        state.failing.clear()

    def _uncounted(
        self, state: DecideState, loss: Loss, fault: Fault, at: int, out: list[Decided], generation: int | None = None
    ) -> None:
        """A loss could not be computed: counted for each policy that looks at it, and told once for each reason."""
        why, event_id = fault
        for policy in self.policies:
            if policy.loss_used is None or policy.loss_used.key != loss.key:
                continue
            if generation not in (None, state.generations.get(policy.called, 0)):
                continue
            reason = f"its loss {loss.name} {why} on event {event_id!r}; such answers cost the clip of {loss.clip:g}"
            evidence = {"event": event_id, "loss": loss.name, "why": why, "clip": loss.clip}
            self._told_once(state, policy.called, f"its loss {loss.name} {why}", loss.name, reason, evidence, at, out)

    def _told_once(
        self,
        state: DecideState,
        who: str,
        why: str,
        subject: str,
        reason: str,
        evidence: dict[str, Any],
        at: int,
        out: list[Decided],
    ) -> None:
        """An alert about a policy, once under one rollout for each reason; how often it was is counted."""
        mark = f"{who}: {why}"
        if mark not in state.uncounted:
            if len(state.uncounted) >= REASONS:
                return
            out.append(self.decided(state, who, "alert", subject, "done", at, reason=reason, evidence=evidence))
        state.uncounted[mark] = state.uncounted.get(mark, 0) + 1

    def _now(self, state: DecideState, policy: Policy, at: int, known: _Known) -> Now:
        rollout, loss, called = state.rollout, policy.loss_used, policy.called
        everyone = known.everyone
        if everyone is None:
            everyone = known.everyone = self._everyone(state, at)
        generation = state.generations.get(called, 0)
        mine = [
            bout for bout in state.bouts if bout.generation == generation and loss is not None and bout.loss.key == loss.key
        ]
        numbers = {place.who: state.trials.get(trial_of(place.who, generation)) for place in rollout.places}
        former = next((bout.contest for bout in mine if bout.who == rollout.former), None) if rollout.former else None
        guard = self._guard_of(state)
        rate = max([_rate(bout, at, state) for bout in mine], default=0.0)
        return Now(
            acted_at=state.acted_at.get(called),
            contests={bout.who: bout.contest for bout in mine if bout.who != guard},
            trials={who: Trial(number, min(state.promoted, number - 1)) for who, number in numbers.items() if number},
            former=former if isinstance(former, Contest) else None,
            error=state.errors.get(called),
            labels_per_s=rate or None,
            alerted_at=state.alerted_at.get(called),
            **everyone,
        )

    def _everyone(self, state: DecideState, at: int) -> dict[str, Any]:
        """What every policy is shown, whichever it is."""
        rollout, guard = state.rollout, self._guard_of(state)
        champion = champion_of(rollout, self.model)
        began = BEGINNING if state.began_at is None else state.began_at
        names = [champion, *(place.who for place in rollout.places)]
        return {
            "at": at,
            "champion": champion,
            "began_at": began,
            "champion_since": max(began, rollout.since),
            "places": {place.who: _since(place, began) for place in rollout.places if place.who != guard},
            "former_name": rollout.former,
            "health": {name: self._health(state, name) for name in names},
            "alerts": tuple(state.alerts),
            "frozen_since": None if state.frozen_since is None else max(began, state.frozen_since),
            "frozen_by": state.frozen_by,
            "quarantined": {segment: max(began, since) for segment, since in state.quarantined.items()},
        }

    def _guard_of(self, state: DecideState) -> str | None:
        """The champion before, where it sits beside this one to be compared with it, and is no challenger."""
        return state.rollout.former if self.guards else None

    def _health(self, state: DecideState, who: str) -> Health:
        return state.pulses[who].health(state.latency_ms.get(who))

    def _lapse(self, state: DecideState, at: int, out: list[Decided]) -> None:
        """Proposals that nobody approved in time, or whose subject has left meanwhile."""
        if not state.proposed:
            return
        waits = {policy.called: policy.deadline for policy in self.policies}
        for number, proposal in list(state.proposed.items()):
            deadline = waits.get(proposal.policy)
            late = deadline is not None and at - proposal.at >= to_us(deadline)
            if late or self.outdated(state, proposal):
                self.answered(state, proposal)
                why = "was approved by nobody in time" if late else "was about another champion, or one who left"
                reason = f"decision {number} {why}: {proposal.reason}"
                out.append(self.decided(state, proposal.policy, proposal.action, proposal.subject, "lapsed", at, reason=reason))

    def outdated(self, state: DecideState, proposal: Decision) -> bool:
        """Whether a proposal is about a rollout that is no more: another champion answers, or its subject has left."""
        if proposal.action not in ("promote", "retire", "roll_back"):
            return False
        left = proposal.action != "roll_back" and place_of(state.rollout, proposal.subject) is None
        return left or proposal.revision < state.reign

    def answered(self, state: DecideState, proposal: Decision, *, refused: bool = False) -> None:
        """A proposal waits no more; the same may be proposed again.

        Where it was `refused`, and its reason lasts, only under another champion, or when its subject has come back.
        """
        del state.proposed[proposal.number]
        if not (refused and proposal.action in LASTING):
            state.told.discard(_mark(proposal.policy, proposal.action, proposal.subject))

    def _told_still(self, state: DecideState, same: bool) -> set[str]:
        """What was told and need not be told again under a new rollout: what waits, and what is about who is still there."""
        waits = (one for one in state.proposed.values() if not self.outdated(state, one))
        still = {_mark(one.policy, one.action, one.subject) for one in waits}
        if same:
            seated = {place.who for place in state.rollout.places}
            still |= {mark for mark in state.told if _lasts(mark, seated)}
        return still

    def _act(self, state: DecideState, policy: Policy, action: Action, at: int, out: list[Decided]) -> bool:
        """Carries out, proposes or notes what a policy wishes; False where it is to hold still."""
        mark = _mark(policy.called, action.kind, action.subject)
        acted = state.cooling.get(mark)
        if acted is not None and at - acted < to_us(policy.cool_down):
            return False
        status = "dry run" if policy.dry_run else "proposed" if policy.approval else "done"
        if mark in state.told and (status == "proposed" or (status == "dry run" and action.kind in LASTING)):
            return False
        if status == "done":
            self.effect(state, action.kind, action.subject, at, policy.called, action.reason, out)
        else:
            state.told.add(mark)
        state.acted_at[policy.called] = state.cooling[mark] = at
        if policy.called in state.errors and action.kind != "retire":
            state.errors[policy.called] = ErrorDetector(state.errors[policy.called].objective)
        decision = self.decided(
            state, policy.called, action.kind, action.subject, status, at, reason=action.reason, evidence=action.evidence
        )
        if status == "proposed":
            state.proposed[decision.number] = decision
        out.append(decision)
        return True

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
            state.freeze(at, author, self._guard_of(state))
        elif kind == "resume":
            state.frozen_since = state.frozen_by = None
        elif kind == "quarantine":
            state.quarantined[subject] = at
            state.set_apart(subject)
        elif kind == "release":
            state.quarantined.pop(subject, None)

    def put(self, state: DecideState, rollout: Rollout, out: list[Decided]) -> None:
        """Puts a rollout in force."""
        assert rollout.revision == state.rollout.revision + 1, "each rollout has a revision of its own"
        state.rollout = rollout
        self.seat(state)
        out.append(rollout)

    def seat(self, state: DecideState) -> None:
        """Gives everybody beside the champion a bout with it under each loss; those that go on, go on."""
        rollout, before = state.rollout, state.roll
        roll = state.roll = Roll(rollout, self.model)
        if before is None or before.champion != roll.champion:
            state.bouts, state.pulses, state.reign = [], {}, rollout.revision
            state.expected = InOrder()
            state.failing.clear()
            state.errors = {
                policy.called: ErrorDetector(policy.error_above)
                for policy in self.policies
                if isinstance(policy, RollBack) and policy.error_above is not None
            }
        known = {(bout.who, bout.loss.key, bout.share, bout.generation): bout for bout in state.bouts}
        bouts, trials = [], {}
        for place, (generation, losses) in product(rollout.places, self.contested(state).items()):
            share = place.share if place.mode == "split" else None
            trial = trial_of(place.who, generation)
            new = trial not in state.trials
            for loss in losses:
                going_on = known.get((place.who, loss.key, share, generation))
                new = new or going_on is None
                bouts.append(going_on or Bout(roll.champion, place.who, loss, rollout.revision, share, generation))
            if new and not (self.guards and place.who == rollout.former):
                state.tried += 1
            trials[trial] = max(1, state.tried) if new else state.trials[trial]
        state.bouts, state.trials = bouts, trials
        state.pulses = {who: state.pulses.get(who) or Pulse() for who in roll.parties}
        state.latency_ms = {who: ms for who, ms in state.latency_ms.items() if who in roll.parties}
        state.told = self._told_still(state, before is not None and before.champion == roll.champion)
        state.uncounted.clear()

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
        return saved_state(state)

    def restore(self, raw: bytes) -> DecideState:
        """The state that `save` wrote, which goes on as if it had never been saved."""
        return restored_state(raw, self.model, self.losses)

    def problem(self, state: DecideState, command: Command, positions: Mapping[str, int]) -> str | None:
        """Why a command cannot be obeyed, as far as it can be told without making a model; None where it can."""
        return problem_with(self, state, command, positions)

    def step(
        self, state: DecideState, command: Command, at: int, positions: Mapping[str, int], *, problem: str | None = None
    ) -> list[Decided]:
        """What a command comes to, at event time `at`, while the learners stand at `positions`.

        `problem` says why the versions that it needs cannot be made, where they cannot.
        """
        if problem is not None:
            return [refused(command, problem)]
        return obeyed(self, state, command, at, positions)


def _rolls_back(policy: Policy) -> bool:
    """Whether a policy is a `RollBack`; asking an abstract class costs ten times as much."""
    return RollBack in type(policy).__mro__


def _left_out(policy: Policy, answer: Any) -> bool:
    """Whether the objective of a policy counts no such answer: a None. Who could not answer at all is counted as ever."""
    return answer is not None and answer[0] is None and isinstance(policy, RollBack) and policy.silent == "left out"


def _mark(policy: str, action: str, subject: str) -> str:
    """What is told once, and cools down."""
    return f"{policy}/{action}/{'' if action in _OF_ALL else subject}"


def _lasts(mark: str, seated: set[str]) -> bool:
    """Whether what was told is about somebody who is still there."""
    _, action, subject = mark.split("/", 2)
    return action not in ("promote", "retire") or subject in seated


def _since(place: Place, began: int) -> Place:
    """A place as policies see it: nobody had it before the first event."""
    return place if place.since >= began else msgspec.structs.replace(place, since=began)


def _rate(bout: Bout, at: int, state: DecideState) -> float:
    """Matured pairs a second of event time, since the bout's rollout came into force."""
    place = place_of(state.rollout, bout.who)
    return bout.rate(max(0 if place is None else place.since, state.rollout.since, state.began_at or 0), at)
