"""Driving an engine from its sources: `replay` what is there, or `follow` it as it grows.

Both are the same loop over the feed; they differ in what they do when there is nothing more.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eddyline.engines.embedded.engine import Engine
from eddyline.engines.embedded.feed import Feed

if TYPE_CHECKING:
    from eddyline.engines.embedded.publish import Publisher
    from eddyline.engines.embedded.trainer import Trainer

BATCH = 2_000
POLL_SECONDS = 0.05
COLLECT_EVERY = 50
INBOX_SECONDS = 0.2


@dataclass(slots=True)
class Progress:
    """What a run has done so far: inputs taken, answers given, examples learned or measured, records refused."""

    inputs: int = 0
    predictions: int = 0
    examples: int = 0
    dead: int = 0
    seconds: float = 0.0
    done: int = 0
    of: int = 0
    at: int = 0
    steps: int = 0
    lag: int | None = None
    """how many records the topics hold beyond what was taken; None where sources are not counted in records"""


@contextmanager
def paced_gc() -> Iterator[None]:
    """Python's cycle collector at our pace: records hold no cycles, so looking for some after every 700 is waste.

    What is alive now is left out for good; `_step` collects the young objects now and then. What is alive at the end is old
    at once: nobody walks through it twice to find that it stays.
    """
    was = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if was:
            gc.enable()


def never() -> bool:
    """No reason to stop."""
    return False


def replay(
    engine: Engine,
    base: Path,
    *,
    batch: int = BATCH,
    limit: int | None = None,
    drain: bool = False,
    stop: Callable[[], bool] = never,
    on_progress: Callable[[Progress], None] | None = None,
    publisher: Publisher | None = None,
    trainer: Trainer | None = None,
) -> Progress:
    """Takes everything that the sources hold, in event time, as fast as it goes; then checkpoints.

    It goes on where the store stands, so stopping and starting again changes nothing. `limit` stops after so many inputs,
    `stop` when it says so, at the end of a batch. `drain` says that the streams are complete: what still waits for its
    truth reaches its horizon. A `publisher` is told of every commit, a `trainer` looks at what was decided.
    """
    progress, started = Progress(), time.perf_counter()
    looked = 0.0
    with paced_gc():
        with closing(Feed(engine.pipeline, engine.codec, base, engine.positions)) as feed:
            while not stop():
                looked = _take_inbox(engine, looked)
                size = batch if limit is None else min(batch, limit - progress.inputs)
                if size <= 0 or not _step(engine, feed, size, progress, publisher, trainer):
                    break
                progress.seconds = time.perf_counter() - started
                if on_progress is not None:
                    on_progress(progress)
            else:
                drain = False
        if drain:
            outcome = engine.drain()
            progress.examples += len(outcome.examples)
            progress.dead += len(outcome.dead)
        engine.checkpoint()
    progress.seconds = time.perf_counter() - started
    return progress


def follow(
    engine: Engine,
    base: Path,
    *,
    stop: Callable[[], bool],
    batch: int = BATCH,
    on_progress: Callable[[Progress], None] | None = None,
    publisher: Publisher | None = None,
    trainer: Trainer | None = None,
) -> Progress:
    """Takes what the sources hold and what is added to them, until `stop` says so; then returns after the last commit.

    It is `eddyline run` from Python. Relative paths start in `base`; `stop` is asked after each batch and while it waits.

    >>> import tempfile
    >>> from river import linear_model
    >>> from eddyline import Event, Id, Label, Pipeline, Time, Truth, jsonl
    >>> class Visit(Event):
    ...     id: Id
    ...     at: Time
    ...     pages: float
    >>> class Sale(Label):
    ...     id: Id
    ...     at: Time
    ...     bought: Truth[bool]
    >>> shop = Pipeline(name="shop", events=jsonl("visits.jsonl", Visit), labels=jsonl("sales.jsonl", Sale),
    ...                 model=linear_model.LogisticRegression())
    >>> with tempfile.TemporaryDirectory() as folder, Engine(shop, Path(folder) / "shop.eddyline") as engine:
    ...     _ = (Path(folder) / "visits.jsonl").write_text('{"id": "v-1", "at": "2026-01-01T00:00:00Z", "pages": 3}\\n')
    ...     _ = (Path(folder) / "sales.jsonl").write_text("")
    ...     follow(engine, Path(folder), stop=lambda: engine.store.seq > 0).predictions
    1
    """
    progress, started = Progress(), time.perf_counter()
    looked = 0.0
    with closing(Feed(engine.pipeline, engine.codec, base, engine.positions, growing=True)) as feed:
        while not stop():
            looked = _take_inbox(engine, looked)
            if not _step(engine, feed, batch, progress, publisher, trainer):
                if trainer is not None:
                    trainer.step()
                time.sleep(POLL_SECONDS)
            progress.seconds = time.perf_counter() - started
            if on_progress is not None:
                on_progress(progress)
    return progress


def _take_inbox(engine: Engine, looked: float) -> float:
    """Takes operators' requests, at most every so often; when that was last."""
    now = time.monotonic()
    if now - looked < INBOX_SECONDS:
        return looked
    engine.take_inbox()
    return now


def _step(
    engine: Engine, feed: Feed, size: int, progress: Progress, publisher: Publisher | None, trainer: Trainer | None
) -> bool:
    if publisher is not None:
        publisher.check()
    taken = feed.next(size)
    progress.lag = feed.lag()
    if taken is None:
        return False
    outcome = engine.take(taken.inputs, taken.records, taken.positions)
    feed.committed()
    if publisher is not None:
        publisher.wake()
    if trainer is not None:
        trainer.step()
    progress.inputs += len(taken.inputs)
    progress.predictions += len(outcome.predictions)
    progress.examples += len(outcome.examples)
    progress.dead += len(outcome.dead)
    progress.at = engine.loop.states.serve.frontier
    progress.steps += 1
    if progress.steps % COLLECT_EVERY == 0:
        gc.collect(1)
    how_far = feed.progress()
    if how_far is not None:
        progress.done, progress.of = how_far
    return True
