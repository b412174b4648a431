"""Lines come out of a file in order, from any position, once each, however the file was written or grows."""

from __future__ import annotations

import gzip
import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.connectors import jsonl
from eddyline.connectors.lines import LineCutter
from eddyline.ports import Line, Marked, Source
from eddyline.records import EpochSeconds, Event, Id
from eddyline.records.errors import DeclarationError, SourceError


class Payment(Event):
    id: Id
    at: EpochSeconds


def drain(source: Source, position: int = 0, limit: int = 100) -> list[Line]:
    out: list[Line] = []
    while lines := source.read(position, limit):
        assert len(lines) <= limit
        out += lines
        position = lines[-1].position
    return out


def raws(lines: list[Line]) -> list[bytes]:
    return [line.raw for line in lines]


def opened(folder: Path, content: bytes, *, follow: bool = False, max_line: int = 1 << 20) -> Source:
    (folder / "p.jsonl").write_bytes(content)
    return jsonl("p.jsonl", Payment, max_line=max_line).open(folder, follow=follow)


CONTENT = b'\xef\xbb\xbf{"id":1}\r\n\n   \r\n{"id":2}\n{"id":"\xe6\x97\xa5"}\n\n{"id":4}'
RECORDS = [b'{"id":1}', b'{"id":2}', b'{"id":"\xe6\x97\xa5"}', b'{"id":4}']


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_blank_lines_crlf_and_a_byte_order_mark_are_no_part_of_records(tmp_path: Path, limit: int) -> None:
    assert raws(drain(opened(tmp_path, CONTENT), limit=limit)) == RECORDS


@pytest.mark.parametrize("limit", [1, 100])
@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
def test_reading_resumes_at_every_position(tmp_path: Path, name: str, limit: int) -> None:
    (tmp_path / name).write_bytes(gzip.compress(CONTENT) if name.endswith("gz") else CONTENT)
    whole = drain(jsonl(name, Payment).open(tmp_path))
    assert raws(whole) == RECORDS
    for read, line in enumerate(whole, start=1):
        assert drain(jsonl(name, Payment).open(tmp_path), line.position, limit) == whole[read:]


def test_one_source_can_go_back(tmp_path: Path) -> None:
    source = opened(tmp_path, CONTENT)
    whole = drain(source)
    for read in reversed(range(len(whole))):
        assert drain(source, whole[read].position) == whole[read + 1 :]


def test_a_position_is_the_byte_after_the_line(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1}\n{"id":2}')
    assert [line.position for line in drain(source)] == [9, 17]
    assert source.size() == 17


