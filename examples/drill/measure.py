"""From runs to a row of the report: when a fault was found, when somebody acted, and what that was worth.

An alert or a decision counts as found only where the same policies, on the same slice without the fault, did not say the same
within `NEAR` answers. Knows no stream and no table.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import msgspec
from examples.drill.arms import Ran
from examples.drill.faults import Fault
from examples.drill.streams import Slice

from eddyline.records.time import show_duration

NEAR = 200
ACTS = ("roll_back", "freeze", "quarantine", "retrain", "promote")
Said = tuple[str, int]
"""What was said, and at which event time."""


class Row(msgspec.Struct, frozen=True):
    """One fault at one place of one stream. Losses are sums over the answers since the fault, under the policies' loss.

    `detected_after` and `acted_after` count answers, the `_us` beside them are event time; None where nobody did.
    """

    stream: str
    place: int
    fault: str
    answers: int
    detected_by: str | None
    detected_after: int | None
    detected_us: int | None
    acted_by: str | None
    acted_after: int | None
    acted_us: int | None
    clean: float
    never: float
    policy: float
    oracle: float
    oracle_did: str
    decisions: list[dict[str, Any]]

    @property
    def avoided(self) -> float:
        """What the policies saved."""
        return self.never - self.policy

    @property
    def avoidable(self) -> float:
        """What could have been saved by somebody who knew."""
        return self.never - self.oracle


def first_new(found: Iterable[Said], usual: Sequence[Said], given: Slice) -> Said | None:
    """The first that was said since the fault, and not about there without it."""
    for what, at in found:
        since = given.since(at)
        if at >= given.struck_at and not any(what == other and abs(given.since(then) - since) <= NEAR for other, then in usual):
            return what, at
    return None


def alerts(ran: Ran) -> list[Said]:
    """What monitors said."""
    return [(alert.monitor, alert.at) for alert in ran.alerts]


def acts(ran: Ran) -> list[Said]:
    """What policies did that changes something."""
    return [(one.action, one.at) for one in ran.decisions if one.action in ACTS and one.policy != "operator"]


def answers_between(given: Slice, at: int) -> int:
    """How many answers were given between the fault and an event time."""
    return max(0, bisect_right(given.ats, at) - given.place)


def switched(before: Sequence[float | None], after: Sequence[float | None]) -> tuple[float, int]:
    """The least loss of going from one to the other at a moment chosen in hindsight, and that moment."""
    gains = [(one or 0.0) - (other or 0.0) for one, other in zip(before, after, strict=True)]
    kept = list(accumulate(gains, initial=0.0))
    least = min(range(len(kept)), key=lambda moment: (kept[moment], moment))
    return sum(loss or 0.0 for loss in after) + kept[least], least


def best(never: Ran, frozen: Ran) -> tuple[float, str]:
    """What somebody would have come to who knew of the fault when it struck, and chose in hindsight what to do."""
    fresh, moment = switched(never.losses, never.beside)
    choices = [
        (never.total, "did nothing"),
        (frozen.total, "froze learning while it lasted"),
        (fresh, f"put a fresh model in force after {moment:,} answers"),
    ]
    return min(choices, key=lambda choice: choice[0])


def row(
    given: Slice, fault: Fault, place: int, runs: tuple[Ran, Ran], clean: tuple[Ran, Ran], oracle: tuple[float, str]
) -> Row:
    """The row of one fault: `runs` and `clean` are without and with policies, on the fault and without it."""
    never, policy = runs
    did, usual = acts(policy), acts(clean[1])
    acted = first_new([one for one in did if one[0] == fault.answered_by], usual, given)
    news = [first_new(alerts(policy), alerts(clean[1]), given), first_new(did, usual, given)]
    seen = min((one for one in news if one is not None), key=lambda one: one[1], default=None)
    return Row(
        stream=given.stream.name,
        place=place,
        fault=fault.name,
        answers=len(never.losses),
        detected_by=None if seen is None else seen[0],
        detected_after=None if seen is None else answers_between(given, seen[1]),
        detected_us=None if seen is None else seen[1] - given.struck_at,
        acted_by=None if acted is None else acted[0],
        acted_after=None if acted is None else answers_between(given, acted[1]),
        acted_us=None if acted is None else acted[1] - given.struck_at,
        clean=clean[0].total,
        never=never.total,
        policy=policy.total,
        oracle=oracle[0],
        oracle_did=oracle[1],
        decisions=[
            {"after": answers_between(given, one.at), "policy": one.policy, "action": one.action, "subject": one.subject}
            for one in policy.decisions
            if one.at >= given.struck_at and one.action != "alert"
        ],
    )


def when(after: int | None, us: int | None) -> str:
    """A time in answers and in event time."""
    if after is None or us is None:
        return "never"
    hour = 3_600_000_000
    return f"{after:,} ({show_duration(us // hour * hour) if us >= hour else 'under an hour'})"
