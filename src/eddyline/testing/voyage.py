"""A pipeline on a real store that may be stopped, or may crash, between any two batches.

A crash is what the next process would find: the files as they are while the store is open, in a place of their own.
Sleeps never, mocks nothing.
"""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from types import TracebackType

from eddyline.engines.embedded import Engine
from eddyline.engines.embedded.change import change
from eddyline.engines.loop import Outcome
from eddyline.pipeline import Pipeline
from eddyline.testing.given import Given, inputs_of, records_of


class Voyage:
    """A pipeline in a folder; a context manager. `engine` is the one that is running now.

    >>> import tempfile
    >>> from river import dummy
    >>> from eddyline import Pipeline, memory
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> with tempfile.TemporaryDirectory() as folder, Voyage(cases, Path(folder)) as voyage:
    ...     first = voyage.take(Case(id="a", at=0), Verdict(id="a", at=5, truth="yes"))
    ...     voyage.crash()
    ...     voyage.take(Case(id="b", at=6)).predictions[0].value
    'yes'
    """

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self.pipeline = pipeline
        self.folder = folder
        self._names = count()
        self.engine = self._open(self._next_path())

    def take(self, *given: Given) -> Outcome:
        """Takes records in one commit, in the order they are given. Commands need one of their own."""
        inputs = inputs_of(self.pipeline, given)
        return self.engine.take(inputs, records_of(self.pipeline, inputs))

    def drain(self) -> Outcome:
        """Says that the streams are complete."""
        return self.engine.drain()

    def stop(self) -> None:
        """Closes the engine properly and opens it again."""
        path = self.engine.path
        self.engine.close()
        self.engine = self._open(path)

    def change(self, pipeline: Pipeline) -> None:
        """Goes on under another declaration, as `eddyline change` does where nobody runs."""
        path = self.engine.path
        self.engine.close()
        try:
            change(pipeline, path, author="a test")
            self.pipeline = pipeline
        finally:
            self.engine = self._open(path)

    def crash(self) -> None:
        """Leaves the engine as a dead process would, and opens what it left on the disk."""
        old, path = self.engine, self._next_path()
        for ending in ("", "-wal"):
            source = old.path.with_name(old.path.name + ending)
            if source.exists():
                shutil.copy(source, path.with_name(path.name + ending))
        old.store.close()
        self.engine = self._open(path)

    def _open(self, path: Path) -> Engine:
        engine = Engine(self.pipeline, path)
        # Power does not fail here, so the disk need not be waited for: a dead process takes nothing with it.
        engine.store.db.execute("PRAGMA synchronous=OFF")
        return engine

    def _next_path(self) -> Path:
        return self.folder / f"voyage-{next(self._names)}.eddyline"

    def __enter__(self) -> Voyage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.engine.close()
