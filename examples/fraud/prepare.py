"""Turns the simulated payments of the Fraud Detection Handbook into two streams: payments, and chargebacks 7 days later.

    python prepare.py            writes data/payments.jsonl and data/chargebacks.jsonl beside this file

Only frauds are charged back; an honest payment is never heard of again. TX_FRAUD_SCENARIO is not read: it says too much.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
SOURCE = "fraud_handbook_2018/fraud_handbook_2018_06_08.parquet"
UNTIL = datetime(2018, 7, 16)  # six weeks and a half, so that the case takes a minute or two; the data goes on to August 31
CHARGED_BACK_AFTER = timedelta(days=7)
COLUMNS = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]


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


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The payments before `UNTIL`, in the order of time."""
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        sys.exit("reading the payments needs pyarrow\npip install 'eddyline[parquet]'")
    for batch in parquet.ParquetFile(path).iter_batches(columns=COLUMNS):
        for row in batch.to_pylist():
            if row["TX_DATETIME"] >= UNTIL:
                return
            yield row


def streams(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each payment, and its chargeback if it was a fraud."""
    for row in rows(path):
        name, at = f"tx-{row['TRANSACTION_ID']}", row["TX_DATETIME"]
        payment = {
            "id": name,
            "card": str(row["CUSTOMER_ID"]),
            "at": f"{at.isoformat()}Z",
            "terminal": str(row["TERMINAL_ID"]),
            "amount": row["TX_AMOUNT"],
        }
        chargeback = {"id": name, "at": f"{(at + CHARGED_BACK_AFTER).isoformat()}Z", "fraud": True}
        yield payment, chargeback if row["TX_FRAUD"] else None


def main() -> None:
    """Writes both streams, unless they are there."""
    target = HERE / "data"
    files = target / "payments.jsonl", target / "chargebacks.jsonl"
    if all(file.exists() for file in files):
        return
    found = source()
    target.mkdir(exist_ok=True)
    parts = [file.with_suffix(".part") for file in files]
    counts = [0, 0]
    with parts[0].open("w") as payments, parts[1].open("w") as chargebacks:
        for pair in streams(found):
            for i, (out, record) in enumerate(zip((payments, chargebacks), pair, strict=True)):
                if record is not None:
                    out.write(json.dumps(record, separators=(",", ":")) + "\n")
                    counts[i] += 1
    for part, file, count in zip(parts, files, counts, strict=True):
        part.replace(file)
        print(f"{file.relative_to(HERE)}: {count:,} lines")


if __name__ == "__main__":
    main()
