"""`Retrain`: a new model from recorded examples, when something drifted or when it is time. Pure; refuses to know how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from eddyline.policies.action import Action, Now
from eddyline.policies.policy import Policy, check_duration, evidence_of, matching, monitors_of
from eddyline.records import Alert
from eddyline.records.errors import DeclarationError
from eddyline.records.time import days, show_duration, show_instant, to_us

Window = timedelta | int | Literal["since_drift"]


@dataclass(frozen=True, kw_only=True)
class Retrain(Policy):
    """Asks for a new model: when one of the monitors `on` alerts, or every so often, or both.

    `window` says which examples it learns from: the last so long (`days(30)`), the last so many (`50_000`), or
    "since_drift": those since the alert, as soon as there are enough. The first two leave out what was held back from
    learning (frozen, in quarantine); "since_drift" takes it, for there may be nothing else. The new model passes the gates
    and then competes as a challenger; `Promote` decides, and its `deadline` ends what is never decided. `cool_down` is a day
    unless you say otherwise, for drifts come in swarms. While learning is frozen nothing is retrained: what it would be
    trained on is in doubt.

    >>> Retrain(on=("error_drift",), window=days(30)).sentence()
    'retrain from the last 30 days when error_drift alerts; the same not again within 1 day'
    >>> Retrain(every=days(7), window=50_000, cool_down=timedelta(0)).sentence()
    'retrain from the last 50,000 examples every 7 days'
    """

    on: str | tuple[str, ...] = ()
    every: timedelta | None = None
    window: Window = days(30)  # noqa: RUF009 - a timedelta is immutable
    cool_down: timedelta = days(1)  # noqa: RUF009

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every is not None:
            check_duration("Retrain", "every", self.every)
        if self.on or self.every is None:
            object.__setattr__(self, "on", monitors_of("Retrain", self.on))
        if isinstance(self.window, timedelta):
            check_duration("Retrain", "window", self.window)
        elif self.window == "since_drift":
            if not self.on:
                fault = 'Retrain: window="since_drift" needs a drift'
                raise DeclarationError(f'{fault}\nwrite Retrain(on=("error_drift",), window="since_drift")')
        elif type(self.window) is not int or self.window < 1:
            fault = f"Retrain: window={self.window!r} is not a duration or a number of examples"
            raise DeclarationError(f'{fault}\nwrite Retrain(window=days(30)), window=50_000 or window="since_drift"')

    def matches(self, alert: Alert) -> bool:
        """Whether it is an alert of the monitors `on`."""
        return bool(self.on) and bool(matching([alert], monitors_of("Retrain", self.on)))

    def look(self, now: Now) -> Action | None:
        """A drift first; else the clock, counted from its last action or the pipeline's first event."""
        if now.frozen:
            return None
        found = matching(now.alerts, monitors_of("Retrain", self.on)) if self.on else []
        if found:
            alert = found[0]
            evidence = {**evidence_of(alert), "alerts": len(found), **self._window(alert.at)}
            return Action(kind="retrain", subject=now.champion, reason=f"{alert.monitor}: {alert.reason}", evidence=evidence)
        since = now.began_at if now.acted_at is None else now.acted_at
        if self.every is None or now.at - since < to_us(self.every):
            return None
        reason = f"{show_duration(to_us(self.every))} passed since {show_instant(since)}"
        return Action(kind="retrain", subject=now.champion, reason=reason, evidence={"since": since, **self._window(now.at)})

    def _window(self, at: int) -> dict[str, Any]:
        """Which examples, for who trains: from an event time (µs), or the newest so many."""
        if isinstance(self.window, timedelta):
            return {"window": show_duration(to_us(self.window)), "from_at": at - to_us(self.window)}
        if self.window == "since_drift":
            return {"window": "since_drift", "from_at": at}
        return {"window": f"{self.window} examples", "examples": self.window}

    def sentence(self) -> str:
        """The policy in a sentence."""
        if isinstance(self.window, timedelta):
            window = f"the last {show_duration(to_us(self.window))}"
        else:
            window = "the drift on" if self.window == "since_drift" else f"the last {self.window:,} examples"
        when = [f"when {' or '.join(self.on)} alerts"] if self.on else []
        if self.every is not None:
            when.append(f"every {show_duration(to_us(self.every))}")
        return f"retrain from {window} {' and '.join(when)}{self.terms()}"
