"""The embedded engine: one process, one SQLite file, nothing to start."""

from eddyline.engines.embedded.engine import Engine
from eddyline.engines.embedded.run import Progress, follow, replay

__all__ = ["Engine", "Progress", "follow", "replay"]
