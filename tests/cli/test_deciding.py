"""What operators ask for and read about decisions: seats, approvals, freezes, history, incidents and backtests."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from tests.views import contested

from eddyline import Engine, Event
from eddyline.pipeline.loading import load

Run = Callable[..., Any]
DECLARED = """
from eddyline import Promote, RollBack, jsonl
from tests.views import contested

fraud = contested.pipeline(
    events=jsonl("payments.jsonl", contested.Payment), labels=jsonl("chargebacks.jsonl", contested.Chargeback), {more}
)
"""
BY = ("--author", "ada", "--reason", "to see")


def _project(folder: Path, records: int, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "fraud.py"
    file.write_text(DECLARED.format(more=more))
    declared = contested.pipeline()
    with (folder / "payments.jsonl").open("wb") as events, (folder / "chargebacks.jsonl").open("wb") as labels:
        for record in contested.stream()[:records]:
            out, schema = (events, declared.event_schema) if isinstance(record, Event) else (labels, declared.label_schema)
            out.write(schema.encode(record) + b"\n")
    return file


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pipeline, its data, and a store that lived through all of it."""
    folder = tmp_path_factory.mktemp("lived")
    _project(folder, 10_000)
    contested.run(contested.pipeline(), folder / "fraud.eddyline", contested.stream())
    return folder


@pytest.fixture
def file(lived: Path, tmp_path: Path) -> Path:
    """The pipeline file, beside a copy of that store."""
    folder = tmp_path / "fraud"
    shutil.copytree(lived, folder)
    return folder / "fraud.py"


@contextmanager
def _somebody_runs(file: Path) -> Iterator[None]:
    """An engine on the store that looks into its inbox until the end."""
    loaded, done = load(str(file)), Flag()
    with Engine(loaded.pipeline, loaded.store) as engine:

        def look() -> None:
            while not done.wait(0.01):
                engine.take_inbox()

        thread = Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def test_challengers_have_seats_given_and_taken(file: Path, run: Run) -> None:
    assert "nobody sits beside it" in run("challengers", file).out
    would = run("challengers", file, "--enter", "fraud@1200", "--canary", "0.05", "--dry-run", "--json")
    assert would.json["would_ask"]["place"]["share"] == 0.05
    assert run("challengers", file, "--json").json["seats"] == []
    entered = run("challengers", file, "--enter", "fraud@1200", "--canary", "0.05", *BY)
    assert entered.code == 0
    assert "beside it fraud@1200 (canary)" in entered.out
    (seat,) = run("challengers", file, "--json").json["seats"]
    assert (seat["place"]["who"], seat["place"]["mode"], seat["position"], seat["learns"]) == (
        "fraud@1200",
        "canary",
        1200,
        False,
    )
    assert "the first event of each key" not in run("challengers", file).out
    run("challengers", file, "--enter", "fraud@1200", "--split", "0.5", *BY)
    assert "the first event of each key" in run("challengers", file).out
    assert run("challengers", file, "--leave", "fraud@1200").code == 0
    gone = run("challengers", file, "--leave", "fraud@1200")
    assert (gone.code, gone.out) == (6, "")
    assert "fraud@1200 has no seat beside the champion" in gone.err
    assert run("verify", file).code == 0


def test_challengers_tell_the_verdict_so_far_and_how_long_it_may_take(tmp_path: Path, run: Run) -> None:
    file = _project(tmp_path, 700, "decide=(Promote(evidence=1e9),)")
    assert run("replay", file).code == 0
    out = run("challengers", file).out
    assert "fraud.deep" in out
    assert "more labels, about" in " ".join(out.split())
    assert "answers 0 raised, 0 were not finite" in " ".join(out.split())
    seats = run("challengers", file, "--json").json["seats"]
    assert [seat["contests"][0]["verdict"]["outcome"] for seat in seats] == ["inconclusive", "inconclusive"]


