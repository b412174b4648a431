"""Commands that run for long: stopping them, asking them, and driving refused records again."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eddyline.records.errors import EddylineError
from eddyline.store.database import Store

Run = Callable[..., Any]
NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)


def _append(folder: Path, count: int) -> None:
    """Adds parcels and, an hour later, their deliveries."""
    with (
        (folder / "parcels.jsonl").open("a") as parcels,
        (folder / "deliveries.jsonl").open("a") as deliveries,
    ):
        for number in range(count):
            at = NOON + timedelta(seconds=10 * number)
            name = f"new-{number}"
            parcel = {"id": name, "courier": "anna", "at": at.isoformat(), "km": 5.0, "kg": 1.0}
            parcels.write(json.dumps(parcel) + "\n")
            arrived = (at + timedelta(hours=1)).isoformat()
            deliveries.write(json.dumps({"id": name, "at": arrived, "late": number % 2 == 0}) + "\n")


def _predictions(store: Path) -> int:
    """How many predictions a store holds; 0 while it is being made."""
    try:
        opened = Store.read(store)
    except EddylineError:
        return 0
    with closing(opened):
        return int(opened.slots)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_takes_what_is_appended_and_a_signal_ends_it_with_everything_committed(
    project: Path, run: Run, launch: Run, number: int
) -> None:
    running = launch("run", project, "--json")
    assert running.line().startswith("parcels runs on ")
    _append(project.parent, 40)
    running.wait_until(lambda: _predictions(project.parent / "parcels.eddyline") == 240)
    running.send(number)
    ran = running.finish()
    assert ran.code == 0
    assert ran.json["answered"] == 240
    with closing(Store.read(project.parent / "parcels.eddyline")) as store:
        checkpoint = store.checkpoint()
        assert checkpoint is not None
        assert checkpoint[0] == store.seq
    assert run("replay", project, "--json").json["labelled"] == 230
    assert run("verify", project).code == 0


def test_a_run_says_how_it_goes_line_by_line(project: Path, launch: Run) -> None:
    running = launch("run", project, "--every", "0.1")
    running.line()
    line = running.line()
    assert "taken" in line
    assert "/s lately" in line
    running.send(signal.SIGTERM)
    assert running.finish().code == 0


def test_a_running_engine_takes_a_rollback_from_the_inbox(project: Path, run: Run, launch: Run) -> None:
    running = launch("run", project)
    running.line()
    running.wait_until(lambda: _predictions(project.parent / "parcels.eddyline") == 200)
    asked = run("rollback", project, "parcels@100", "--author", "ada", "--json")
    assert asked.code == 0
    assert asked.json["by_running_engine"] is True
    assert asked.json["rollout"]["champion"] == "parcels@100"
    _append(project.parent, 1)
    running.wait_until(lambda: _predictions(project.parent / "parcels.eddyline") == 201)
    running.send(signal.SIGTERM)
    assert running.finish().code == 0
    assert run("explain", project, "new-0", "--json").json["version"] == "parcels@100"


def test_a_second_runner_is_refused_with_4_and_looking_is_not(project: Path, run: Run, launch: Run) -> None:
    running = launch("run", project)
    running.line()
    running.wait_until(lambda: _predictions(project.parent / "parcels.eddyline") == 200)
    refused = run("replay", project)
    assert refused.code == 4
    assert "is running on it, and a store has one writer" in refused.err
    assert run("dead-letters", project, "--redrive").code == 4
    for command in (["versions"], ["dead-letters"], ["verify"]):
        assert run(command[0], project).code == 0
    running.send(signal.SIGTERM)
    assert running.finish().code == 0


def test_a_replay_stops_at_a_signal_and_goes_on_with_the_same_command(project: Path, run: Run, launch: Run) -> None:
    _append(project.parent, 20_000)
    replaying = launch("replay", project, "--batch", 1)
    replaying.wait_until(lambda: _predictions(project.parent / "parcels.eddyline") > 0)
    replaying.send(signal.SIGINT)
    ran = replaying.finish()
    assert ran.code == 0
    assert "stopped; go on with the same command" in ran.err
    assert "Traceback" not in ran.err
    rest = run("replay", project, "--json").json
    assert 0 < rest["run"]["answered"] < 20_200
    assert (rest["answered"], rest["labelled"]) == (20_200, 20_190)


PRICED = """
import json
from pathlib import Path
from river import linear_model
from eddyline import EpochSeconds, Event, Id, Join, Label, Pipeline, Truth, jsonl

