"""A challenger whose code fails loses its place; what its owner is told to type brings the mended one in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
FILE = """
from river import linear_model

from eddyline import (
    Challenger, CustomModel, EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Promote, RollBack, Task, Truth, hours, jsonl,
)


class Payment(Event):
    id: Id
    card: Key
    at: EpochSeconds
    amount: float


class Chargeback(Label):
    id: Id
    at: EpochSeconds
    fraud: Truth[bool]


class Limit(CustomModel):
    task = Task.CLASSIFICATION

    def predict(self, features):
        return features["amuont"] > 80

    def learn(self, features, truth):
        pass


fraud = Pipeline(
    name="fraud",
    events=jsonl("payments.jsonl", Payment),
    labels=jsonl("chargebacks.jsonl", Chargeback),
    model=linear_model.LogisticRegression(),
    join=Join(wait=hours(1), absent=False),
    challengers=(Challenger("limit", model=Limit()),),
    decide=(Promote(challenger="limit"), RollBack()),
)
"""


@pytest.fixture
def file(tmp_path: Path, run: Run) -> Path:
    """A pipeline whose challenger failed at each of its answers, and lost its place."""
    payments = [{"id": f"p-{n}", "card": f"c-{n % 9}", "at": 60 * n, "amount": float(n * 37 % 100)} for n in range(400)]
    chargebacks = [{"id": f"p-{n}", "at": 60 * n + 600, "fraud": n * 37 % 100 > 85} for n in range(400)]
    for name, rows in (("payments", payments), ("chargebacks", chargebacks)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "fraud.py"
    file.write_text(FILE)
    assert run("replay", file, "--limit", 500).code == 0
    return file


def mend(file: Path, *changes: tuple[str, str]) -> None:
    """Changes the file, which the next process reads."""
    text = file.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)
    sys.modules.pop(file.stem, None)


def test_who_lost_its_place_by_failing_is_told_of_with_how_it_comes_back(file: Path, run: Run) -> None:
    told = run("challengers", file).out
    assert "fraud.limit has no seat: retire by roll_back (decision 1): 100 of the newest 100 answers or examples raised" in told
    assert 'Challenger("limit-2", ...): eddyline change FILE' in told
    (gone,) = run("challengers", file, "--json").json["unseated"]
    assert (gone["line"], gone["failed"], gone["decision"]["number"]) == ("fraud.limit", True, 1)


def test_a_mended_challenger_comes_in_by_what_the_refusal_says_to_type(file: Path, run: Run) -> None:
    mend(file, ("amuont", "amount"))
    refused = run("change", file)
    assert refused.code == 4
    assert "what fraud.limit answered is on record as that recipe's, also where it only failed" in refused.err
    assert 'Challenger("limit-2", ...), Promote(challenger="limit-2")' in refused.err
    mend(file, ('"limit"', '"limit-2"'))
    changed = run("change", file)
    assert changed.code == 0
    assert "beside it fraud.limit-2 (shadow)" in changed.out
    assert run("replay", file).code == 0
    assert run("challengers", file, "--json").json["champion"] == "fraud.limit-2"
    assert run("verify", file).code == 0


def test_a_second_mend_is_told_a_name_that_is_free(file: Path, run: Run) -> None:
    mend(file, ("amuont", "amount"), ('"limit"', '"limit-2"'))
    assert run("change", file).code == 0
    mend(file, ("> 80", "> 85"))
    assert 'Challenger("limit-3", ...), Promote(challenger="limit-3")' in run("change", file).err


def test_who_was_sent_away_by_hand_can_be_asked_as_it_was(tmp_path: Path, file: Path, run: Run) -> None:
    mend(file, ("amuont", "amount"))
    store = tmp_path / "new.eddyline"
    assert run("replay", file, "--store", store, "--limit", 50).code == 0
    assert run("challengers", file, "--store", store, "--leave", "fraud.limit", "--author", "ada").code == 0
    told = run("challengers", file, "--store", store).out
    assert "fraud.limit has no seat: leave by ada (decision 1); it learns no more" in told
    (gone,) = run("challengers", file, "--store", store, "--json").json["unseated"]
    assert f"--enter {gone['version']}" in told
    assert run("challengers", file, "--store", store, "--enter", gone["version"]).code == 0
    assert run("verify", file, "--store", store).code == 0
