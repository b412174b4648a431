"""The four objects that Flink's operator calls: serve, join, learn (with decide) and watch, each around its stage.

A host translates: bytes to records, the operator's memory to the stage's, and back. It decides nothing. What is the same on
every engine is in the stages; here is only who keeps what. Serve keeps its windows by shard, so that an answer depends on
nothing but the records of its own shard, however many instances there are; join keeps everything by id, in the operator's
hands; learn and watch are one instance each.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from eddyline.engines.flink.batch import Saved
from eddyline.engines.flink.declared import By
from eddyline.engines.flink.per_key import Bridges
from eddyline.engines.flink.shipping import OPENING, bridges, sender, unpacked
from eddyline.pipeline import Pipeline

COLLECT_AFTER = 20_000
"""New objects after which Python looks for cycles. At its usual 700 it would look ten times a batch, and find a batch."""


class Host(Protocol):
    """What the operator calls."""

    def step(self, batch: bytes, watermark: int) -> bytes:
        """A batch of records, and event time in milliseconds; gives records, what to remember, and wake-ups."""
        ...

    def told(self, kind: int, body: bytes) -> None:
        """A version or a rollout, which every instance hears."""
        ...

    def before_checkpoint(self) -> bytes:
        """The last records before a checkpoint."""
        ...

    def save(self) -> bytes:
        """What changed since the last checkpoint, by shard, and what has to be told again after a restart."""
        ...


def host(stage: str, plan: bytes, saved: bytes, index: int, of: int) -> Host:
    """The host of a stage, as it was at the last checkpoint. What the operator calls when it opens."""
    with OPENING:
        gc.set_threshold(max(gc.get_threshold()[0], COLLECT_AFTER), *gc.get_threshold()[1:])
        return host_of(stage, unpacked(plan), Saved.of(saved), first=index == 0, by=sender(plan), over=bridges(plan))


def host_of(
    stage: str, pipeline: Pipeline, kept: Saved, *, first: bool = True, by: By | None = None, over: Bridges | None = None
) -> Host:
    """The host of a stage of this pipeline, with what it had kept; `first` speaks for all where they all heard the same.

    Where another declaration of the pipeline kept it, this one is taken up; `by` says who asked for that. `over` is how models
    per key get past examples that the broker gave up.
    """
    from eddyline.engines.flink.join import JoinHost
    from eddyline.engines.flink.learn import LearnHost
    from eddyline.engines.flink.serve import ServeHost
    from eddyline.engines.flink.watch import WatchHost

    complete_types()
    if stage == "serve":
        return ServeHost(pipeline, kept, speaks=first, over=over)
    if stage == "join":
        return JoinHost(pipeline)
    if stage == "learn":
        return LearnHost(pipeline, kept, by or By())
    assert stage == "watch", f"no stage is called {stage}"
    return WatchHost(pipeline, kept)


def complete_types(root: Any = msgspec.Struct) -> None:
    """Lets msgspec find out what the fields of every Struct are, while nobody else asks.

    It does so when a type is first decoded, and keeps what it has found so far where other threads see it: one that decodes
    the same type at that moment reads a field whose type is not there yet, and the process is gone (msgspec 0.22, SIGSEGV).
    """
    for kind in root.__subclasses__():
        with suppress(TypeError, NameError):  # fields that cannot be decoded: nobody decodes it
            msgspec.msgpack.Decoder(kind)
        complete_types(kind)
