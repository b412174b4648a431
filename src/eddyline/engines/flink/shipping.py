"""A pipeline on its way to a worker: its file and the user's modules beside it, as text.

The worker writes them to a folder of its own and imports the file as the command line does, so that the pipeline there is
the pipeline here; their digests are compared.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from threading import Lock

import msgspec

from eddyline.engines.flink.declared import By
from eddyline.engines.flink.per_key import Bridges
from eddyline.pipeline import Pipeline
from eddyline.pipeline.loading import Loaded, load
from eddyline.records.errors import DeclarationError, StoreMismatch

OPENING = Lock()
"""Whoever opens in a TaskManager holds it: all of them live in one Python, and open at the same moment, each in its thread."""
_lock = Lock()
_known: dict[bytes, Pipeline] = {}


class Parcel(msgspec.Struct, frozen=True):
    """The files by name, which of them is loaded, and what the pipeline in it must mean."""

    files: dict[str, str]
    main: str
    name: str
    digest: str
    author: str = "unknown"
    reason: str = ""
    over: dict[int, dict[int, int]] = {}
    """how shards of models per key get past examples that the broker gave up"""


def packed(loaded: Loaded, by: By | None = None, over: Bridges | None = None) -> bytes:
    """The pipeline as bytes: its file, and every module of the user's that was imported from the same folder.

    `by` says who sends it, for the record of what it changes, `over` how models per key get past what the broker gave up.

    Only Python files travel; data that they read while they are imported has to be on the workers.
    Raises `DeclarationError` when the pipeline has no name in its file.
    """
    base = loaded.base.resolve()
    files = {loaded.file.name: _text(loaded.file)}
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if source and source.endswith(".py"):
            path = Path(source).resolve()
            if path.is_relative_to(base) and "site-packages" not in path.parts and not path.is_relative_to(_OURS):
                files[path.relative_to(base).as_posix()] = _text(path)
    modules = [module for module in sys.modules.values() if getattr(module, "__file__", None) == str(loaded.file)]
    words = (name for module in modules for name, value in vars(module).items() if value is loaded.pipeline)
    word = next(words, None)
    if word is None:
        raise DeclarationError(
            f"pipeline {loaded.pipeline.name} is not at the top of {loaded.file.name}: a worker could not find it there\n"
            "give it a name at the top level of the file: fraud = Pipeline(...)"
        )
    who = by or By()
    passed = {shard: dict(bridged) for shard, bridged in (over or {}).items()}
    parcel = Parcel(dict(sorted(files.items())), loaded.file.name, word, loaded.pipeline.digest, who.author, who.reason, passed)
    return msgspec.json.encode(parcel)


def sender(raw: bytes) -> By:
    """Who sent a parcel, and why."""
    parcel = msgspec.json.decode(raw, type=Parcel)
    return By(parcel.author, parcel.reason)


def bridges(raw: bytes) -> Bridges:
    """How shards of models per key get past examples that the broker gave up."""
    return msgspec.json.decode(raw, type=Parcel).over


def unpacked(raw: bytes) -> Pipeline:
    """The pipeline of a parcel, imported once in a process.

    Raises `StoreMismatch` when it does not mean here what it meant where it was packed.
    """
    with _lock:
        known = _known.get(raw)
        if known is None:
            parcel = msgspec.json.decode(raw, type=Parcel)
            folder = Path(tempfile.mkdtemp(prefix="eddyline-"))
            for name, text in parcel.files.items():
                path = folder / name
                assert path.resolve().is_relative_to(folder.resolve()), f"a file outside of its folder: {name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
            known = load(f"{folder / parcel.main}:{parcel.name}").pipeline
            if known.digest != parcel.digest:
                raise StoreMismatch(
                    f"the pipeline {known.name} means {known.digest} here and {parcel.digest} where it was submitted\n"
                    "give both the same libraries: eddyline flink env"
                )
            _known[raw] = known
        return known


def _text(file: Path) -> str:
    """A file of Python's as text. UTF-8 here and there, whatever the locales of submitter and worker are."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{file.name} is not UTF-8 ({error}): a worker could not read it\nwrite it in UTF-8") from error


_OURS = Path(__file__).resolve().parents[2]
