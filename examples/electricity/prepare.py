"""Puts the electricity market of New South Wales where the pipeline reads it.

    python prepare.py            writes data/elec2.csv.gz beside this file

The file is copied as it is: its rows are both the events and, half an hour later, the truth about them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
SOURCE = "elec2/elec2.csv.gz"


def source() -> Path:
    """The file this case is made of; ends the program with code 3 where it is missing."""
    path = SHARED / SOURCE
    if not path.exists():
        print(
            f"this case needs {SOURCE}, which is not part of this repository\n"
            f"  looked in {SHARED}\n"
            f"  the case that runs anywhere is flights: make flights",
            file=sys.stderr,
        )
        sys.exit(3)
    return path


def main() -> None:
    """Copies the file, unless it is there."""
    target = HERE / "data" / "elec2.csv.gz"
    if target.exists():
        return
    found = source()
    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    shutil.copyfile(found, part)
    part.replace(target)
    print(f"{target.relative_to(HERE)}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
