"""The report says what the store holds, and nothing that a user wrote becomes more than text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from river import linear_model
from tests.shops import Sale

from eddyline import (
    Engine,
    EpochSeconds,
    Event,
    Id,
    Join,
    Pipeline,
    Rejected,
    StoreMismatch,
    Versions,
    Watch,
    hours,
    memory,
)
from eddyline.records import Alert, Example
from eddyline.store.database import Store
from eddyline.views.letters import letters
from eddyline.views.report import ReportData, report_data, write_report

DAY = 86_400
EVIL = "<script>alert('1')</script>\"><img src=x onerror=alert(2)>\u202e"
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float
    shop: str


class Shouter:
    """Alerts about the seventh example, in words of the user's own."""

    def __init__(self) -> None:
        self.seen = 0

    def update(self, record: Any) -> Alert | None:
        self.seen += type(record) is Example
        if self.seen != 7 or type(record) is not Example:
            return None
        return Alert("Shouter", EVIL, record.at, record.prediction.position, 0.0, 1.0, f"seven! {EVIL}")


def a_shop(**changes: Any) -> Pipeline:
    shop = Pipeline(
        name="shop",
        events=memory([], Visit),
        labels=memory([], Sale),
        features=lambda visit: {"pages": visit.pages, EVIL: 1.0},
        model=linear_model.LogisticRegression(),
        join=Join(wait=hours(30)),
        versions=Versions(every=100),
        watch=Watch(segment="shop", drift=("pages", EVIL), monitors=(Shouter,)),
    )
    return shop.replace(**changes)


def trade(engine: Engine, first: int, last: int) -> None:
    """One visit each 20 minutes; nine of ten are told about an hour later, in turns by two shops, one of them evil."""
    for i in range(first, last):
        shop = EVIL if i % 4 == 0 else "north"
        engine.answer(Visit(id=f"v-{i}", at=i * 1200, pages=float(i % 7) + (40.0 if i > 400 else 0.0), shop=shop))
        told = i - 3
        if told >= first and told % 10:
            engine.tell(Sale(id=f"v-{told}", at=told * 1200 + 3600 + told, bought=told % 7 > 3))


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "shop.eddyline"
    with Engine(a_shop(), path) as engine:
        trade(engine, 0, 450)
        engine.rollback("shop@150", author=f"ann {EVIL}", reason=f"it drifted {EVIL}")
        trade(engine, 450, 600)
        for bad in (Sale(id=EVIL, at=8 * DAY, bought=True), Sale(id="v-5", at=9 * DAY, bought=True)):
            try:
                engine.tell(bad)
            except Rejected:
                continue
        engine.drain()
    return path


@pytest.fixture
def store(traded: Path) -> Iterator[Store]:
    with closing(Store.read(traded)) as opened:
        yield opened


