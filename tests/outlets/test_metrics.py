"""The registry of metrics, filled from engines and stores, and the files that are made from it."""

from __future__ import annotations

import re
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.outlets.shop import SHOP, WATCHED, Visit, opened, sale, trade, visit

from eddyline import Challenger, Missing, Split, Watch
from eddyline.engines.embedded.watchdog import Watchdog
from eddyline.outlets import metrics as m
from eddyline.outlets.exposition import readings_at_rest, serving_metrics, text
from eddyline.outlets.generate import generated
from eddyline.outlets.look import look, shown_of
from eddyline.outlets.metrics import METRICS, MOST, Readings
from eddyline.records.errors import DeclarationError
from eddyline.store.database import Store

DEPLOY = Path(__file__).parents[2] / "deploy"
ONLY_LIVE = (m.LOOK.name, m.LAG.name, m.HELD_UP.name)


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read(), "utf-8")


def test_every_metric_is_declared_once_in_base_units_with_its_type_in_its_name() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names) > 25
    for metric in METRICS:
        assert re.fullmatch(r"eddyline_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not re.search(r"_(ms|us|minutes|hours|percent|pct)$", metric.name)
        assert metric.help.endswith(".")
        assert "version" not in metric.labels
        assert len(metric.known) <= MOST


@pytest.mark.parametrize("name", generated())
def test_the_committed_files_are_what_the_registry_makes(name: str) -> None:
    assert (DEPLOY / name).read_text(encoding="utf-8") == generated()[name], "run: python -m eddyline.outlets.generate"


def test_a_running_engine_and_its_store_at_rest_say_the_same(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        trade(engine, range(450))
        with serving_metrics(engine, "127.0.0.1:0") as served:
            live = scraped(served.url)
    rest = text(readings_at_rest(tmp_path / "shop.eddyline", SHOP))
    assert [line for line in live.splitlines() if not any(name in line for name in ONLY_LIVE)] == rest.splitlines()
    for line in (
        'eddyline_answers_total{pipeline="shop"} 450.0',
        'eddyline_answers_settled_total{fate="labelled",pipeline="shop"} 450.0',
        'eddyline_dead_letters_total{pipeline="shop",reason="out_of_range",stream="events"} 9.0',
        'eddyline_dead_letters_total{pipeline="shop",reason="malformed",stream="events"} 0.0',
        'eddyline_learner_position{line="shop",pipeline="shop"} 450.0',
        'eddyline_label_delay_seconds_bucket{le="10",pipeline="shop"} 60.0',
        'eddyline_label_delay_seconds_bucket{le="60",pipeline="shop"} 450.0',
        'eddyline_versions_kept{pipeline="shop"} 3.0',
        'eddyline_segment_quality{better="higher",metric="Accuracy",pipeline="shop",segment="fr"}',
    ):
        assert line in rest


def test_answers_are_settled_or_waiting_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, serving_metrics(engine, "127.0.0.1:0") as served:
        for i in range(5):
            engine.answer(visit(i))
        for i in (1, 3):
            engine.tell(sale(i))
        before = served.readings().series
        served._again_at = 0.0
        engine.drain()
        after = served.readings().series
    assert (before[m.WAITING][()], before[m.SETTLED][("absent",)], before[m.COVERAGE][()]) == (3.0, 0.0, 0.4)
    assert (after[m.WAITING][()], after[m.SETTLED][("absent",)], after[m.SETTLED][("labelled",)]) == (0.0, 3.0, 2.0)


def test_challengers_and_decisions_are_shown(tmp_path: Path) -> None:
    with opened(tmp_path, WATCHED) as engine:
        trade(engine, range(40))
        engine.answer(visit(50, 2_000.0))
        trade(engine, range(51, 60))
        engine.rollback("shop@20", author="ada", reason="for now")
        with serving_metrics(engine, "127.0.0.1:0") as served:
            live = scraped(served.url)
    for line in (
        'eddyline_learner_position{line="shop.deep",pipeline="shop"} 49.0',
        'eddyline_answering_position{line="shop",pipeline="shop"} 20.0',
        'eddyline_share_ratio{line="shop",mode="champion",pipeline="shop"} 0.75',
        'eddyline_share_ratio{line="shop.deep",mode="canary",pipeline="shop"} 0.25',
        'eddyline_rollout_revision{pipeline="shop"} 1.0',
        'eddyline_alerts_total{monitor="Loud",pipeline="shop"} 1.0',
        'eddyline_decisions_total{action="alert",pipeline="shop",status="done"} 1.0',
        'eddyline_decisions_total{action="promote",pipeline="shop",status="done"} 0.0',
        'eddyline_learning_frozen{pipeline="shop"} 0.0',
        'eddyline_line_quality{better="higher",line="shop",metric="Accuracy",pipeline="shop"}',
        'eddyline_line_quality{better="higher",line="shop.deep",metric="Accuracy",pipeline="shop"}',
        'eddyline_newest_version_quality{better="higher",line="shop.deep",metric="Accuracy",pipeline="shop"}',
    ):
        assert line in live


def test_shares_of_several_who_answer_are_what_they_get_and_come_to_one(tmp_path: Path) -> None:
    halves = tuple(Challenger(name, model=WATCHED.model, mode=Split(0.5)) for name in ("one", "two"))
    with opened(tmp_path, WATCHED.replace(challengers=halves)) as engine:
        trade(engine, range(5))
    now = readings_at_rest(tmp_path / "shop.eddyline", WATCHED.replace(challengers=halves))
    assert now.series[m.SHARE] == {
        ("shop.one", "split"): 0.5,
        ("shop.two", "split"): 0.25,
        ("shop", "champion"): 0.25,
    }


def test_quality_times_its_examples_is_a_sum_so_that_a_while_has_a_mean(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        trade(engine, range(50))
        with serving_metrics(engine, "127.0.0.1:0") as served:
            before = served.readings()
            trade(engine, range(50, 100))
            served._again_at = 0.0
            after = served.readings()
        key = ("Accuracy", "higher")
        right, count = (after.series[one][key] - before.series[one][key] for one in (m.QUALITY_SUM, m.QUALITY_EXAMPLES))
        answers = [engine.answer(visit(i)).value for i in range(50, 100)]
    assert count == 50
    assert round(right) == sum(answer == sale(i).bought for i, answer in zip(range(50, 100), answers, strict=True))


def test_what_is_shown_is_what_the_engine_measures_without_its_days(tmp_path: Path) -> None:
    with opened(tmp_path, WATCHED) as engine:
        trade(engine, range(450))
        watch = engine.loop.states.watch
        before = engine.plan.watch.save(watch)
        shown = engine.plan.watch.measurements(shown_of(watch))
        everything = engine.measurements()
        assert engine.plan.watch.save(watch) == before
    kept = [one for one in everything if one.day is None]
    assert set(shown) < set(kept)
    assert {one.version for one in set(kept) - set(shown)} == {
        f"{line}@{at}" for line in ("shop", "shop.deep") for at in (0, 200)
    }


def test_series_beyond_the_bound_are_left_out_and_counted() -> None:
    now = Readings("shop")
    for i in range(MOST + 7):
        now.set(m.SOURCE, i, f"events/{i}")
    said = text(now)
    assert said.count("eddyline_source_position{") == MOST
    assert 'eddyline_series_dropped{pipeline="shop"} 7.0' in said


def by_id(visit: Visit) -> str:
    return str(visit.id)


def test_segments_never_crowd_out_what_is_over_all_of_them(tmp_path: Path) -> None:
    monitors = tuple(Missing("pages", name=f"missing-{i}", at_most=0.1, by_segment=True) for i in range(3))
    crowded = SHOP.replace(watch=Watch(segment=by_id, monitors=monitors, tick=100))
    now = Readings("shop")
    with opened(tmp_path, crowded) as engine:
        for i in range(100):
            engine.answer(visit(i))
        look(now, engine.plan, engine.loop.states)
    over_all = {metric for metric, segment in now.series[m.MEASUREMENT] if not segment}
    assert {f"missing share of pages{place}" for place in ("", " (2)", " (3)")} <= over_all
    assert (len(now.series[m.MEASUREMENT]), now.dropped > 100) == (MOST, True)


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "[::]:9464", "192.0.2.7:9464", "example.org:9464"])
def test_an_address_that_others_can_reach_is_refused_without_a_word_for_it(tmp_path: Path, address: str) -> None:
    with (
        opened(tmp_path) as engine,
        pytest.raises(DeclarationError, match="no password on it\nwrite --metrics 127"),
        serving_metrics(engine, address),
    ):
        raise AssertionError("it was served")


def test_a_port_that_is_taken_is_said_with_what_to_type(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, serving_metrics(engine, "127.0.0.1:0") as served:
        taken = served.url.split("/")[2]
        with pytest.raises(DeclarationError, match=r"in use.*\nchoose another port"), serving_metrics(engine, taken):
            raise AssertionError("it was served")


def test_scrapes_that_come_fast_share_one_look(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, serving_metrics(engine, "127.0.0.1:0") as served:
        first = served.readings()
        assert all(served.readings() is first for _ in range(100))


def test_a_scrape_waits_until_the_loop_stands_still(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, serving_metrics(engine, "127.0.0.1:0") as served:
        engine.answer(visit(0))
        with engine._turn:
            asked = threading.Thread(target=scraped, args=(served.url,))
            asked.start()
            asked.join(0.3)
            assert asked.is_alive(), "it looked while the loop worked"
        asked.join(30)
        assert served.readings().series[m.ANSWERS] == {(): 1.0}


def test_a_scrape_of_an_engine_that_is_held_up_shows_the_look_before_and_for_how_long(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, serving_metrics(engine, "127.0.0.1:0") as served, Watchdog(print, look_s=0.01) as dog:
        served.watchdog = dog
        engine.answer(visit(0))
        assert f"{m.HELD_UP.name}{{" in scraped(served.url)
        served._again_at = 0.0
        with engine._turn, ThreadPoolExecutor(1) as pool:
            held = pool.submit(scraped, served.url).result(30)
        assert 'eddyline_answers_total{pipeline="shop"} 1.0' in held


def test_the_loop_does_not_wait_while_the_journal_is_read(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, serving_metrics(engine, "127.0.0.1:0") as served:
        reading, answered = threading.Event(), threading.Event()
        count = served._tally.read

        def slowly(store: Store, *, seconds: float | None = None) -> None:
            reading.set()
            assert answered.wait(30), "the loop waited for the journal"
            count(store, seconds=seconds)

        served._tally.read = slowly  # type: ignore[method-assign]
        asked = threading.Thread(target=scraped, args=(served.url,))
        asked.start()
        assert reading.wait(30)
        engine.answer(visit(0))
        answered.set()
        asked.join(30)
        assert served.readings().series[m.BLOCKS] == {(): 1.0}


def test_counts_of_the_journal_are_not_shown_before_the_whole_past_was_read(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        trade(engine, range(100))
        with serving_metrics(engine, "127.0.0.1:0") as served:
            served._tally.read(served._store, seconds=0.0)
            assert not served._tally.caught_up
            now = Readings("shop")
            served._tally.fill(now)
            assert m.DEAD not in now.series
            assert now.series[m.UNREAD][()] == engine.store.seq
            served._tally.read(served._store)
            served._tally.fill(now)
            assert sum(now.series[m.DEAD].values()) == 2
