"""Simulated contests, looked at after every event through the public policies.

A run is a row of gains in {-1, 0, 1}: the challenger's wins, ties and losses in event order. Evidence changes only at a
disagreement, and cannot be reached where no bet could have reached it (`ceiling_pairs`, here over whole rows), so only
there is the policy asked; `first_action_looking_everywhere` asks after each event and must find the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddyline.policies import Action, Contest, Now, Policy, zero_one
from eddyline.records import Output

Row = NDArray[np.int8]
NAME = "fraud.deep"
RIGHT, WRONG = Output("fine"), Output("fraud")
FOUND = tuple[str, int] | None


def rows(runs: int, events: int, wins: float, losses: float, seed: int) -> Iterator[Row]:
    """Runs in which each event is a win or a loss of the challenger with these probabilities."""
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        drawn = rng.random(events)
        yield (np.where(drawn < wins, 1, 0) - np.where((drawn >= wins) & (drawn < wins + losses), 1, 0)).astype(np.int8)


def ceilings(up: NDArray[Any], down: NDArray[Any]) -> NDArray[Any]:
    """`ceiling_pairs` over whole columns."""
    both = up + down
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.where(up > 0, up * np.log(2 * up / both), 0.0) + np.where(down > 0, down * np.log(2 * down / both), 0.0)
    return np.where(up > down, best, 0.0)


def seen_by(policy: Policy, contest: Contest, at: int) -> Action | None:
    return policy.look(Now(at=at, champion="fraud", contests={NAME: contest}))


def first_action(policy: Policy, row: Row, evidence: float, lost: Row | None = None) -> FOUND:
    """The first action of the policy in a run, and after how many events. `lost` are the gains that nobody labelled."""
    unknown = np.zeros_like(row) if lost is None else np.abs(lost)
    places = np.flatnonzero(np.abs(row) + unknown)
    won, lost_known = np.cumsum(row[places] > 0), np.cumsum(row[places] < 0)
    missing = np.cumsum(unknown[places], dtype=np.int64)
    best = np.maximum(ceilings(won, lost_known + missing), ceilings(lost_known, won + missing))
    columns = np.stack([won, lost_known, missing, places + 1])
    contest, before = Contest.new(zero_one()), np.zeros(4, dtype=np.int64)
    for place in np.flatnonzero(best >= math.log(evidence) - 1e-9):
        wins, losses, unlabelled, events = (columns[:, place] - before).tolist()
        contest.count(wins=wins, losses=losses, unlabelled=unlabelled, ties=events - wins - losses - unlabelled)
        before = columns[:, place]
        action = seen_by(policy, contest, int(before[3]))
        if action is not None:
            return action.kind, int(before[3])
    return None


def first_action_looking_everywhere(policy: Policy, row: Row, lost: Row | None = None, *, dropped: bool = False) -> FOUND:
    """The same, pair by pair, with a look after each event. `dropped` leaves out what nobody labelled, as one should not."""
    contest = Contest.new(zero_one())
    unknown = np.zeros_like(row) if lost is None else lost
    for event, (gain, gone) in enumerate(zip(row.tolist(), unknown.tolist(), strict=True), 1):
        champion, challenger = (WRONG, RIGHT) if gain + gone > 0 else (RIGHT, WRONG) if gain + gone < 0 else (RIGHT, RIGHT)
        if not gone:
            contest.add(champion, challenger, "fine")
        elif not dropped:
            contest.add(champion, challenger, known=False)
        action = seen_by(policy, contest, event)
        if action is not None:
            return action.kind, event
    return None


@dataclass(frozen=True, kw_only=True)
class NaiveZ(Policy):
    """The rule that everybody writes: a z-test at 5 %, looked at after each event."""

    def look(self, now: Now) -> Action | None:
        sums = now.contests[NAME].sums
        decided = sums.wins + sums.losses
        z = (sums.wins - sums.losses) / math.sqrt(decided) if decided else 0.0
        if abs(z) < 1.96:
            return None
        return Action(kind="promote" if z > 0 else "retire", subject=NAME, reason=f"z = {z:.2f}")

    def sentence(self) -> str:
        return "promote at z of at least 1.96"


def first_action_of_naive(row: Row) -> FOUND:
    """Where the z-rule acts first: found over the whole row, then asked of the policy itself."""
    places = np.flatnonzero(row)
    sums = np.cumsum(row[places], dtype=np.int64)
    hits = np.flatnonzero(np.abs(sums) >= 1.96 * np.sqrt(np.arange(1, len(sums) + 1)))
    if not len(hits):
        return None
    wins, losses = (int((row[places[: hits[0] + 1]] == side).sum()) for side in (1, -1))
    contest, events = Contest.new(zero_one()), int(places[hits[0]]) + 1
    contest.count(wins=wins, losses=losses, ties=events - wins - losses)
    action = seen_by(NaiveZ(), contest, events)
    assert action is not None
    return action.kind, events
