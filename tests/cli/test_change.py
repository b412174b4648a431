"""`eddyline change`, as somebody types it who adds a policy a week later."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_deciding import DECLARED
from tests.views import contested

from eddyline import Engine, Event

Run = Callable[..., Any]
PLAIN = "challengers=(), decide=()"
MORE = "decide=(contested.Promote(evidence=40), contested.RollBack())"


def written(file: Path, text: str) -> None:
    """Another text in the file, as the next process would read it."""
    file.write_text(text)
    sys.modules.pop(file.stem, None)


@pytest.fixture
def file(tmp_path: Path, run: Run) -> Path:
    """A pipeline that has run a simple loop over the first part of its data, and then got a challenger and policies."""
    file, declared = tmp_path / "fraud.py", contested.pipeline()
    with (tmp_path / "payments.jsonl").open("wb") as events, (tmp_path / "chargebacks.jsonl").open("wb") as labels:
        for record in contested.stream(800):
            out, schema = (events, declared.event_schema) if isinstance(record, Event) else (labels, declared.label_schema)
            out.write(schema.encode(record) + b"\n")
    written(file, DECLARED.format(more=PLAIN))
    assert run("replay", file, "--limit", 600).code == 0
    written(file, DECLARED.format(more=MORE))
    return file


def test_a_challenger_and_policies_join_a_pipeline_that_runs(file: Path, run: Run) -> None:
    refused = run("replay", file)
    assert (refused.code, "take it up from here on: eddyline change FILE" in refused.err) == (4, True)
    told = run("change", file, "--dry-run").out
    assert "challenger deep: enters after" in told
    assert "policy promote: begins here" in told
    assert "nothing was changed" in told
    assert run("replay", file).code == 4
    done = run("change", file, "--author", "ada", "--reason", "a calm week", "--json").json
    assert [line for line in done["says"] if line.startswith("policy")] == [
        "policy promote: begins here, with no evidence yet",
        "policy roll_back: begins here, with no evidence yet",
    ]
    assert run("change", file).out.startswith("nothing changes: the store holds this declaration")
    assert run("replay", file).code == 0
    told = run("history", file).out
    assert all(word in told for word in (done["digest"], done["was"], "by ada: a calm week", "challenger deep: enters"))
    assert run("history", file, "--json").json["declarations"][1]["author"] == "ada"
    checked = run("history", file, "--check")
    assert (checked.code, f"made again from block {done['block']} on" in checked.out) == (0, True)
    assert run("verify", file).code == 0
    tried = run("backtest", file, "--pipeline", file)
    assert (tried.code, f"told from block {done['block']} on, where the declaration changed" in tried.out) == (0, True)
    assert run("report", file).code == 0
    assert run("challengers", file).code == 0


def test_a_store_that_was_not_closed_is_recovered_by_its_own_declaration(file: Path, run: Run) -> None:
    written(file, DECLARED.format(more=PLAIN))
    old = file.with_name("old.py")
    old.write_text(DECLARED.format(more=PLAIN))
    engine = Engine(contested.pipeline(challengers=(), decide=()), file.with_name("fraud.eddyline"))
    engine.answer(contested.Payment(id="w-1", card="c-1", at=9_000, a=1.0, b=2.0))
    engine.store.close()
    written(file, DECLARED.format(more=MORE))
    refused = run("change", file)
    assert (refused.code, "eddyline replay OLD.py --store fraud.eddyline --limit 0" in refused.err) == (4, True)
    assert run("replay", old, "--limit", 0).code == 0
    assert run("change", file).code == 0
    assert run("verify", file).code == 0
