"""The shop, made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from eddyline.pipeline.loading import Loaded


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A project with a store that nobody writes to."""
    from tests.trial.shop import make

    path, modules = list(sys.path), set(sys.modules)
    yield make(tmp_path_factory.mktemp("shop"))
    sys.path[:] = path
    for name in {"shop"} - modules:
        sys.modules.pop(name, None)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Candidate files that a test loaded are forgotten afterwards."""
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("candidate"):
            del sys.modules[name]
