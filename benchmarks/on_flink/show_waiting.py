"""What waiting predictions cost, as a section of the page of Flink."""

from __future__ import annotations

from typing import Any


def chapter(measured: dict[str, Any]) -> str:
    """Tables of state, of checkpoints, of going on, and of windows."""
    sizes, restored, close = measured["sizes"], measured["restored"], measured["in_one_hour"]
    return f"""
The whole loop in one job on one TaskManager with one slot, to which no truth comes: events of 270 bytes, which wait seven days;
RocksDB, incremental checkpoints a second apart, files compressed by Snappy, as Flink does by default. Before each number
1,000 events a second come for half a minute, and then none. Bytes are those of Flink's own account of its checkpoints, of files
on the disk, and of the kernel; they hold on a busy machine, and times may be late.

| waiting | state | join holds for each | serve for each | RocksDB on disk | TaskManager's memory |
|---:|---:|---:|---:|---:|---:|
{_lines(_state(row) for row in sizes)}

An answer has its row and its timer in join until its truth or its horizon, and a mark of its id in serve. What memory grows by
is RocksDB's, at most its managed memory (here 256 MB), and the heap's.

| waiting | 1,000 events/s: a checkpoint writes | the largest | takes | longest | no events: it writes | takes |
|---:|---:|---:|---:|---:|---:|---:|
{_lines(_checkpoint(row) for row in sizes)}

The mean of what is written, the median of what it takes. What is new is 0.2 MB a second; the rest RocksDB merged since. It
lets sixteen files lie before it merges them into larger ones: most checkpoints write what is new, and the largest is that of a
merge. Before the last row's half minute 1,000 events a second had come for
{measured["settling_s"]} s, after a faster stream.

Going on with {restored["waiting"]:,} waiting, in seconds from the request; the job's first start, from nothing and into new
processes, took {measured["start_s"]}. Afterwards a thousand truths of predictions drawn at random all found theirs,
and were examples {restored["truths_s"]} s after they were told.

| from | bytes | stopping with it | until it runs | until an event that came meanwhile is answered |
|---|---:|---:|---:|---:|
{_going_on(measured)}

### When windows are large

The same with events a millisecond apart: all lie in the hour that serve sums over. A shard's windows are written whole at each
checkpoint in which one of its keys had an event, and that is each shard, each second.

| moments in the windows | serve holds | serve writes at each checkpoint | it takes | longest | processor seconds |
|---:|---:|---:|---:|---:|---:|
{_lines(_windows(row) for row in close["sizes"])}

### When the horizon passes

{_expired(close["expired"])}
"""


def _lines(rows: Any) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _state(row: dict[str, Any]) -> list[str]:
    many, stages = row["waiting"], row["stages"]
    return [
        f"{many:,}",
        _mb(row["quiet"]["holds"]),
        f"{stages['join']['holds'] / many:.0f} B",
        f"{stages['serve']['holds'] / many:.0f} B",
        _mb(row["disk"]),
        _mb(row["resident"]),
    ]


def _checkpoint(row: dict[str, Any]) -> list[str]:
    load, quiet = row["load"], row["quiet"]
    return [
        f"{row['waiting']:,}",
        _mb(load["wrote_each"]),
        _mb(load["wrote_most"]),
        f"{load['ms']} ms",
        f"{load['longest_ms']} ms",
        _mb(quiet["wrote_each"]),
        f"{quiet['ms']} ms",
    ]


def _going_on(measured: dict[str, Any]) -> str:
    restored, state = measured["restored"], measured["sizes"][-1]["quiet"]["holds"]
    savepoint, checkpoint = restored["savepoint"], restored["checkpoint"]
    return _lines(
        [
            ["a savepoint", _mb(savepoint["bytes"]), f"{savepoint['stop_s']}", *_running(savepoint)],
            ["the last checkpoint", _mb(state), "", *_running(checkpoint)],
        ]
    )


def _running(went_on: dict[str, Any]) -> list[str]:
    return [f"{went_on['running_s']}", f"{went_on['answer_s']}"]


def _windows(row: dict[str, Any]) -> list[str]:
    load, serve = row["load"], row["stages"]["serve"]
    return [
        f"{row['waiting']:,}",
        _mb(serve["holds"]),
        _mb(serve["wrote_each"]),
        f"{load['ms']} ms",
        f"{load['longest_ms']} ms",
        f"{row['load_cpu_s']}",
    ]


def _expired(found: dict[str, Any]) -> str:
    many, held, holds = found["many"], found["held"]["join"], found["holds"]["join"]
    return f"""Event time moved on by eight days at once, and {many:,} predictions that had waited became examples in
{found["seconds"]} s. A mark of each id stays, in join and in serve: a redelivered event and a late truth are known as such.
Join held {_mb(held)} before and {_mb(holds)} after: a row leaves when RocksDB merges the file it is in."""


def _mb(count: float) -> str:
    """Millions of bytes, to two digits where they are few."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e6:.1f} MB"
