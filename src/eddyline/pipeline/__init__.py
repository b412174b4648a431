"""The declaration, its validation, and the plan it lowers to."""

from eddyline.pipeline.challengers import Canary, Challenger, Shadow, Split
from eddyline.pipeline.declaration import Pipeline, Plan, Versions

__all__ = ["Canary", "Challenger", "Pipeline", "Plan", "Shadow", "Split", "Versions"]
