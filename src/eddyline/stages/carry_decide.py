"""What decide remembers, carried over to another declaration: what both declare goes on, the rest ends or begins here.

A policy that is declared as before keeps its contests, detectors and cool-downs. One that is new, or declared otherwise,
begins with contests of its own, under the number of the change (`DecideState.generations`): a threshold chosen after
looking at the evidence must not be held against that evidence. Decides nothing; knows no store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import msgspec

from eddyline.policies.detector import ErrorDetector
from eddyline.policies.roll_back import RollBack
from eddyline.records import Place, Rollout
from eddyline.stages.decide import GUARDRAIL, Decide, Decided
from eddyline.stages.deciding import DecideState, Saved, trial_of


@dataclass(frozen=True, kw_only=True)
class Carrying:
    """What of a change concerns deciding.

    `kept` are the policies that are declared as before, by how the ledger calls them. `came` are the seats of new lines,
    `left` the lines that are declared no more, `asked` the seats that are declared in another way, by line, and `learns`
    whether a declared line learns, for those that came or are declared otherwise in that.
    """

    number: int
    kept: Collection[str]
    came: tuple[Place, ...] = ()
    left: Collection[str] = ()
    asked: Mapping[str, Place] = field(default_factory=dict)
    learns: Mapping[str, bool] = field(default_factory=dict)


def carried(
    decide: Decide, raw: bytes, carrying: Carrying, *, at: int, author: str, reason: str
) -> tuple[DecideState, list[Decided]]:
    """The state that another declaration saved, as this one goes on with it, and what is written down of that.

    Proposals of policies that are no more, or are others now, lapse; where seats change, there is a rollout. The champion
    stays.
    """
    state, out = decide.restore(raw), list[Decided]()
    _discount(state, raw)
    _lapse(decide, state, carrying, at, out)
    _forget(state, carrying)
    state.generations = {
        policy.called: state.generations.get(policy.called, 0) if policy.called in carrying.kept else carrying.number
        for policy in decide.policies
    }
    state.generations = {called: number for called, number in state.generations.items() if number}
    state.errors = {
        policy.called: state.errors.get(policy.called) or ErrorDetector(policy.error_above)
        for policy in decide.policies
        if isinstance(policy, RollBack) and policy.error_above is not None
    }
    for line, learns in carrying.learns.items():
        (state.still.discard if learns else state.still.add)(line)
    rollout = seated(state.rollout, carrying, at=at, author=author, reason=reason)
    if rollout is not None:
        decide.put(state, rollout, out)
    else:
        told, uncounted = state.told.copy(), state.uncounted.copy()
        decide.seat(state)
        state.told, state.uncounted = told, uncounted
    return state, out


def seated(rollout: Rollout, carrying: Carrying, *, at: int, author: str, reason: str) -> Rollout | None:
    """The rollout with the seats of the new declaration; None where they stay.

    Who is beside the champion by command or promotion stays there. Keys are dealt anew only where somebody comes who
    answers a share of them: a shadow changes nobody's answer.
    """
    places = tuple(
        msgspec.structs.replace(carrying.asked.get(place.who, place), since=place.since)
        for place in rollout.places
        if line_of(place.who) not in carrying.left
    )
    places = (*places, *(msgspec.structs.replace(place, since=at) for place in carrying.came))
    former = rollout.former
    if former is not None and line_of(former) in carrying.left:
        former = None
    if (places, former) == (rollout.places, rollout.former):
        return None
    revision = rollout.revision + 1
    salt = revision if any(place.mode != "shadow" for place in carrying.came) else rollout.salt
    return msgspec.structs.replace(
        rollout, revision=revision, places=places, former=former, salt=salt, author=author, reason=reason
    )


def line_of(who: str) -> str:
    """The line that somebody is, or is a version of.

    >>> line_of("fraud.deep"), line_of("fraud.deep@1200")
    ('fraud.deep', 'fraud.deep')
    """
    return who.rpartition("@")[0] or who


def _discount(state: DecideState, raw: bytes) -> None:
    """Seats that nobody compared with the champion were no contest: those that begin now are the first."""
    bouts = msgspec.msgpack.decode(raw, type=Saved).bouts
    begun = {trial_of(who, more[0] if more else 0) for _, who, _, _, _, _, _, _, *more in bouts}
    idle = [trial for trial in state.trials if trial not in begun and trial != state.rollout.former]
    for trial in idle:
        del state.trials[trial]
    state.tried = max(0, state.tried - len(idle))


def _lapse(decide: Decide, state: DecideState, carrying: Carrying, at: int, out: list[Decided]) -> None:
    """Proposals that nobody can stand by any more."""
    for number, proposal in list(state.proposed.items()):
        line = line_of(proposal.subject)
        if proposal.policy in carrying.kept and line not in carrying.left:
            continue
        decide.answered(state, proposal)
        why = "is declared otherwise now, or no more" if line not in carrying.left else f"was about {line}, which left"
        reason = f"decision {number}: {proposal.policy} {why}: {proposal.reason}"
        out.append(decide.decided(state, proposal.policy, proposal.action, proposal.subject, "lapsed", at, reason=reason))


def _forget(state: DecideState, carrying: Carrying) -> None:
    """What was remembered of policies that are declared otherwise now, or no more."""
    kept = {*carrying.kept, GUARDRAIL.called}
    for by_policy in (state.acted_at, state.alerted_at, state.errors):
        for called in by_policy.keys() - kept:
            del by_policy[called]
    state.cooling = {mark: at for mark, at in state.cooling.items() if mark.partition("/")[0] in kept}
    state.told = {mark for mark in state.told if mark.partition("/")[0] in kept}
    state.uncounted = {mark: many for mark, many in state.uncounted.items() if mark.partition(":")[0] in kept}
