"""Lets the tests of this room use a registry of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.connectors.registry import serving


@pytest.fixture
def registry() -> Iterator[str]:
    """The URL of a registry that is empty."""
    with serving() as url:
        yield url
