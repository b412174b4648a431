"""`Quarantine`: a segment's examples are kept from learning and from verdicts, while its data is in doubt. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from eddyline.policies.action import Action, Now
from eddyline.policies.policy import Policy, check_duration, evidence_of, matching, monitors_of
from eddyline.records import Alert
from eddyline.records.time import hours, show_duration, to_us

OTHER = "other"
"""Where alerts put the segments beyond those that are watched by name; no event is of it."""


@dataclass(frozen=True, kw_only=True)
class Quarantine(Policy):
    """Sets the segment of an alert apart for a while: its events are answered, and not learned from.

    They count for nobody in a contest either, and neither does what waited for its truth when the quarantine began. "other",
    where `Watch` puts the segments that it has no room for, is nobody's to set apart: its alerts are left to `Notify`.

    Choose it where one shop, country or device can break by itself; `FreezeLearning` stops everybody's learning. Alerts
    without a segment are left to others, so it needs a monitor that looks at segments:
    `Watch(segment="shop", monitors=(Missing("amount", by_segment=True),))`. `for_` is how long, in event time.

    >>> Quarantine(on=("missing",), for_=hours(12)).sentence()
    'quarantine a segment for 12 hours when missing alerts on it'
    """

    on: str | tuple[str, ...] = ()
    for_: timedelta = hours(24)  # noqa: RUF009 - a timedelta is immutable

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "on", monitors_of("Quarantine", self.on))
        check_duration("Quarantine", "for_", self.for_)

    def matches(self, alert: Alert) -> bool:
        """Whether it is an alert of the monitors `on`, about a segment."""
        known = alert.segment is not None and alert.segment != OTHER
        return known and bool(matching([alert], monitors_of("Quarantine", self.on)))

    def look(self, now: Now) -> Action | None:
        """Takes in the segment with the largest effect; else lets go the first whose time passed."""
        return next(self.wishes(now), None)

    def wishes(self, now: Now) -> Iterator[Action]:
        """Every segment that alerts and is not set apart yet, the largest effect first; then those whose time passed."""
        found = matching(now.alerts, monitors_of("Quarantine", self.on))
        taken = set(now.quarantined)
        for alert in found:
            if alert.segment is not None and self.matches(alert) and alert.segment not in taken:
                taken.add(alert.segment)
                reason = f"{alert.monitor}: {alert.reason}"
                yield Action(kind="quarantine", subject=alert.segment, reason=reason, evidence=evidence_of(alert))
        alerting = {alert.segment for alert in found}
        for segment, since in sorted(now.quarantined.items()):
            if now.at - since >= to_us(self.for_) and segment not in alerting:
                reason = f"{show_duration(to_us(self.for_))} passed since it was set apart"
                yield Action(kind="release", subject=segment, reason=reason, evidence={"since": since, "at": now.at})

    def sentence(self) -> str:
        """The policy in a sentence."""
        end = f"when {' or '.join(self.on)} alerts on it"
        return f"quarantine a segment for {show_duration(to_us(self.for_))} {end}{self.terms()}"
