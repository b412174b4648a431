"""Reads the user's FILE; see `eddyline.pipeline.loading`."""

from eddyline.pipeline.loading import Loaded, imported, load

__all__ = ["Loaded", "imported", "load"]
