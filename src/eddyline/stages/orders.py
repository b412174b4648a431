"""What becomes of a command: checked against what exists, then the same effects as a policy's, with a person's name on them.

A command that cannot be obeyed is a dead letter that says why. Knows nothing of evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from eddyline.records import DeadLetter, Decision, Place, Reason, Rollout
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import LIVE, Command, version_of
from eddyline.stages.lines import Entry
from eddyline.stages.refuse import refuse
from eddyline.stages.rollouts import place_of, put_in_force, with_place, without

if TYPE_CHECKING:
    from eddyline.stages.decide import Decide, DecideState

Out = list[Rollout | Decision | Entry | DeadLetter]


class RefusedError(Exception):
    """A command cannot be obeyed: why, in words."""


def obeyed(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int]) -> Out:
    """What a command comes to: its effects, then the decision that records it; or a dead letter."""
    out: Out = []
    try:
        _DO[command.do](decide, state, command, at, positions, out)
    except (RefusedError, EddylineError) as refused:
        return [refuse("commands", Reason.UNKNOWN_VERSION, str(refused), command, event_id=command.to or str(command.number))]
    return out


def _roll_out(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    who = decide.model if command.to == LIVE else command.to
    _check(decide, state, who, positions)
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
        if entry.name in positions or entry.name in state.entries:
            raise RefusedError(f"there is a line {entry.name} already; give the newcomer a name of its own")
        if entry.like in state.entries:
            entry = msgspec.structs.replace(entry, like=state.entries[entry.like].like)
        if entry.like not in positions or (entry.after is not None and version_of(entry.after)[0] not in positions):
            raise RefusedError(
                f"{entry.name}: like {entry.like}, after {entry.after}: one is not there; known: {_known(positions)}"
            )
        state.entries[entry.name] = entry
        if not entry.learns:
            state.still.add(entry.name)
        out.append(entry)
    elif place is not None:
        _check(decide, state, place.who, positions)
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
    if place_of(state.rollout, command.to) is None:
        seats = ", ".join(place.who for place in state.rollout.places) or "nobody"
        raise RefusedError(f"{command.to} has no seat beside the champion; there: {seats}")
    decide.put(state, without(state.rollout, command.to, author=command.author, reason=command.reason), out)
    _written(decide, state, command, command.to, at, out)


def _approve(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    proposal = _proposal(state, command)
    if proposal.action == "promote":
        _check(decide, state, proposal.subject, positions)
    del state.proposed[proposal.number]
    decide.effect(state, proposal.action, proposal.subject, at, command.author, proposal.reason, out)
    reason = command.reason or f"decision {proposal.number}: {proposal.reason}"
    out.append(
        decide.decided(
            state, proposal.policy, proposal.action, proposal.subject, "approved", at,
            reason=reason, author=command.author, evidence={"proposal": proposal.number, **proposal.evidence},
        )
    )  # fmt: skip


def _reject(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
    proposal = _proposal(state, command)
    del state.proposed[proposal.number]
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


def _observe(decide: Decide, state: DecideState, command: Command, at: int, positions: Mapping[str, int], out: Out) -> None:
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
    "observe": _observe,
}


def _written(decide: Decide, state: DecideState, command: Command, subject: str, at: int, out: Out) -> None:
    """The decision that records a command."""
    reason = command.reason
    out.append(decide.decided(state, "operator", command.do, subject, "done", at, reason=reason, author=command.author))


def _proposal(state: DecideState, command: Command) -> Decision:
    proposal = state.proposed.get(command.number)
    if proposal is None:
        waiting = ", ".join(map(str, state.proposed)) or "nothing"
        raise RefusedError(f"decision {command.number} does not wait for approval; waiting: {waiting}")
    return proposal


def _check(decide: Decide, state: DecideState, who: str, positions: Mapping[str, int]) -> None:
    """Refuses whom nobody can ask: a line that is not there, or a position that was not reached."""
    if "@" not in who:
        if who not in positions or who in state.ended:
            raise RefusedError(f"there is no line {who} that goes on; known: {_known(positions)}")
        return
    try:
        line, position = version_of(who)
    except EddylineError as error:
        raise RefusedError(str(error)) from error
    if position > positions.get(line, -1):
        raise RefusedError(f"{who} does not exist; the learner is at {line}@{positions.get(line, 0)}")


def _known(positions: Mapping[str, int]) -> str:
    return ", ".join(f"{line}@{position}" for line, position in positions.items())