def test_a_proposal_is_carried_out_when_it_is_approved_and_once(tmp_path: Path, run: Run) -> None:
    file = _project(tmp_path, 900, "decide=(Promote(evidence=20, approval=True),)")
    assert run("replay", file).code == 0
    waiting = run("challengers", file, "--json").json["waiting"]
    assert [(one["number"], one["action"], one["status"]) for one in waiting][:1] == [(1, "promote", "proposed")]
    assert "decision 1 waits for approval: promote fraud.deep" in run("challengers", file).out
    done = run("approve", file, 1, *BY, "--json").json
    assert (done["decisions"][0]["status"], done["decisions"][0]["author"]) == ("approved", "ada")
    assert done["rollouts"][0]["champion"] == "fraud.deep"
    again = run("approve", file, 1)
    assert again.code == 6
    assert "decision 1 does not wait for approval" in again.err
    assert run("history", file, "--check").code == 0


def test_a_rejected_proposal_changes_nobody(tmp_path: Path, run: Run) -> None:
    file = _project(tmp_path, 900, "decide=(Promote(evidence=20, approval=True),)")
    assert run("replay", file).code == 0
    done = run("reject", file, 1, *BY, "--json").json
    assert (done["decisions"][0]["status"], done["rollouts"]) == ("rejected", [])
    assert run("challengers", file, "--json").json["champion"] == "fraud"


def test_learning_is_frozen_and_resumed_and_segments_are_set_apart_and_released(file: Path, run: Run) -> None:
    assert run("freeze", file, *BY).out.startswith("decision ")
    assert "learning is frozen since" in run("challengers", file).out
    assert run("resume", file, *BY).code == 0
    apart = run("quarantine", file, "north", *BY)
    assert (apart.code, "note: fraud has no segments" in apart.err) == (0, True)
    assert "in quarantine since" in run("challengers", file).out
    assert run("release", file, "north", *BY).code == 0
    state = run("challengers", file, "--json").json
    assert (state["frozen_since"], state["quarantined"]) == (None, {})


def test_a_running_engine_takes_what_is_asked_and_says_what_it_refuses(file: Path, run: Run) -> None:
    with _somebody_runs(file):
        dropped = run("rollback", file, "fraud@400", "--drop", *BY, "--json").json
        frozen = run("freeze", file, *BY, "--json").json
        twice = run("freeze", file, *BY, "--json").json
        refused = run("approve", file, 77)
    assert (dropped["by_running_engine"], dropped["rollout"]["champion"]) == (True, "fraud.b1")
    assert frozen["by_running_engine"] is True
    assert twice["block"] > frozen["block"]
    assert refused.code == 6
    assert "decision 77 does not wait for approval" in refused.err


def test_a_line_answers_again_by_its_name(tmp_path: Path, run: Run) -> None:
    file = _project(tmp_path, 900, "decide=()")
    assert run("replay", file).code == 0
    rolled = run("rollback", file, "fraud.deep", *BY, "--json").json
    assert rolled["rollout"]["champion"] == "fraud.deep"
    refused = run("rollback", file, "fraud.nobody")
    assert refused.code == 6
    assert "a line (fraud, fraud.deep, fraud.tree)" in refused.err


def test_dropping_what_was_learned_goes_on_from_the_version_and_the_store_is_sound(tmp_path: Path, run: Run) -> None:
    file = _project(tmp_path, 2_000)
    assert run("replay", file).code == 0
    said = run("rollback", file, "fraud@400", "--drop", "--dry-run").out
    assert "fraud@400 would answer and learn on as fraud.b1; fraud learns no more" in said
    assert run("history", file, "--json").json["tenures"][-1]["champion"] != "fraud.b1"
    before = run("versions", file, "--json").json["answers"]["learner"]
    dropped = run("rollback", file, "fraud@400", "--drop", *BY, "--json").json
    assert dropped["rollout"]["champion"] == "fraud.b1"
    _project(tmp_path, 4_000)
    assert run("replay", file).code == 0
    state = run("challengers", file, "--json").json
    assert state["champion"] == "fraud.b1"
    assert state["position"] > 800
    assert run("versions", file, "--json").json["answers"]["learner"] == before
    verified = run("verify", file, "--json").json
    assert verified["faults"] == []
    assert run("history", file, "--check").code == 0
    late = run("rollback", file, "fraud", "--drop")
    assert late.code == 6
    assert "fraud is not a version" in late.err


