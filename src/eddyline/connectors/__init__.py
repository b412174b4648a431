"""Where records come from: files of JSON lines, CSV and Parquet, and lists in memory. Floor 5.

`jsonl`, `csv`, `parquet` and `memory` make frozen values for `Pipeline(events=..., labels=...)`; nothing is
opened before a pipeline runs. `RowId` and `RowTime` stand in for the ids and times that a table does not
have.
"""

from eddyline.connectors.from_csv import csv
from eddyline.connectors.from_jsonl import jsonl
from eddyline.connectors.from_memory import memory
from eddyline.connectors.from_parquet import parquet
from eddyline.connectors.rows import RowId, RowTime

__all__ = ["RowId", "RowTime", "csv", "jsonl", "memory", "parquet"]
