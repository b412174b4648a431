"""Whether the engine in this container is alive: its writer runs and holds the store, and the store can be read.

    python alive.py /var/lib/eddyline/pipeline.eddyline

Exit code 0 and a word, or 1 and the reason: for Docker's HEALTHCHECK and for Kubernetes probes. It only looks: it takes no
lock, because a probe that held the lock for an instant could turn a starting engine away. It imports nothing but the
standard library, so that a probe costs milliseconds and not River's second.

Refuses to know whether events come: a quiet source is not a sick engine. Lag is for the metrics.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

STOPPED = {"T": "is stopped by a signal", "t": "is stopped by a debugger", "Z": "has ended", "X": "has ended"}


class NotAlive(Exception):  # noqa: N818 - a state, in the words of the message
    """Why the probe fails."""


def alive(store: Path) -> int:
    """The process that writes the store. Raises `NotAlive` when there is none, it stands, or the store cannot be read."""
    pid = _writer(store.with_name(store.name + "-lock"))
    _read(store)
    return pid


def _writer(lock: Path) -> int:
    try:
        pid = int(json.loads(lock.read_text("utf-8"))["pid"])
        held = lock.stat()
    except FileNotFoundError:
        raise NotAlive(f"no engine has opened the store yet: there is no {lock.name}") from None
    except (ValueError, KeyError, TypeError):
        raise NotAlive(f"{lock.name} does not say who holds it") from None
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        files = [file for fd in os.listdir(f"/proc/{pid}/fd") if (file := _open(Path(f"/proc/{pid}/fd/{fd}")))]
    except (FileNotFoundError, ProcessLookupError):
        raise NotAlive(f"process {pid} held the store, and is gone or on its way out") from None
    if state in STOPPED:
        raise NotAlive(f"process {pid} {STOPPED[state]}")
    if not any((file.st_dev, file.st_ino) == (held.st_dev, held.st_ino) for file in files):
        raise NotAlive(f"process {pid} runs, but does not hold the store: it starts, or it is another program")
    return pid


def _open(fd: Path) -> os.stat_result | None:
    """The file behind a descriptor; none when it was closed since it was listed."""
    try:
        return fd.stat()
    except FileNotFoundError:
        return None


def _read(store: Path) -> None:
    try:
        connection = sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            (tables,) = connection.execute("select count(*) from sqlite_schema where type = 'table'").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise NotAlive(f"the store {store.name} cannot be read: {error}") from None
    if not tables:
        raise NotAlive(f"the store {store.name} is empty")


def main(arguments: list[str]) -> int:
    """Says how it is in one line, and gives the exit code."""
    if len(arguments) != 1:
        print("usage: python alive.py STORE", file=sys.stderr)
        return 2
    try:
        pid = alive(Path(arguments[0]))
    except NotAlive as reason:
        print(f"not alive: {reason}")
        return 1
    print(f"alive: process {pid} holds {Path(arguments[0]).name}, which can be read")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
