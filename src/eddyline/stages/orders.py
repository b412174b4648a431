"""What becomes of a command: checked against what exists, then the same effects as a policy's, with a person's name on them.

A command that cannot be obeyed is a dead letter that says why. Knows nothing of evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from eddyline.records import DeadLetter, Decision, Place, Reason, Rollout
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import LIVE, Command, version_of
from eddyline.stages.lines import Entry
from eddyline.stages.refuse import refuse
from eddyline.stages.rollouts import champion_of, place_of, put_in_force, with_place, without

if TYPE_CHECKING:
    from eddyline.stages.decide import Decide
    from eddyline.stages.deciding import DecideState

Out = list[Rollout | Decision | Entry | DeadLetter]


class RefusedError(Exception):
    """A command cannot be obeyed: why, in words."""


def obeyed(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int]) -> Out:
    """What a command comes to: its effects, then the decision that records it; or a dead letter."""
    problem = problem_with(decide, state, command, positions)
    if problem is not None:
        return [refused(command, problem)]
    out: Out = []
    _DO[command.do](decide, state, command, at, positions, out)
    return out


def refused(command: Command, problem: str) -> DeadLetter:
    """The dead letter for a command that cannot be obeyed."""
    about = command.to or (command.entry.name if command.entry else str(command.number))
    return refuse("commands", Reason.UNKNOWN_VERSION, problem, command, event_id=about)


def problem_with(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> str | None:
    """Why a command cannot be obeyed, as far as it can be told without a model; None where it can. Changes nothing."""
    check = _CHECKS.get(command.do)
    if check is None:
        return None
    try:
        check(decide, state, command, positions)
    except (RefusedError, EddylineError) as problem:
        return str(problem)
    return None


def _check_roll_out(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> None:
    _check(decide, state, decide.model if command.to == LIVE else command.to, positions)


def _check_enter(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> None:
    entry, place = command.entry, command.place
    if place is not None and place.mode != "shadow" and not 0.0 < place.share < 1.0:
        raise RefusedError(f"a {place.mode} answers a share of keys between 0 and 1, not {place.share!r}")
    if entry is None:
        who = place.who if place is not None else command.to
        _check(decide, state, who, positions)
        if who == champion_of(state.rollout, decide.model):
            raise RefusedError(f"{who} is the champion; a seat beside it is for somebody else")
        return
    if not _names_line(decide, entry.name):
        raise RefusedError(f"{entry.name[:200]!r} is not the name of a line; write {decide.model}.name, in lower case")
    if entry.name in positions or entry.name in state.entries:
        raise RefusedError(f"there is a line {entry.name} already; give the newcomer a name of its own")
    like = _root(state, entry.like)
    if like not in positions or like in state.entries:
        raise RefusedError(f"{entry.name}: there is no line {entry.like[:200]!r} to be like; known: {_known(positions)}")
    start, _ = version_of(entry.start)
    if start != entry.name and _root(state, start) != like:
        raise RefusedError(f"{entry.name} is like {like}, and {entry.start} is another kind of model")
    if entry.after is not None:
        source, reached = version_of(entry.after)
        if source not in positions or reached > positions[source]:
            raise RefusedError(f"{entry.name}: {entry.after} was not reached; known: {_known(positions)}")
        if _root(state, source) != like:
            raise RefusedError(f"{entry.name} is like {like}, and cannot learn what {source} saw")


def _names_line(decide: Decide, name: str) -> bool:
    """Whether a newcomer may be called so."""
    return re.fullmatch(rf"{re.escape(decide.model)}\.[a-z0-9][a-z0-9_-]{{0,62}}", name) is not None


def _check_leave(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> None:
    if place_of(state.rollout, command.to) is None:
        seats = ", ".join(place.who for place in state.rollout.places) or "nobody"
        raise RefusedError(f"{command.to} has no seat beside the champion; there: {seats}")


def _check_proposal(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> None:
    proposal = state.proposed.get(command.number)
    if proposal is None:
        waiting = ", ".join(map(str, state.proposed)) or "nothing"
        raise RefusedError(f"decision {command.number} does not wait for approval; waiting: {waiting}")
    if command.do == "approve" and decide.outdated(state, proposal):
        raise RefusedError(f"decision {command.number} was about another champion, or about somebody who has left; reject it")
    turned = _turned(state, proposal) if command.do == "approve" else None
    if turned is not None:
        raise RefusedError(
            f"decision {command.number} is no longer so: {proposal.subject} is now {turned}; reject it, "
            f"or put it in charge yourself: eddyline rollback FILE {proposal.subject}"
        )


def _turned(state: DecideState, proposal: Decision) -> str | None:
    """The verdict that speaks against a promotion by now, as clearly as another one spoke for it; None where none does."""
    needed, loss = proposal.evidence.get("evidence_needed"), proposal.evidence.get("loss")
    if proposal.action != "promote" or not isinstance(needed, float):
        return None
    for bout in state.bouts:
        theirs = bout.generation == state.generations.get(proposal.policy, 0) and bout.who == proposal.subject
        if theirs and bout.loss.name == loss and bout.contest.reached("worse", needed):
            return bout.contest.verdict(needed).sentence()
    return None


def _root(state: DecideState, line: str) -> str:
    """The declared line that a line is like: itself, where it is one."""
    return state.entries[line].like if line in state.entries else line


def _roll_out(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    who = decide.model if command.to == LIVE else command.to
    if who not in decide.still:
        state.still.discard(who)  # it may have been left behind by a branch; who answers live learns
    rollout = put_in_force(
        state.rollout, who, decide.model, keep=decide.guards, at=at, author=command.author, reason=command.reason
    )
    decide.put(state, rollout, out)
    _written(decide, state, command, who, at, out)


def _enter(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    entry, place = command.entry, command.place
    if entry is not None:
        entry = msgspec.structs.replace(entry, like=_root(state, entry.like))
        state.entries[entry.name] = entry
        if not entry.learns:
            state.still.add(entry.name)
        out.append(entry)
    who = entry.name if entry is not None else place.who if place is not None else command.to
    rollout, author, reason = state.rollout, command.author, command.reason
    if command.to:
        if entry is not None and entry.after is not None:
            state.still.add(version_of(entry.after)[0])
        rollout = put_in_force(rollout, who, decide.model, keep=False, at=at, author=author, reason=reason)
        if entry is not None and entry.skip:
            rollout = msgspec.structs.replace(rollout, former=None)  # nobody goes back to what was to be forgotten
    else:
        seat = Place(who, "shadow") if place is None else place
        rollout = with_place(rollout, msgspec.structs.replace(seat, who=who, since=at), author=author, reason=reason)
    decide.put(state, rollout, out)
    _written(decide, state, command, who, at, out)


def _leave(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    decide.put(state, without(state.rollout, command.to, author=command.author, reason=command.reason), out)
    _written(decide, state, command, command.to, at, out)


def _approve(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    proposal = state.proposed[command.number]
    decide.answered(state, proposal)
    decide.effect(state, proposal.action, proposal.subject, at, command.author, proposal.reason, out)
    if proposal.action == "freeze":
        state.frozen_by = proposal.policy  # it is the policy's to end, whoever agreed
    reason = command.reason or f"decision {proposal.number}: {proposal.reason}"
    out.append(
        decide.decided(
            state, proposal.policy, proposal.action, proposal.subject, "approved", at,
            reason=reason, author=command.author, evidence={"proposal": proposal.number, **proposal.evidence},
        )
    )  # fmt: skip


def _reject(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    proposal = state.proposed[command.number]
    decide.answered(state, proposal, refused=True)
    reason = command.reason or f"decision {proposal.number} was rejected"
    out.append(
        decide.decided(
            state, proposal.policy, proposal.action, proposal.subject, "rejected", at,
            reason=reason, author=command.author, evidence={"proposal": proposal.number},
        )
    )  # fmt: skip


def _simple(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    decide.effect(state, command.do, command.to, at, command.author, command.reason, out)
    _written(decide, state, command, command.to, at, out)


def _check_hold(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> None:
    if command.place is None or not _names_line(decide, command.place.who):
        raise RefusedError(f"hold says for whom: place=Place({decide.model + '.r1'!r}, 'shadow')")
    if command.place.who in positions or command.place.who in state.entries:
        raise RefusedError(f"there is a line {command.place.who} already; give the newcomer a name of its own")
    if "@" in command.to:
        raise RefusedError(f"{command.to} is a version, and learns nothing; name a line: {_known(positions)}")
    _check(decide, state, command.to, positions)


def _hold(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    """Nothing changes here; the decision says from which position on."""
    assert command.place is not None
    known = {"line": command.to, "position": positions[command.to]}
    out.append(
        decide.decided(
            state, "operator", "hold", command.place.who, "done", at,
            reason=command.reason, author=command.author, evidence=known,
        )
    )  # fmt: skip


def _check_change(decide: Decide, state: DecideState, command: Command, positions: Mapping[str, int]) -> None:
    raise RefusedError("a declaration is taken up where nobody runs: eddyline change FILE")


def _observe(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    if state.roll is not None and command.to in state.roll.parties:
        state.latency_ms[command.to] = command.value


_Obey = Callable[["Decide", "DecideState", Command, int, Mapping[str, int], Out], None]
_DO: dict[str, _Obey] = {
    "roll_out": _roll_out,
    "enter": _enter,
    "leave": _leave,
    "approve": _approve,
    "reject": _reject,
    "freeze": _simple,
    "resume": _simple,
    "quarantine": _simple,
    "release": _simple,
    "turn_away": _simple,
    "hold": _hold,
    "observe": _observe,
}


_CHECKS: dict[str, Callable[[Decide, DecideState, Command, Mapping[str, int]], None]] = {
    "roll_out": _check_roll_out,
    "enter": _check_enter,
    "leave": _check_leave,
    "approve": _check_proposal,
    "reject": _check_proposal,
    "hold": _check_hold,
    "change": _check_change,
}


def _written(decide: Decide, state: DecideState, command: Command, subject: str, at: int, out: Out) -> None:
    """The decision that records a command."""
    reason = command.reason
    out.append(decide.decided(state, "operator", command.do, subject, "done", at, reason=reason, author=command.author))


def _check(decide: Decide, state: DecideState, who: str, positions: Mapping[str, int]) -> None:
    """Refuses whom nobody can ask: a line that is not there, or a position that was not reached."""
    if "@" not in who:
        if who not in positions or who in state.ended:
            raise RefusedError(f"there is no line {who} that goes on; known: {_known(positions)}")
        return
    line, position = version_of(who)
    if position > positions.get(line, -1):
        raise RefusedError(f"{who} does not exist; the learner is at {line}@{positions.get(line, 0)}")


def _known(positions: Mapping[str, int]) -> str:
    return ", ".join(f"{line}@{position}" for line, position in positions.items())
