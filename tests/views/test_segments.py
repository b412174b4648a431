"""Who names a segment is told when no answer was of it."""

from __future__ import annotations

from pathlib import Path

from tests.views import contested

from eddyline import Event, Watch
from eddyline.views.segments import seen, stranger


def side(event: Event) -> str:
    assert isinstance(event, contested.Payment)
    return "plus" if event.a > 0 else "minus"


def test_a_segment_that_no_answer_was_of_is_told_with_those_that_were(tmp_path: Path) -> None:
    declared, path = contested.pipeline(watch=Watch(segment=side)), tmp_path / "fraud.eddyline"
    contested.run(declared, path, contested.stream()[:300])
    assert seen(declared, path) == ("minus", "plus")
    assert stranger(declared, path, "plus") is None
    said = stranger(declared, path, "minos")
    assert said == "no answer so far was of segment 'minos' (seen: minus, plus)\ndid you mean minus?"


def test_where_there_are_no_segments_that_is_told(tmp_path: Path) -> None:
    declared, path = contested.pipeline(), tmp_path / "fraud.eddyline"
    contested.run(declared, path, contested.stream()[:100])
    assert "name the field they are in: Watch(segment=...)" in str(stranger(declared, path, "north"))


def test_beyond_the_segments_that_are_remembered_nobody_is_told_anything(tmp_path: Path) -> None:
    declared, path = contested.pipeline(watch=Watch(segment=side, max_segments=1)), tmp_path / "fraud.eddyline"
    contested.run(declared, path, contested.stream()[:300])
    assert seen(declared, path) is None
