"""Reads the user's FILE and finds the pipeline in it.

The file is imported as `import` would do it: its folder is on the path, and it is in `sys.modules` under its
own name, so that a model made of its functions can be saved here and loaded in the user's own program, and
the other way round. What goes wrong inside it is told with the user's line, not ours.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import eddyline
from eddyline.pipeline.declaration import Pipeline
from eddyline.records.errors import DeclarationError, EddylineError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline, the file it is declared in, and where its store is."""

    pipeline: Pipeline
    file: Path
    store: Path

    @property
    def base(self) -> Path:
        """The folder of the file."""
        return self.file.parent


def load(spec: str, store: str | None = None) -> Loaded:
    """The pipeline of FILE.py, or of FILE.py:name where there are several.

    Raises `DeclarationError` when there is no such file, when it fails, or when it is not clear which
    pipeline is meant.
    """
    file, name = _split(spec)
    if not file.is_file():
        raise DeclarationError(_missing(file))
    pipeline = _choose(imported(file), file, name)
    where = Path(store) if store is not None else file.parent / f"{pipeline.name}.eddyline"
    return Loaded(pipeline, file, where)


def _split(spec: str) -> tuple[Path, str | None]:
    path, colon, name = spec.rpartition(":")
    if colon and name.isidentifier() and not Path(spec).exists():
        return Path(path).absolute(), name
    return Path(spec).absolute(), None


def _missing(file: Path) -> str:
    if file.is_dir():
        return f"{file} is a folder, not a file\ngive the Python file in it: {file.name}/pipeline.py"
    said = f"there is no file {file.name} in {file.parent}"
    beside = [path.name for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
    near = difflib.get_close_matches(file.name, beside, 1)
    if near:
        return f"{said}\ndid you mean {near[0]}?"
    return f"{said}\ngive the Python file with your Pipeline, or make one to start from: eddyline init DIR"


def _choose(module: ModuleType, file: Path, name: str | None) -> Pipeline:
    found: dict[str, Pipeline] = {}
    for word, value in vars(module).items():
        if isinstance(value, Pipeline) and not any(value is other for other in found.values()):
            found[word] = value
    if name is not None:
        chosen = vars(module).get(name)
        if isinstance(chosen, Pipeline):
            return chosen
        what = "has no" if chosen is None else f"has a {type(chosen).__name__} called"
        known = ", ".join(found) or "none"
        raise DeclarationError(f"{file.name} {what} {name}\nthe pipelines in it: {known}")
    if not found:
        raise DeclarationError(
            f"{file.name} has no Pipeline at its top level\n"
            f"write one there: {file.stem} = Pipeline(name=..., events=..., labels=..., model=...)"
        )
    if len(found) > 1:
        first = next(iter(found))
        raise DeclarationError(f"{file.name} has {len(found)} pipelines: {', '.join(found)}\nsay which: {file.name}:{first}")
    return next(iter(found.values()))


def imported(file: Path) -> ModuleType:
    """The file as a module, run once. Raises `DeclarationError` with the user's own line when it fails."""
    name = _module_name(file)
    known = sys.modules.get(name)
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DeclarationError(f"{file.name} is not a Python file\ngive the file with your Pipeline in it, such as fraud.py")
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, DeclarationError) or not isinstance(error, EddylineError | KeyboardInterrupt):
            raise DeclarationError(_said(file, error)) from error
        raise
    return module


def _module_name(file: Path) -> str:
    """The name `import` would give it, unless that belongs to another module."""
    for name in (file.stem, *(f"{file.stem}_{number}" for number in range(2, 10_000))):
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(file):
            return name
        if known is None and name not in sys.stdlib_module_names:
            return name
    raise AssertionError("ten thousand files of one name in one process")


def _said(file: Path, error: BaseException) -> str:
    """An error inside the user's file: where, in the user's own line, and what."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = (error.text or "").strip()
        return f"{file.name}, line {error.lineno}: {error.msg}\n    {line}" if line else f"{file.name}: {error.msg}"
    if isinstance(error, SystemExit):
        what = 'it ended the program while it was read\nput what shall only run as a script under if __name__ == "__main__":'
    elif isinstance(error, DeclarationError):
        what = str(error)
    else:
        what = f"{type(error).__name__}: {error}{_signature_of(error)}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(Path(frame.filename), file.parent)]
    if not own:
        return f"{file.name}: {what}"
    last = own[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    first, _, rest = what.partition("\n")
    shown = f"{where}: {first}\n    {last.line}" if last.line else f"{where}: {first}"
    return f"{shown}\n{rest}" if rest else shown


_CALLED = re.compile(r"^(\w+?)(?:\.__init__)?\(\) (?:got an unexpected keyword argument '(\w+)'|missing \d+ required)")


def _signature_of(error: BaseException) -> str:
    """Where one of our own was called wrongly: the argument that was meant, or what it takes."""
    found = _CALLED.match(str(error)) if isinstance(error, TypeError) else None
    ours = getattr(eddyline, found[1], None) if found is not None and found[1] in eddyline.__all__ else None
    if found is None or ours is None:
        return ""
    taken = inspect.signature(ours).parameters
    near = difflib.get_close_matches(found[2] or "", taken, 1)
    if near:
        return f"\ndid you mean {near[0]}=?"
    return f"\n{found[1]} takes {', '.join(taken)}; see: python -c 'import eddyline; help(eddyline.{found[1]})'"


def _is_users(path: Path, folder: Path) -> bool:
    """Whether a line belongs to the user's own files, not to us or to a library installed beside them."""
    ours = Path(__file__).parents[1]
    return path.is_relative_to(folder) and "site-packages" not in path.parts and not path.is_relative_to(ours)
