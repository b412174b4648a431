"""`RollBack`: the champion before comes back when this one does harm; hard guardrails need no statistics.

Pure; refuses to know how a version is put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from eddyline.policies.action import Action, Now
from eddyline.policies.health import AT_LEAST, Health
from eddyline.policies.losses import Loss, Own, loss_of
from eddyline.policies.policy import Policy, check_number
from eddyline.policies.sums import Claim
from eddyline.policies.verdict import short
from eddyline.records.errors import DeclarationError
from eddyline.records.time import hours

Unlabelled = Literal["against the champion", "against the former"]
Silent = Literal["wrong", "left out"]


@dataclass(frozen=True, kw_only=True)
class RollBack(Policy):
    """Goes back to the former champion when the present one is worse, fails, or misses its objective.

    Four reasons, the hardest first:
    - a guardrail: more than `exceptions` of its newest answers or examples raised, more than `not_finite` were NaN or infinite
      (shares of the newest 500 to 1,000, and of 100 where there are fewer: the first failure of all is not 100 %), or an
      answer took longer than `latency_ms`. A challenger that trips one loses its place (retire);
    - harm: E ≥ `evidence` that the former champion, asked beside it, has the lower `loss`;
    - `error_above`: its mean loss, as a share of the clip, is above this objective, over events in their order: each counts
      when those before it have their truth, or will have none. It alarms falsely at most once in
      `false_alarm_every` labelled events on average (an e-detector). Where there is nobody to go back to, or the former
      champion, asked beside it, is shown to be worse still (E ≥ `evidence`), it alerts. An answer of None counts as
      wrong, also where the model has learned nothing yet: a model that is silent at a cold start, and waits long for its
      first truth, begins with such an alert. With `silent="left out"` it does not; but then nothing is said of a model that
      falls silent later, either.

    Disagreements without a label at the horizon speak against the champion: a roll back is cheap and a harm that nobody
    measures is not. Where many labels never come, that goes back from an equal champion too; there write
    `unlabelled="against the former"`, and harm has to be proved by the labels alone. Each limit may be None.

    >>> RollBack(error_above=0.08).sentence()
    'go back when the champion does harm (zero_one loss, E of at least 20), its error is above 8 %, more than 1 % of its \
answers raise or any is not finite; the same not again within 1 hour'
    """

    evidence: float = 20.0
    loss: str | Loss | Own = "zero_one"
    clip: float | None = None
    unlabelled: Unlabelled = "against the champion"
    error_above: float | None = None
    silent: Silent = field(default="wrong", kw_only=True)
    false_alarm_every: int = 100_000
    exceptions: float | None = 0.01
    not_finite: float | None = 0.0
    latency_ms: float | None = None
    cool_down: timedelta = hours(1)  # noqa: RUF009 - a timedelta is immutable
    _loss: Loss = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_loss", loss_of(self.loss, self.clip, "RollBack"))
        check_number("RollBack", "evidence", self.evidence, 1.0 + 1e-9, 1e12, 20)
        check_number("RollBack", "false_alarm_every", self.false_alarm_every, 100, 1e12, 100_000)
        if self.unlabelled not in ("against the champion", "against the former"):
            fault = f"RollBack: unlabelled={self.unlabelled!r} is not a side"
            raise DeclarationError(f'{fault}\nwrite RollBack(unlabelled="against the champion"), or "against the former"')
        if self.silent not in ("wrong", "left out"):
            fault = f"RollBack: silent={self.silent!r} says nothing about answers of None"
            raise DeclarationError(f'{fault}\nwrite RollBack(error_above=0.08, silent="left out"), or silent="wrong"')
        if self.error_above is not None:
            check_number("RollBack", "error_above", self.error_above, 1e-6, 1.0 - 1e-6, 0.08)
        for word in ("exceptions", "not_finite"):
            if getattr(self, word) is not None:
                check_number("RollBack", word, getattr(self, word), 0.0, 1.0, 0.01)
        if self.latency_ms is not None:
            check_number("RollBack", "latency_ms", self.latency_ms, 1e-6, 1e308, 50)

    @property
    def loss_used(self) -> Loss:
        """The loss of the contest with the former champion, and of `error_above`."""
        return self._loss

    def parts(self) -> dict[str, str]:
        """Its meaning; what stores knew before there was `silent` means the same as ever."""
        parts = super().parts()
        if self.silent == "wrong":
            del parts["silent"]
        return parts

    def look(self, now: Now) -> Action | None:
        """The guardrails of the champion, then those of the challengers, then harm, then the objective."""
        return next(self.wishes(now), None)

    def wishes(self, now: Now) -> Iterator[Action]:
        """Each reason to act that there is, in the order of `look`; last, the alert where there is nobody to go back to."""
        fails = self._tripped(now.health.get(now.champion))
        if fails and now.former_name is not None:
            yield Action(kind="roll_back", subject=now.champion, reason=fails[0], evidence=fails[1])
        for name in sorted(now.places):
            if tripped := self._tripped(now.health.get(name)):
                yield Action(kind="retire", subject=name, reason=tripped[0], evidence=tripped[1])
        for action in (self._harm(now), self._over(now)):
            if action is not None:
                yield action
        if fails and now.former_name is None:
            yield _alert(now, *fails)

    def _tripped(self, health: Health | None) -> tuple[str, dict[str, Any]] | None:
        """Which guardrail a line crossed, in words and numbers."""
        if health is None:
            return None
        evidence = {
            "answers": health.answers,
            "exceptions": health.exceptions,
            "not_finite": health.not_finite,
            "latency_ms": health.latency_ms,
        }
        for word, limit, what in (
            ("exceptions", self.exceptions, "raised"),
            ("not_finite", self.not_finite, "were not finite"),
        ):
            if limit is not None and health.share(word) > limit:
                reason = f"{getattr(health, word):,} of the newest {health.answers:,} answers or examples {what}; "
                reason += f"of at least {AT_LEAST}, at most a share of {limit:.3g} may"
                return reason, {**evidence, "guardrail": word, "limit": limit}
        if self.latency_ms is not None and health.latency_ms is not None and health.latency_ms > self.latency_ms:
            reason = f"an answer took {health.latency_ms:.3g} ms; at most {self.latency_ms:.3g} ms are allowed"
            return reason, {**evidence, "guardrail": "latency_ms", "limit": self.latency_ms}
        return None

    def _harm(self, now: Now) -> Action | None:
        against = self.unlabelled == "against the champion"
        claim: Claim = "maybe better" if against else "better"
        if now.former is None or now.former_name is None or not now.former.reached(claim, self.evidence):
            return None
        verdict = now.former.verdict(self.evidence, favours="challenger" if against else "champion")
        reason = f"{now.former_name} would have been {verdict.sentence()}"
        return Action(kind="roll_back", subject=now.champion, reason=reason, evidence=verdict.evidence())

    def _over(self, now: Now) -> Action | None:
        if self.error_above is None or now.error is None or now.error.value < self.false_alarm_every:
            return None
        error = now.error
        reason = f"error {error.mean:.3g} over {error.losses:,} labels is above its objective of {self.error_above:.3g}"
        reason = f"{reason} (evidence {short(error.value)} of {self.false_alarm_every:,})"
        evidence = {"objective": self.error_above, "mean": error.mean, "losses": error.losses, "e": error.value}
        evidence = {**evidence, "false_alarm_every": self.false_alarm_every}
        if now.former_name is None:
            return _alert(now, reason, evidence)
        if now.former is not None and now.former.reached("worse", self.evidence):
            verdict = now.former.verdict(self.evidence)
            return _alert(
                now,
                reason,
                {**evidence, "former": verdict.evidence()},
                f"{now.former_name} would have been {verdict.sentence()}",
            )
        return Action(kind="roll_back", subject=now.champion, reason=reason, evidence=evidence)

    def sentence(self) -> str:
        """The policy in a sentence."""
        parts = [f"the champion does harm ({self.loss_used.name} loss, E of at least {self.evidence:g})"]
        if self.error_above is not None:
            but = ", answers of None left out" if self.silent == "left out" else ""
            parts.append(f"its error is above {self.error_above * 100:g} %{but}")
        if self.exceptions is not None:
            parts.append(f"more than {self.exceptions * 100:g} % of its answers raise")
        if self.not_finite is not None:
            parts.append(f"more than {self.not_finite * 100:g} % are not finite" if self.not_finite else "any is not finite")
        if self.latency_ms is not None:
            parts.append(f"one takes more than {self.latency_ms:g} ms")
        head = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"
        return f"go back when {head}{self.terms()}"


def _alert(now: Now, reason: str, evidence: dict[str, Any], why: str = "there is no former champion to go back to") -> Action:
    """What is left where there is no champion to go back to, or none that would be any better."""
    return Action(kind="alert", subject=now.champion, reason=f"{reason}; {why}", evidence=evidence)
