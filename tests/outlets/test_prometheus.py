"""The rules and the dashboard, judged by Prometheus itself: promtool, and a real server on a live engine."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.outlets.prometheus import Server, program, prometheus, until
from tests.outlets.shop import opened, stocked, trade

from eddyline.engines.embedded import replay
from eddyline.outlets import metrics as m
from eddyline.outlets.exposition import serving_metrics
from eddyline.outlets.rules import ALERTINGS, RECORDINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
BOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))


def panels() -> list[Any]:
    """Those in the rows too, which Grafana keeps inside the row where it is collapsed."""
    found = [one for top in BOARD["panels"] for one in (top, *top.get("panels", []))]
    return [panel for panel in found if panel["type"] != "row"]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_promtool_accepts_every_rule() -> None:
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RECORDINGS) + len(ALERTINGS)} rules found" in done.stdout


def test_promtool_accepts_the_configuration_that_is_shown() -> None:
    done = promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", DEPLOY / "prometheus" / "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_that_fires() -> None:
    said = (DEPLOY / "prometheus" / "rules_test.yml").read_text(encoding="utf-8")
    assert [alerting.name for alerting in ALERTINGS if f"alertname: {alerting.name}\n" not in said] == []


def test_a_rule_that_is_wrong_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "rules.yml"
    wrong.write_text(RULES.read_text(encoding="utf-8").replace("rate(", "rates(", 1), encoding="utf-8")
    assert promtool("check", "rules", wrong).returncode != 0


class Watched(NamedTuple):
    """A Prometheus that has scraped a working engine for a while."""

    server: Server


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Sales go on while it is scraped, so that rates have something to say; then they stop."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with opened(folder, stocked(700)) as engine:
        replay(engine, folder)
        with serving_metrics(engine, "127.0.0.1:0") as served:
            served.lag = 12_000
            with prometheus(folder, served.url.split("/")[2], RULES) as server:
                stop = threading.Event()

                def go_on() -> None:
                    number = 700
                    while not stop.is_set():
                        trade(engine, range(number, number + 5))
                        number += 5
                        stop.wait(0.1)

                worker = threading.Thread(target=go_on)
                worker.start()
                try:
                    until(
                        "both means are recorded",
                        lambda: all(server.query(one.name) for one in RECORDINGS),
                    )
                    yield Watched(server)
                finally:
                    stop.set()
                    worker.join()


def test_prometheus_scrapes_the_engine_without_a_complaint(watched: Watched) -> None:
    def is_up() -> bool:
        (target,) = watched.server.get("/api/v1/targets")["activeTargets"]
        return (target["health"], target["lastError"]) == ("up", "")

    until("a scrape is fine", is_up)


def test_prometheus_knows_type_and_help_of_each_metric_as_the_registry_says_them(watched: Watched) -> None:
    known = watched.server.get("/api/v1/metadata")
    for metric in m.METRICS:
        (said,) = known[metric.name.removesuffix("_total")]  # OpenMetrics, which it asks for, names families without it
        assert (said["type"], said["help"]) == (metric.kind, metric.help)


def test_the_rules_are_loaded_and_evaluated(watched: Watched) -> None:
    rules = [rule for group in watched.server.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {one.name for one in (*RECORDINGS, *ALERTINGS)}
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")] == []
    assert {rule["health"] for rule in rules} == {"ok"}


def test_the_alert_of_a_drift_fires_in_prometheus(watched: Watched) -> None:
    firing = watched.server.query('ALERTS{alertname="EddylineAlert",alertstate="firing",monitor="error_drift"}')
    assert [one["metric"]["pipeline"] for one in firing] == ["shop"]


QUERIES = [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize(("title", "expr"), QUERIES)
def test_each_query_of_the_dashboard_gives_data(watched: Watched, title: str, expr: str) -> None:
    asked = expr.replace("$pipeline", ".*").replace("$__rate_interval", "1m")
    assert "$" not in asked
    assert watched.server.query(asked), title


def test_every_metric_has_a_panel() -> None:
    assert len(panels()) == len(m.METRICS)
