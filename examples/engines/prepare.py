"""Turns NASA's run-to-failure engines into two streams: a reading each cycle, and what it meant once the engine failed.

    python prepare.py            writes data/readings.jsonl and data/failures.jsonl beside this file

The data has no calendar. Ours: a cycle takes an hour, and one engine enters service each day, so that about nine run side
by side and the first failures teach what the later ones need. An engine fails an hour after its last cycle; that is when
the truth of all its readings becomes known. More than 125 cycles to go count as 125, as is usual with this data.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
SOURCE = "cmapss_fd001/train_FD001.parquet"
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
CYCLE = timedelta(hours=1)
HEALTHY = 125
NAMES = {
    "s4": "turbine_temperature",
    "s7": "compressor_pressure",
    "s11": "static_pressure",
    "s12": "fuel_ratio",
    "s15": "bypass_ratio",
    "s21": "coolant_bleed",
}


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


def rows(path: Path) -> list[dict[str, Any]]:
    """One row for each cycle of each engine."""
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        sys.exit("reading the engines needs pyarrow\npip install 'eddyline[parquet]'")
    table: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return table


def streams(table: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Readings as they came, and the truths by the time they became known."""
    lives = Counter(row["unit"] for row in table)
    readings, failures = [], []
    for row in table:
        unit, cycle, life = row["unit"], row["cycle"], lives[row["unit"]]
        entered = FIRST + timedelta(days=unit - 1)
        name = f"engine-{unit}-{cycle}"
        sensors = {word: float(row[column]) for column, word in NAMES.items()}
        at = (entered + cycle * CYCLE).isoformat()
        failed = (entered + (life + 1) * CYCLE).isoformat()
        readings.append({"id": name, "engine": str(unit), "at": at, "cycle": cycle, **sensors})
        failures.append({"id": name, "at": failed, "remaining": float(min(HEALTHY, life - cycle))})
    readings.sort(key=lambda reading: str(reading["at"]))
    failures.sort(key=lambda failure: str(failure["at"]))
    return readings, failures


def write(file: Path, records: Iterable[dict[str, Any]]) -> None:
    """A stream as JSON lines, whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records))
    part.replace(file)


def main() -> None:
    """Writes both streams, unless they are there."""
    target = HERE / "data"
    files = target / "readings.jsonl", target / "failures.jsonl"
    if all(file.exists() for file in files):
        return
    table = rows(source())
    target.mkdir(exist_ok=True)
    for file, records in zip(files, streams(table), strict=True):
        write(file, records)
        print(f"{file.relative_to(HERE)}: {len(records):,} lines")


if __name__ == "__main__":
    main()
