"""The demo: a year of departures from New York, answered, joined with their truth, learned, and proven.

    python demo.py

It writes the two streams, replays them, explains one answer, verifies all of them and writes the report. Every step is a
command that you can type yourself; it is shown before it runs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
EDDYLINE = [sys.executable, "-m", "eddyline.cli"]


def run(*arguments: str) -> None:
    """Shows a command and runs it; its failure is the demo's."""
    print(f"\n$ eddyline {' '.join(arguments)}", flush=True)
    subprocess.run([*EDDYLINE, *arguments], check=True, cwd=HERE)


def one_departure() -> str:
    """A flight in the middle of the year, by its id."""
    with (HERE / "data" / "departures.jsonl").open() as file:
        lines = file.readlines()
    return str(json.loads(lines[len(lines) // 2])["id"])


def main() -> None:
    """Runs the demo from a store that does not exist yet."""
    for left in HERE.glob("flights.eddyline*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    subprocess.run([sys.executable, "prepare.py"], check=True, cwd=HERE)
    run("replay", "pipeline.py", "--drain")
    run("explain", "pipeline.py", one_departure())
    run("verify", "pipeline.py")
    run("report", "pipeline.py")
    command = Path(sys.executable).with_name("eddyline")
    here = command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
    print(f"\nNow ask what any other answer was made from:\n  {here} explain examples/flights/pipeline.py ID")


if __name__ == "__main__":
    main()
