"""`FreezeLearning`: the model goes on answering and stops learning, while what it would learn from is in doubt. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from eddyline.policies.action import Action, Now
from eddyline.policies.policy import Policy, check_duration, evidence_of, matching, monitors_of
from eddyline.records import Alert
from eddyline.records.time import show_duration, to_us


@dataclass(frozen=True, kw_only=True)
class FreezeLearning(Policy):
    """Stops learning when one of the monitors `on` alerts, and lets it go on after `until`, counted from the last alert.

    For labels that went wrong (a flip, a broken export) and features that broke: what is learned from them spoils the
    model, and nobody should be promoted for what is judged by them. So contests of challengers stand still: what is answered
    meanwhile, and what waited for its truth when it began, counts for none. `RollBack` looks on. `until=None` waits for a
    person: `eddyline resume`. It lets go on only what it froze itself: where a person froze learning, a person resumes it.

    >>> from eddyline.records.time import hours
    >>> FreezeLearning(on=("error_above",), until=hours(6)).sentence()
    'freeze learning when error_above alerts, and go on after 6 hours without one'
    """

    on: str | tuple[str, ...] = ()
    until: timedelta | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "on", monitors_of("FreezeLearning", self.on))
        if self.until is not None:
            check_duration("FreezeLearning", "until", self.until)

    def matches(self, alert: Alert) -> bool:
        """Whether it is an alert of the monitors `on`."""
        return bool(matching([alert], monitors_of("FreezeLearning", self.on)))

    def look(self, now: Now) -> Action | None:
        """Freezes at the first alert; resumes what it froze when `until` passed since the last one."""
        found = matching(now.alerts, monitors_of("FreezeLearning", self.on))
        if found:
            if now.frozen:
                return None
            alert = found[0]
            return Action(
                kind="freeze", subject=now.champion, reason=f"{alert.monitor}: {alert.reason}", evidence=evidence_of(alert)
            )
        return self._resumes(now)

    def _resumes(self, now: Now) -> Action | None:
        frozen = now.frozen_since
        if frozen is None or self.until is None or now.frozen_by != self.called:
            return None
        last = frozen if now.alerted_at is None else max(frozen, now.alerted_at)
        if now.at - last < to_us(self.until):
            return None
        reason = f"{show_duration(to_us(self.until))} passed since the last alert"
        evidence = {"frozen_since": frozen, "alerted_at": now.alerted_at, "at": now.at}
        return Action(kind="resume", subject=now.champion, reason=reason, evidence=evidence)

    def sentence(self) -> str:
        """The policy in a sentence."""
        end = (
            f", and go on after {show_duration(to_us(self.until))} without one" if self.until else " until somebody resumes it"
        )
        return f"freeze learning when {' or '.join(self.on)} alerts{end}{self.terms()}"
