"""The Python environment in which Flink's workers run our stages: built from a lock, found again, compared with this one.

Flink's and River's requirements exclude each other on paper, so no extra of pip can give both; each supported Python has
a lock under `locks/` with every package at an exact version (decision 12). A worker whose River, numpy or Eddyline could
answer otherwise than the submitting process is refused before a job starts. Refuses to know what a job is.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import eddyline
from eddyline.cluster import jars
from eddyline.engines.flink import ourselves
from eddyline.records.errors import EddylineError

PYTHONS = ("3.11", "3.12")
"""The versions of Python that have a lock; Flink 2.3 has wheels for no newer one."""

LIBRARIES = ("river", "numpy", "msgspec", "apache-flink")

_LOCKS = Path(__file__).with_name("locks")
_STAMP = "eddyline.json"
_MUST_AGREE = ("eddyline", "river", "numpy")
_PIP_SECONDS = 3600
_ASK_SECONDS = 60
_ASK = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
def installed(name):
    try: return version(name)
    except PackageNotFoundError: return "none"
try: from eddyline import __version__ as ours
except ImportError: ours = "none"
print(json.dumps({"python": platform.python_version(), "eddyline": ours} | {name: installed(name) for name in sys.argv[1:]}))
"""


def cache() -> Path:
    """The folder for what is built once: `$EDDYLINE_CACHE`, or `~/.cache/eddyline`."""
    return jars.root()


def pins(python: str) -> dict[str, str]:
    """The lock of a Python version, "3.11" or "3.12": packages and their exact versions.

    >>> pins("3.11")["apache-flink"]
    '2.3.0'
    """
    lines = _lock(python).read_text("utf-8").splitlines()
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def build(
    folder: Path | None = None, python: str | Path | None = None, *, say: Callable[[str], object] = lambda _: None
) -> Path:
    """Builds the worker's environment, or completes the one that is there, and gives its interpreter.

    `folder` is where it goes: by default one in the cache, named by the lock, which `ready` finds. `python` is the
    interpreter to build with: by default the one that runs this. `say` is told what takes its time. The first build
    takes a minute or more and 1.1 GB of disk; the next ones take a second. This Eddyline goes
    into it too: from a checkout its source tree is linked, so that a change is seen without building again.

    Raises `EddylineError` when the interpreter has no lock, or when pip fails.
    """
    maker = str(python or sys.executable)
    minor = _minor(versions(maker)["python"])
    lock = _digest(minor)
    home = folder.absolute() if folder else _home(minor)
    interpreter = home / "bin" / "python"
    if folder and home.exists() and any(home.iterdir()) and not (home / "pyvenv.cfg").exists():
        raise EddylineError(f"{home} has something else in it\nname a folder that is empty or new: --folder FOLDER")
    with _alone(home):
        stamp = _stamp(home)
        if stamp.get("lock") != lock:
            _install_lock(home, maker, minor, say)
            _write_stamp(home, {"lock": lock})
        if stamp.get("lock") != lock or stamp.get("eddyline") != ourselves.identity():
            say("installing this Eddyline")
            # Not this Eddyline nor the one before, until pip is through.
            _write_stamp(home, {"lock": lock})
            _install_ourselves(interpreter)
            _write_stamp(home, {"lock": lock, "eddyline": ourselves.identity()})
    return interpreter


def ready() -> Path:
    """The interpreter of the worker's environment for this Python and this Eddyline; builds nothing.

    `EDDYLINE_FLINK_PYTHON` names another interpreter, for an environment that somebody else keeps. Raises
    `EddylineError` when there is none.
    """
    chosen = os.environ.get("EDDYLINE_FLINK_PYTHON")
    if chosen:
        if not Path(chosen).is_file():
            raise EddylineError(
                f"EDDYLINE_FLINK_PYTHON is {chosen}, and there is no such file\n"
                "name the python of an environment, or unset it and type: eddyline flink env"
            )
        return Path(chosen).absolute()
    minor = _minor(platform.python_version())
    lock, home = _digest(minor), _home(minor)
    stamp = _stamp(home)
    if stamp.get("lock") != lock:
        raise EddylineError(
            f"there is no worker environment in {home}\nbuild it, a minute and 1.1 GB, type: eddyline flink env"
        )
    if stamp.get("eddyline") != ourselves.identity():
        raise EddylineError(
            f"the worker environment in {home} runs another Eddyline: {stamp.get('eddyline', 'half an installation')}\n"
            f"this one is {ourselves.identity()}; put it there, type: eddyline flink env"
        )
    return home / "bin" / "python"


def here() -> dict[str, str]:
    """The versions of this process, as `versions` has them for another interpreter.

    >>> here()["python"] == platform.python_version()
    True
    """
    return {
        "python": platform.python_version(),
        "eddyline": eddyline.__version__,
        **{name: _installed(name) for name in LIBRARIES},
    }


def versions(python: str | Path) -> dict[str, str]:
    """What an interpreter has: python, eddyline, river, numpy, msgspec, apache-flink; "none" is not installed.

    Runs it, which takes a tenth of a second. Raises `EddylineError` when it cannot be run.
    """
    told: dict[str, str] = json.loads(_run([str(python), "-I", "-c", _ASK, *LIBRARIES], _ASK_SECONDS))
    return told


