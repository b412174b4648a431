"""What each command says about the starter project, as people and as programs read it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eddyline
from eddyline.models import compiled
from eddyline.store import blocks
from eddyline.store.database import GENESIS, link

Run = Callable[..., Any]


def test_a_new_project_replays_at_once_in_a_process_of_its_own(tmp_path: Path, launch: Run) -> None:
    assert launch("init", "shop", cwd=tmp_path).finish().code == 0
    ran = launch("replay", "pipeline.py", "--json", cwd=tmp_path / "shop").finish()
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["answered"] == 200
    assert ran.json["labelled"] == 190
    assert ran.json["unlabelled"] + ran.json["waiting"] == 10
    assert ran.json["dead"] == {"malformed": 1}
    assert ran.json["metrics"][0]["count"] == 190
    assert (tmp_path / "shop" / "parcels.eddyline").exists()


def test_init_overwrites_nothing(project: Path, run: Run) -> None:
    project.write_text("mine")
    (project.parent / "README.md").unlink()
    ran = run("init", project.parent)
    assert ran.code == 1
    assert "pipeline.py, parcels.jsonl, deliveries.jsonl already" in ran.err
    assert project.read_text() == "mine"
    assert not (project.parent / "README.md").exists()


def test_init_names_the_pipeline(tmp_path: Path, run: Run) -> None:
    assert run("init", tmp_path / "a", "--name", "doves").code == 0
    assert run("check", tmp_path / "a" / "pipeline.py", "--json").json["pipeline"] == "doves"
    refused = run("init", tmp_path / "b", "--name", "Two Words")
    assert refused.code == 2
    assert not (tmp_path / "b").exists()


def test_check_shows_the_first_records_and_keeps_nothing(project: Path, run: Run) -> None:
    before = sorted(project.parent.iterdir())
    ran = run("check", project)
    assert ran.code == 0
    assert "parcels.jsonl: Parcel(id: Id, courier: Key, at: Time, km: float, kg: float)" in ran.out
    assert "by      parcels@0" in ran.out
    event, label = run("check", project, "--json").json["records"]
    assert event["prediction"]["features"] == {"kg": 2.27, "km": 2.5, "sent_1h": 0}
    assert label["record"]["late"] is False
    assert [path for path in sorted(project.parent.iterdir()) if path.name != "__pycache__"] == before


def test_check_says_which_form_of_the_arithmetic_runs(project: Path, run: Run) -> None:
    assert run("check", project, "--json").json["arithmetic"] == compiled.form()


def test_check_notes_a_roll_back_that_labels_which_never_come_would_set_off(project: Path, run: Run) -> None:
    def checked(name: str, decide: str) -> Path:
        said = project.read_text().replace("from eddyline import ", "from eddyline import RollBack, ")
        (project.parent / name).write_text(said.replace("    model=", f"    decide=({decide},),\n    model="))
        return project.parent / name

    default = checked("default.py", "RollBack()")
    (note,) = run("check", default, "--json").json["notes"]
    assert note.startswith("roll_back: labels may never come")
    ran = run("check", default)
    assert ran.code == 0
    assert 'write RollBack(unlabelled="against the former")' in ran.out
    mended = checked("mended.py", 'RollBack(unlabelled="against the former")')
    assert "note:" not in run("check", mended).out + run("check", project).out


def test_check_ends_with_5_when_the_first_record_is_refused(project: Path, run: Run) -> None:
    (project.parent / "parcels.jsonl").write_text('{"id": "p", "courier": "c", "at": "2026-03-02", "km": "far"}\n')
    ran = run("check", project)
    assert ran.code == 5
    assert "invalid" in ran.out


def test_a_replay_goes_on_where_the_last_one_ended(project: Path, run: Run) -> None:
    first = run("replay", project, "--limit", 150, "--json").json
    second = run("replay", project, "--batch", 7, "--json").json
    assert first["run"]["inputs"] == 150
    assert first["run"]["inputs"] + second["run"]["inputs"] == 391
    assert (second["answered"], second["labelled"], second["dead"]) == (200, 190, {"malformed": 1})
    assert "nothing new since the last run" in run("replay", project).out


def test_draining_leaves_nothing_waiting(project: Path, run: Run) -> None:
    drained = run("replay", project, "--drain", "--json").json
    assert (drained["waiting"], drained["unlabelled"]) == (0, 10)


def test_the_summary_of_a_replay_adds_up_and_fits_100_columns(project: Path, run: Run) -> None:
    out = run("replay", project).out
    numbers = {name.strip(): int(value) for name, value in re.findall(r"^ +(\D+?)  +(\d+)  ", out, re.MULTILINE)}
    fates = ("labelled", "by absence", "unlabelled", "waiting")
    assert numbers["events answered"] == sum(numbers[fate] for fate in fates) == 200
    assert max(len(line) for line in out.splitlines() if not line.startswith("store:")) <= 100


def test_explain_tells_the_answer_the_truth_and_the_version_that_learned_it(replayed: Path, run: Run) -> None:
    page = run("explain", replayed, "parcel-7")
    assert page.code == 0
    assert "equal, bit for bit" in page.out
    assert "known at 2026-03-02T15:17:21Z (394 minutes after the event) by a label" in page.out
    found = run("explain", replayed, "parcel-7", "--json").json
    assert found["again"] == "equal"
    assert found["version"] == "parcels@0"
    assert found["prediction"]["features"] == {"kg": 10.28, "km": 19.2, "sent_1h": 0}
    assert found["truths"][0]["version"] == "parcels@18"


def test_explain_knows_no_event_that_never_came(replayed: Path, run: Run) -> None:
    ran = run("explain", replayed, "parcel-9999")
    assert (ran.code, ran.out) == (6, "")
    assert ran.err.startswith("error: no event 'parcel-9999'")


def test_versions_lists_what_is_kept_and_who_answers(replayed: Path, run: Run) -> None:
    ran = run("versions", replayed)
    assert "answers now: the learner, now parcels@190" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    document = run("versions", replayed, "--json").json
    assert [version["position"] for version in document["versions"]] == [0, 50, 100, 150]
    assert document["versions"][2]["parent"] == "parcels@50"
    assert all(version["bytes"] > 0 and "pipeline" in version["recipe"] for version in document["versions"])


def test_a_rollback_is_in_effect_for_the_next_event_and_is_part_of_the_history(replayed: Path, run: Run) -> None:
    ran = run("rollback", replayed, "parcels@120", "--author", "ada", "--reason", "worse since Monday", "--json")
    rollout = ran.json["rollout"]
    assert (rollout["revision"], rollout["champion"]) == (1, "parcels@120")
    assert (rollout["author"], rollout["reason"]) == ("ada", "worse since Monday")
    with (replayed.parent / "parcels.jsonl").open("a") as file:
        file.write('{"id": "late-1", "courier": "anna", "at": "2026-03-05T00:00:00Z", "km": 9, "kg": 1}\n')
    assert run("replay", replayed).code == 0
    found = run("explain", replayed, "late-1", "--json").json
    assert (found["version"], found["prediction"]["revision"], found["again"]) == ("parcels@120", 1, "equal")
    assert "answers now: parcels@120 (rollout 1 by ada: worse since Monday)" in run("versions", replayed).out
    assert run("rollback", replayed, "live").code == 0
    document = run("versions", replayed, "--json").json
    assert document["answers"]["live"] is True
    assert [change["rollout"]["champion"] for change in document["rollouts"]] == ["parcels@120", None]


@pytest.mark.parametrize("version", ["parcels@191", "doves@10"])
def test_a_rollback_to_a_version_that_is_not_there_changes_nothing(replayed: Path, run: Run, version: str) -> None:
    ran = run("rollback", replayed, version)
    assert (ran.code, ran.out) == (6, "")
    assert f"no version {version}; the learner is at parcels@190" in ran.err
    assert run("versions", replayed, "--json").json["rollouts"] == []


def test_verify_proves_a_store_and_gives_a_head_that_must_stay(replayed: Path, run: Run) -> None:
    ran = run("verify", replayed)
    assert ran.code == 0
    assert "sound: nothing was changed" in ran.out
    head = run("verify", replayed, "--json").json["head"]
    assert run("rollback", replayed, "parcels@50").code == 0
    later = run("verify", replayed, "--head", head, "--json")
    assert (later.code, later.json["sound"], later.json["predictions"]) == (0, True, 200)
    assert run("verify", replayed, "--head", "00" * 32).code == 1


def _change(store: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(store) as db:
        assert db.execute(sql, values).rowcount == 1
    db.close()


def test_verify_ends_with_1_when_an_earlier_block_was_changed(replayed: Path, run: Run) -> None:
    assert run("rollback", replayed, "parcels@50").code == 0
    _change(replayed.parent / "parcels.eddyline", "UPDATE blocks SET inputs = zeroblob(100) WHERE seq = 1")
    ran = run("verify", replayed)
    assert ran.code == 1
    assert "fault: block 1: its bytes, or those of a block before it, were changed" in ran.out
    assert "NOT SOUND: 1 fault" in ran.out


def test_verify_ends_with_1_when_the_last_block_cannot_be_read(replayed: Path, run: Run) -> None:
    _change(replayed.parent / "parcels.eddyline", "UPDATE blocks SET inputs = zeroblob(100) WHERE seq = 1")
    ran = run("verify", replayed, "--json")
    assert (ran.code, ran.json["sound"]) == (1, False)
    assert "block 1" in ran.json["faults"][0]


def test_verify_claims_nothing_about_a_store_of_another_machine_and_ends_with_7(replayed: Path, run: Run) -> None:
    store = replayed.parent / "parcels.eddyline"
    with closing(sqlite3.connect(store)) as db:
        *parts, noted = db.execute("SELECT inputs, predictions, examples, dead, notes FROM blocks").fetchone()
        numbers = db.execute("SELECT seq, first_slot, first_example, deads FROM blocks").fetchone()
    elsewhere = msgspec.structs.replace(blocks.decode_notes(noted), fingerprint="other")
    notes = blocks.encode_notes(elsewhere)
    _change(store, "UPDATE meta SET value = ? WHERE key = 'fingerprint'", b"\xa5other")
    _change(store, "UPDATE blocks SET notes = ?, hash = ?", notes, link(GENESIS, numbers, (*parts, notes)))
    ran = run("verify", replayed)
    assert ran.code == 7
    assert "not claimed" in ran.out
    assert "0 of 200 answers differ here" in ran.out


def test_dead_letters_are_counted_by_stream_and_reason_and_shown_with_their_bytes(replayed: Path, run: Run) -> None:
    counted = run("dead-letters", replayed, "--json").json
    assert counted["total"] == 1
    assert (counted["dead_letters"][0]["stream"], counted["dead_letters"][0]["reason"]) == (
        "events",
        "malformed",
    )
    shown = run("dead-letters", replayed, "--reason", "malformed", "--show", 5, "--json").json
    assert shown["raw"].startswith('{"id": "parcel-?"')
    assert '"courier": "anna", "at": "2026-03-0' in run("dead-letters", replayed, "--show", 1).out
    assert run("dead-letters", replayed, "--stream", "labels", "--json").json["total"] == 0


def test_a_reason_that_does_not_exist_is_refused_with_those_that_do(replayed: Path, run: Run) -> None:
    ran = run("dead-letters", replayed, "--reason", "mallformed")
    assert ran.code == 2
    assert "label_unmatched" in ran.err


def test_a_report_that_cannot_be_written_says_why(replayed: Path, run: Run) -> None:
    ran = run("report", replayed, "--out", "/dev/full")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: the report cannot be written to /dev/full (No space left on device)")
    assert "--out PATH" in ran.err


def test_report_writes_a_page(replayed: Path, run: Run) -> None:
    out = replayed.parent / "page.html"
    assert run("report", replayed, "--out", out, "--json").json == {"report": str(out)}
    page = out.read_text()
    assert "<html" in page
    assert "parcels" in page


@pytest.mark.parametrize(
    "command",
    [
        ["check", "FILE"],
        ["replay", "FILE"],
        ["explain", "FILE", "parcel-1"],
        ["versions", "FILE"],
        ["rollback", "FILE", "live"],
        ["verify", "FILE"],
        ["dead-letters", "FILE"],
        ["dead-letters", "FILE", "--show", "9"],
        ["dead-letters", "FILE", "--redrive"],
    ],
)
def test_with_json_every_command_prints_one_document_and_nothing_else(replayed: Path, run: Run, command: list[str]) -> None:
    ran = run(*[str(replayed) if word == "FILE" else word for word in command], "--json")
    assert (ran.code, ran.err) == (0, "")
    assert isinstance(ran.json, dict)


def test_help_names_every_command_and_loads_neither_river_nor_rich() -> None:
    code = "import sys; from eddyline.cli.main import main; main(['--help']); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    page, _, modules = out.rpartition("\n[")
    for command in (
        "init",
        "check",
        "replay",
        "run",
        "explain",
        "versions",
        "rollback",
        "verify",
        "dead-letters",
    ):
        assert f"\n  {command} " in page
    assert not {"'river.base'", "'rich'", "'sklearn'", "'pandas'"} & set(modules.rstrip("]\n").split(", "))


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out == f"eddyline {eddyline.__version__}\n"
