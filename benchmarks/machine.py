"""What a number was measured on: it comes with the machine, the load, the date and the versions, or it is not a number."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eddyline.models import compiled

PACKAGES = ("river", "numpy", "msgspec", "orjson", "zstandard")
POLICIES = {os.SCHED_OTHER: "normal", os.SCHED_FIFO: "real time", os.SCHED_RR: "real time", os.SCHED_BATCH: "batch"}


def describe() -> dict[str, Any]:
    """The machine, as it is now."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "arithmetic": compiled.form(),
        "packages": {name: version(name) for name in PACKAGES},
        "load": load(),
        "scheduling": scheduling(),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def load() -> float:
    """How many processes wanted a core, on average over the last minute: above the number of cores, walls are late."""
    return round(os.getloadavg()[0], 2)


def scheduling() -> str:
    """How the kernel schedules this process: with `chrt -f 10` or `nice -n -15`, others that want its core delay it less."""
    policy, nice = POLICIES.get(os.sched_getscheduler(0), "other"), os.getpriority(os.PRIO_PROCESS, 0)
    return f"{policy}, nice {nice}" if nice else policy


def memory_mib() -> dict[str, float]:
    """Resident memory of this process in MiB: now, and at its largest."""
    found: dict[str, float] = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = round(int(rest.split()[0]) / 1024, 1)
    return {"now": found["VmRSS"], "peak": found["VmHWM"]}


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
