"""Two policies of the drill's own, for labels in doubt: while learning is frozen, nobody is retrained or promoted by them.

A label that is wrong and a world that has changed look the same to any detector of errors. Without this, a new model learns
the wrong labels, agrees with them, and is promoted by them. Pure, as every policy.
"""

from __future__ import annotations

from dataclasses import dataclass

from eddyline import Action, Now, Promote, Retrain


@dataclass(frozen=True, kw_only=True)
class RetrainOnTrust(Retrain):
    """Retrains as `Retrain` does, unless learning is frozen."""

    def look(self, now: Now) -> Action | None:
        return None if now.frozen else super().look(now)


@dataclass(frozen=True, kw_only=True)
class PromoteOnTrust(Promote):
    """Promotes as `Promote` does, unless learning is frozen."""

    def look(self, now: Now) -> Action | None:
        return None if now.frozen else super().look(now)
