"""The commands of this room, on a store that was left by a run."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.outlets import shop
from tests.outlets.receiver import receiving
from tests.outlets.shop import SHOP, opened, trade, visit

from eddyline.cli import metrics, mlflow
from eddyline.cli.run_outlets import OutletOptions, on_outlets, telling
from eddyline.engines.embedded import Progress
from eddyline.outlets.exposition import readings_at_rest, text

FILE = f"{Path(shop.__file__)}:SHOP"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with opened(folder) as engine:
        trade(engine, range(250))
    return folder / "shop.eddyline"


def test_metrics_prints_what_prometheus_reads(store: Path) -> None:
    ran = CliRunner().invoke(metrics.command, [FILE, "--store", str(store)], catch_exceptions=False)
    assert ran.output == text(readings_at_rest(store, SHOP))
    assert 'eddyline_answers_total{pipeline="shop"} 250.0\n' in ran.output


def test_metrics_for_programs_is_one_document(store: Path) -> None:
    ran = CliRunner().invoke(metrics.command, [FILE, "--store", str(store), "--json"], catch_exceptions=False)
    said = json.loads(ran.output)
    found = [one for one in said["series"] if one["name"] == "eddyline_quality_examples_total"]
    assert {one["labels"]["metric"]: one["value"] for one in found} == {"Accuracy": 250.0, "LogLoss": 250.0}
    assert said["label_delay"]["count"] == 250


def test_the_options_of_run_tell_everybody_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDDYLINE_WEBHOOK_SECRET", raising=False)

    @click.command()
    @on_outlets
    def command(outlets: OutletOptions) -> None:
        with opened(tmp_path) as engine, telling(engine, tmp_path, outlets) as told:
            told.progress(Progress(lag=7))
            engine.answer(visit(1, 5_000.0))
            assert told.served is not None
            with urllib.request.urlopen(told.served.url, timeout=30) as answer:
                click.echo(answer.read())
            told.check()
            assert told.trouble() == []

    with receiving() as receiver:
        lineage = tmp_path / "lineage.jsonl"
        options = ["--metrics", "127.0.0.1:0", "--webhook", receiver.url, "--lineage", str(lineage)]
        ran = CliRunner().invoke(command, options, catch_exceptions=False)
        assert 'eddyline_source_lag_records{pipeline="shop"} 7.0' in ran.output
        assert [post.event["type"] for post in receiver.posts] == ["eddyline.alert.v1"]
        assert [json.loads(line)["eventType"] for line in lineage.read_text().splitlines()] == ["START", "RUNNING", "COMPLETE"]


def test_push_says_what_changed_and_then_that_nothing_did(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="did not run: mlflow is not installed")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    command = ["push", FILE, "--store", str(store), "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    first = CliRunner().invoke(mlflow.command, command, catch_exceptions=False)
    assert "shop: 2 versions registered, 6 metrics written\n  champion is shop@200\n" in first.output
    again = CliRunner().invoke(mlflow.command, [*command, "--json"], catch_exceptions=False)
    assert json.loads(again.output.splitlines()[-1]) == {
        "model": "shop",
        "versions": [],
        "metrics": 0,
        "aliases": {},
        "removed": [],
    }


def test_push_makes_nothing_where_no_server_is_named(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(mlflow.command, ["push", FILE, "--store", str(store)])
    assert (ran.exit_code, list(tmp_path.glob("ml*"))) == (2, [])
    assert "add --tracking-uri" in " ".join(ran.output.split())
