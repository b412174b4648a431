"""What every policy has: a name, how often it may act, who has to agree, and a sentence.

A policy is a frozen value with `look(now) -> Action | None`: pure, without memory, so that a backtest on the journal is the
run itself. One that may want several things at once says them with `wishes(now)`, the most urgent first. Cool-down,
approval and dry run are declared here and done by the decide stage. Refuses to know how.
"""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from eddyline.policies.action import Action, Now
from eddyline.policies.losses import Loss
from eddyline.records import Alert, Task
from eddyline.records.errors import DeclarationError
from eddyline.records.time import show_duration, to_us

_SNAKE = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """A rule that looks at what was measured and may ask for an action. Derive your own from it.

    `name` is how the ledger calls it (default: its class in snake_case; two of one kind need names). `cool_down` is how
    long it does not repeat an action about the same subject, in event time. With `approval` an action is only proposed, and
    `eddyline approve` carries it out. `deadline` is how long it may take: a proposal lapses then, and a contest that is
    still open is decided for the champion. With `dry_run` it writes down what it would have done. One that raises, or asks for
    what nobody can do, is told of in the ledger once and stops nobody.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class Nightly(Policy):
    ...     def look(self, now): return None
    ...     def sentence(self): return "does nothing" + self.terms()
    >>> Nightly(approval=True).called, Nightly(approval=True).sentence()
    ('nightly', 'does nothing; after approval')
    """

    name: str | None = None
    cool_down: timedelta = timedelta(0)
    approval: bool = False
    deadline: timedelta | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        who = type(self).__name__
        if self.name is not None and (not isinstance(self.name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", self.name)):
            fault = f"{who}: name={self.name!r} is not lower-case letters, digits, - and _"
            raise DeclarationError(f'{fault}\nwrite {who}(name="strict")')
        check_duration(who, "cool_down", self.cool_down, zero=True)
        if self.deadline is not None:
            check_duration(who, "deadline", self.deadline)
        for word, flag in (("approval", self.approval), ("dry_run", self.dry_run)):
            if type(flag) is not bool:
                raise DeclarationError(f"{who}: {word}={flag!r} is not True or False\nwrite {who}({word}=True)")

    @property
    def called(self) -> str:
        """How the ledger calls it."""
        return called_as(type(self).__name__, self.name)

    @property
    def loss_used(self) -> Loss | None:
        """The loss under which it wants its contests; None when it looks at none."""
        return None

    def check(self, task: Task) -> None:
        """Refuses what says nothing about this task."""
        if self.loss_used is not None:
            self.loss_used.check(task, type(self).__name__)

    def parts(self) -> dict[str, str]:
        """Its meaning as plain text by field, for the pipeline's digest. A function's code is not in it: `loss_used.function`.

        >>> from eddyline.policies import Promote
        >>> Promote(evidence=100).parts()["evidence"]
        '100'
        """
        loss = self.loss_used
        fields = {field.name: repr(getattr(self, field.name)) for field in dataclasses.fields(self) if field.init}
        if loss is not None:
            fields["loss"], fields["clip"] = loss.name, repr(loss.clip)
        return {"policy": type(self).__name__, **fields}

    @abstractmethod
    def look(self, now: Now) -> Action | None:
        """What to do now, if anything. Pure: the same `now` gives the same action."""

    def wishes(self, now: Now) -> Iterable[Action]:
        """All that it wants now, the most urgent first: what `look` says, unless a policy knows more.

        A wish that cannot be carried out now (cool-down, approval, dry run) does not keep back those after it.
        """
        action = self.look(now)
        return [] if action is None else [action]

    def wanted(self, now: Now) -> Iterable[Action]:
        """What the decide stage asks: `wishes`, or `look` where a class derived from a policy of several wishes has its own.

        >>> from eddyline.policies import Promote
        >>> class OnMondays(Promote):
        ...     def look(self, now): return super().look(now) if now.at // 86_400_000_000 % 7 == 4 else None
        >>> OnMondays().wanted(Now(at=0, champion="fraud"))
        []
        """
        if _wishes(type(self)):
            return self.wishes(now)
        action = self.look(now)
        return [] if action is None else [action]

    def matches(self, alert: Alert) -> bool:
        """Whether it is interested in this alert: then `now.alerted_at` is the event time of the newest such alert."""
        return False

    @abstractmethod
    def sentence(self) -> str:
        """The policy in a sentence."""

    def terms(self) -> str:
        """The common fields, as the end of a sentence."""
        parts = ["after approval"] if self.approval else []
        if self.cool_down:
            parts.append(f"the same not again within {show_duration(to_us(self.cool_down))}")
        if self.dry_run:
            parts.append("only written down (dry run)")
        return "".join(f"; {part}" for part in parts)


@cache
def _wishes(kind: type[Policy]) -> bool:
    """Whether a class says what it wants by `wishes`: no class that comes later in its line has a `look` of its own."""
    looks, wishes = (next(i for i, one in enumerate(kind.__mro__) if word in vars(one)) for word in ("look", "wishes"))
    return wishes <= looks


@cache
def called_as(kind: str, name: str | None) -> str:
    """How the ledger calls a policy of this class and name.

    >>> called_as("RollBack", None), called_as("RollBack", "strict")
    ('roll_back', 'strict')
    """
    return name or _SNAKE.sub("_", kind).lower()


def check_duration(who: str, word: str, value: object, *, zero: bool = False) -> None:
    """Refuses what is not a duration above 0 (or, with `zero`, at least 0)."""
    if not isinstance(value, timedelta) or value < timedelta(0) or (not zero and not value):
        raise DeclarationError(f"{who}: {word}={value!r} is not a duration\nwrite {who}({word}=hours(6))")


def check_number(who: str, word: str, value: object, low: float, high: float, example: float) -> None:
    """Refuses what is not a number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        bounds = f"from {low:g} to {high:g}" if high < 1e300 else f"of at least {low:g}"
        raise DeclarationError(f"{who}: {word}={value!r} is not a number {bounds}\nwrite {who}({word}={example:g})")


def monitors_of(who: str, on: object) -> tuple[str, ...]:
    """The names of monitors that `on=` means."""
    names = (on,) if isinstance(on, str) else tuple(on) if isinstance(on, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise DeclarationError(f'{who}: on={on!r} names no monitors\nwrite {who}(on=("error_drift",)), or on="any"')
    return names


def matching(alerts: Iterable[Alert], on: tuple[str, ...]) -> list[Alert]:
    """The alerts of these monitors ("any" means all), those with the largest effect on the labelled loss first.

    An error that fell is no reason to do anything.
    """
    found = [alert for alert in alerts if "any" in on or alert.monitor in on]
    found = [alert for alert in found if alert.monitor != "error_drift" or alert.after > alert.before]
    return sorted(found, key=lambda alert: -(alert.effect if alert.effect is not None else float("-inf")))


def evidence_of(alert: Alert) -> dict[str, Any]:
    """An alert as the plain values of a decision's evidence."""
    return {
        "monitor": alert.monitor,
        "subject": alert.subject,
        "segment": alert.segment,
        "at": alert.at,
        "position": alert.position,
        "before": alert.before,
        "after": alert.after,
        "effect": alert.effect,
    }