class Order(Event):
    id: Id
    at: EpochSeconds
    amount: float
    currency: str

class Paid(Label):
    id: Id
    at: EpochSeconds
    paid: Truth[bool]

def features(order: Order) -> dict[str, float]:
    prices = json.loads(Path(__file__).with_name("prices.json").read_text())
    return {"worth": order.amount * prices[order.currency]}

orders = Pipeline(name="orders", events=jsonl("orders.jsonl", Order), labels=jsonl("paid.jsonl", Paid),
                  features=features, model=linear_model.LogisticRegression(), join=Join(early=1))
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A pipeline whose features look prices up in a file; there is one for francs."""
    (tmp_path / "orders.py").write_text(PRICED)
    (tmp_path / "prices.json").write_text('{"chf": 1.0}')
    (tmp_path / "orders.jsonl").touch()
    (tmp_path / "paid.jsonl").touch()
    return tmp_path / "orders.py"


def _order(file: Path, numbers: Iterable[int], currency: str) -> None:
    with (file.parent / "orders.jsonl").open("a") as out:
        for n in numbers:
            out.write(json.dumps({"id": f"o-{n}", "at": n, "amount": n, "currency": currency}) + "\n")


def test_redriving_answers_what_failed_once_its_reason_is_gone_and_only_once(orders: Path, run: Run) -> None:
    _order(orders, range(5), "eur")
    _order(orders, range(5, 10), "chf")
    with (orders.parent / "orders.jsonl").open("a") as out:
        out.write("broken\n")
    assert run("replay", orders, "--json").json["dead"] == {"features_failed": 5, "malformed": 1}
    again = run("dead-letters", orders, "--redrive", "--json").json
    assert (again["accepted"], again["refused"], again["unreadable"]) == (0, 5, 1)
    (orders.parent / "prices.json").write_text('{"chf": 1.0, "eur": 0.9}')
    mended = run("dead-letters", orders, "--redrive", "--reason", "features_failed", "--json").json
    assert (mended["accepted"], mended["refused"], mended["repeated"]) == (5, 0, 0)
    once_more = run("dead-letters", orders, "--redrive", "--reason", "features_failed", "--json").json
    assert (once_more["accepted"], once_more["settled"]) == (0, 5)
    assert run("replay", orders, "--json").json["answered"] == 10
    assert run("verify", orders).code == 0


def test_redriving_looks_at_no_more_letters_than_its_limit(orders: Path, run: Run) -> None:
    _order(orders, range(5), "eur")
    run("replay", orders)
    (orders.parent / "prices.json").write_text('{"eur": 0.9}')
    assert run("dead-letters", orders, "--redrive", "--limit", 2, "--json").json["accepted"] == 2
    assert run("replay", orders, "--json").json["answered"] == 2


def test_a_label_that_found_no_room_is_learned_when_its_event_has_come(orders: Path, run: Run) -> None:
    told = "".join(f'{{"id": "o-{n}", "at": {n}, "paid": true}}\n' for n in (1, 2))
    (orders.parent / "paid.jsonl").write_text(told)
    assert run("replay", orders, "--json").json["dead"] == {"too_many_early": 1}
    _order(orders, (1, 2), "chf")
    assert run("replay", orders, "--json").json["labelled"] == 1
    assert run("dead-letters", orders, "--redrive", "--json").json["accepted"] == 1
    again = run("dead-letters", orders, "--redrive", "--json").json
    assert (again["accepted"], again["settled"]) == (0, 1)
    assert run("replay", orders, "--json").json["labelled"] == 2


def test_a_run_that_ends_says_what_a_webhook_did_not_take(project: Path, run: Run, launch: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/hook"
    running = launch("run", project, "--webhook", url)
    assert running.line().startswith("parcels runs on ")
    assert run("freeze", project, "--reason", "labels look wrong").code == 0
    running.send(signal.SIGTERM)
    ran = running.finish()
    assert ran.code == 0
    assert "the webhook at 127.0.0.1 cannot be reached" in ran.err
    assert ran.err.rstrip().endswith("what it did not take, the next run tells it")
