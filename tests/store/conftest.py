"""A store with a past, made once and copied for each test; and the way to import `tests.store.shop`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))


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
