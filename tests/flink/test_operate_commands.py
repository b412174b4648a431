"""The commands about Flink where there is none: each says what is missing and what to type, with its exit code."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from eddyline.cli import flink_status
from eddyline.cli.flink_options import named
from eddyline.cli.main import main
from eddyline.engines.flink.standing import Begun, Standing

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["status", "fraud"], ["savepoint", "fraud"], ["stop", "fraud"], ["stop", "fraud", "--no-savepoint"]],
)
def test_where_no_flink_answers_the_way_to_start_one_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flink", *arguments, "--rest", NOWHERE, "--json"]) == 7
    out, err = capsys.readouterr()
    assert out == ""
    assert f"no Flink answers at {NOWHERE}" in err
    assert "eddyline cluster up" in err


def test_a_word_is_a_pipelines_name_and_a_python_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert named("fraud") == "fraud"
    assert named("fraud.learn") == "fraud.learn"
    assert main(["flink", "status", str(tmp_path / "fraud.py"), "--rest", NOWHERE]) == 2
    assert "there is no file fraud.py" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--detach"], ["--parallelism", "2"], ["--savepoint", "latest"]])
def test_options_of_a_job_are_refused_where_none_is_made(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "fraud.py", *option]) == 2
    assert "go with --engine flink" in capsys.readouterr().err


def test_a_setting_without_a_value_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "shop")]) == 0
    file = next((tmp_path / "shop").glob("*.py"))
    assert main(["flink", "submit", str(file), "--brokers", "127.0.0.1:1", "--set", "taskmanager"]) == 2
    assert "is not NAME=VALUE" in capsys.readouterr().err


def test_a_job_is_not_ended_at_once_and_drained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flink", "stop", "fraud", "--no-savepoint", "--drain", "--rest", NOWHERE]) == 2
    assert "--no-savepoint ends the job at once" in capsys.readouterr().err


def test_the_argument_of_a_job_is_printed_and_nothing_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, python = tmp_path / "printed_shop.py", "/opt/worker/bin/python"
    shutil.copy(Path(__file__).with_name("generated.py"), file)
    assert main(["flink", "submit", str(file), "--brokers", "kafka:9092", "--print-argument", python]) == 0
    document = msgspec.json.decode(base64.urlsafe_b64decode(capsys.readouterr().out.strip()))
    assert (document["name"], document["brokers"], document["python"]["python.executable"]) == (
        "generated",
        "kafka:9092",
        python,
    )


def test_a_job_with_a_model_per_key_is_said_to_answer_by_them_and_not_by_a_version() -> None:
    known = Standing(
        "ovens", "ovens", "1", "RUNNING", 1, "", "", 0.0, 0, 0, Begun(), None, None, version="ovens@60", learner=60
    )
    one = replace(known, per_key=True, revision=2)
    assert flink_status._of_topics(one) == [("answers", "each key's own model (rollout 2)")]
    assert flink_status._of_topics(replace(one, champion="ovens@60")) == [("answers", "ovens@60 (rollout 2)")]
    assert "newest" not in flink_status.line(one)
    assert flink_status.line(known).endswith("newest ovens@60")


def test_the_newest_versions_of_challengers_stand_beside_that_of_the_pipeline() -> None:
    known = Standing("duel", "duel", "1", "RUNNING", 1, "", "", 0.0, 0, 0, Begun(), None, None, version="duel@60", learner=60)
    one = replace(known, beside=["duel.seeing@60", "duel.blind@58"], champion="duel.seeing", revision=1)
    assert flink_status._of_topics(one) == [
        ("newest version", "duel@60"),
        ("of other lines", "duel.seeing@60, duel.blind@58"),
        ("answers", "duel.seeing (rollout 1)"),
    ]
    assert flink_status.line(one).endswith("newest duel@60")
    assert [name for name, _ in flink_status._of_topics(known)] == ["newest version", "answers"]


def test_transactions_that_the_broker_gave_up_are_a_line_of_their_own_with_what_to_type() -> None:
    lossy = Standing("fraud", "fraud", "1", "RUNNING", 1, "", "", 0.0, 0, 0, Begun(), None, None, given_up=2)
    assert "answers of 2 transactions lost: eddyline flink status" in flink_status.line(lossy)
    assert "lost" not in flink_status.line(replace(lossy, given_up=0))
    said = flink_status._lost(lossy)
    assert said.startswith("2 transactions of answers: the broker ended them before the job could commit them")
    assert said.endswith("eddyline flink upgrade FILE --transaction-timeout 3600")
    keyed = flink_status._lost(replace(lossy, per_key=True))
    assert keyed.endswith("eddyline flink stop fraud, then eddyline flink submit FILE --savepoint latest --skip-deleted")
