"""`Promote`: a challenger becomes champion when the evidence says that it is better. Pure; refuses to know how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from eddyline.policies.action import Action, Now, Trial
from eddyline.policies.losses import Loss, Own, loss_of
from eddyline.policies.policy import Policy, check_number
from eddyline.policies.spending import ELond
from eddyline.policies.verdict import Verdict
from eddyline.records import Place
from eddyline.records.errors import DeclarationError
from eddyline.records.time import show_duration, to_us


@dataclass(frozen=True, kw_only=True)
class Promote(Policy):
    """Promotes a challenger at E ≥ `evidence` for a mean gain above `better_by`; retires it when it is worse, or too late.

    An equal challenger is promoted with probability at most 1/`evidence`, however often this looks; with
    `evidence=ELond(0.05)` at most 5 % of all promotions over the years are false. E ≥ `evidence` and "the lower bound of
    the mean gain is above `better_by`" are the same statement. `challenger` is a declared one (`fraud.deep`, or `deep`),
    None means any, those that are retrained too. `loss` is "zero_one", "brier", or with a `clip` "log_loss", "absolute",
    "squared", or a function of yours, (truth, value, scores) -> float; or `pinball(0.9, clip=10.0)`, that of a forecast
    quantile. `better_by` is in its unit. At the `deadline`, counted from when the later of the
    two took its place, an open contest keeps the champion. Needs labels; disagreements that nobody labels by the horizon
    count against the challenger: of classes as a loss, of numbers by how far the two answers are apart, at most by the
    `clip`. So for numbers choose `clip` small, a little above the usual error: the less a missing label can cost, the
    fewer labels it takes. With "squared" and a function of yours each costs the whole `clip` where the two answers differ:
    take those only where nearly every truth comes.

    `evidence=100` bounds each contest by itself, and contests add up: of 60 simulated years with 52 equal challengers each,
    21 promoted one of them, and with `ELond(0.05)` 2. Take `ELond` where challengers come by themselves, as retraining makes
    them, and a `deadline`: one that is equal is never decided, and is asked for ever. While learning is frozen nobody is
    promoted or found worse: labels went wrong before anybody saw it.

    >>> from eddyline.records.time import days
    >>> Promote(evidence=100, better_by=0.002, deadline=days(14)).sentence()
    'promote a challenger when its zero_one loss is lower by more than 0.002 with E of at least 100; retire it when it is \
worse, or still undecided after 14 days'
    """

    challenger: str | None = None
    loss: str | Loss | Own = "zero_one"
    clip: float | None = None
    evidence: float | ELond = 100.0
    better_by: float = 0.0
    _loss: Loss = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.challenger is not None and (not isinstance(self.challenger, str) or not self.challenger):
            raise DeclarationError(f'Promote: challenger={self.challenger!r} is not a name\nwrite Promote(challenger="deep")')
        loss = loss_of(self.loss, self.clip, "Promote")
        object.__setattr__(self, "_loss", loss)
        if not isinstance(self.evidence, ELond):
            check_number("Promote", "evidence", self.evidence, 1.0 + 1e-9, 1e12, 100)
        check_number("Promote", "better_by", self.better_by, 0.0, loss.clip * 0.999, 0.002)

    @property
    def loss_used(self) -> Loss:
        """The loss of its contests."""
        return self._loss

    def look(self, now: Now) -> Action | None:
        """Promotes the first challenger, by name, that earned it; else retires the first that lost or ran out of time."""
        return next(self.wishes(now), None)

    def wishes(self, now: Now) -> Iterator[Action]:
        """Every challenger that earned it, by name; then every one that lost or ran out of time."""
        if now.frozen:
            return
        endings = []
        for name in sorted(now.contests):
            if self.challenger is None or name == self.challenger or name.endswith(f".{self.challenger}"):
                action = self._judge(now, name)
                if action is not None and action.kind == "promote":
                    yield action
                elif action is not None:
                    endings.append(action)
        yield from endings

    def needed(self, trial: Trial) -> float:
        """The E that this challenger needs."""
        return self.evidence.evidence(trial.number, trial.promoted) if isinstance(self.evidence, ELond) else self.evidence

    def _judge(self, now: Now, name: str) -> Action | None:
        contest, needed = now.contests[name], self.needed(now.trials.get(name, Trial()))
        better = contest.reached("better", needed, self.better_by)
        place = now.places.get(name)
        over = place is not None and self.deadline is not None and now.at - self._began(now, place) >= to_us(self.deadline)
        if not (better or over or contest.reached("worse", needed)):
            return None
        verdict = contest.verdict(needed, self.better_by)
        if verdict.outcome == "better":
            return Action(kind="promote", subject=name, reason=verdict.sentence(), evidence=verdict.evidence())
        return Action(kind="retire", subject=name, reason=self._why(now, verdict), evidence=verdict.evidence())

    @staticmethod
    def _began(now: Now, place: Place) -> int:
        """Since when these two compete: a new champion is another contest, which has its time, too."""
        return max(place.since, now.champion_since)

    def _why(self, now: Now, verdict: Verdict) -> str:
        if verdict.outcome == "worse" or self.deadline is None:
            return verdict.sentence()
        return f"the deadline of {show_duration(to_us(self.deadline))} passed; {verdict.sentence(now.labels_per_s)}"

    def sentence(self) -> str:
        """The policy in a sentence."""
        who = f"challenger {self.challenger}" if self.challenger else "a challenger"
        by = f" by more than {self.better_by:g}" if self.better_by else ""
        needed = (
            f"e-LOND evidence at {self.evidence.alpha:g}"
            if isinstance(self.evidence, ELond)
            else f"E of at least {self.evidence:g}"
        )
        late = f", or still undecided after {show_duration(to_us(self.deadline))}" if self.deadline else ""
        head = f"promote {who} when its {self.loss_used.name} loss is lower{by} with {needed}"
        return f"{head}; retire it when it is worse{late}{self.terms()}"