def test_history_tells_what_was_in_production_since_when_who_put_it_there_and_why(file: Path, run: Run) -> None:
    page = run("history", file)
    assert "better: " in page.out
    assert max(map(len, page.out.splitlines())) <= 100
    before, after = (run("history", file, "--at", at, "--json").json for at in ("1970-01-01T00:10Z", "1970-01-01T02:00Z"))
    assert (before["put_there"]["champion"], before["put_there"]["decision"]) == ("fraud", None)
    assert before["answered_at"] == 600 * 1_000_000
    put = after["put_there"]
    assert (put["champion"], put["decision"]["policy"], put["decision"]["action"]) == ("fraud.deep", "promote", "promote")
    assert after["rollout"]["revision"] > put["rollout"]["revision"]
    assert after["version"].startswith("fraud.")
    now = run("history", file, "--at", "2999-01-01", "--wall", "--json").json
    assert now["put_there"]["champion"] == "fraud"
    assert now["put_there"]["decision"]["action"] == "roll_back"
    assert now["until"] is None
    assert after["until"] == now["put_there"]["at"]
    assert run("history", file, "--at", "2000-01-01", "--wall", "--json").json["version"] is None
    assert run("history", file, "--at", "yesterday").code == 2
    assert max(map(len, run("history", file, "--decisions").out.splitlines())) <= 100


def test_dropping_what_was_learned_since_is_done_once_and_says_so(file: Path, run: Run) -> None:
    first = run("rollback", file, "fraud@50", "--drop", *BY, "--json").json
    would = run("rollback", file, "fraud@50", "--drop", "--dry-run").out
    again = run("rollback", file, "fraud@50", "--drop", *BY)
    told = f"nothing was done again: fraud@50 answers and learns on as fraud.b1 since rollout {first['rollout']['revision']}"
    assert (again.code, again.out.startswith(told), would) == (0, True, again.out)
    assert run("rollback", file, "fraud@50", "--drop", *BY, "--json").json["before"] is True


def _edit_the_last_decision(store: Path, *, rechained: bool) -> None:
    """Changes the reason of the last decision on disk; with `rechained` by somebody who knows how blocks are chained."""
    from eddyline.store import blocks
    from eddyline.store.database import link

    with sqlite3.connect(store) as db:
        columns = "seq, hash, first_slot, first_example, deads, inputs, predictions, examples, dead, notes"
        rows = list(db.execute(f"SELECT {columns} FROM blocks ORDER BY seq"))
        place = max(i for i, row in enumerate(rows) if blocks.decode_notes(row[-1]).decisions)
        head = rows[place - 1][1]
        for i, (seq, digest, *numbers, inputs, predictions, examples, dead, packed) in enumerate(rows[place:]):
            if i == 0:
                notes = blocks.decode_notes(packed)
                notes.decisions[-1] = _otherwise(notes.decisions[-1])
                packed = blocks.encode_notes(notes)
            parts = (inputs, predictions, examples, dead, packed)
            head = link(head, (seq, *numbers), parts) if rechained else digest
            db.execute("UPDATE blocks SET notes=?, hash=? WHERE seq=?", (packed, head, seq))
    db.close()


def _otherwise(decision: Any) -> Any:
    import msgspec

    evidence = {**decision.evidence, **({"wins": decision.evidence["wins"] + 1} if "wins" in decision.evidence else {})}
    return msgspec.structs.replace(decision, reason="because I say so", evidence=evidence)


def test_verify_counts_the_decisions_and_fails_when_one_was_changed(file: Path, run: Run) -> None:
    store = file.parent / "fraud.eddyline"
    made = run("history", file, "--json").json["decisions"]
    assert run("verify", file, "--json").json["decisions"] == len(made) > 3
    assert "decision" in run("verify", file).out
    _edit_the_last_decision(store, rechained=False)
    ran = run("verify", file)
    assert ran.code == 1
    assert "were changed" in ran.out or "another checksum" in ran.out


