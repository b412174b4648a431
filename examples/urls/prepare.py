"""Turns six years of addresses into two streams: the addresses as they were seen, and the verdicts a day later.

    python prepare.py            writes data/addresses.jsonl and data/verdicts.jsonl beside this file

Some of these addresses are real phishing sites: they are copied as text, and nothing here resolves or fetches them.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
SOURCE = "url_jpcert_2019_2024/url_jpcert_2019_2024.csv.gz"
VERDICT_AFTER = timedelta(days=1)


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


def streams(table: Iterable[dict[str, str]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each address with its verdict."""
    for number, row in enumerate(table, 1):
        name, seen = f"url-{number}", datetime.fromtimestamp(int(row["ts"]), UTC)
        address = {"id": name, "at": seen.isoformat(), "url": row["url"]}
        verdict = {"id": name, "at": (seen + VERDICT_AFTER).isoformat(), "phishing": row["label"] == "1"}
        yield address, verdict


def main() -> None:
    """Writes both streams, unless they are there."""
    target = HERE / "data"
    files = target / "addresses.jsonl", target / "verdicts.jsonl"
    if all(file.exists() for file in files):
        return
    found = source()
    target.mkdir(exist_ok=True)
    parts = [file.with_suffix(".part") for file in files]
    count = 0
    with (
        gzip.open(found, "rt", encoding="utf-8", newline="") as table,
        parts[0].open("w") as addresses,
        parts[1].open("w") as verdicts,
    ):
        for pair in streams(csv.DictReader(table)):
            count += 1
            for out, record in zip((addresses, verdicts), pair, strict=True):
                out.write(json.dumps(record, separators=(",", ":")) + "\n")
    for part, file in zip(parts, files, strict=True):
        part.replace(file)
        print(f"{file.relative_to(HERE)}: {count:,} lines")


if __name__ == "__main__":
    main()
