"""A worked case as a reader finds it: its pipeline, its prepare.py, and a folder for a slice of its streams."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from eddyline import Engine, Pipeline
from eddyline.engines.embedded import replay
from eddyline.pipeline.loading import load
from eddyline.store.database import Store
from eddyline.views.summary import Summary, summarize
from eddyline.views.verify import Verdict, verify

EXAMPLES = Path(__file__).parents[2] / "examples"


class Ran(NamedTuple):
    """What a case came to: the totals a person sees, every number it measured by name, and the proof of its store."""

    summary: Summary
    numbers: dict[str, float | None]
    verdict: Verdict


class Case(NamedTuple):
    """One folder of examples/, beside a folder of the test's own for its data."""

    pipeline: Pipeline
    prepare: ModuleType
    base: Path

    def write(self, name: str, records: Iterable[dict[str, Any]]) -> int:
        """A stream of JSON lines for the pipeline to read; how many there are."""
        lines = [json.dumps(record) + "\n" for record in records]
        (self.base / "data" / name).write_text("".join(lines))
        return len(lines)

    def source(self) -> Path:
        """The file that the case is made of; skips the test where it is missing."""
        path: Path = self.prepare.SHARED / self.prepare.SOURCE
        if not path.exists():
            pytest.skip(f"{self.prepare.SOURCE} is not here: looked in ../shared/data")
        return path

    def run(self, **changes: Any) -> Ran:
        """The case on its slice, to the end of the streams; with other fields, to compare with."""
        pipeline = self.pipeline.replace(**changes) if changes else self.pipeline
        store = self.base / f"{pipeline.name}.eddyline"
        with Engine(pipeline, store) as engine:
            replay(engine, self.base, drain=True)
            summary = summarize(engine)
            measured = engine.plan.watch.measurements(engine.loop.states.watch)
        overall = {one.metric: one.value for one in measured if one.version is one.day is one.segment is None}
        with closing(Store.read(store)) as opened:
            return Ran(summary, overall, verify(opened, pipeline))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Callable[[str], Case]]:
    """Opens a case by the name of its folder; what was imported for it is forgotten afterwards."""
    modules, paths = set(sys.modules), list(sys.path)
    (tmp_path / "data").mkdir()

    def opened(name: str) -> Case:
        folder = EXAMPLES / name
        return Case(load(str(folder / "pipeline.py")).pipeline, _module(folder / "prepare.py"), tmp_path)

    yield opened
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(EXAMPLES)):
            del sys.modules[name]


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{file.parent.name}_prepare", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