def test_a_decision_that_was_changed_and_chained_again_does_not_follow_from_the_journal(file: Path, run: Run) -> None:
    assert "sound: " in run("history", file, "--check").out
    head = run("verify", file, "--json").json["head"]
    _edit_the_last_decision(file.parent / "fraud.eddyline", rechained=True)
    checked = run("history", file, "--check")
    assert checked.code == 1
    assert "does not follow from the journal" in checked.out
    assert run("verify", file, "--head", head).code == 1


def test_incidents_open_and_close_by_themselves_and_export_as_a_page(file: Path, run: Run) -> None:
    listed = run("incidents", file, "--json").json["incidents"]
    assert {one["kind"] for one in listed} >= {"alert", "freeze", "roll_back"}
    frozen = next(one for one in listed if one["kind"] == "freeze")
    assert frozen["closed_by"].startswith("resume by freeze_learning")
    assert {moment["what"] for moment in frozen["timeline"]} >= {"alert", "decision", "closed"}
    back = next(one for one in listed if one["kind"] == "roll_back")
    assert 0 < back["error_after"] < 1
    page = file.parent / "incident.md"
    assert run("incidents", file, back["number"], "--markdown", page).code == 0
    text = page.read_text()
    assert text.startswith(f"# Incident {back['number']} of fraud: the champion was rolled back: fraud.deep")
    assert '"e_better"' in text
    assert "## Timeline" in text
    assert "evidence" in run("incidents", file, back["number"]).out
    assert run("incidents", file, 99).code == 6
    assert max(map(len, run("incidents", file).out.splitlines())) <= 100


def test_an_incident_of_a_person_is_open_until_it_is_resumed(file: Path, run: Run) -> None:
    before = run("incidents", file, "--open", "--json").json["incidents"]
    assert run("freeze", file, "--author", "ada", "--reason", "labels look wrong").code == 0
    opened = run("incidents", file, "--open", "--json")
    assert opened.code == 1
    assert len(opened.json["incidents"]) == len(before) + 1
    assert opened.json["incidents"][-1]["reason"] == "labels look wrong"
    assert run("resume", file).code == 0
    assert len(run("incidents", file, "--open", "--json").json["incidents"]) == len(before)


def test_a_burst_of_dead_letters_is_an_incident(tmp_path: Path, run: Run) -> None:
    file = _project(tmp_path, 1_500)
    with (tmp_path / "payments.jsonl").open("ab") as events:
        events.write(b'{"id": 1}\n' * 200)
    assert run("replay", file).code == 0
    (burst,) = [one for one in run("incidents", file, "--json").json["incidents"] if one["kind"] == "dead_letters"]
    assert burst["subject"] == "events"
    assert burst["evidence"]["dead"] >= 200


def test_a_backtest_shows_what_policies_would_have_done_and_what_it_would_have_cost(file: Path, run: Run) -> None:
    policy = file.parent / "eager.py"
    policy.write_text("from eddyline import Promote, RollBack\ndecide = (Promote(evidence=1.5), RollBack(evidence=1.5))\n")
    page = run("backtest", policy, "--pipeline", file)
    assert (page.code, page.err) == (0, "")
    assert "what they would have done" in page.out
    assert "the best line of each 500 events" in page.out
    assert max(map(len, page.out.splitlines())) <= 100
    document = run("backtest", policy, "--pipeline", file, "--since", "2h", "--json").json
    assert document["record"] > 0
    assert document["regret"] >= 0
    same = run("backtest", file, "--pipeline", file, "--json").json
    assert [one["decision"] for one in same["tried"]] == same["recorded"]
    assert run("backtest", file.parent / "no.py", "--pipeline", file).code == 2
    assert run("backtest", policy, "--pipeline", file, "--since", "soon").code == 2
