"""The drill: faults are let loose on two streams, and the report says what the policies did about them without a person.

    python -m examples.drill                   all of it, some minutes; writes results.md beside this file
    python -m examples.drill --only urls       one stream
    python -m examples.drill --tiny            short slices at one place, for a test
    python -m examples.drill --json            the rows as JSON instead of tables

Each fault strikes at three places of each stream. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
from examples.drill.arms import Ran, bad, fresh, frozen, run
from examples.drill.faults import FAULTS, NO_FAULT, Fault
from examples.drill.learning import Learning, beside_itself
from examples.drill.measure import Row, best, row
from examples.drill.report import Report, page, show, this_machine
from examples.drill.streams import STREAMS, Slice, Stream, count, cut

HERE = Path(__file__).parent
PLACES = (0.3, 0.55, 0.8)
"""Where faults strike, as shares of a stream; objectives were set on its first fifth."""


class Size(NamedTuple):
    """Events before and after a fault, and how many a passing one lasts; where faults strike; how long `learning` is."""

    before: int = 15_000
    after: int = 15_000
    during: int = 3_365
    places: tuple[float, ...] = PLACES
    learning: int | None = None


TINY = Size(5_000, 5_000, 1_500, (0.3,), 20_000)


def strike(stream: Stream, share: float, size: Size, folder: Path, chosen: Sequence[str]) -> list[Row]:
    """Every fault at one place of a stream."""
    place = int(share * count(stream))
    whole = cut(stream, place - size.before, size.before, size.after, size.during)
    clean = run(whole, "never", [], folder / "clean-never"), run(whole, "watched", [], folder / "clean-watched")
    rows = [row(whole, NO_FAULT, place, clean, clean, (clean[0].total, "did nothing"))]
    for fault in FAULTS:
        if not chosen or fault.name in chosen:
            rows.append(_struck(fault, whole, place, clean, folder / fault.name.replace(" ", "-")))
            print(f"{stream.name} at {place:,}: {fault.name}", file=sys.stderr, flush=True)
    return rows


def _struck(fault: Fault, whole: Slice, place: int, clean: tuple[Ran, Ran], folder: Path) -> Row:
    given = fault.change(whole)
    if fault.rolls_out:
        mistake = [bad(given)]
        runs = run(given, "never", mistake, folder / "never"), run(given, "watched", mistake, folder / "watched")
        return row(given, fault, place, runs, clean, (clean[0].total, "never rolled it out"))
    runs = run(given, "never", [fresh(given)], folder / "never"), run(given, "watched", [], folder / "watched")
    still = run(given, "never", frozen(given), folder / "frozen")
    return row(given, fault, place, runs, clean, best(runs[0], still))


def hold(names: Sequence[str], size: Size, jobs: int, chosen: Sequence[str]) -> Report:
    """The whole drill, in a folder that is gone afterwards."""
    for name in names:
        STREAMS[name].ready()
    with tempfile.TemporaryDirectory() as made, ProcessPoolExecutor(jobs) as pool:
        base = Path(made)
        strikes = [
            pool.submit(strike, STREAMS[name], share, size, base / f"{name}-{share}", chosen)
            for share in size.places
            for name in names
        ]
        learned = pool.submit(beside_itself, STREAMS["urls"], base / "learning", size.learning) if "urls" in names else None
        rows = [one for each in strikes for one in each.result()]
        learning: Learning | None = None if learned is None else learned.result()
    rows.sort(key=lambda one: (names.index(one.stream), [NO_FAULT.name, *(f.name for f in FAULTS)].index(one.fault), one.place))
    return Report(rows=rows, learning=learning, machine=this_machine(), command=_command(names, size, chosen))


def _command(names: Sequence[str], size: Size, chosen: Sequence[str]) -> str:
    """The command that comes to the same report, wherever it is written to."""
    only = [f"--only {names[0]}"] if len(names) == 1 else []
    return " ".join(
        ["python -m examples.drill", *only, *(f'--fault "{fault}"' for fault in chosen), *(["--tiny"] if size == TINY else [])]
    )


def main() -> None:
    """Holds the drill and tells what came of it."""
    parser = argparse.ArgumentParser(prog="python -m examples.drill", description="Faults on two streams, and what was done.")
    parser.add_argument("--only", choices=list(STREAMS), help="one stream")
    parser.add_argument("--fault", action="append", default=[], choices=[fault.name for fault in FAULTS], help="one fault")
    parser.add_argument("--tiny", action="store_true", help="short slices at one place")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="slices at once (default: 2)")
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    parser.add_argument("--into", type=Path, default=HERE, metavar="DIR", help="where results.md goes (default: here)")
    given = parser.parse_args()
    names = [given.only] if given.only else list(STREAMS)
    report = hold(names, TINY if given.tiny else Size(), given.jobs, given.fault)
    (given.into / "results.md").write_text(page(report))
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        show(report)


if __name__ == "__main__":
    main()
