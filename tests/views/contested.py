"""A pipeline with a challenger and policies, a stream that drifts twice, and runs of it cut and stopped anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from river import linear_model, preprocessing, tree

from eddyline import (
    Canary,
    Challenger,
    Count,
    Engine,
    EpochSeconds,
    Event,
    FreezeLearning,
    Id,
    Join,
    Key,
    Label,
    Notify,
    Pipeline,
    Promote,
    RollBack,
    Truth,
    Versions,
    Watch,
    hours,
    memory,
    minutes,
    seconds,
)
from eddyline.engines.embedded import codec
from eddyline.records import Decision
from eddyline.stages.commands import Command
from eddyline.store.blocks import Input, Kind
from eddyline.store.database import Store


class Payment(Event):
    id: Id
    card: Key
    at: EpochSeconds
    a: float
    b: float


class Chargeback(Label):
    id: Id
    at: EpochSeconds
    fraud: Truth[bool]


def plain(payment: Payment) -> dict[str, float]:
    return {"a": payment.a, "b": payment.b}


def crossed(payment: Payment, often: int) -> dict[str, float]:
    return {"ab": payment.a * payment.b, "often": often}


POLICIES = (
    Promote(evidence=50),
    RollBack(evidence=20),
    Notify(on="any", cool_down=minutes(30)),
    FreezeLearning(on=("error_drift",), until=minutes(20)),
)


def pipeline(**changes: Any) -> Pipeline:
    """Scores payments; the challenger sees the product of two fields, which matters but in the middle of the stream."""
    fields: dict[str, Any] = {
        "name": "fraud",
        "events": memory([], Payment),
        "labels": memory([], Chargeback),
        "aggregates": {"often": Count(over=hours(1))},
        "features": plain,
        "model": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        "join": Join(wait=minutes(10)),
        "lateness": seconds(30),
        "versions": Versions(every=500),
        "watch": Watch(drift=("a",)),
        "challengers": (
            Challenger("deep", features=crossed, mode=Canary(0.2)),
            Challenger("tree", model=tree.HoeffdingTreeClassifier(grace_period=50)),
        ),
        "decide": POLICIES,
    }
    return Pipeline(**{**fields, **changes})


def stream(events: int = 3_000, seed: int = 1) -> list[Event | Label]:
    """Payments ten seconds apart, each with its truth a minute later, but for every ninth.

    What is fraud goes with a·b in the first and the last third, and with a in the middle.
    """
    random = Random(seed)
    records: list[tuple[int, int, Event | Label]] = []
    for number in range(events):
        a, b, at = random.gauss(0.2, 1), random.gauss(0, 1), number * 10
        middle = events // 3 <= number < 2 * events // 3
        fraud = (a if middle else a * b) > 0
        records.append((at, 1, Payment(id=f"p-{number}", card=f"c-{number % 40}", at=at, a=a, b=b)))
        if number % 9:
            records.append((at + 60, 0, Chargeback(id=f"p-{number}", at=at + 60, fraud=fraud)))
    return [record for _, _, record in sorted(records, key=lambda one: one[:2])]


def given(engine: Engine, record: Event | Label | Command) -> Input:
    """A record as the engine journals it."""
    if isinstance(record, Command):
        return codec.command_input(record)
    if isinstance(record, Event):
        return Input(Kind.EVENT, engine.pipeline.event_schema.encode(record))
    return Input(Kind.LABEL, engine.pipeline.label_schema.encode(record))


def run(
    declared: Pipeline, path: Path, records: Sequence[Event | Label | Command], *, batch: int = 250, stops: Sequence[int] = ()
) -> None:
    """Runs records in batches of a size, a command alone; after the batches numbered `stops` it crashes or is closed."""
    engine, at, number = Engine(declared, path), 0, 0
    while at < len(records):
        size = 1 if isinstance(records[at], Command) else batch
        end = next((i for i in range(at + 1, min(at + size, len(records))) if isinstance(records[i], Command)), at + size)
        inputs = [given(engine, record) for record in records[at:end]]
        engine.take(inputs, [engine.codec.decode(one) for one in inputs])
        at, number = end, number + 1
        if number in stops:
            if number % 2:
                engine.store.close()
            else:
                engine.close()
            engine = Engine(declared, path)
    engine.close()


def decisions(path: Path) -> list[Decision]:
    """Every decision of a store."""
    with closing(Store.read(path)) as store:
        return [decision for block in store.blocks() for decision in block.notes.decisions]
