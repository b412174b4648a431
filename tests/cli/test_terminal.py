"""What users sent is shown on a terminal and never steers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eddyline.cli import show
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import version_of

CLEAR = "\x1b[2J\x1b[31mall is well\x07\x9b\u202e"
SHOWN = r"\x1b[2J\x1b[31mall is well\x07\x9b\u202e"


@pytest.mark.parametrize(
    "printed",
    [
        lambda: show.values("features", {CLEAR: 1.0}),
        lambda: show.facts(CLEAR, [("id", "a")]),
        lambda: show.facts("event", [("id", CLEAR)]),
        lambda: show.titled("t", show.table(CLEAR)),
        lambda: show.console().print(CLEAR),
    ],
)
def test_control_characters_in_names_and_values_are_shown_as_escapes(
    printed: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    printed()
    said = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)
    assert SHOWN in said


def test_a_version_has_one_name() -> None:
    with pytest.raises(EddylineError, match="'parcels@0100' is not a version\nwrite it as parcels@100"):
        version_of("parcels@0100")
    assert version_of("parcels@0") == ("parcels", 0)
