"""What becomes of a rollout: pure functions from one to the next, each with its own revision.

Keeps `named`: every change has an author and a reason. Knows nothing of evidence.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from eddyline.policies.action import Action, Kind
from eddyline.records import Place, Rollout

KINDS = get_args(Kind)


def champion_of(rollout: Rollout, own: str) -> str:
    """Who answers, by name: the pipeline's own line where nobody else does."""
    return rollout.champion or own


def place_of(rollout: Rollout, who: str) -> Place | None:
    """The seat that somebody has beside the champion."""
    return next((place for place in rollout.places if place.who == who), None)


def cannot(rollout: Rollout, action: object) -> str | None:
    """Why nobody can do what a policy wants: "wants to ..."; None where it can be done.

    >>> start = Rollout(0, None, "eddyline", "the start", (Place("fraud.deep"),))
    >>> cannot(start, Action(kind="promote", subject="fraud.deep", reason="better")) is None
    True
    >>> cannot(start, Action(kind="promote", subject="fraud.wide", reason="better"))
    "wants to promote 'fraud.wide', who has no seat beside the champion"
    """
    if not isinstance(action, Action) or not isinstance(action.subject, str) or not isinstance(action.reason, str):
        return f"wants what is no Action: {type(action).__name__}"
    if action.kind not in KINDS:
        return f"wants to {str(action.kind)[:50]}, and there is no such kind of Action"
    if action.kind in ("promote", "retire") and place_of(rollout, action.subject) is None:
        return f"wants to {action.kind} {action.subject[:100]!r}, who has no seat beside the champion"
    if action.kind == "roll_back" and rollout.former is None and rollout.champion is None:
        return "wants to roll back, and there is nobody to go back to"
    try:
        as_written(action.evidence)
    except (TypeError, ValueError, OverflowError) as error:
        return f"has evidence that cannot be written down ({type(error).__name__})"
    return None


def as_written(evidence: dict[str, Any]) -> dict[str, Any]:
    """Evidence as the ledger will give it back, so that a decision made again is equal.

    >>> as_written({"shares": (0.1, float("inf"))})
    {'shares': [0.1, None]}
    """
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(evidence))
    return plain


def put_in_force(rollout: Rollout, who: str, own: str, *, keep: bool, at: int, author: str, reason: str) -> Rollout:
    """`who` answers from here on. With `keep`, the champion before is asked beside it, so that the two can be compared.

    >>> start = Rollout(0, None, "eddyline", "the start", (Place("fraud.deep"),))
    >>> now = put_in_force(start, "fraud.deep", "fraud", keep=True, at=60, author="promote", reason="better")
    >>> now.champion, now.former, [place.who for place in now.places]
    ('fraud.deep', 'fraud', ['fraud'])
    """
    before = champion_of(rollout, own)
    places = [place for place in rollout.places if place.who not in (who, before)]
    if keep and before != who:
        places.append(Place(before, "shadow", 0.0, at))
    return Rollout(
        revision=rollout.revision + 1,
        champion=None if who == own else who,
        author=author,
        reason=reason,
        places=tuple(places),
        former=before if before != who else rollout.former,
        salt=rollout.salt,
        since=at if before != who else rollout.since,
    )


def without(rollout: Rollout, who: str, *, author: str, reason: str) -> Rollout:
    """The same champion, and `who` is not asked any more."""
    places = tuple(place for place in rollout.places if place.who != who)
    former = None if rollout.former == who else rollout.former
    return msgspec.structs.replace(
        rollout, revision=rollout.revision + 1, places=places, former=former, author=author, reason=reason
    )


def with_place(rollout: Rollout, place: Place, *, author: str, reason: str) -> Rollout:
    """The same champion, and one more is asked beside it. Who had that seat before has the new one.

    The salt is the revision in which somebody came who was not there before: a share that grows keeps its keys.
    """
    revision = rollout.revision + 1
    known = place_of(rollout, place.who) is not None
    places = (*(one for one in rollout.places if one.who != place.who), place)
    salt = rollout.salt if known else revision
    return msgspec.structs.replace(rollout, revision=revision, places=places, salt=salt, author=author, reason=reason)
