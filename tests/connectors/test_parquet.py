"""Rows of a Parquet file become records of the declared type, from any row."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from eddyline.connectors import RowId, parquet
from eddyline.ports import Line, Marked, Source
from eddyline.records import EpochMillis, EpochSeconds, Event, Id, Key, Label, Time, Truth
from eddyline.records.errors import DeclarationError, Rejected, SourceError
from eddyline.records.schema import Schema
from eddyline.records.time import instant

pa: Any = importlib.import_module("pyarrow")
pq: Any = importlib.import_module("pyarrow.parquet")
DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the real streams are not at {DATA}")


class Reading(Event):
    id: Id
    at: EpochSeconds
    celsius: float | None = None
    count: int = 7
    tags: dict[str, float] | None = None


class Visit(Event):
    zone: ClassVar[str | None] = "America/New_York"
    id: Id
    at: Time


class Tick(Event):
    zone: ClassVar[str | None] = "America/New_York"
    id: Id
    at: EpochMillis


class Payment(Event):
    zone: ClassVar[str | None] = "UTC"
    id: Id
    at: Time
    customer: Key
    amount: float


class Fraud(Label):
    zone: ClassVar[str | None] = "UTC"
    id: Id
    at: Time
    fraud: Truth[bool]


def drain(source: Source, position: int = 0, limit: int = 100) -> list[Line]:
    out: list[Line] = []
    while lines := source.read(position, limit):
        out += lines
        position = lines[-1].position
    return out


def written(folder: Path, columns: dict[str, Any], rows_per_group: int = 1000) -> Path:
    pq.write_table(pa.table(columns), folder / "p.parquet", row_group_size=rows_per_group)
    return folder


def values(folder: Path, cls: type, columns: dict[str, Any]) -> list[Any]:
    lines = drain(parquet("p.parquet", cls).open(written(folder, columns)))
    return [Schema.of(cls).decode(line.raw).value for line in lines]


def test_numbers_nulls_decimals_and_maps_become_what_the_type_declares(tmp_path: Path) -> None:
    columns = {
        "id": pa.array([1, 2]).dictionary_encode(),
        "at": pa.array([Decimal("1.5"), Decimal("2.0")]),
        "celsius": pa.array([Decimal("21.50"), None]),
        "count": pa.array([3, None], pa.int16()),
        "tags": pa.array([[("a", 1.0), ("b", None)], None], pa.map_(pa.string(), pa.float32())),
        "unused": pa.array([float("nan")] * 2),
    }
    assert values(tmp_path, Reading, columns) == [
        Reading(id=1, at=1.5, celsius=21.5, count=3, tags={"a": 1.0}),
        Reading(id=2, at=2, celsius=None, count=7, tags=None),
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_become_times_or_epoch_numbers(tmp_path: Path, unit: str) -> None:
    moment = datetime(2013, 1, 1, 5, 15)
    local = instant(moment.replace(tzinfo=ZoneInfo("America/New_York")))
    columns = {"id": ["a"], "at": pa.array([moment], pa.timestamp(unit))}
    kinds: list[type[Event]] = [Visit, Tick]
    for cls in kinds:
        source = parquet("p.parquet", cls).open(written(tmp_path, columns))
        assert Schema.of(cls).decode(drain(source)[0].raw).at == local
    columns = {"id": ["a"], "at": pa.array([moment], pa.timestamp(unit, "UTC"))}
    kinds.append(Reading)
    for cls in kinds:
        source = parquet("p.parquet", cls).open(written(tmp_path, columns))
        assert Schema.of(cls).decode(drain(source)[0].raw).at == instant(moment.replace(tzinfo=UTC))


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    assert values(tmp_path, Visit, {"id": ["a"], "at": pa.array([date(2013, 1, 2)])})[0].at == datetime(2013, 1, 2)


def test_a_timestamp_without_a_zone_that_has_to_be_a_number_is_a_fault(tmp_path: Path) -> None:
    columns = {"id": ["a"], "at": pa.array([datetime(2013, 1, 1)])}
    (line,) = drain(parquet("p.parquet", Reading).open(written(tmp_path, columns)))
    assert line.fault == "naive_time"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e101])
def test_a_number_that_may_not_enter_is_a_fault_and_the_next_row_is_read(tmp_path: Path, number: float) -> None:
    columns = {"id": ["a", "b"], "at": [1, 2], "celsius": [number, 1.0]}
    lines = drain(parquet("p.parquet", Reading).open(written(tmp_path, columns)))
    assert [(line.fault, line.position) for line in lines] == [("out_of_range", 1), (None, 2)]
    assert b"celsius" in lines[0].raw


@pytest.mark.parametrize(
    "columns",
    [
        {"id": ["a"], "at": ["now"]},
        {"id": ["a"], "at": pa.array([None], pa.int64())},
        {"id": ["a"], "at": [1], "count": [1.5]},
        {"id": pa.array([1.5]), "at": [1]},
    ],
)
def test_a_value_of_another_type_is_invalid(tmp_path: Path, columns: dict[str, Any]) -> None:
    (line,) = drain(parquet("p.parquet", Reading).open(written(tmp_path, columns)))
    with pytest.raises(Rejected, match="invalid"):
        Schema.of(Reading).decode(line.raw)


def test_text_that_is_not_utf8_is_malformed(tmp_path: Path) -> None:
    columns = {"id": pa.array([b"\xff", b"b"]), "at": [1, 2]}
    lines = drain(parquet("p.parquet", Reading).open(written(tmp_path, columns)))
    assert [line.fault for line in lines] == ["malformed", None]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_reading_resumes_at_every_row(tmp_path: Path, limit: int) -> None:
    folder = written(tmp_path, {"id": list(range(10)), "at": list(range(10))}, rows_per_group=4)
    whole = drain(parquet("p.parquet", Reading).open(folder))
    assert [line.position for line in whole] == list(range(1, 11))
    source = parquet("p.parquet", Reading).open(folder)
    assert source.size() == 10
    for position in (10, 0, 5, 4, 3, 9, 8, 1):
        assert drain(source, position, limit) == whole[position:]


@needs_data
def test_a_real_table_of_payments_gives_events_and_labels_with_one_id() -> None:
    path = "fraud_handbook_2018/fraud_handbook_2018_06_08.parquet"
    names = {"id": "TRANSACTION_ID", "at": "TX_DATETIME"}
    payments = parquet(path, Payment, columns=names | {"customer": "CUSTOMER_ID", "amount": "TX_AMOUNT"})
    frauds = parquet(path, Fraud, columns=names | {"fraud": "TX_FRAUD"})
    events = [Schema.of(Payment).decode(line.raw) for line in payments.open(DATA).read(881_000, 200)]
    labels = [Schema.of(Fraud).decode(line.raw) for line in frauds.open(DATA).read(881_000, 200)]
    assert len(events) == len(labels) == 105
    assert [event.id for event in events] == [label.id for label in labels]
    assert {label.truth for label in labels} <= {True, False}


def test_rows_without_ids_are_named_by_their_number(tmp_path: Path) -> None:
    folder = written(tmp_path, {"at": [1, 2]})
    lines = drain(parquet("p.parquet", Reading, columns={"id": RowId("r-")}).open(folder))
    assert [line.raw for line in lines] == [b'{"id":"r-1","at":1}', b'{"id":"r-2","at":2}']


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    folder = written(tmp_path, {"id": [1], "when": [1]})
    with pytest.raises(SourceError, match=r"no column 'at' for Reading\.at\n  its columns are id, when"):
        parquet("p.parquet", Reading).open(folder)
    with pytest.raises(DeclarationError, match="the field 'time'"):
        parquet("p.parquet", Reading, columns={"time": "when"})


def test_a_file_that_is_not_parquet_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"id,at\n1,2\n")
    with pytest.raises(SourceError, match=r"p\.parquet is not a Parquet file"):
        parquet("p.parquet", Reading).open(tmp_path)


def test_without_pyarrow_the_error_tells_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path, {"id": [1], "at": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"pip install 'eddyline\[parquet\]'"):
        parquet("p.parquet", Reading).open(folder)


@pytest.mark.parametrize(("unit", "bad"), [("us", 2**62), ("us", -(2**62)), ("s", 10**13), ("ms", 10**17)])
def test_a_time_that_no_date_can_say_costs_its_own_row_only(tmp_path: Path, unit: str, bad: int) -> None:
    times = pa.array([0, bad, 0], type=pa.int64()).cast(pa.timestamp(unit))
    pq.write_table(pa.table({"id": ["a", "b", "c"], "at": times}), tmp_path / "p.parquet")
    lines = parquet("p.parquet", Visit).open(tmp_path).read(0, 10)
    assert [line.fault for line in lines] == [None, "out_of_range", None]
    kept, power = ("ms", 1000) if unit == "s" else (unit, 1)  # Parquet has no seconds
    assert lines[1].detail == f"column 'at' holds {bad * power} as timestamp[{kept}], which no date can say"


def test_another_table_of_the_same_name_is_an_error(tmp_path: Path) -> None:
    def write(*ids: str) -> Source:
        pq.write_table(pa.table({"id": list(ids), "at": [0] * len(ids)}), tmp_path / "p.parquet")
        return parquet("p.parquet", Reading).open(tmp_path)

    source = write("a", "b")
    assert isinstance(source, Marked)
    source.read(0, 10)
    mark = source.mark(2)
    assert mark is not None
    write("a", "b", "c").require(2, mark)  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="row 2 was read already, and is another now"):
        write("a", "x", "c").require(2, mark)  # type: ignore[attr-defined]
