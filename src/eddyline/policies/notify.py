"""`Notify`: somebody is told. The issue calls it Alert; that is the name of the record it acts on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from eddyline.policies.action import Action, Now
from eddyline.policies.policy import Policy, check_number, evidence_of, matching, monitors_of
from eddyline.records import Alert


@dataclass(frozen=True, kw_only=True)
class Notify(Policy):
    """Raises an incident when one of the monitors `on` alerts; "any" means all of them.

    Alerts are called `error_drift`, `feature_drift`, `watch`, `error_above`, `psi`, `conformal`, `missing`, `unseen`, `range`,
    `silence`, `anomaly`, or by the `name` of the monitor; `Watch` says which raises which. A name that no monitor of the
    pipeline raises is refused. "any" includes `error_drift`, which is ADWIN on the error: it has no budget of false alarms
    as the other monitors have, so name the alerts that you want to be woken by, or say `Watch(error=False)`.

    `effect_above` leaves out alerts whose effect on the labelled loss is known and not above it. One look tells of the
    worst alert and counts the others; `cool_down` keeps a swarm to one message.

    >>> from eddyline.records.time import hours
    >>> Notify(on="any", effect_above=0.01, cool_down=hours(1)).sentence()
    'tell when any monitor alerts with an effect on the loss above 0.01; the same not again within 1 hour'
    """

    on: str | tuple[str, ...] = "any"
    effect_above: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "on", monitors_of("Notify", self.on))
        if self.effect_above is not None:
            check_number("Notify", "effect_above", self.effect_above, 0.0, 1e308, 0.01)

    def matches(self, alert: Alert) -> bool:
        """Whether it would tell of this alert."""
        enough = self.effect_above is None or alert.effect is None or alert.effect > self.effect_above
        return enough and bool(matching([alert], monitors_of("Notify", self.on)))

    def look(self, now: Now) -> Action | None:
        """The alert with the largest effect."""
        found = [alert for alert in matching(now.alerts, monitors_of("Notify", self.on)) if self.matches(alert)]
        if not found:
            return None
        alert = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        evidence = {**evidence_of(alert), "alerts": len(found)}
        return Action(kind="alert", subject=alert.subject, reason=f"{alert.monitor}: {alert.reason}{more}", evidence=evidence)

    def sentence(self) -> str:
        """The policy in a sentence."""
        who = "any monitor" if "any" in self.on else " or ".join(self.on)
        effect = "" if self.effect_above is None else f" with an effect on the loss above {self.effect_above:g}"
        return f"tell when {who} alerts{effect}{self.terms()}"
