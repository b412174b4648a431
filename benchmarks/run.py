"""Runs the benchmarks one after another, each in a process of its own, and writes what they found to `results.md`.

    python benchmarks/run.py                    all of them: half an hour
    python benchmarks/run.py --quick            a few minutes, and numbers that jump
    python benchmarks/run.py --only latency     one of them; the others keep what they had

`results.json` beside it holds every number; a number comes with the machine, the load, the date and the command. Ratios are
against a peer that ran in the same minute, because a shared machine is a different machine a minute later. Nothing here
passes or fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = ("electricity", "watching", "flat", "deep", "waiting", "latency")
"""`deep` is `flat` with more waiting than fits in the cache, labels at random among it."""
COMMANDS = {"deep": ["flat", "--per-hour", "72000", "--shuffle", "65536", "--until", "1000000"]}


def run(name: str, size: str) -> dict[str, Any]:
    """One benchmark: what it found, and when, how and under which load."""
    module, *options = COMMANDS.get(name, [name])
    command = ["-m", f"benchmarks.{module}", *options, *([f"--{size}"] if size != "full" else [])]
    before = _machine()
    print(f"python {' '.join(command)}", file=sys.stderr)
    done = subprocess.run([sys.executable, *command], cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True)
    after = _machine()
    return {
        "command": f"python {' '.join(command)}",
        "date": before["date"],
        "load_before_and_after": [before["load"], after["load"]],
        "machine": {key: value for key, value in after.items() if key not in ("date", "load")},
        "found": json.loads(done.stdout),
    }


def _machine() -> dict[str, Any]:
    command = [sys.executable, "-c", "import json; from benchmarks import machine; print(json.dumps(machine.describe()))"]
    found: dict[str, Any] = json.loads(subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """Runs what was asked for, and writes both files after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_const", const="quick", default="full", dest="size", help="a few minutes")
    parser.add_argument("--tiny", action="store_const", const="tiny", dest="size", help="do they run at all")
    parser.add_argument("--only", choices=NAMES, help="one of them")
    parser.add_argument("--into", type=Path, default=HERE, help="the folder for the results")
    options = parser.parse_args()
    kept = options.into / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if options.only and kept.exists() else {}
    for name in [options.only] if options.only else NAMES:
        results[name] = run(name, options.size)
        results = {name: results[name] for name in NAMES if name in results}
        kept.write_text(json.dumps(results, indent=1) + "\n")
        page = [sys.executable, "-m", "benchmarks.page", str(kept)]
        (options.into / "results.md").write_bytes(subprocess.run(page, cwd=HERE.parent, check=True, stdout=-1).stdout)


if __name__ == "__main__":
    main()
