"""A store with a past, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that nobody touches."""
    from tests.store.shop import fill

    path = tmp_path_factory.mktemp("made") / "shop.eddyline"
    fill(path)
    return path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copy(made, tmp_path / "shop.eddyline"))
