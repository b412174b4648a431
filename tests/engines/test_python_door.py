"""Answering and telling from Python, one at a time and from asyncio."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from river import anomaly, linear_model, preprocessing

from eddyline import Engine, EpochSeconds, Event, Id, Join, Key, Label, Mean, Pipeline, Rejected, Truth, memory, minutes


class Reading(Event):
    id: Id
    sensor: Key
    at: EpochSeconds
    value: float


class Fault(Label):
    id: Id
    at: EpochSeconds
    broken: Truth[bool]


SENSORS = Pipeline(
    name="sensors",
    events=memory([], Reading),
    labels=memory([], Fault),
    aggregates={"mean": Mean("value", over=minutes(5))},
    model=preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1, height=4, n_trees=5, window_size=50),
    join=Join(wait=minutes(1), absent=False),
)


def reading(i: int, value: float | None = None) -> Reading:
    return Reading(id=f"r{i}", sensor="a", at=i * 10, value=float(i % 7) if value is None else value)


def test_calls_that_come_together_share_a_commit_and_equal_calls_one_by_one(tmp_path: Path) -> None:
    async def together(engine: Engine) -> list[float]:
        answers = await asyncio.gather(*(engine.aanswer(reading(i)) for i in range(200)))
        return [float(str(answer.value)) for answer in answers]

    with Engine(SENSORS, tmp_path / "one.eddyline") as engine:
        one_by_one = [float(str(engine.answer(reading(i)).value)) for i in range(200)]
        assert engine.store.seq == 200
        alone = engine.loop.states.learn.model.digest()
    with Engine(SENSORS, tmp_path / "all.eddyline") as engine:
        assert asyncio.run(together(engine)) == one_by_one
        assert engine.store.seq < 10
        assert engine.loop.states.learn.model.digest() == alone


def test_asyncio_callers_get_their_own_refusals(tmp_path: Path) -> None:
    async def mixed(engine: Engine) -> list[object]:
        calls = [engine.aanswer(reading(1)), engine.aanswer(reading(1, 5.5)), engine.aanswer(reading(2, float("nan")))]
        told = [engine.atell(Fault(id="r1", at=9_999, broken=True)), engine.atell(Fault(id="r1", at=11, broken=True))]
        return list(await asyncio.gather(*calls, *told, engine.aanswer(reading(1)), return_exceptions=True))

    with Engine(SENSORS, tmp_path / "s.eddyline") as engine:
        first, conflict, nan, late, told, again = asyncio.run(mixed(engine))
    assert again == first
    assert [refused.reason for refused in (conflict, nan, late) if isinstance(refused, Rejected)] == [
        "id_conflict",
        "out_of_range",
        "label_late",
    ]
    assert told is None


def test_an_anomaly_model_learns_from_silence_and_scores(tmp_path: Path) -> None:
    with Engine(SENSORS, tmp_path / "s.eddyline") as engine:
        usual = [engine.answer(reading(i)) for i in range(300)][-1]
        assert usual.position > 250
        assert isinstance(usual.value, float)
        assert 0.0 <= usual.value <= 1.0


def test_a_published_version_answers_until_the_next_one(tmp_path: Path) -> None:
    from eddyline import every

    published = SENSORS.replace(model=linear_model.LogisticRegression(), publish=every(25))
    with Engine(published, tmp_path / "s.eddyline") as engine:
        positions = {engine.answer(reading(i)).position for i in range(200)}
    assert positions == set(range(0, 200, 25))


def test_a_second_writer_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    import os

    from eddyline import StoreLocked

    with Engine(SENSORS, tmp_path / "s.eddyline"), pytest.raises(StoreLocked, match=str(os.getpid())):
        Engine(SENSORS, tmp_path / "s.eddyline")
