"""Looking where nothing can be written, and where there is no room: a store is called what it is (I14)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.store.shop import SHOP, visits

from eddyline import Engine

LOOK = """
import sys
from pathlib import Path
from tests.store.shop import found
print(found(Path(sys.argv[1])))
"""


def _mounted(mount: str, folder: Path, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs Python where a folder is mounted in another way, in a world of its own; skips where nobody may do so."""
    root = Path(__file__).parents[2]
    world = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*world, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount in a user namespace: there is no read-only or tiny file system to test on")
    command = [*world, f'{mount} && exec "$@"', "sh", sys.executable, "-c", script, *map(str, arguments)]
    paths = os.pathsep.join([str(root), str(root / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "FOLDER": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


READ_ONLY = 'mount --bind "$FOLDER" "$FOLDER" && mount -o remount,ro,bind "$FOLDER"'


def test_a_store_in_a_place_that_is_read_only_is_verified(store: Path) -> None:
    ran = _mounted(READ_ONLY, store.parent, LOOK, store)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_a_store_that_was_not_closed_says_that_its_log_cannot_be_read_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with Engine(SHOP, tmp_path / "shop.eddyline") as engine:
        engine.answer(visits(1)[0])
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"shop.eddyline{suffix}", tmp_path / "there")
    ran = _mounted(READ_ONLY, tmp_path / "there", LOOK, tmp_path / "there" / "shop.eddyline")
    assert "unable to open database file" in ran.stdout
    assert "copy it, with its -wal, to where it can" in ran.stdout


FULL = 'mount -t tmpfs -o size=4m none "$FOLDER"'
FILL = """
import shutil, sys
from pathlib import Path
from tests.store.shop import found
store, folder = map(Path, sys.argv[1:])
there = Path(shutil.copy(store, folder))
with (folder / "rest").open("wb", buffering=0) as rest:
    for size in (65536, 4096, 1):
        try:
            while True:
                rest.write(bytes(size))
        except OSError:
            pass
print(found(there))
"""


def test_a_full_disk_is_named_where_somebody_looks(store: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    ran = _mounted(FULL, tmp_path / "full", FILL, store, tmp_path / "full")
    assert ran.stderr == ""
    assert "is not an Eddyline store" not in ran.stdout
    assert "the disk is full" in ran.stdout
