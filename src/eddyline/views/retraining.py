"""Retraining as one call: whose recipe, from which examples, and the gates that the pipeline declares for it.

It is a trial (`views.trial`) of the recipe of who is champion, or of another line's. The engine starts it in a process
of its own (`store.spawned`); what becomes of the result is decided there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.policies.gates import Gate, Golden
from eddyline.records.errors import DeclarationError, NotFound
from eddyline.stages.commands import version_of
from eddyline.store.database import Store
from eddyline.store.examples import Examples
from eddyline.store.golden import read_golden
from eddyline.store.rebuild import StoredLines, kept_entries
from eddyline.store.training import Spec, train
from eddyline.views.history import standing
from eddyline.views.trial import Tried, default_gates, judge, require_learned

GATES = "gates.json"
"""What the gates said, in the folder of a training: who lets its model in looks there."""
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to retrain: the new line's `name`, the `challenger` whose recipe is taken, the version it `continues`, from what.

    `challenger` is any line: a declared challenger by its short name, or a line by its full one, the pipeline's own too; of a
    version, it is the line that counts. None is the champion.
    """

    name: str
    challenger: str | None = None
    continues: str | None = None
    examples: Examples = field(default_factory=Examples)


def asked_for(
    pipeline: Pipeline,
    *,
    name: str | None = None,
    window: str | None = None,
    from_at: int | None = None,
    examples: int | None = None,
    since: int | None = None,
    sample: float | None = None,
    held_back: float = 0.2,
    seed: int = 0,
    challenger: str | None = None,
    continues: str | None = None,
    unlearned: bool = False,
) -> Request:
    """The request that the options of a command line mean."""
    chosen = Examples(
        window=None if window is None else span(window),
        from_at=from_at,
        last=examples,
        since=since,
        sample=sample,
        seed=seed,
        held_back=held_back,
        unlearned=unlearned,
    )
    line = name or f"{pipeline.name}.retrained"
    return Request(name=line, challenger=challenger, continues=continues, examples=chosen)


def retrain(
    store: Store,
    pipeline: Pipeline,
    request: Request,
    base: Path,
    out_dir: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tried:
    """Makes the model in `out_dir`, where it goes on if it was interrupted, and leads it through the pipeline's gates."""
    spec = spec_of(store, pipeline, request)
    trained = train(store, pipeline, spec, out_dir, on_progress=on_progress)
    require_learned(spec, trained)
    gates = gates_of(pipeline) or default_gates(store, pipeline, spec, trained)
    golden = {gate.file: read_golden(base / gate.file) for gate in gates if isinstance(gate, Golden)}
    tried = judge(store, pipeline, spec, trained, gates, golden)
    (out_dir / GATES).write_bytes(msgspec.json.encode({"passed": tried.passed, "gates": tried.gates, "asked": tried.asked}))
    return tried


def spec_of(store: Store, pipeline: Pipeline, request: Request) -> Spec:
    """What has to be made: the model to start from, and whose features it sees."""
    plan = pipeline.plan()
    wanted = standing(store, pipeline).version if request.challenger is None else request.challenger
    line = declared(store, pipeline, wanted)
    model = plan.lines[line].model
    if request.continues is not None:
        other, position = version_of(request.continues)
        line = other if request.challenger is None else line
        model = StoredLines(store, plan).rebuild(other, position)
    return Spec(name=request.name, model=model, examples=request.examples, line=line, parent=request.continues)


def declared(store: Store, pipeline: Pipeline, who: str) -> str:
    """The declared line whose recipe a line has, or a version, or a challenger by its short name.

    A line that entered while the stream ran (retrained, a branch, one that forgot) has the recipe of the line it is like.
    """
    line = who.partition("@")[0]
    line = {entry.name: entry.like for entry in kept_entries(store)}.get(line, line)
    lines = pipeline.plan().lines
    for name in (line, f"{pipeline.name}.{line}"):
        if name in lines:
            return name
    known = ", ".join(one.name for one in pipeline.challengers) or "none"
    raise NotFound(
        f"{pipeline.name} declares no challenger {who!r}\n"
        f"its challengers: {known}; its own recipe: --challenger {pipeline.name}"
    )


def gates_of(pipeline: Pipeline) -> tuple[Gate, ...]:
    """The gates that the pipeline's policies declare (`Retrain(gates=(...))`), in order."""
    return tuple(gate for policy in pipeline.decide for gate in getattr(policy, "gates", ()))


def span(text: str) -> timedelta:
    """A duration as people type it.

    >>> span("30d"), span("1.5h")
    (datetime.timedelta(days=30), datetime.timedelta(seconds=5400))
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise DeclarationError(f"window: {text!r} is not a span of time\nwrite 30d, 12h or 90m")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})
