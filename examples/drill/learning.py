"""Whether learning on is worth it: the model that always learns beside itself as it stood after the first fifth.

The frozen one is a version with a seat in the shadow, so both answer the same events. Knows no fault.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
from examples.drill.arms import pipeline_file
from examples.drill.streams import Stream, count

from eddyline import Engine
from eddyline.engines.embedded import replay
from eddyline.pipeline.loading import load
from eddyline.store.database import Store


class Learning(msgspec.Struct, frozen=True):
    """How often the two were wrong about the events after the first fifth."""

    stream: str
    version: str
    events: int
    learning: float
    frozen: float


def beside_itself(stream: Stream, folder: Path, events: int | None = None) -> Learning:
    """Runs a whole stream, or its first so many events; after a fifth the version of that moment takes a seat."""
    folder.mkdir(parents=True)
    total = _lay_out(stream, folder, events)
    file = pipeline_file(stream, "never")
    loaded = load(file, str(folder / "drill.eddyline"))
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, folder, limit=2 * total // 5)
        version = f"{stream.name}@{engine.loop.states.learn.position}"
    enter = ["challengers", file, "--enter", version, "--author", "drill", "--store", str(loaded.store)]
    subprocess.run([sys.executable, "-m", "eddyline.cli", *enter], check=True, stdout=subprocess.DEVNULL)
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, folder, drain=True)
    return _compare(stream, version, loaded.store)


def _lay_out(stream: Stream, folder: Path, events: int | None) -> int:
    """The two files of the stream as the pipeline reads them; how many events they hold."""
    for name, source in (("events.jsonl", stream.events), ("labels.jsonl", stream.labels)):
        lines = (stream.folder / "data" / source).open()
        with lines, (folder / name).open("w") as out:
            out.writelines(line for number, line in enumerate(lines) if events is None or number < events)
    return events or count(stream)


def _compare(stream: Stream, version: str, path: Path) -> Learning:
    answers: list[tuple[object, object] | None] = []
    events = learning = frozen = 0
    with closing(Store.read(path)) as store:
        for block in store.blocks():
            for one in block.predictions:
                other = next((said for said in one.others or () if said.version == version), None)
                answers.append(None if other is None else (one.value, other.value))
            for row in block.examples:
                pair = answers[row.slot]
                if pair is not None:
                    events += 1
                    learning += pair[0] != row.truth
                    frozen += pair[1] != row.truth
    return Learning(stream.name, version, events, learning / events, frozen / events)
