"""Letting in a model that was trained by hand: the folder that `eddyline retrain` wrote becomes a line with a seat.

What is in the folder is checked first: its bytes against their digest, the store that it was made from, the recipe against the
declaration, and its gates, which have to be open. Then it is one command with one version, as a `Retrain` policy's model is.
Decides nothing, and changes nothing by itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.records import Place
from eddyline.records.errors import NotFound, StoreCorrupt, StoreMismatch
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store.database import Registered, Store, content_digest
from eddyline.store.examples import position_at
from eddyline.store.rebuild import forgotten
from eddyline.store.training import Trained, trained_in
from eddyline.views.lines import lines
from eddyline.views.retraining import GATES, declared


def folder_of(store: Path, named: str) -> Path | None:
    """The folder of a training that somebody means: itself, a file in it, or the name of the line that was made there."""
    given = Path(named)
    if given.is_dir():
        return given
    folder = given.parent if given.is_file() else store.with_name(f"{store.name}-{named}")
    return folder if (folder / "trained.json").is_file() else None


def entering(
    store: Store, pipeline: Pipeline, folder: Path, place: Place, *, author: str, reason: str = ""
) -> tuple[Command, Registered]:
    """The command by which the model of `folder` takes `place` beside the champion, and the version that goes with it.

    It catches up with what was learned since, before it is asked. Raises NotFound where its gates are closed or nobody knows,
    StoreMismatch for another store or recipe, StoreCorrupt where its bytes are not those that were written.
    """
    trained = trained_in(folder)
    if trained is None:
        raise NotFound(f"{folder} holds no finished training\nfinish it there: eddyline retrain FILE --out {folder}")
    _require_open(folder)
    plan = json.loads((folder / "plan.json").read_bytes())["spec"]
    like = declared(store, pipeline, plan["line"])
    _check(store, pipeline, folder, trained, plan, like)
    lineage, own = trained.lineage, pipeline.name
    recipe = msgspec.json.encode({**msgspec.json.decode(trained.recipe), "lineage": lineage}).decode()
    version = msgspec.structs.replace(trained.version, recipe=content_digest(recipe))
    last = -1 if lineage.learned.last is None else lineage.learned.last.number
    learning = [one.line for one in lines(store, pipeline) if one.learns and declared(store, pipeline, one.line) == like]
    source = like if like in learning or not learning else learning[0]
    known = lineage.reached if source == own else position_at(store, source, last)
    after = f"{source}@{known}" if learning else None
    skip = tuple(sorted(forgotten(store)))
    entry = Entry(trained.name, like, version.name, after, skip=skip, digest=version.digest)
    said = reason or f"the recipe of {like}, made by hand of {lineage.examples}"
    place = msgspec.structs.replace(place, who=trained.name)
    command = Command(do="enter", entry=entry, place=place, author=author, reason=said)
    return command, (version, trained.state, recipe)


def _require_open(folder: Path) -> None:
    """Refuses a model whose gates are closed, and one that nobody led through them."""
    path = folder / GATES
    if not path.is_file():
        raise NotFound(f"nobody led the model of {folder} through its gates\ndo: eddyline retrain FILE --out {folder}")
    gates: dict[str, Any] = json.loads(path.read_bytes())
    closed = [f"{one['name']}: {one['said']}" for one in gates["gates"] if not one["passed"]]
    if closed:
        raise NotFound(
            f"the model of {folder} did not pass its gates: {'; '.join(closed)}\n"
            "train another, or say in Retrain(gates=...) what you ask of it"
        )


def _check(store: Store, pipeline: Pipeline, folder: Path, trained: Trained, plan: dict[str, str], like: str) -> None:
    """Refuses what was made from another store or recipe, of events to be forgotten, or is not what its lineage says."""
    lineage, model = trained.lineage, pipeline.plan().lines[like].model
    row = store.db.execute("SELECT hash FROM blocks WHERE seq=?", (lineage.until,)).fetchone()
    if plan["pipeline"] != pipeline.name or row is None or row[0].hex() != lineage.head:
        raise StoreMismatch(
            f"{folder} was made from another store than {store.path.name}\ntrain it here: eddyline retrain FILE"
        )
    recipe = content_digest(json.dumps(model.recipe(), sort_keys=True, default=repr))
    if plan["features"] != "as served" or recipe != lineage.recipe:
        raise StoreMismatch(
            f"{folder} holds a model of another recipe than {like}'s in the pipeline's file\n"
            "declare it there: challengers=(Challenger(NAME, model=..., features=...),)"
        )
    if forgotten(store) != forgotten(store, lineage.until):
        raise NotFound(f"events were forgotten since the model of {folder} was begun\nremove {folder}, and train it again")
    if model.restored(trained.state).digest() != trained.digest:
        raise StoreCorrupt(f"the model of {folder} has another digest than its lineage says\nremove {folder}, train it again")
