"""Answering and telling from Python, one at a time and from asyncio."""

from __future__ import annotations

import asyncio
import threading
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


def test_two_event_loops_in_two_threads_all_get_their_answers(tmp_path: Path) -> None:
    answered: dict[int, list[str]] = {}

    async def one_after_the_other(engine: Engine, worker: int) -> list[str]:
        return [(await engine.aanswer(reading(10_000 * worker + i))).event_id for i in range(100)]

    with Engine(SENSORS, tmp_path / "s.eddyline") as engine:

        def work(worker: int) -> None:
            answered[worker] = asyncio.run(one_after_the_other(engine, worker))

        threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert engine.ledger.count == 200
    assert answered == {worker: [f"r{10_000 * worker + i}" for i in range(100)] for worker in (1, 2)}


def test_an_event_loop_that_ended_leaves_nobody_waiting_in_another(tmp_path: Path) -> None:
    async def leave(engine: Engine, number: int) -> None:
        task = asyncio.create_task(engine.aanswer(reading(number)))
        await asyncio.sleep(0)
        task.cancel()

    async def ask(engine: Engine, number: int) -> str:
        return (await asyncio.wait_for(engine.aanswer(reading(number)), timeout=60)).event_id

    with Engine(SENSORS, tmp_path / "s.eddyline") as engine:
        for number in range(0, 20, 2):
            asyncio.run(leave(engine, number))
            assert asyncio.run(ask(engine, number + 1)) == f"r{number + 1}"


def test_a_features_function_that_ends_the_program_ends_it_for_who_asked(tmp_path: Path) -> None:
    def features(reading: Reading) -> dict[str, float]:
        if reading.value == 13.0:
            raise SystemExit(3)
        return {"value": reading.value}

    async def asked(engine: Engine, i: int, value: float) -> float:
        return float(str((await engine.aanswer(reading(i, value))).value))

    with Engine(SENSORS.replace(features=features), tmp_path / "s.eddyline") as engine:
        asyncio.run(asked(engine, 1, 1.0))
        with pytest.raises(SystemExit) as ended:
            asyncio.run(asked(engine, 2, 13.0))
        assert ended.value.code == 3
        assert asyncio.run(asked(engine, 3, 1.0)) >= 0.0
        assert engine.ledger.count == 2


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
