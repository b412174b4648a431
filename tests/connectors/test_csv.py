"""Rows of a CSV file become records of the declared type, and broken rows become faults."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.connectors import RowId, RowTime, csv
from eddyline.ports import Line, Marked, Source
from eddyline.records import Arrival, EpochMillis, EpochSeconds, Event, Id, Label, Time, Truth
from eddyline.records.errors import DeclarationError, Rejected, SourceError
from eddyline.records.schema import Schema
from eddyline.records.time import instant, minutes

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the real streams are not at {DATA}")


class Payment(Event):
    id: Id
    at: EpochSeconds
    amount: float
    count: int = 7
    note: str | None = None
    vip: bool | None = None


class Visit(Event):
    id: Id
    at: Time


class HalfHour(Event):
    id: Id
    at: Time
    nswprice: float
    demand: float


class Moved(Label):
    id: Id
    at: EpochMillis
    direction: Truth[str]


def drain(source: Source, position: int = 0, limit: int = 100) -> list[Line]:
    out: list[Line] = []
    while lines := source.read(position, limit):
        out += lines
        position = lines[-1].position
    return out


def rows(folder: Path, text: str | bytes, cls: type = Payment, **options: Any) -> list[Line]:
    (folder / "p.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return drain(csv("p.csv", cls, **options).open(folder))


def first(folder: Path, text: str | bytes, cls: type = Payment, **options: Any) -> Any:
    return Schema.of(cls).decode(rows(folder, text, cls, **options)[0].raw).value


def reasons(lines: list[Line]) -> list[str | None]:
    out: list[str | None] = []
    for line in lines:
        try:
            if line.fault is None:
                Schema.of(Payment).decode(line.raw)
            out.append(line.fault)
        except Rejected as refused:
            out.append(refused.reason)
    return out


def test_cells_become_what_the_type_declares(tmp_path: Path) -> None:
    value = first(tmp_path, "id,at,amount,count,note,vip\n007,1.5,-12.50,3,3,TRUE\n")
    assert value == Payment(id="007", at=1.5, amount=-12.5, count=3, note="3", vip=True)


def test_an_empty_cell_is_none_or_the_default_or_missing(tmp_path: Path) -> None:
    lines = rows(tmp_path, "id,at,amount,count,note,vip\np,1,2,,,\np,1,,1,a,0\n")
    value = Schema.of(Payment).decode(lines[0].raw).value
    assert (value.count, value.note, value.vip) == (7, None, None)
    with pytest.raises(Rejected, match="missing required field `amount`"):
        Schema.of(Payment).decode(lines[1].raw)


def test_a_word_that_says_missing_is_an_empty_cell_and_only_where_it_was_declared(tmp_path: Path) -> None:
    text = "id,at,amount,count,note,vip\np,1,2,NA,?,NA\n"
    value = first(tmp_path, text, missing=("NA", "?"))
    assert (value.count, value.note, value.vip) == (7, None, None)
    with pytest.raises(Rejected, match=r"Expected `int.*`, got `str` - at `\$.count`"):
        Schema.of(Payment).decode(rows(tmp_path, text)[0].raw)
    assert first(tmp_path, "id,at,amount,count,note,vip\np,1,2,,NA,\n").note == "NA"


def test_one_word_for_missing_is_told_to_be_several() -> None:
    with pytest.raises(DeclarationError, match=r'missing=\("NA",\)'):
        csv("p.csv", Payment, missing="NA")


def test_columns_may_have_other_names_and_be_more_than_the_fields(tmp_path: Path) -> None:
    value = first(
        tmp_path,
        "ref;when;sum;x\np;1;2;3\n",
        columns={"id": "ref", "at": "when", "amount": "sum"},
        delimiter=";",
    )
    assert (value.id, value.at, value.amount) == ("p", 1, 2.0)


@needs_data
def test_a_table_without_ids_and_times_gets_them_from_its_rows() -> None:
    start = datetime(1996, 5, 7, tzinfo=UTC)
    prices = csv(
        "elec2/elec2.csv.gz",
        HalfHour,
        columns={"id": RowId("elec-"), "at": RowTime(start, every=minutes(30)), "demand": "nswdemand"},
    )
    moves = csv(
        "elec2/elec2.csv.gz",
        Moved,
        columns={"id": RowId("elec-"), "at": RowTime(start, every=minutes(30)), "direction": "class"},
    )
    events = [Schema.of(HalfHour).decode(line.raw) for line in drain(prices.open(DATA), limit=5000)]
    labels = [Schema.of(Moved).decode(line.raw) for line in moves.open(DATA).read(45_310, 10)]
    assert len(events) == 45_312
    assert events[0].value == HalfHour(id="elec-1", at=start, nswprice=0.056443, demand=0.439155)
    assert events[2].at == instant(start + minutes(60))
    assert [(label.id, label.at, label.truth) for label in labels] == [
        (event.id, event.at, truth) for event, truth in zip(events[-2:], ["UP", "DOWN"], strict=True)
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("p,1", "malformed"),
        ("p,1,2,3", "malformed"),
        ('p,1,"2"x', "malformed"),
        ("p,1,nan", "out_of_range"),
        ("p,1,-inf", "out_of_range"),
        ("p,1,1e999", "out_of_range"),
        ("p,1,1e101", "out_of_range"),
        ("p,1," + "9" * 5000, "out_of_range"),
        ("p,1,1_000", "invalid"),
        ("p,1,a lot", "invalid"),
        ("p,1,", "invalid"),
        ("p,now,2", "invalid"),
        ("p,1," + "9" * 200_000, "too_large"),
        ("p,1," + "9" * 2_000_000, "too_large"),
    ],
)
def test_a_broken_row_has_its_reason_and_the_next_row_is_read(tmp_path: Path, row: str, reason: str) -> None:
    lines = rows(tmp_path, f"id,at,amount\n{row}\nq,1,2\n")
    assert reasons(lines) == [reason, None]
    assert [line.position for line in lines] == [1, 2]


def test_a_row_that_is_not_utf8_is_malformed_and_keeps_its_bytes(tmp_path: Path) -> None:
    lines = rows(tmp_path, b"id,at,amount,note\np,1,2,\xff\xfe\nq,1,2,\xc3\xbc\n")
    assert reasons(lines) == ["malformed", None]


def test_a_quote_that_never_ends_does_not_eat_the_file(tmp_path: Path) -> None:
    lines = rows(tmp_path, 'id,at,amount\n"p,1,2\n' + "q,1,2\n" * 300_000)
    assert (lines[0].fault, lines[0].raw, len(lines)) == ("malformed", b'"p,1,2', 300_001)
    assert set(reasons(lines[1:])) == {None}


def test_a_quote_that_is_not_closed_costs_its_own_line_and_is_named_by_it(tmp_path: Path) -> None:
    lines = rows(tmp_path, 'id,at,amount,note\na,1,2,x\nb,1,2,"open\nc,1,2,"x"\nd,1,2,x\ne,1,2,"to the end\nf,1,2,x\n')
    assert reasons(lines) == [None, "malformed", None, None, "malformed", None]
    assert lines[1].detail.startswith("line 3 opens a quote, and no row comes of it")
    assert lines[4].detail.startswith("line 6 opens a quote, and no row comes of it")


def test_another_table_of_the_same_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,at,amount\np,1,2\nq,1,2\n")
    source = csv("p.csv", Payment).open(tmp_path)
    assert isinstance(source, Marked)
    source.read(0, 10)
    mark = source.mark(1)
    assert mark is not None
    source.require(1, mark)
    (tmp_path / "p.csv").write_text("id,at,amount\nz,1,2\nq,1,2\n")
    with pytest.raises(SourceError, match="row 1 was read already, and is another now"):
        csv("p.csv", Payment).open(tmp_path).require(1, mark)  # type: ignore[attr-defined]


def test_quoted_cells_may_hold_delimiters_quotes_and_newlines(tmp_path: Path) -> None:
    value = first(tmp_path, 'id,at,amount,note\n"p,1",1,2,"say ""no""\r\nnow"\n')
    assert (value.id, value.note) == ("p,1", 'say "no"\r\nnow')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-01-01T05:15:00Z", datetime(2013, 1, 1, 5, 15, tzinfo=UTC)),
        ("2013-01-01 05:15:00+00:00", datetime(2013, 1, 1, 5, 15, tzinfo=UTC)),
        ("2013-01-01T05:15Z", datetime(2013, 1, 1, 5, 15, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(tmp_path: Path, text: str, expected: datetime) -> None:
    assert first(tmp_path, f"id,at\np,{text}\n", Visit).at == expected


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz"])
def test_reading_resumes_at_every_row(tmp_path: Path, name: str) -> None:
    text = b'\xef\xbb\xbfid,at,amount\r\na,1,2\r\n\r\nb,"1\r\n",2\r\nc,1\r\nd,1,2'
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    whole = drain(csv(name, Payment).open(tmp_path))
    assert [line.position for line in whole] == [1, 2, 3, 4]
    source = csv(name, Payment).open(tmp_path)
    for position in (4, 0, 1, 3, 2):
        assert drain(source, position, limit=1) == whole[position:]


def test_fewer_rows_than_were_read_is_an_error_not_an_end(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,at,amount\na,1,2\n")
    with pytest.raises(SourceError, match=r"p\.csv has 1 rows, and 5 were read"):
        csv("p.csv", Payment).open(tmp_path).read(5, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no header"),
        ("id,amount\n", "no column 'at' for Payment.at"),
        ("id,at,amount,at\n", "2 columns 'at'"),
        ('id,"at"x,amount\n', "is no header"),
    ],
)
def test_a_header_that_cannot_work_is_an_error_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        rows(tmp_path, text)


def test_a_declaration_that_cannot_work_is_refused_at_once() -> None:
    with pytest.raises(DeclarationError, match="the field 'sum', which Payment does not have"):
        csv("p.csv", Payment, columns={"sum": "amount"})
    with pytest.raises(DeclarationError, match="delimiter"):
        csv("p.csv", Payment, delimiter=", ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file p\.csv"):
        csv("p.csv", Payment).open(tmp_path)


cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)


@given(st.lists(st.tuples(cell.filter(bool), st.floats(-1e100, 1e100), st.none() | cell.filter(bool)), max_size=5))
def test_what_python_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, float, str | None]]
) -> None:
    import csv as stdlib_csv

    folder = tmp_path_factory.mktemp("csv")
    with open(folder / "p.csv", "w", newline="", encoding="utf-8") as file:
        writer = stdlib_csv.writer(file)
        writer.writerow(["id", "at", "amount", "note"])
        for name, amount, note in records:
            writer.writerow([name, 1, amount, note])
    arrivals = [Schema.of(Payment).decode(line.raw) for line in drain(csv("p.csv", Payment).open(folder))]
    assert all(type(arrival) is Arrival for arrival in arrivals)
    read = [(arrival.id, arrival.value.amount, arrival.value.note) for arrival in arrivals]
    assert read == [(name, amount, note) for name, amount, note in records]
