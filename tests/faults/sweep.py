"""Strikes the workload at one system call, lets another process recover, and says what is not as it must be.

A process that has imported everything forks: the child waits until strace has taken hold of it and works; strace strikes at
the nth call of a name that touches the store, by killing it there or by making the call fail. Another child recovers. As a
program it reads a plan a line from stdin and answers each with a line.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from tests.faults.workload import FRAUD, Result, complaints, read_notes, recover, work

from eddyline import Engine

WRITES = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "openat", "mkdir")
READS = ("pread64", "flock")
ROOM = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
"""Where stores are struck: in memory the same calls are made, and they cost nothing."""
_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)


class Strike(msgspec.Struct, frozen=True, array_like=True):
    """What happens at the nth call of this name: KILL, or the error that it returns."""

    call: str
    fault: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call}:{self.fault}:{self.nth}"

    @property
    def injection(self) -> str:
        """The same in strace's words."""
        kind = "signal" if self.fault == "KILL" else "error"
        return f"inject={self.call}:{kind}={self.fault}:when={self.nth}"


class Plan(msgspec.Struct, frozen=True):
    """Where the work is struck, and where the first recovery is, if it is."""

    first: Strike
    second: Strike | None = None

    def __str__(self) -> str:
        return f"{self.first}+{self.second}" if self.second else str(self.first)

    @classmethod
    def of(cls, text: str) -> Plan:
        """The plan that `str` wrote."""
        strikes = [Strike(call, fault, int(nth)) for call, fault, nth in re.findall(r"(\w+):(\w+):(\d+)", text)]
        return cls(*strikes)


class Finding(msgspec.Struct):
    """What came of a plan: whether each strike hit, how often the work met an error, and every complaint."""

    plan: Plan
    hits: list[bool]
    errors: int
    complaints: list[str]


class Child(NamedTuple):
    """A child that waits to be traced."""

    pid: int
    said: Path


def fork(body: Callable[[], None], folder: Path, *, held: bool = False) -> Child:
    """Runs `body` in a child; `held` lets it wait until it is traced. What it raises is written down."""
    said = folder / "said"
    said.unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        return Child(pid, said)
    code = 1
    try:
        if held:
            ctypes.CDLL(None).prctl(_SET_PTRACER, _ANY, 0, 0, 0)
            while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
                time.sleep(0.001)
            time.sleep(0.005)  # strace is there; now it stops us once and counts from then on
        body()
        code = 0
    except BaseException:
        said.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def trace(body: Callable[[], None], folder: Path, options: list[str]) -> tuple[str, str, bool]:
    """Runs `body` in a child under strace: the log, what it raised, and whether it was killed."""
    child, log = fork(body, folder, held=True), folder / "log"
    store = folder / "s.eddyline"
    paths = [str(folder), *(f"{store}{tail}" for tail in ("", "-wal", "-shm", "-lock"))]
    command = ["strace", "-f", "-qq", "-o", str(log), *(part for path in paths for part in ("-P", path))]
    strace = subprocess.run([*command, *options, "-p", str(child.pid)], capture_output=True, text=True)
    if strace.returncode != 0:
        os.kill(child.pid, 9)
    _, status = os.waitpid(child.pid, 0)
    if strace.returncode != 0:
        raise OSError(f"strace cannot trace here: {strace.stderr.strip()}")
    return log.read_text(), child.said.read_text() if child.said.exists() else "", os.WIFSIGNALED(status)


def missing() -> str | None:
    """Why nothing can be struck on this machine; None when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        try:
            trace(lambda: None, Path(folder), ["-e", "trace=none"])
        except OSError as error:
            return str(error)
    return None


def count() -> dict[str, int]:
    """How often an undisturbed run makes each call that touches the store."""
    with tempfile.TemporaryDirectory(dir=ROOM) as name:
        folder = Path(name)
        wanted = ["-e", f"trace={','.join((*WRITES, *READS))}"]
        log, said, _ = trace(lambda: work(folder / "s.eddyline", folder / "notes"), folder, wanted)
    assert not said, said
    return dict(Counter(re.findall(r"^\d+\s+(\w+)\(", log, re.MULTILINE)))


def _strike(strike: Strike, body: Callable[[], None], folder: Path) -> tuple[bool, str]:
    options = ["-e", f"trace={strike.call}", "-e", strike.injection]
    log, said, killed = trace(body, folder, options)
    return killed or "(INJECTED)" in log, said


def _reopen(path: Path) -> None:
    Engine(FRAUD, path).close()


def carry_out(plan: Plan, expected: Result) -> Finding:
    """Strikes, recovers, and compares with what an undisturbed run came to."""
    with tempfile.TemporaryDirectory(dir=ROOM) as name:
        folder = Path(name)
        store, notes, result = folder / "s.eddyline", folder / "notes", folder / "result"
        hit, said = _strike(plan.first, lambda: work(store, notes), folder)
        hits, wrong = [hit], [f"the work raised {said}"] if said else []
        acks, errors, ended = read_notes(notes)
        if plan.first.fault != "KILL" and not ended and not said:
            wrong.append("the work ended early and raised nothing")
        if plan.second is not None:
            hit, _ = _strike(plan.second, lambda: _reopen(store), folder)
            hits.append(hit)
        child = fork(lambda: _write(result, recover(store, notes)), folder)
        os.waitpid(child.pid, 0)
        if result.exists():
            wrong += complaints(msgspec.msgpack.decode(result.read_bytes(), type=Result), expected, acks)
        else:
            wrong.append(f"recovery raised {child.said.read_text()}")
        return Finding(plan, hits, errors, wrong)


def _write(path: Path, result: Result) -> None:
    path.write_bytes(msgspec.msgpack.encode(result))


def undisturbed() -> Result:
    """What the work comes to when nobody disturbs it."""
    with tempfile.TemporaryDirectory(dir=ROOM) as name:
        return recover(Path(name) / "s.eddyline")


def main() -> None:
    """A plan a line from stdin, a finding a line to stdout."""
    expected = undisturbed()
    for line in sys.stdin:
        finding = carry_out(msgspec.json.decode(line, type=Plan), expected)
        print(msgspec.json.encode(finding).decode(), flush=True)


if __name__ == "__main__":
    main()
