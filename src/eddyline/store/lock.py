"""One writer per store: a lock the kernel lets go of when its holder dies, with a note that says who holds it.

Keeps `one-writer`. The lock file stays behind on purpose: deleting it would let two runners lock two different files.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from eddyline.records.errors import StoreError, StoreLocked


class WriterLock:
    """Held from construction to `release`. A second holder is refused with the pid and host of the first."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + "-lock")
        self._fd = -1
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._hold(store)
        except OSError as error:
            self.release()
            raise StoreError(
                f"store {store.name}: its lock {self.path} cannot be held ({error.strerror or error})\n"
                "name a store in a folder that can be written and has room: --store FOLDER/NAME.eddyline"
            ) from error
        except StoreLocked:
            self.release()
            raise

    def _hold(self, store: Path) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreLocked(_refusal(store, os.pread(self._fd, 4096, 0))) from None
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(note).encode(), 0)

    def release(self) -> None:
        """Lets the next writer in. Calling it twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _refusal(store: Path, holder: bytes) -> str:
    try:
        note = json.loads(holder)
        who = f"process {note['pid']} on host {note['host']} since {note['since']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return (
        f"store {store.name}: {who} is running on it, and a store has one writer\n"
        "stop that one first, or look without writing: eddyline versions, explain, report and dead-letters only read"
    )
