"""One slice of a stream through one pipeline, and what it came to: answers, decisions, alerts and losses, all from the store.

An arm is the pipeline with its policies (`watched`), or without any and with orders of somebody who knew (`never`). Knows
nothing of tables.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from examples.drill.streams import Slice, Stream

from eddyline import Engine, Pipeline
from eddyline.engines.embedded import replay
from eddyline.engines.embedded.trainer import Trainer
from eddyline.pipeline.loading import Loaded, load
from eddyline.policies import Loss, RollBack
from eddyline.records import Alert, Decision, Place, Prediction
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.database import Store
from eddyline.views.operate import ask

HERE = Path(__file__).parent
BATCH = 250
"""Records in a commit: a retrained model can take its seat between two commits only."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for at a place of the stream, so many records in: as a command line, or as a command."""

    after: int
    typed: tuple[str, ...] = ()
    command: Command | None = None


@dataclass(slots=True)
class Ran:
    """What one arm came to. Losses are by event, from the fault on; None where the truth never came."""

    losses: list[float | None] = field(default_factory=list)
    beside: list[float | None] = field(default_factory=list)
    """the losses of the one that sat in the shadow, where one did"""
    decisions: list[Decision] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    @property
    def total(self) -> float:
        """The loss over all answers since the fault."""
        return sum(loss for loss in self.losses if loss is not None)


def pipeline_file(stream: Stream, arm: str) -> str:
    """The pipeline of an arm as a command line names it."""
    return f"{HERE / stream.name}.py:{arm}"


def loss_of(pipeline: Pipeline) -> Loss:
    """The loss under which the pipeline's own policies roll back."""
    return next(policy.loss_used for policy in pipeline.decide if isinstance(policy, RollBack))


def run(given: Slice, arm: str, orders: Sequence[Order], folder: Path) -> Ran:
    """A slice through the pipeline of an arm, with orders given on the way. `folder` is where its files and store are."""
    folder.mkdir(parents=True)
    given.write(folder)
    file = pipeline_file(given.stream, arm)
    loaded = load(file, str(folder / "drill.eddyline"))
    taken = 0
    for order in orders:
        _replay(loaded, file, order.after - taken)
        taken = order.after
        if order.command is not None:
            ask(loaded.pipeline, loaded.store, order.command)
        else:
            typed = [sys.executable, "-m", "eddyline.cli", order.typed[0], file, *order.typed[1:], "--store", str(loaded.store)]
            subprocess.run(typed, check=True, stdout=subprocess.DEVNULL)
    _replay(loaded, file, None)
    return read(given, loaded)


def _replay(loaded: Loaded, file: str, limit: int | None) -> None:
    base = loaded.store.parent
    with Engine(loaded.pipeline, loaded.store) as engine, Trainer(engine, file, wait=True) as trainer:
        replay(engine, base, batch=BATCH, limit=limit, drain=limit is None, trainer=trainer)


def read(given: Slice, loaded: Loaded) -> Ran:
    """What a store says about the answers since the fault."""
    loss = loss_of(load(pipeline_file(given.stream, "watched")).pipeline)
    ran = Ran()
    with closing(Store.read(loaded.store)) as store:
        for block in store.blocks():
            ran.decisions += block.notes.decisions
            ran.alerts += block.notes.alerts
            for prediction in block.predictions:
                if given.number[prediction.event_id] >= given.place:
                    true = given.truth.get(prediction.event_id)
                    ran.losses.append(None if true is None else loss.cost(true, prediction))
                    ran.beside += [None if true is None else cost for cost in _beside(loss, true, prediction)]
    return ran


def _beside(loss: Loss, true: bool | None, prediction: Prediction) -> Iterator[float]:
    for said in prediction.others or ():
        if said.model.endswith(".fresh"):
            yield loss.cost(true, None if said.fault else said)


def fresh(given: Slice) -> Order:
    """A model that knows nothing takes a seat in the shadow when the fault strikes, and learns from there."""
    own = given.stream.name
    entry = Entry(name=f"{own}.fresh", like=own, start=f"{own}@0")
    return Order(given.before, command=Command(do="enter", entry=entry, place=Place(entry.name), author="oracle"))


def bad(given: Slice) -> Order:
    """An operator rolls out a version that has seen one example in a hundred."""
    version = f"{given.stream.name}@{given.place // 100}"
    return Order(given.before, typed=("rollback", version, "--author", "operator", "--reason", "a mistake"))


def frozen(given: Slice) -> list[Order]:
    """Nobody learns while the fault lasts."""
    over = given.records_until(given.over_at)
    return [
        Order(given.before, typed=("freeze", "--author", "oracle")),
        Order(over, typed=("resume", "--author", "oracle")),
    ]