def package_folder(python: str | Path, package: str) -> Path:
    """Where an interpreter has a package. Raises `EddylineError` when it has none."""
    asked = "import importlib, os, sys; print(os.path.dirname(importlib.import_module(sys.argv[1]).__file__))"
    return Path(_run([str(python), "-I", "-c", asked, package], _ASK_SECONDS).strip())


def require_same(here: Mapping[str, str], worker: Mapping[str, str]) -> None:
    """Refuses a worker that could answer otherwise than this process; takes what `here` and `versions` give.

    River, numpy and Eddyline must be of one version, Python of one minor version: models travel as bytes that River and
    Python write, and numpy's last digit may change with any release. Other differences are allowed.

    >>> same = here()
    >>> require_same(same, same)
    >>> require_same(same | {"river": "0.25.0"}, same | {"river": "0.26.1"})
    Traceback (most recent call last):
    eddyline.records.errors.EddylineError: this process and Flink's worker would not give the same answers
    river is 0.25.0 here and 0.26.1 in the worker; type: pip install "river==0.26.1"
    """
    troubles = []
    ours, theirs = ".".join(here["python"].split(".")[:2]), ".".join(worker["python"].split(".")[:2])
    if ours != theirs:
        mend = "eddyline flink env" if ours in PYTHONS else f"python{theirs} -m pip install eddyline, and submit from there"
        troubles.append(f"python is {ours} here and {theirs} in the worker; type: {mend}")
    locked = pins(theirs) if theirs in PYTHONS else {}
    for name in _MUST_AGREE:
        if here[name] != worker[name]:
            mend = f'pip install "{name}=={worker[name]}"' if worker[name] == locked.get(name) else "eddyline flink env"
            troubles.append(f"{name} is {here[name]} here and {worker[name]} in the worker; type: {mend}")
    if troubles:
        raise EddylineError("\n".join(["this process and Flink's worker would not give the same answers", *troubles]))


def _minor(full: str) -> str:
    minor = ".".join(full.split(".")[:2])
    if minor not in PYTHONS:
        raise EddylineError(
            f"Flink 2.3 runs on Python {' and '.join(PYTHONS)}, and this is Python {full}\n"
            f"install one of them, and Eddyline for it, then type: python{PYTHONS[-1]} -m eddyline.cli flink env"
        )
    return minor


def _lock(minor: str) -> Path:
    return _LOCKS / f"py{minor.replace('.', '')}.txt"


def _digest(minor: str) -> str:
    return hashlib.blake2b(_lock(minor).read_bytes(), digest_size=6).hexdigest()


def _home(minor: str) -> Path:
    return cache() / f"flink-{pins(minor)['apache-flink']}-py{minor}-{_digest(minor)}"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _stamp(home: Path) -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads((home / _STAMP).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return stamp


def _write_stamp(home: Path, stamp: dict[str, str]) -> None:
    new = home / f"{_STAMP}.new"
    new.write_text(json.dumps(stamp), "utf-8")
    new.replace(home / _STAMP)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One builder per folder: a second one waits, and then finds the work done."""
    home.parent.mkdir(parents=True, exist_ok=True)
    give_up = time.monotonic() + _PIP_SECONDS
    with home.with_name(home.name + ".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise EddylineError(
                        f"another process has been building {home} for an hour; end it, then try again"
                    ) from None
                time.sleep(0.2)
        yield


def _install_lock(home: Path, maker: str, minor: str, say: Callable[[str], object]) -> None:
    # What an interrupted build left may be half a package that pip takes for a whole one; its downloads are kept by pip.
    (home / _STAMP).unlink(missing_ok=True)
    _run([maker, "-m", "venv", "--clear", str(home)], _PIP_SECONDS)
    say(f"installing {len(pins(minor))} packages into {home}: 1.1 GB, a minute or more")
    _pip(home / "bin" / "python", "--requirement", str(_lock(minor)))


def _install_ourselves(interpreter: Path) -> None:
    root = ourselves.source_tree()
    if root is not None:
        _pip(interpreter, "--editable", str(root))
        return
    with tempfile.TemporaryDirectory() as folder:
        _pip(interpreter, "--force-reinstall", str(ourselves.wheel(Path(folder))))


def _pip(interpreter: Path, *arguments: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    _run([str(interpreter), "-m", "pip", "install", *quiet, *arguments], _PIP_SECONDS)


def _run(command: list[str], seconds: int) -> str:
    """Runs a program and gives what it printed; its complaint is ours when it fails."""
    shown = re.sub(r"\s+", " ", " ".join(command))[:120]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except OSError as error:
        raise EddylineError(f"{command[0]} cannot be run: {error.strerror}\nname an interpreter: --python PATH") from error
    except subprocess.TimeoutExpired:
        raise EddylineError(f"{shown} did not end in {seconds} s; try again") from None
    if done.returncode:
        raise EddylineError(f"{shown} failed with {done.returncode}:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
