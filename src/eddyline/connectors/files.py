"""Finding and opening the file a source was told to read, and saying so in words when that fails."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from eddyline.records.errors import SourceError


def find(base: Path, path: str) -> Path:
    """The file a source means: relative paths start in `base`, the folder of the pipeline file.

    >>> find(Path("nowhere"), "payments.jsonl")
    Traceback (most recent call last):
        ...
    eddyline.records.errors.SourceError: there is no file payments.jsonl
      looked for nowhere/payments.jsonl
      relative paths start in the folder of the pipeline file: put it there, or give its whole path
    """
    found = base / path
    if found.is_dir():
        raise SourceError(f"{path} is a folder, not a file\n  looked at {found}\n  give the path of a file in it")
    if not found.exists():
        raise SourceError(
            f"there is no file {path}\n"
            f"  looked for {found}\n"
            f"  relative paths start in the folder of the pipeline file: put it there, or give its whole path"
        )
    return found


def is_compressed(path: Path) -> bool:
    """Whether a file is read through gzip: its name ends in .gz.

    >>> is_compressed(Path("elec2.csv.gz")), is_compressed(Path("elec2.csv"))
    (True, False)
    """
    return path.suffix == ".gz"


def open_bytes(path: Path) -> IO[bytes]:
    """The bytes of a file, uncompressed."""
    with readable(path):
        if is_compressed(path):
            return cast("IO[bytes]", gzip.open(path, "rb"))
        return open(path, "rb", buffering=0)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what the system says about an unreadable file into a `SourceError` that names it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise SourceError(
            f"{path.name} is no complete gzip file: {problem}\n"
            f"  reading {path}\n"
            f"  copy it again, or check it with: gzip --test {path.name}"
        ) from problem
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise SourceError(f"{path.name} cannot be read: {why}\n  reading {path}\n  check that you may read it") from problem


def identity(status: os.stat_result) -> tuple[int, int]:
    """What stays the same while a file grows and changes when another takes its name."""
    return status.st_dev, status.st_ino
