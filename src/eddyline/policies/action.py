"""What a policy looks at and what it may ask for.

`Now` is everything a policy may know: it is made of records alone, so the same journal gives the same actions. `Action` is
a wish; the decide stage numbers it, holds it back (cool-down, approval, dry run) and writes it down. Neither does
anything by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from eddyline.policies.contest import Contest
from eddyline.policies.detector import ErrorDetector
from eddyline.policies.health import Health
from eddyline.policies.split import SplitContest
from eddyline.records import Alert, Place

Kind = Literal["promote", "roll_back", "retire", "retrain", "freeze", "resume", "quarantine", "release", "alert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a policy asks for: `kind` about `subject` (a line, a version or a segment), why, and from which numbers.

    `evidence` is plain finite values from which the reason can be computed again.
    """

    kind: Kind
    subject: str
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """Which challenger of the pipeline this is, from 1, and how many before it were promoted: for `ELond`."""

    number: int = 1
    promoted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The state of a pipeline at one point of its input, as one policy may see it.

    `contests` and `former` are under the loss of the policy that looks (`policy.loss_used`), `acted_at` is its own.
    """

    at: int
    """event time in µs"""
    champion: str
    """who answers: a line or a version"""
    began_at: int = 0
    """event time (µs) of the pipeline's first event"""
    champion_since: int = 0
    """event time (µs) when it took its seat"""
    acted_at: int | None = None
    """event time (µs) of this policy's last action that was carried out or proposed; None before the first"""
    contests: Mapping[str, Contest | SplitContest] = field(default_factory=dict)
    """by challenger: its contest against the present champion"""
    trials: Mapping[str, Trial] = field(default_factory=dict)
    """by challenger: its number among all that were tried"""
    places: Mapping[str, Place] = field(default_factory=dict)
    """by challenger: its place"""
    former: Contest | None = None
    """the champion against the one before it, which sits in the challenger's seat: a worse champion is "better" here"""
    former_name: str | None = None
    """who was champion before; None when there is nobody to go back to"""
    error: ErrorDetector | None = None
    """the detector of this policy's `error_above`, fed with the champion's labelled losses over their clip"""
    health: Mapping[str, Health] = field(default_factory=dict)
    """by line, the champion's too"""
    alerts: Sequence[Alert] = ()
    """raised since this policy's last look"""
    labels_per_s: float | None = None
    """matured pairs a second of event time, for "about T"; None when not known"""
    frozen_since: int | None = None
    """event time (µs) since when learning is frozen; None when it is not"""
    frozen_by: str | None = None
    """who froze it: a policy, as the ledger calls it, or a person"""
    alerted_at: int | None = None
    """event time (µs) of the newest alert that this policy `matches`; None before the first"""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """by segment: event time (µs) since when it is in quarantine"""

    @property
    def frozen(self) -> bool:
        """Whether learning is frozen."""
        return self.frozen_since is not None
