"""One process of the cluster: started detached, found again by any other command, stopped by exactly its id.

A process holds a kernel lock on its pid file from birth to death. So the file is true as long as the lock is held,
in whatever way the process ended, and a pid that the system gave to somebody else is never signalled.
Refuses to know what runs in it, and when it is ready.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from eddyline.records.errors import EddylineError

STOP_SECONDS = 30.0
"""How long a process may take to end by itself before it is killed."""

_POLL_SECONDS = 0.05
_LOCK_SECONDS = 1.0
_LOG_LINES = 15


class Process:
    """A detached process with a pid file and a log file, both in `folder` and both named after it.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> sleeper = Process(Path(folder.name), "sleeper")
    >>> sleeper.start(["sleep", "60"])
    >>> Process(Path(folder.name), "sleeper").pid == sleeper.pid    # another command finds it by its files
    True
    >>> sleeper.stop()
    True
    >>> sleeper.pid is None
    True
    >>> folder.cleanup()
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._file = folder / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Starts `command` in a session of its own; output goes to the end of the log.

        Raises `EddylineError` when it runs already, or when the program cannot be started.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+b") as lock, self.log.open("ab") as log:
            self._hold(lock.fileno())
            try:
                # The lock belongs to the open file, which the child inherits: it lasts exactly as long as the child.
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=None if environment is None else dict(environment),
                    start_new_session=True,
                    pass_fds=[lock.fileno()],
                )
            except OSError as error:
                raise EddylineError(f"{self.name}: {command[0]} cannot be started ({error.strerror or error})") from error
            lock.truncate(0)
            lock.write(str(child.pid).encode())
        self._child = child

    def _hold(self, file: int) -> None:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise EddylineError(
                        f"{self.name} runs already, as process {self._file.read_text()}\nstop it first: eddyline cluster down"
                    ) from None
                time.sleep(_POLL_SECONDS)  # a command that looks at the state holds it for a moment
            else:
                return

    @property
    def pid(self) -> int | None:
        """Its process id, or None when it does not run. A paused process runs."""
        if self._child is not None:
            self._child.poll()  # a dead child of ours would stay as a zombie
        try:
            with self._file.open("rb") as file:
                try:
                    fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0) or None
        except FileNotFoundError:
            return None
        return None

    @property
    def running(self) -> bool:
        """Whether it lives, ready or not, paused or not."""
        return self.pid is not None

    def stop(self, *, within: float = STOP_SECONDS) -> bool:
        """Asks it to end (SIGTERM) and waits `within` seconds, then kills it. False when it had to be killed.

        A process that does not run counts as ended by itself. A paused one is resumed first, or it could not obey.
        """
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if self._ended(within):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """Ends it at once (SIGKILL), as a power cut would."""
        self._signal(signal.SIGKILL)
        if not self._ended(STOP_SECONDS):
            raise EddylineError(f"{self.name}: process {self.pid} lives after SIGKILL; the kernel holds it, look at its disk")

    def pause(self) -> None:
        """Stops its clock (SIGSTOP): it holds its ports and files and answers nobody."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on (SIGCONT) after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)

    def _ended(self, within: float) -> bool:
        until = time.monotonic() + within
        while self.running:
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def last_words(self) -> str:
        """The last lines of its log, for an error message."""
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:])
