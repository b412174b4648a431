"""Lets the tests of this room use a registry of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.connectors.registry import serving


@pytest.fixture
def registry() -> Iterator[str]:
    """The URL of a registry that is empty."""
    with serving() as url:
        yield url
