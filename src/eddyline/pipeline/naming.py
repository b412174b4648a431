"""Names: whether policies name alerts and challengers that are there, and what to call a challenger whose name is taken.

A name that nobody has would be waited for for ever; one that was given once is not given again. Refuses to know what policies
do about it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence

from eddyline.policies.policy import Policy
from eddyline.policies.promote import Promote
from eddyline.records import Task
from eddyline.records.errors import DeclarationError
from eddyline.stages.watch import Watch

_MADE_LATER = re.compile(r"(?:[rbf]\d+|retrained)(?:@\d+)?")
"""Lines that nobody declares: retrained (r7), branched off (b1), made by forgetting (f1)."""


def check_alerts(policies: Sequence[Policy], watch: Watch, task: Task) -> None:
    """Refuses a policy that waits for alerts which nobody raises. What monitors of the user's own raise, only they know."""
    raised = watch.alert_names(task)
    for policy in policies:
        on = getattr(policy, "on", None)
        for name in on if isinstance(on, tuple) else ():
            if name in raised or name == "any" or (watch.has_own_monitors and name.lower() not in raised):
                continue
            who = type(policy).__name__
            near = difflib.get_close_matches(name.lower(), [*raised, "any"], 1)
            meant = near and name not in ("feature_drift", "error_drift")
            mend = f'did you mean {who}(on="{near[0]}")?' if meant else _declare(name)
            known = ", ".join(raised) or "none"
            raise DeclarationError(
                f"decide: {who}(on={name!r}): no monitor raises alerts of this name (raised: {known})\n{mend}"
            )


def _declare(name: str) -> str:
    """How alerts of this name come to be raised."""
    if name == "feature_drift":
        return 'feature_drift is raised by Watch(drift=("amount",)): name the features there'
    if name == "error_drift":
        return "error_drift is raised by Watch(error=True), for classes and numbers"
    return f'declare a monitor whose alerts are called so, such as Watch(monitors=(Psi("amount", name="{_slug(name)}"),))'


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_0123456789") or "strict"


def check_challengers(policies: Sequence[Policy], pipeline: str, challengers: Sequence[str]) -> None:
    """Refuses a `Promote` of a challenger that is not declared. Lines that are made later have names of their own."""
    for policy in policies:
        if not isinstance(policy, Promote) or policy.challenger is None:
            continue
        name = policy.challenger.removeprefix(f"{pipeline}.")
        line = name.partition("@")[0]
        if line in (*challengers, pipeline) or _MADE_LATER.fullmatch(name):
            continue
        near = difflib.get_close_matches(line, challengers, 1)
        known = ", ".join(challengers) or "none is declared"
        write = f'did you mean Promote(challenger="{near[0]}")?' if near else "leave challenger out: then it is any of them"
        raise DeclarationError(
            f"decide: Promote(challenger={policy.challenger!r}) is not a challenger of {pipeline} (known: {known})\n{write}"
        )


def name_of_its_own(name: str, policies: Sequence[Policy], pipeline: str, taken: Collection[str] = ()) -> str:
    """What to write so that a challenger made otherwise than before comes in, in every place that names it; `taken` are lines.

    >>> print(name_of_its_own("trees", (Promote(challenger="trees"),), "fraud", {"fraud.trees", "fraud.trees-2"}))
    give the new one a name of its own, beside it or instead of it: Challenger("trees-3", ...), Promote(challenger="trees-3")
    it comes in untrained and learns from there on: eddyline change FILE
    """
    stem, number = re.sub(r"-[0-9]+$", "", name), 2
    while f"{pipeline}.{stem}-{number}" in (*taken, f"{pipeline}.{name}"):
        number += 1
    called = [one for one in policies if isinstance(one, Promote) and one.challenger in (name, f"{pipeline}.{name}")]
    also = f', Promote(challenger="{stem}-{number}")' if called else ""
    return (
        f'give the new one a name of its own, beside it or instead of it: Challenger("{stem}-{number}", ...){also}\n'
        "it comes in untrained and learns from there on: eddyline change FILE"
    )
