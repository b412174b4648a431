"""Writes `results.json` as a page for people: tables, and under each what it was measured with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def page(results: dict[str, Result]) -> str:
    """All results, in the order they were run in."""
    parts = [
        "# Benchmarks",
        "Written by `python benchmarks/run.py`. Every table says when, how, and how busy the machine was: with a load above "
        "the number of cores, wall times are long for want of a core, and processor times and ratios tell more.",
    ]
    for name, result in results.items():
        parts += [*SECTIONS[name](result["found"]), _measured(result)]
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown, numbers to the right."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(_shown, row)) + " |" for row in rows)])


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _measured(result: Result) -> str:
    it = result["machine"]
    before, after = result["load_before_and_after"]
    packages = ", ".join(f"{package} {version}" for package, version in it["packages"].items())
    return (
        f"`{result['command']}`, {result['date']}, load {before} before and {after} after, scheduling {it['scheduling']}; "
        f"{it['cpu']}, {it['cores']} cores, {it['memory_gib']} GiB, {it['system']}, "
        f"Python {it['python']}, SQLite {it['sqlite']}, {packages}{_form(it)}."
    )


def _form(machine: dict[str, Any]) -> str:
    """Which form of the arithmetic ran; older results do not tell."""
    return f", arithmetic {machine['arithmetic']}" if "arithmetic" in machine else ""


def _electricity(found: list[Result]) -> list[str]:
    parts = ["## The durable loop beside a bare River loop"]
    names = {
        "durable": "Eddyline: journal, serve, join, learn, watch, commit",
        "json": "bare loop, `json`",
        "orjson": "bare loop, `orjson`",
        "river_csv": "bare loop, `river.stream.iter_csv`",
        "verify": "`eddyline verify` of the store",
    }
    for one in found:
        rows = [
            (
                names[each],
                us,
                one["cpu_us_per_event"][each],
                one["throughput_of_bare"].get(each, ""),
                one["throughput_of_bare_by_cpu"].get(each, ""),
            )
            for each, us in one["us_per_event"].items()
        ]
        parts += [
            f"`{one['model']}`, {one['events']:,} half hours of the electricity stream, each with its label; medians of "
            f"{one['rounds']} rounds in turn; all reach accuracy {one['accuracy']}. A bare loop keeps nothing and joins "
            "nothing. The ratio is Eddyline's throughput over that of the bare loop in the same round.",
            table(("", "µs/event", "processor µs/event", "ratio", "ratio by processor"), rows),
            f"Verifying, which answers every event again and checks every byte, is {one['verify_times_faster']} times as fast "
            f"as the run was ({one['verify_times_faster_by_cpu']} by processor).",
            table(
                ("where the time of one run goes", "µs/event", "processor µs/event"),
                [(part, us, one["stages_cpu_us_per_event"][part]) for part, us in one["stages_us_per_event"].items()],
            ),
        ]
    return parts


def _watching(found: list[Result]) -> list[str]:
    names = {
        "bare": "bare loop: journal, serve, join, learn, commit",
        "monitors": "with ten monitors and a metric",
        "shadow": "with a shadow that learns",
        "frozen": "with a shadow that does not learn",
        "policies": "with a shadow, `Promote` and `RollBack`",
        "all": "with all of it",
        "alone": "the shadow's model alone: answer and learn",
        "alone with versions": "the same, and save and name its versions",
        "in river": "the same estimator in River's own loop: answer and learn",
    }
    parts = ["## What it costs to watch, to ask a shadow and to decide"]
    for one in found:
        rows = [(names[each], us) for each, us in one["cpu_us_per_event"].items()]
        share, times, beside = one["watch_and_decide_share"], one["shadow_times_its_model"], one.get("shadow_times_river")
        parts += [
            f"The electricity stream, {one['events']:,} half hours; the champion is `StandardScaler | LogisticRegression`, the "
            f"shadow `{one['shadow']}`; medians of {one['rounds']} rounds in turn, processor time.",
            table(("", "processor µs/event"), rows),
            f"With all of it the throughput is {one['throughput_of_bare']} of the bare loop's. Watch and decide take "
            f"{100 * share:.1f} % of the time (25 % is the limit we set). The shadow costs {times} times what its model costs "
            f"alone, and {one['shadow_times_its_model_with_versions']} times that with its versions (1.1 is the limit we set)"
            + (f"; it costs {beside} times what River's own loop takes for the same estimator." if beside else "."),
            table(("difference of two loops", "processor µs/event"), list(one["parts_us_per_event"].items())),
            table(("where the time goes with all of it", "processor µs/event"), list(one["stages_cpu_us_per_event"].items())),
        ]
    return parts


def _flat(found: Result) -> list[str]:
    return [
        "## Cost and memory from ten thousand to millions of events",
        f"{found['events_per_hour']:,} events an hour, ten thousand keys, a sum over an hour, a label after an hour for 90 %, "
        "silence for the rest, which expires after three; random ids. So as many wait at every size. Costs are over the events "
        "after each size, a tenth as many and at least 10,000; the last column is against a bare River loop at that moment.",
        _growth(found),
        f"The last size costs {found['cost_last_over_first']} times the first. Checkpoints took "
        f"{_range(found['checkpoints_ms'])} ms. Opening the store again took {found['open_seconds']} s.",
    ]


def _deep(found: Result) -> list[str]:
    waiting = found["events_per_hour"]
    return [
        "### The same, with more waiting than the cache holds",
        f"{waiting:,} events an hour: some {waiting:,} predictions wait for their label, which comes in random order, "
        "and most have to be read from the journal again. Labels begin after that many events.",
        _growth(found),
        f"Checkpoints took {_range(found['checkpoints_ms'])} ms.",
    ]


def _growth(found: Result) -> str:
    rows = [
        (
            row["events"],
            row["us_per_event"],
            row["cpu_us_per_event"],
            row["cpu_times_bare"],
            row["rss_mib"],
            row["store_bytes_per_event"],
            row["longest_batch_ms"],
        )
        for row in found["sizes"]
    ]
    heads = ("events", "µs/event", "processor µs/event", "× bare", "memory MiB", "store bytes/event", "longest batch ms")
    return table(heads, rows)


def _waiting(found: Result) -> list[str]:
    rows = [
        ("largest resident memory, MiB", found["peak_rss_mib"]),
        ("of which may be, MiB", found["limit_mib"]),
        ("µs/event while they are answered", found["us_per_event"]),
        ("processor µs/event", found["cpu_us_per_event"]),
        ("longest checkpoint, ms", found["longest_checkpoint_ms"]),
        ("store bytes/event", found["store_bytes_per_event"]),
        ("opening the store again, s", found["open_seconds"]),
        ("resident memory after that, MiB", found["open_rss_mib"]),
        (f"µs/label for {found['labels']:,} labels of events drawn from all", found["us_per_label"]),
        ("processor µs/label", found["cpu_us_per_label"]),
        ("checkpoint after them, ms", found["checkpoint_after_labels_ms"]),
    ]
    return [
        f"## {found['events']:,} predictions that wait",
        "No label comes for thirty days. Then some do, about events drawn at random from all of them.",
        table(("", ""), rows),
    ]


def _latency(found: Result) -> list[str]:
    heads = ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms", "max_ms")
    calls = {
        "`answer()`, durable": found["answer"],
        "`tell()`, durable and learned": found["tell"],
        "append 4 KiB, fsync": found["fsync_4k"],
        "append 4 KiB, fdatasync": found["fdatasync_4k"],
    }
    return [
        "## Latency of a durable answer",
        f"{found['per_second']} a second for {found['seconds']:g} s from one thread, a label after each answer; the disk alone "
        f"at the same pace. {found['began_late']} calls began over a millisecond late.",
        table(
            ("", *(head.replace("_", " ") for head in heads)),
            [(name, *(took[head] for head in heads)) for name, took in calls.items()],
        ),
        f"As fast as it goes: {found['answers_per_second_one_thread']:,} durable answers a second from one thread, "
        f"{found['answers_per_second_64_tasks']:,} to 64 asyncio tasks, which share commits.",
    ]


def _range(numbers: Sequence[float]) -> str:
    return f"{min(numbers):,} to {max(numbers):,}"


SECTIONS: dict[str, Callable[[Any], list[str]]] = {
    "electricity": _electricity,
    "watching": _watching,
    "flat": _flat,
    "deep": _deep,
    "waiting": _waiting,
    "latency": _latency,
}

if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
