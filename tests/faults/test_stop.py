"""Stopping a run that follows its sources: it ends after a commit, and going on later changes nothing (law *stop*)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.shop import SHOP, Sale, Visit, sales, visits

from eddyline import Engine, Pipeline, jsonl
from eddyline.engines.embedded import Progress, follow, replay
from eddyline.records.schema import Schema
from eddyline.store.database import Store
from eddyline.views.verify import verify

COUNT = 300
FOLLOWED = SHOP.replace(events=jsonl("visits.jsonl", Visit), labels=jsonl("sales.jsonl", Sale))

RUN = """
import sys
from pathlib import Path
from tests.faults.test_stop import FOLLOWED
from eddyline import Engine
from eddyline.cli.stop import stopping
from eddyline.engines.embedded import follow

base = Path(sys.argv[1])
with stopping() as stop, Engine(FOLLOWED, base / "shop.eddyline") as engine:
    follow(engine, base, stop=stop, batch=7, on_progress=lambda progress: print(progress.inputs, flush=True))
print("ended", flush=True)
"""


def _write(base: Path, count: int = COUNT) -> None:
    for name, kind, records in (("visits", Visit, visits(count)), ("sales", Sale, sales(count))):
        encode = Schema.of(kind).encode
        (base / f"{name}.jsonl").write_bytes(b"".join(encode(record) + b"\n" for record in records))


def _state(base: Path, pipeline: Pipeline = FOLLOWED) -> tuple[object, ...]:
    """What the store holds at its end, whatever blocks it came in."""
    with Engine(pipeline, base / "shop.eddyline") as engine:
        states, store = engine.loop.states, engine.store
        predictions = [one for seq in range(1, store.seq + 1) for one in store.block(seq).predictions]
        memories = engine.plan.watch.save(states.watch), states.serve.frontier, states.join.revisions
        return predictions, states.learn.model.digest(), memories, dict(engine.positions)


@pytest.fixture
def expected(tmp_path: Path) -> tuple[object, ...]:
    """What one undisturbed replay comes to."""
    base = tmp_path / "undisturbed"
    base.mkdir()
    _write(base)
    with Engine(FOLLOWED, base / "shop.eddyline") as engine:
        replay(engine, base)
    return _state(base)


def _after(inputs: int) -> tuple[Callable[[], bool], Callable[[Progress], None]]:
    """A reason to stop once so many inputs were taken."""
    taken = 0

    def note(progress: Progress) -> None:
        nonlocal taken
        taken = progress.inputs

    return lambda: taken >= inputs, note


def test_following_stops_after_a_commit_and_goes_on_to_the_same_end(tmp_path: Path, expected: tuple[object, ...]) -> None:
    _write(tmp_path)
    for inputs, taken in ((1, 13), (100, 104), (57, 65)):
        stop, note = _after(inputs)
        with Engine(FOLLOWED, tmp_path / "shop.eddyline") as engine:
            assert follow(engine, tmp_path, stop=stop, batch=13, on_progress=note).inputs == taken
    with Engine(FOLLOWED, tmp_path / "shop.eddyline") as engine:
        replay(engine, tmp_path)
    assert _state(tmp_path) == expected


def test_a_termination_signal_ends_a_run_with_all_it_took_committed(tmp_path: Path, expected: tuple[object, ...]) -> None:
    _write(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as running:
        assert running.stdout is not None
        taken = int(running.stdout.readline())
        running.send_signal(signal.SIGTERM)
        *said, last = running.stdout.read().splitlines()
    assert (running.returncode, last) == (0, "ended")
    taken = int(said[-1]) if said else taken
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert sum(len(block.inputs) for block in store.blocks()) == taken
        checkpoint = store.checkpoint()
        assert checkpoint is not None
        assert checkpoint[0] == store.seq
    with Engine(FOLLOWED, tmp_path / "shop.eddyline") as engine:
        replay(engine, tmp_path)
    assert _state(tmp_path) == expected
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert verify(store, FOLLOWED).sound
