"""A time is typed the same way in every command."""

from __future__ import annotations

import click
import pytest

from eddyline.cli.options import moment


@pytest.mark.parametrize("said", ["2026-03-02", "2026-03-02T00:00Z", "2026-03-02T01:00+01:00", "1772409600000000"])
def test_an_instant_is_iso_text_or_microseconds(said: str) -> None:
    assert moment(said) == 1_772_409_600_000_000


def test_what_is_no_time_is_refused_with_one_that_is() -> None:
    with pytest.raises(click.BadParameter, match="write 2026-03-02 or 2026-03-02T14:30Z"):
        moment("yesterday")
