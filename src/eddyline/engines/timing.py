"""How long voices take: asked about one event once more, which changes nothing, and timed by the wall clock.

Stages have no clock, so engines measure for the policies that limit latency, and tell decide as a recorded command. What is
told stands here; each engine says when, and through which record.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from eddyline.policies import Policy, RollBack
from eddyline.ports import Model
from eddyline.records import Features, Prediction
from eddyline.stages.features import Maker
from eddyline.stages.lines import seen_by
from eddyline.stages.voices import Seat, Voice

EVERY_SECONDS = 0.5
TRIES = 3


def limit_of(policies: Iterable[Policy]) -> float | None:
    """The lowest `latency_ms` that a policy declares; None where none does, and nothing has to be measured."""
    limits = [policy.latency_ms for policy in policies if isinstance(policy, RollBack)]
    return min((limit for limit in limits if limit is not None), default=None)


def measured(champion: str, voice: Voice, last: Prediction, makers: Mapping[str, Maker | None]) -> dict[str, float]:
    """The time of each voice's answer in ms: the best of three, so that a busy machine is not blamed on a model.

    `champion` is whom `voice` speaks for, as the rollout calls it; `last` is the answer to the event that is asked again.
    """
    voices: list[tuple[str, Voice | Seat]] = [(champion, voice), *((seat.who, seat) for seat in (*voice.seats, *voice.aside))]
    taken = {}
    for who, one in voices:
        features = seen_by(last, one.name, makers)
        if features is not None:
            taken[who] = min(_timed(one.model, features) for _ in range(TRIES))
    return taken


def _timed(model: Model, features: Features) -> float:
    started = time.perf_counter()
    try:
        model.predict(features)
    except Exception:
        return 0.0  # it is counted where it was asked
    return 1000 * (time.perf_counter() - started)
