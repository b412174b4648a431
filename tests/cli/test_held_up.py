"""A model that never comes back: it is named while it lasts, and after the process was ended its seat can be taken away."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eddyline.store.database import Store

SLEEPS = "threading.Event().wait()"
HOLDS_THE_LOCK = 're.match("(a+)+$", "a" * 64 + "b")'
FILE = '''
"""A challenger that never comes back from the tenth visit."""
import re
import threading

from river import linear_model

from eddyline import Challenger, CustomModel, Event, EpochSeconds, Id, Label, Pipeline, RollBack, Shadow, Task, Truth, jsonl


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


class Deep(CustomModel):
    task = Task.CLASSIFICATION

    def predict(self, features):
        if features["pages"] == 10:
            HANGS
        return True

    def learn(self, features, truth):
        pass


shop = Pipeline(
    name="shop",
    events=jsonl("visits.jsonl", Visit),
    labels=jsonl("sales.jsonl", Sale),
    model=linear_model.LogisticRegression(),
    challengers=(Challenger("deep", model=Deep(), mode=Shadow()),),
    decide=(RollBack(),),
)
'''


def shop(folder: Path, hangs: str) -> Path:
    visits = [{"id": f"v-{i}", "at": 10 * i, "pages": i} for i in range(30)]
    sales = [{"id": f"v-{i}", "at": 10 * i + 5, "bought": i % 3 == 0} for i in range(30)]
    for name, records in (("visits", visits), ("sales", sales)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "held_up.py").write_text(FILE.replace("HANGS", hangs))
    return folder / "held_up.py"  # a name of its own: who else loads a shop.py in this process would make it shop_2


def next_line(running: Any, said: str) -> str:
    line = running.line()
    assert line, f"it ended, and had said: {said}"
    return str(line)


def test_who_does_not_come_back_is_named_with_event_and_line_and_loses_its_seat_while_nothing_runs(
    tmp_path: Path, launch: Callable[..., Any], run: Callable[..., Any]
) -> None:
    file = shop(tmp_path, SLEEPS)
    assert run("replay", file, "--limit", 6).code == 0
    running = launch("run", file, "--held-up", "1")
    said = ""
    while "eddyline rollback FILE VERSION" not in said:
        said += next_line(running, said)
    assert "shop.deep has been at event 'v-10' for" in said
    assert "in predict\n    threading.Event().wait()" in said
    assert f"kill -9 {running.process.pid}" in said
    running.send(signal.SIGKILL)
    assert running.finish().code == -signal.SIGKILL
    left = run("challengers", file, "--leave", "deep")
    assert (left.code, "applied; no engine runs on the store" in left.out) == (0, True)
    assert run("replay", file).code == 0
    with closing(Store.read(tmp_path / "shop.eddyline")) as store:
        assert store.slots == 30
    assert run("verify", file).code == 0


def test_where_it_holds_pythons_own_lock_the_stack_is_written_all_the_same(tmp_path: Path, launch: Callable[..., Any]) -> None:
    running = launch("replay", shop(tmp_path, HOLDS_THE_LOCK), "--held-up", "1")
    said = ""
    while "in take" not in said:
        said += next_line(running, said)
    assert "in predict" in said


@pytest.mark.parametrize("command", ["run", "replay"])
def test_how_long_is_an_option(command: str, run: Callable[..., Any]) -> None:
    assert "--held-up SECONDS" in run(command, "--help").out