def page_of(store: Store, tmp_path: Path) -> str:
    return write_report(store, a_shop(), tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_report_counts_what_the_journal_holds(store: Store) -> None:
    data = report_data(store, a_shop())
    blocks = list(store.blocks())
    examples = [row for block in blocks for row in block.examples]
    fates = data.fates
    assert fates.answered == sum(len(block.predictions) for block in blocks) == 600
    assert fates.labelled == len(examples)
    assert fates.answered == fates.labelled + fates.absent + fates.expired + fates.waiting
    assert sum(day.answered for day in data.coverage) == 600
    assert all(day.answered == day.labelled + day.absent + day.expired + day.waiting for day in data.coverage)
    assert sum(count for _, count in data.delays.bins) == data.delays.count == len(examples)
    assert (data.blocks, data.head) == (store.seq, store.head.hex())
    assert data.received_at == blocks[-1].notes.received_at
    assert (data.first_at, data.last_at) == (0, 599 * 1200 * 1_000_000)


def test_quality_by_day_version_and_segment_is_what_one_counts_by_hand(store: Store) -> None:
    quality = report_data(store, a_shop()).quality
    assert quality is not None
    predictions = [prediction for block in store.blocks() for prediction in block.predictions]
    right: dict[str, Counter[Any]] = {word: Counter() for word in ("day", "label day", "version", "segment", "all")}
    total: dict[str, Counter[Any]] = {word: Counter() for word in right}
    for row in (row for block in store.blocks() for row in block.examples):
        prediction = predictions[row.slot]
        day, label_day = prediction.at // (DAY * 10**6), row.at // (DAY * 10**6)
        version = f"shop@{prediction.position // 100 * 100}"
        keys = (("day", day), ("label day", label_day), ("version", version), ("segment", prediction.segment))
        for word, key in (*keys, ("all", "Accuracy")):
            total[word][key] += 1
            right[word][key] += prediction.value == row.truth
    rows: dict[str, list[tuple[Any, float | None, int]]] = {
        "day": [(day.number, day.value, day.count) for day in quality.days],
        "label day": [(day.number, day.value, day.count) for day in quality.label_days],
        "version": [(row.name, row.value, row.count) for row in quality.versions],
        "segment": [(row.name, row.value, row.count) for row in quality.segments],
        "all": [(row.name, row.value, row.count) for row in quality.overall[:1]],
    }
    for word, shown in rows.items():
        assert {key: count for key, _, count in shown} == dict(total[word])
        assert {key: value for key, value, _ in shown} == pytest.approx(
            {key: right[word][key] / count for key, count in total[word].items()}
        )


def test_rollouts_versions_alerts_and_dead_letters_are_those_of_the_store(store: Store) -> None:
    data = report_data(store, a_shop())
    noted = [block.notes for block in store.blocks()]
    assert data.alerts == [alert for notes in noted for alert in notes.alerts]
    assert sum(lane.count for lane in data.lanes) == data.alerted == len(data.alerts) > 1
    assert {lane.subject for lane in data.lanes} >= {"pages", EVIL}
    assert data.answering == "shop@150"
    assert (data.rollout.revision, data.rollout.answer, data.rollout.at) == (1, 450, 450 * 1200 * 1_000_000)
    assert [row.revision for row in data.rollouts] == [0, 1]
    assert data.versions == store.versions()
    kinds = Counter((letter.stream, letter.reason) for letter in letters(store))
    assert {(pile.stream, pile.reason): pile.count for pile in data.refused} == kinds
    assert set(kinds) == {("labels", "label_late"), ("labels", "label_unmatched")}


def test_the_page_shows_the_numbers_of_the_data(store: Store, tmp_path: Path) -> None:
    data, page = report_data(store, a_shop()), page_of(store, tmp_path)
    assert data.quality is not None
    overall = data.quality.overall[0]
    assert f"over {overall.count} truths" in page
    assert f"{overall.value:.4f}" in page
    for text in (data.head, data.fingerprint, data.digest, "shop@150", "label_late", "label_unmatched"):
        assert text in page
    for day in data.quality.days:
        assert f'<td class="w">{day.day}</td>' in page


class Reader(HTMLParser):
    """Remembers tags and attributes, and what is not balanced."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.parents: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self.parents.append((self.open[-1] if self.open else "", tag))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_its_ids_are_unique(store: Store, tmp_path: Path) -> None:
    reader = read(page_of(store, tmp_path))
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 0
    wanted = [name for key, value in reader.attributes if key == "aria-labelledby" for name in (value or "").split()]
    assert set(wanted) == set(ids)


def test_each_chart_has_a_title_a_description_and_a_table_beside_it(store: Store, tmp_path: Path) -> None:
    page = page_of(store, tmp_path)
    figures = page.split("<figure>")[1:]
    assert len(figures) == 4
    for figure in figures:
        drawn, _, beside = figure.partition("</figure>")
        assert drawn.count('role="img"') == drawn.count("<desc ") == 2
        assert "<table" in beside.split("<figure>")[0]


def test_the_page_asks_nobody_for_anything(store: Store, tmp_path: Path) -> None:
    page = page_of(store, tmp_path)
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "a"} & set(reader.tags)
    names = {name for name, _ in reader.attributes}
    assert not {"src", "href", "xlink:href", "action", "srcset", "data", "style"} & names
    assert not any(word in page for word in ("http:", "https:", "url(", "@import"))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes


def test_what_users_and_dead_letters_say_is_only_ever_text(store: Store, tmp_path: Path) -> None:
    page = page_of(store, tmp_path)
    reader = read(page)
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert page.count("&lt;script&gt;alert(") >= 6  # segment, feature, monitor, author, reason, dead letter
    assert "\u202e" not in page


def test_the_same_store_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    assert page_of(store, tmp_path) == page_of(store, tmp_path)


def test_the_data_is_json(store: Store) -> None:
    data = report_data(store, a_shop())
    encoded = msgspec.json.encode(data)
    assert json.loads(encoded)["pipeline"] == "shop"
    assert msgspec.json.decode(encoded, type=ReportData) == data


def test_blocks_after_the_last_checkpoint_are_in_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(a_shop(), path) as engine:
        trade(engine, 0, 40)
        engine.checkpoint()
        trade(engine, 40, 90)
        engine.rollback("shop@20", author="ann")
        trade(engine, 90, 120)
        with closing(Store.read(path)) as store:  # while the engine runs
            found = store.checkpoint()
            assert found is not None
            assert found[0] < store.seq
            before = report_data(store, a_shop())
        engine.checkpoint()
        with closing(Store.read(path)) as store:
            after = report_data(store, a_shop())
    assert before == after
    assert (before.as_of, before.fates.answered) == (before.blocks, 120)


def test_numbers_that_cannot_be_brought_up_say_which_block_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(a_shop(), path) as engine:
        trade(engine, 0, 40)
        engine.checkpoint()
        stood = engine.store.seq
        with engine.store.transaction():
            engine.store.put("fingerprint", "another machine")
        trade(engine, 40, 50)
        with closing(Store.read(path)) as store:
            data = report_data(store, a_shop())
            page = page_of(store, tmp_path)
    assert (data.as_of, data.fates.answered) == (stood, 40)
    assert data.as_of < data.blocks
    assert f"Measurements are as of block {stood} of {data.blocks}" in page
    assert "another machine" in page


def test_a_report_leaves_the_store_as_it_was(traded: Path, tmp_path: Path) -> None:
    before = traded.read_bytes()
    with closing(Store.read(traded)) as store:
        write_report(store, a_shop(), tmp_path / "report.html")
        assert not store.db.in_transaction
    assert traded.read_bytes() == before


def test_a_pipeline_that_has_not_run_has_a_page(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    Engine(a_shop(), path).close()
    with closing(Store.read(path)) as store:
        page = page_of(store, tmp_path)
    read(page)
    assert "no event was answered yet" in page
    assert "No truth has come yet." in page


def test_answers_without_any_truth_have_a_page(tmp_path: Path) -> None:
    path, shop = tmp_path / "shop.eddyline", a_shop(watch=Watch(metrics=()))
    with Engine(shop, path) as engine:
        engine.answer(Visit(id="v-1", at=0, pages=1.0, shop="north"))
    with closing(Store.read(path)) as store:
        page = write_report(store, shop, tmp_path / "report.html").read_text(encoding="utf-8")
    read(page)
    assert "No metric is declared" in page
    assert "No label has come yet." in page


def test_a_truth_known_before_its_event_is_counted_and_not_drawn(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(a_shop(), path) as engine:
        engine.answer(Visit(id="v-1", at=100, pages=1.0, shop="north"))
        engine.tell(Sale(id="v-1", at=40, bought=True))
    with closing(Store.read(path)) as store:
        page = page_of(store, tmp_path)
    read(page)
    assert "1 truth known at or before the event is not drawn" in page


def test_a_stray_day_does_not_squeeze_the_others_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "shop.eddyline"
    with Engine(a_shop(), path) as engine:
        engine.answer(Visit(id="old", at=-3000 * DAY, pages=1.0, shop="north"))
        trade(engine, 0, 150)
    with closing(Store.read(path)) as store:
        data, page = report_data(store, a_shop()), page_of(store, tmp_path)
    assert data.coverage[0].day == "1961-10-15"
    assert "Not drawn: 1 on 1 stray day, such as 1961-10-15." in page


def test_another_pipeline_than_the_one_that_filled_the_store_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreMismatch, match="the pipeline changed since it was made, in watch"):
        write_report(store, a_shop(watch=Watch()), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
