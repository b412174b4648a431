"""One record with a wrong year must cost nobody else anything: neither a label, nor an event, in one process and on Flink."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from river import linear_model

from eddyline import Engine, Event, Id, Join, Key, Label, Pipeline, Time, Truth, days, hours, jsonl
from eddyline.engines.embedded import feed as feeding
from eddyline.engines.embedded import replay
from eddyline.engines.embedded.codec import InputCodec
from eddyline.engines.embedded.feed import Feed
from eddyline.records import DeadLetter
from eddyline.records.errors import DeclarationError
from eddyline.testing.hosted import Hosted
from eddyline.views.letters import letters

START = datetime(2026, 1, 1, tzinfo=UTC)
FAR = "9999-12-31T00:00:00Z"
COUNT = 300


class Visit(Event):
    """What happens, each hour."""

    id: Id
    who: Key
    at: Time
    pages: float


class Sale(Label):
    """What is found out, fifty hours later."""

    id: Id
    at: Time
    bought: Truth[bool]


def visits() -> list[dict[str, object]]:
    return [{"id": f"v{n}", "at": (START + timedelta(hours=n)).isoformat(), "who": "w", "pages": n % 5} for n in range(COUNT)]


def sales() -> list[dict[str, object]]:
    return [{"id": f"v{n}", "at": (START + timedelta(hours=n + 50)).isoformat(), "bought": n % 5 > 2} for n in range(COUNT)]


def shop(folder: Path, events: list[dict[str, object]], labels: list[dict[str, object]]) -> Pipeline:
    for name, records in (("visits", events), ("sales", labels)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    return Pipeline(
        name="shop",
        events=jsonl("visits.jsonl", Visit),
        labels=jsonl("sales.jsonl", Sale),
        model=linear_model.LogisticRegression(),
        join=Join(wait=days(7)),
    )


def refused(pipeline: Pipeline, folder: Path) -> tuple[int, list[DeadLetter]]:
    """How many examples were learned, and what was refused."""
    with Engine(pipeline, folder / "shop.eddyline") as engine:
        replay(engine, folder)
        return engine.loop.states.learn.position, list(letters(engine.store))


def nobody(*at: str) -> list[dict[str, object]]:
    return [{"id": f"nobody-{n}", "at": one, "bought": True} for n, one in enumerate(at)]


def test_labels_for_nobody_with_wrong_years_hold_no_other_label_back(tmp_path: Path) -> None:
    labels = nobody(FAR, "9999-12-30T00:00:00Z", FAR) + sales()[:100] + nobody("2036-01-01T00:00:00Z") + sales()[100:]
    learned, dead = refused(shop(tmp_path, visits(), labels), tmp_path)
    assert (learned, dead) == (COUNT, [])


def test_labels_slightly_out_of_order_are_merged_as_they_were(tmp_path: Path) -> None:
    """A label that is ahead of others by less than `wait` is not learned before it was known."""
    early, late = sales()[:2]
    pipeline = shop(tmp_path, visits(), [early | {"at": late["at"]}, late | {"at": early["at"]}])
    feed = Feed(pipeline, InputCodec(pipeline), tmp_path, {})
    order = [record.id for batch in feed.batches(100) for record in batch.records]  # type: ignore[union-attr]
    assert order.index("v0", 1) == order.index("v51") - 2


def test_where_the_feed_stops_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "READ", 40)
    monkeypatch.setattr(feeding, "WITHIN", 10)
    events, labels = visits(), sales()
    for place in (0, 17, 18, 130, 131, 132, 290):
        labels.insert(place, nobody(FAR)[0])
        events.insert(place, {"id": f"far-{place}", "at": FAR, "who": "w", "pages": 1})
    labels[50] = {"id": "bad"}
    pipeline = shop(tmp_path, events, labels)
    codec = InputCodec(pipeline)

    def order(sizes: list[int]) -> list[bytes]:
        positions: dict[str, int] = {}
        found: list[bytes] = []
        for size in sizes:
            batch = Feed(pipeline, codec, tmp_path, positions).next(size)
            if batch is not None:
                found += [given.raw for given in batch.inputs]
                positions = batch.positions
        return found

    whole = order([10_000])
    assert len(whole) == 2 * COUNT + 14
    assert order([7] * 100) == whole
    assert order([1, 33] * 20) == whole


def test_an_event_with_a_wrong_year_is_refused_with_words_and_moves_no_time(tmp_path: Path) -> None:
    events = visits()
    events.insert(150, {"id": "oops", "at": FAR, "who": "w", "pages": 1.0})
    learned, dead = refused(shop(tmp_path, events, sales()), tmp_path)
    assert (learned, Counter((one.event_id, one.reason) for one in dead)) == (COUNT, {("oops", "too_far_ahead"): 1})
    assert "2026-01-07T05:00:00Z" in dead[0].detail
    assert "Pipeline(ahead=days(2912436))" in dead[0].detail


@pytest.mark.parametrize("who", ["w", "somebody whose shard has seen nothing"])
def test_an_event_with_a_wrong_year_moves_no_time_on_flink_either(tmp_path: Path, who: str) -> None:
    pipeline = shop(tmp_path, [], []).replace(join=Join(wait=hours(60), absent=False))
    hosted = Hosted(pipeline)
    for number in range(120):
        at = START + timedelta(hours=number)
        hosted.take(Visit(id=f"v{number}", who="w", at=at, pages=1.0))
        if number == 60:
            hosted.take(Visit(id="oops", who=who, at=datetime.fromisoformat(FAR), pages=1.0))
        if number >= 50:
            hosted.take(Sale(id=f"v{number - 50}", at=at, bought=True))
    assert [example.truth for example, _ in hosted.written.examples] == [True] * 70
    letters = [(one.event_id, one.reason) for one in hosted.written.dead]
    assert letters == ([("oops", "too_far_ahead")] if who == "w" else [])


def test_how_far_ahead_is_a_duration_and_part_of_the_meaning(tmp_path: Path) -> None:
    pipeline = shop(tmp_path, [], [])
    assert pipeline.replace(ahead=days(30)).digest != pipeline.digest
    with pytest.raises(DeclarationError, match=r"ahead=30 is not a duration\nwrite ahead=days\(30\)"):
        pipeline.replace(ahead=30)
