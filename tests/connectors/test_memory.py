"""A list in memory behaves as a file with the same records would."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from eddyline.connectors import memory
from eddyline.records import EpochSeconds, Event, Id, Time
from eddyline.records.errors import DeclarationError


class Payment(Event):
    id: Id
    at: EpochSeconds
    amount: float = 0.0


class Visit(Event):
    id: Id
    at: Time


def test_objects_dicts_text_and_bytes_are_read_in_order() -> None:
    records: list[Any] = [Payment(id=1, at=0), {"id": 2, "at": 0}, '{"id":3,"at":0}', b'{"id":4,"at":0}']
    source = memory(records, Payment).open(Path())
    lines = source.read(0, 10)
    assert [line.raw for line in lines] == [
        b'{"id":1,"at":0,"amount":0.0}',
        b'{"id":2,"at":0}',
        b'{"id":3,"at":0}',
        b'{"id":4,"at":0}',
    ]
    assert [line.position for line in lines] == [1, 2, 3, 4]
    assert source.size() == 4


def test_reading_resumes_at_every_position() -> None:
    source = memory([{"id": n, "at": n} for n in range(5)], Payment).open(Path())
    whole = source.read(0, 10)
    for position in range(6):
        assert source.read(position, 2) == whole[position : position + 2]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Payment(id=1, at=0, amount=math.nan), "out_of_range"),
        ({"id": 1, "at": 0, "amount": math.inf}, "out_of_range"),
        ({"id": "\ud800", "at": 0}, "malformed"),
        ({"id": object(), "at": 0}, "invalid"),
    ],
)
def test_what_json_cannot_say_is_a_fault_with_its_reason(record: Any, reason: str) -> None:
    (line,) = memory([record], Payment).open(Path()).read(0, 1)
    assert line.fault == reason
    assert line.size == len(line.raw)


def test_an_object_of_another_type_is_refused_at_once() -> None:
    with pytest.raises(DeclarationError, match="record 0 is a Visit"):
        memory([Visit(id=1, at=datetime(2024, 1, 1))], Payment)
    with pytest.raises(DeclarationError, match="record 0 is a int"):
        memory([3], Payment)  # type: ignore[list-item]


def test_a_later_change_of_the_list_does_not_change_the_declaration() -> None:
    records = [Payment(id=1, at=0)]
    declared = memory(records, Payment)
    records.append(Payment(id=2, at=0))
    assert declared.describe() == "1 in memory"
    assert declared == memory([Payment(id=1, at=0)], Payment)
