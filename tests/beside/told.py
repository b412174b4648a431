"""The messages of a job in memory, as a look at its topics finds them."""

from __future__ import annotations

from eddyline.engines.flink.told import OURS, Told
from eddyline.testing.hosted import Hosted


def messages(hosted: Hosted) -> Told:
    """Everything that was committed."""
    run = hosted.recorded()
    return Told({stream: run.get(stream, []) for stream in OURS}, "memory")