def test_a_line_still_being_written_is_awaited_when_following(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1}\n{"id"', follow=True)
    (first,) = drain(source)
    assert source.read(first.position, 10) == []
    with open(tmp_path / "p.jsonl", "ab") as file:
        file.write(b":2}")
        file.flush()
        assert source.read(first.position, 10) == []
        file.write(b'\n{"id":3}\n')
    assert raws(drain(source, first.position)) == [b'{"id":2}', b'{"id":3}']


def test_a_last_line_without_a_newline_is_read_when_not_following(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1}\n{"id":2}')
    second = drain(source)[-1]
    assert second.raw == b'{"id":2}'
    with open(tmp_path / "p.jsonl", "ab") as file:
        file.write(b'\n{"id":3}\n')
    again = jsonl("p.jsonl", Payment).open(tmp_path)
    assert raws(drain(source, second.position)) == raws(drain(again, second.position)) == [b'{"id":3}']


def test_a_last_line_that_goes_on_after_it_was_read_is_an_error(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1')
    (half,) = drain(source)
    with open(tmp_path / "p.jsonl", "ab") as file:
        file.write(b'2}\n{"id":3}\n')
    for reader in (source, jsonl("p.jsonl", Payment).open(tmp_path)):
        with pytest.raises(SourceError, match=r"p\.jsonl is not the file it was"):
            reader.read(half.position, 10)


def test_a_file_that_was_cut_is_an_error_not_an_end(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1}\n{"id":2}\n', follow=True)
    last = drain(source)[-1]
    os.truncate(tmp_path / "p.jsonl", 9)
    for reader in (source, jsonl("p.jsonl", Payment).open(tmp_path)):
        with pytest.raises(SourceError, match=r"p\.jsonl is not the file it was"):
            reader.read(last.position, 10)


def test_a_file_that_was_replaced_is_an_error_not_an_end(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1}\n', follow=True)
    (last,) = drain(source)
    (tmp_path / "new").write_bytes(b'{"id":7}\n{"id":8}\n')
    os.replace(tmp_path / "new", tmp_path / "p.jsonl")
    with pytest.raises(SourceError, match="another file has taken its name"):
        source.read(last.position, 10)


def test_a_file_that_was_written_anew_while_it_is_followed_is_an_error(tmp_path: Path) -> None:
    """Copied away and cut, as logrotate's copytruncate does, and as long as before when it is looked at again."""
    source = opened(tmp_path, b'{"id":1}\n{"id":2}\n', follow=True)
    last = drain(source)[-1]
    (tmp_path / "p.jsonl").write_bytes(b'{"id":5}\n{"id":6}\n{"id":7}\n')
    with pytest.raises(SourceError, match="it was written anew: before position 18 stands something else than was read"):
        source.read(last.position, 10)


@pytest.mark.parametrize("content", [b'{"id":8}\n{"id":2}\n', b'{"id":1}\n{"id":9}\n{"id":3}\n'])
def test_a_file_that_was_replaced_while_nobody_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    source = opened(tmp_path, b'{"id":1}\n{"id":2}\n')
    assert isinstance(source, Marked)
    position = drain(source)[-1].position
    mark = source.mark(position)
    assert mark is not None
    opened(tmp_path, b'{"id":1}\n{"id":2}\n{"id":3}\n').require(position, mark)  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="other lines than those that were read stand before position 18"):
        opened(tmp_path, content).require(position, mark)  # type: ignore[attr-defined]


def test_a_position_within_a_line_is_an_error(tmp_path: Path) -> None:
    source = opened(tmp_path, b'{"id":1}\n{"id":2}\n')
    with pytest.raises(SourceError, match="no line starts at position 12"):
        source.read(12, 10)


def test_a_line_that_is_too_long_is_a_fault_and_the_next_one_is_read(tmp_path: Path) -> None:
    long = b"x" * 200_000
    source = opened(tmp_path, b'{"id":1}\n' + long + b'\n{"id":2}\n', max_line=100_000)
    first, fault, second = drain(source)
    assert (first.fault, second.fault) == (None, None)
    assert (fault.fault, fault.size, fault.sha256) == (
        "too_large",
        len(long),
        hashlib.sha256(long).hexdigest(),
    )
    assert fault.raw == long[: 64 * 1024]
    assert drain(source, fault.position) == [second]


def test_a_line_of_a_hundred_megabytes_takes_few_megabytes_of_memory(tmp_path: Path) -> None:
    with open(tmp_path / "p.jsonl", "wb") as file:
        for _ in range(100):
            file.write(b"[" * 1_000_000)
        file.write(b'\n{"id":2}\n')
    source = jsonl("p.jsonl", Payment).open(tmp_path)
    tracemalloc.start()
    fault, good = drain(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (fault.fault, fault.size, good.raw) == ("too_large", 100_000_000, b'{"id":2}')
    assert peak < 8_000_000


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b" ", b"bb", b"c" * 9, b"\n\n"]), max_size=30).map(b"".join),
    st.lists(st.integers(1, 12), max_size=30),
)
def test_lines_do_not_depend_on_how_the_bytes_were_cut(content: bytes, sizes: list[int]) -> None:
    at_once = LineCutter(position=0, longest=8)
    whole = at_once.cut(content) + at_once.finish()
    cutter = LineCutter(position=0, longest=8)
    pieces, rest = [], content
    for size in sizes:
        pieces += cutter.cut(rest[:size])
        rest = rest[size:]
    pieces += cutter.cut(rest) + cutter.finish()
    assert pieces == whole
    assert cutter.position == at_once.position == len(content)
    good = [line.strip() for line in content.split(b"\n") if len(line) <= 8]
    assert [line.raw for line in whole if line.fault is None] == [line for line in good if line]


@given(st.lists(st.sampled_from([b"{}", b"\n", b"\r\n", b'{"a":1}\n']), max_size=12).map(b"".join), st.data())
def test_a_growing_file_gives_the_same_lines_as_the_finished_one(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("grow")
    content += b"\n"
    source = opened(folder, b"", follow=True)
    lines: list[Line] = []
    written = position = 0
    while written < len(content):
        size = data.draw(st.integers(1, 8))
        with open(folder / "p.jsonl", "ab") as file:
            file.write(content[written : written + size])
        written += size
        while more := source.read(position, 2):
            lines += more
            position = more[-1].position
    assert lines == drain(jsonl("p.jsonl", Payment).open(folder))


def test_a_missing_file_is_named_with_the_place_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refused:
        jsonl("p.jsonl", Payment).open(tmp_path)
    assert "there is no file p.jsonl" in str(refused.value)
    assert str(tmp_path / "p.jsonl") in str(refused.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        jsonl(".", Payment).open(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not gzip at all", gzip.compress(b'{"id":1}\n' * 1000, mtime=0)[:-20]], ids=["no gzip", "cut short"]
)
def test_a_broken_compressed_file_is_an_error_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.jsonl.gz").write_bytes(content)
    with pytest.raises(SourceError, match="is no complete gzip file"):
        drain(jsonl("p.jsonl.gz", Payment).open(tmp_path))


def test_a_closed_source_opens_its_file_again(tmp_path: Path) -> None:
    reader = opened(tmp_path, b'{"id":1}\n{"id":2}\n')
    first = reader.read(0, 1)[0]
    reader.close()  # type: ignore[attr-defined]
    assert raws(reader.read(first.position, 5)) == [b'{"id":2}']


def test_nothing_is_opened_before_the_pipeline_runs_but_the_type_is_checked() -> None:
    class Nothing(Event):
        id: Id

    jsonl("nowhere.jsonl", Payment)
    with pytest.raises(DeclarationError, match="Nothing has no Time"):
        jsonl("nowhere.jsonl", Nothing)
    with pytest.raises(DeclarationError, match="max_line=0"):
        jsonl("nowhere.jsonl", Payment, max_line=0)
