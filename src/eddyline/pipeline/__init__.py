"""The declaration, its validation, and the plan it lowers to."""

from eddyline.pipeline.declaration import Pipeline, Plan, Versions

__all__ = ["Pipeline", "Plan", "Versions"]
