"""Trying a candidate: a model is made from the log, judged on what it never learned, and led through its gates.

`eddyline test`, `eddyline retrain` and an engine's retraining are this one thing. The judging is the live order played
again: each held-back example is answered with what could be known when its event was answered. Reads the store, writes
only into the training's folder, and changes no rollout.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from eddyline.models import adapt
from eddyline.models.plain import finite
from eddyline.pipeline import Pipeline
from eddyline.pipeline.loading import Loaded, imported, load
from eddyline.policies.gates import Costs, Gate, GateResult, Golden, Judged, NoRegression, Shown, reproduces
from eddyline.ports import Model
from eddyline.records import DeadLetter, Example, Features, Output, Task
from eddyline.records.errors import DeclarationError, NotFound
from eddyline.stages.commands import version_of
from eddyline.stages.learn import Learn, LearnState, Snapshot
from eddyline.stages.lines import seen_by
from eddyline.store.database import Store
from eddyline.store.examples import Examples, Sample, writable
from eddyline.store.golden import read_golden
from eddyline.store.rebuild import StoredLines
from eddyline.store.training import Lineage, Slice, Spec, Trained, chosen_by, reader_of, slice_of, train
from eddyline.views.history import standing

TIMED = 500
"""Answers that are timed for the cost, in each of 7 rounds."""
_ROUNDS = 7
_NEVER = 2**62
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A model that wants to be tried on a pipeline's recorded past: what `eddyline test candidate.py` reads.

    `pipeline` is the Pipeline, or its file as text, from the folder of the candidate's file. `model` is whatever a pipeline
    takes, a file's included (which is judged as it is); without it, the pipeline's own recipe is made anew. `features` are
    made again from the journaled events, and may ask for any aggregate of the pipeline: the values are those that the
    event was answered with. `continues` is a version (`fraud@15320`) to go on from instead of starting fresh.

    `window` (event time) or `examples=Examples(...)` say from what; `gates` what it must show. `catches_up` is whether it
    goes on learning while it is judged, as the champion did: each held-back example is answered with the labels that were
    known when its event was answered, and what is learned so is thrown away. By default, where the model learns and the
    last examples are held back.

    >>> from eddyline.policies.gates import Floor
    >>> Candidate(pipeline="fraud.py", gates=(Floor("accuracy", at_least=0.9),)).name
    'candidate'
    """

    pipeline: Pipeline | str
    model: Any = None
    features: Callable[..., Mapping[str, Any]] | None = None
    name: str = "candidate"
    continues: str | None = None
    window: timedelta | None = None
    examples: Examples | None = None
    gates: Sequence[Gate] = ()
    catches_up: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.pipeline, Pipeline | str):
            raise DeclarationError(f'Candidate: pipeline={self.pipeline!r}\nwrite pipeline="fraud.py", or the Pipeline itself')
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"Candidate: name={self.name!r}: lower-case letters, digits, ., - and _, starting with a letter\n"
                'write name="deeper"'
            )
        if self.window is not None and self.examples is not None:
            raise DeclarationError(
                "Candidate: window= and examples= are both given\nwrite examples=Examples(window=days(30), ...)"
            )
        if self.continues is not None and self.model is not None:
            raise DeclarationError(
                f"Candidate: continues={self.continues!r} goes on with that version's model; model= is another\nleave one out"
            )
        gates = (self.gates,) if isinstance(self.gates, Gate) else tuple(self.gates)
        for gate in gates:
            if not isinstance(gate, Gate):
                raise DeclarationError(
                    f'Candidate: {gate!r} is not a gate\nwrite gates=(NoRegression(), Floor("accuracy", ...))'
                )
        object.__setattr__(self, "gates", gates)

    @property
    def chosen(self) -> Examples:
        """Which examples it is made from."""
        return self.examples or Examples(window=self.window)


class Tried(msgspec.Struct, frozen=True):
    """How a candidate fared: where it comes from, what it was judged by, and every gate."""

    name: str
    pipeline: str
    passed: bool
    digest: str
    learned: int
    lineage: Lineage
    judged: Slice
    catches_up: bool
    silent: int
    """held-back examples that it could not answer"""
    why_silent: str
    champion: str
    """the version that it is timed beside; whom it is compared with is whoever answered each event"""
    costs: Costs
    gates: list[GateResult]
    asked: list[str]
    """the gates in sentences"""


def load_candidate(spec: str, store: str | None = None) -> tuple[Candidate, Loaded]:
    """The candidate of FILE.py (or FILE.py:name), and its pipeline with the store it is tried on.

    Raises DeclarationError where there is none, or several and no name.
    """
    path, colon, wanted = spec.rpartition(":")
    named = bool(colon) and wanted.isidentifier() and not Path(spec).exists()
    file = Path(path if named else spec).absolute()
    if not file.is_file():
        raise DeclarationError(f"there is no file {file.name} in {file.parent}\ngive the Python file with your Candidate")
    found = {word: value for word, value in vars(imported(file)).items() if isinstance(value, Candidate)}
    if named:
        found = {word: value for word, value in found.items() if word == wanted}
    if len(found) != 1:
        known = ", ".join(found) or "none"
        what = f"{file.name} has {len(found)} candidates: {known}\nsay which: {file.name}:NAME"
        missing = (
            f'{file.name} has no Candidate{f" called {wanted}" if named else ""}\nwrite candidate = Candidate(pipeline="...")'
        )
        raise DeclarationError(what if found else missing)
    candidate = next(iter(found.values()))
    if isinstance(candidate.pipeline, str):
        return candidate, load(str(file.parent / candidate.pipeline), store)
    pipeline = candidate.pipeline
    return candidate, Loaded(pipeline, file, Path(store) if store else file.parent / f"{pipeline.name}.eddyline")


def spec_of(store: Store, pipeline: Pipeline, candidate: Candidate) -> Spec:
    """What has to be made for this candidate."""
    plan = pipeline.plan()
    line, model, parent, maker = pipeline.name, plan.model, None, None
    if candidate.model is not None:
        model = adapt(candidate.model, per=pipeline.per)
    if candidate.continues is not None:
        line, position = version_of(candidate.continues)
        model, parent = StoredLines(store, plan).rebuild(line, position), candidate.continues
    if model.task is not plan.model.task:
        raise DeclarationError(
            f"candidate {candidate.name}: its model answers {model.task.value}, {pipeline.name}'s {plan.model.task.value}\n"
            "a candidate answers the same question"
        )
    if candidate.features is not None:
        maker = pipeline.replace(features=candidate.features, challengers=()).plan().serve.maker
    return Spec(name=candidate.name, model=model, examples=candidate.chosen, maker=maker, line=line, parent=parent)


def try_candidate(
    store: Store,
    pipeline: Pipeline,
    candidate: Candidate,
    base: Path,
    *,
    out_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tried:
    """Makes the candidate's model, judges it and leads it through its gates. Relative paths of gates start in `base`.

    With `out_dir` the training can be interrupted and goes on there; without, it is thrown away. Raises NotFound where
    the log holds nothing to judge by.
    """
    spec = spec_of(store, pipeline, candidate)
    golden = _golden(candidate.gates, base)
    with tempfile.TemporaryDirectory() as scratch:
        trained = train(store, pipeline, spec, out_dir or Path(scratch), on_progress=on_progress)
    require_learned(spec, trained)
    gates = candidate.gates or default_gates(store, pipeline, spec, trained)
    return judge(store, pipeline, spec, trained, gates, golden, catches_up=candidate.catches_up)


def require_learned(spec: Spec, trained: Trained) -> None:
    """Raises NotFound where a fresh model learned nothing: what is left untrained is not judged."""
    if not spec.learns or spec.parent is not None or trained.position:
        return
    lineage = trained.lineage
    many = lineage.unseen + lineage.learned.count
    why = lineage.why_unseen if lineage.unseen else f"{lineage.why_refused or 'none was left to learn'}"
    write = "choose others (a longer window), a line that saw them (--challenger NAME), or features that can be made of them"
    if lineage.refused and not lineage.unseen:
        write = "the model refused each of them: give it features that it can learn from, or prepare them in the model"
    raise NotFound(f"{spec.name}: 0 of {many:,} examples could be learned: {why}\n{write}")


def judge(
    store: Store,
    pipeline: Pipeline,
    spec: Spec,
    trained: Trained,
    gates: Sequence[Gate],
    golden: Mapping[str, Sequence[Any]] | None = None,
    *,
    catches_up: bool | None = None,
) -> Tried:
    """Leads a trained model through gates, on the examples that it never learned. The model itself stays as it is."""
    held = list(reader_of(store, pipeline, spec).read(chosen_by(store, spec, trained).judge))
    if not held:
        raise NotFound(
            f"store {store.path.name}: no example is left to judge {spec.name} by, of {store.examples:,} in its log\n"
            "take in more, choose a longer window, hold back more (Examples(held_back=0.5)), or take those that "
            "the learner did not learn, too (unlearned=True)"
        )
    follows = spec.learns and spec.examples.held_back_by == "last" if catches_up is None else catches_up
    model = spec.model.restored(trained.state)
    judged, why = _answers(store, spec, trained, held, follows=follows)
    costs, champion = _costs(store, pipeline, model, trained, held)
    expected = golden or {}
    shown = Shown(
        task=model.task,
        judged=judged,
        costs=costs,
        golden={gate.file: reproduces(model, expected[gate.file], gate.within) for gate in gates if isinstance(gate, Golden)},
        golden_counts={name: len(lines) for name, lines in expected.items()},
    )
    results = [gate.check(shown) for gate in gates]
    return Tried(
        name=spec.name,
        pipeline=pipeline.name,
        passed=all(result.passed for result in results),
        digest=trained.digest,
        learned=trained.position,
        lineage=trained.lineage,
        judged=slice_of(held),
        catches_up=follows,
        silent=sum(one.candidate is None for one in judged),
        why_silent=why,
        champion=champion,
        costs=costs,
        gates=results,
        asked=[gate.sentence() for gate in gates],
    )


def default_gates(store: Store, pipeline: Pipeline, spec: Spec, trained: Trained) -> tuple[Gate, ...]:
    """The gates of who declares none: no regression of the task's own loss.

    Numbers need the most that one answer can cost before anything held back is seen: four times the champion's mean
    error over up to 2,000 of the examples that were learned. Raises DeclarationError where that says nothing: an anomaly
    score has no loss.
    """
    task = pipeline.plan().model.task
    if task is Task.CLASSIFICATION:
        return (NoRegression("zero_one"),)
    learned = chosen_by(store, spec, trained).learn[-2_000:] if task is Task.REGRESSION else ()
    errors = [
        abs(sample.row.truth - sample.prediction.value)
        for sample in reader_of(store, pipeline, spec).read(learned)
        if isinstance(sample.prediction.value, float | int)
    ]
    if not any(errors):
        why = (
            "an anomaly score has no loss"
            if task is Task.ANOMALY
            else "the champion's error over what was learned is unknown or 0"
        )
        raise DeclarationError(
            f"{spec.name}: declares no gates, and there is no default for it: {why}\n"
            'write gates=(Floor(..., at_least=...), Golden("golden.jsonl"))'
        )
    return (NoRegression("absolute", clip=4 * statistics.fmean(errors)),)


def _golden(gates: Sequence[Gate], base: Path) -> dict[str, Sequence[Any]]:
    return {gate.file: read_golden(base / gate.file) for gate in gates if isinstance(gate, Golden)}


def _answers(store: Store, spec: Spec, trained: Trained, held: list[Sample], *, follows: bool) -> tuple[list[Judged], str]:
    """What champion and candidate said to each held-back event, in the order the events were answered."""
    pupil = _Pupil(spec, trained)
    to_learn = iter(held)
    upcoming = next(to_learn, None)
    why = ""
    judged = []
    for known, sample in _as_answered(store, held):
        prediction = sample.prediction
        while follows and upcoming is not None and upcoming.number <= known:
            pupil.learn(upcoming)
            upcoming = next(to_learn, None)
        answer, fault = pupil.answer(sample)
        why = why or fault
        served = Output(prediction.value, prediction.scores)
        judged.append(Judged(prediction.event_id, prediction.segment, sample.row.truth, served, answer))
    return judged, why


def _as_answered(store: Store, held: list[Sample]) -> list[tuple[int, Sample]]:
    """The examples in the order in which their events were answered, each with the number of the last one known then.

    Known is what had moved the line that answered, or another that was asked; of examples that moved nobody, as while
    learning is frozen, those that the log held before the answer's block. In a copy of a job's log many scorers answered, so
    that the numbers of the answers are no order; then it is what each of them knew, as it says.
    """
    copied, moved, idle = store.get("copy"), _moved(store.pipeline, held), _Idle(store, held)
    known, found = -1, []
    for sample in sorted(held, key=lambda sample: sample.row.slot):
        prediction = sample.prediction
        heard = next((one for one in (prediction, *(prediction.others or ())) if one.model in moved), None)
        before = -1
        if heard is not None:
            positions, numbers = moved[heard.model]
            place = bisect_right(positions, heard.position)
            before = numbers[place - 1] if place else -1
        known = before if copied else idle.after(max(known, before), sample.row.slot)
        found.append((known, sample))
    return sorted(found, key=lambda one: one[0])


def _moved(own: str, held: list[Sample]) -> dict[str, tuple[list[int], list[int]]]:
    """By line: the positions to which these examples moved it, and their numbers."""
    moved: dict[str, tuple[list[int], list[int]]] = {}
    for sample in held:
        for line, position in ((own, sample.row.position), *(sample.row.also or {}).items()):
            if position >= 0:
                positions, numbers = moved.setdefault(line, ([], []))
                positions.append(position)
                numbers.append(sample.number)
    return moved


class _Idle:
    """The examples that moved nobody: no answer tells whether they were known, but the blocks of the log do."""

    def __init__(self, store: Store, held: list[Sample]) -> None:
        self.store, self.numbers = store, [sample.number for sample in held]
        self.idle = [sample.row.position < 0 and not sample.row.also for sample in held]

    def after(self, known: int, slot: int) -> int:
        """The last example that was known, where this one was, when an answer was given."""
        place = bisect_right(self.numbers, known)
        if place == len(self.idle) or not self.idle[place]:
            return known
        seq, _ = self.store.seq_of_slot(slot)
        (first,) = self.store.db.execute("SELECT first_example FROM blocks WHERE seq=?", (seq,)).fetchone()
        while place < len(self.idle) and self.idle[place] and self.numbers[place] < first:
            known, place = self.numbers[place], place + 1
        return known


class _Pupil:
    """A copy of the trained model that answers, and may learn what it has answered."""

    def __init__(self, spec: Spec, trained: Trained) -> None:
        self.stage = Learn(snapshot_every=_NEVER, publish=None, learn_revisions=False)
        self.state = LearnState(spec.model.restored(trained.state), trained.position, trained.state, spec.name)
        self.dropped: list[Snapshot | DeadLetter] = []

    def learn(self, sample: Sample) -> None:
        if sample.features is not None:
            row = sample.row
            example = Example(sample.prediction, row.truth, row.known, row.at)  # type: ignore[arg-type]
            self.stage.one(self.state, example, self.dropped, sample.features)
            self.dropped.clear()

    def answer(self, sample: Sample) -> tuple[Output | None, str]:
        """The answer, or None and why there is none."""
        if sample.features is None:
            return None, sample.fault
        try:
            output = self.state.model.predict(sample.features)
        except Exception as error:  # the model's own: it is silent here, and the gates see that
            return None, writable(f"{type(error).__name__}: {error}")
        if not finite(output.value) or not finite(output.scores):
            return None, f"it answered {output.value!r} {output.scores!r}"
        return output, ""


def _costs(store: Store, pipeline: Pipeline, model: Model, trained: Trained, held: list[Sample]) -> tuple[Costs, str]:
    """Candidate and champion (the newest kept version of who answers) timed in turns on the same events."""
    line, _, at = standing(store, pipeline).version.partition("@")
    version, state = store.nearest_version(int(at) if at else _NEVER, line)
    lines = StoredLines(store, pipeline.plan())
    champion = lines.blank(line).restored(state)
    rows = [(seen_by(sample.prediction, line, lines.makers), sample.features) for sample in held]
    chosen = [(served, seen) for served, seen in rows if served is not None and seen is not None][-TIMED:]
    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(_ROUNDS):
        ours += _timed(champion, [served for served, _ in chosen])
        theirs += _timed(model, [seen for _, seen in chosen])
    return Costs(_middle(theirs), _middle(ours), len(trained.state), len(state)), version.name


def _timed(model: Model, rows: list[Features]) -> list[float]:
    """The µs of each answer that is given."""
    times = []
    for row in rows:
        before = time.perf_counter_ns()
        try:
            model.predict(row)
        except Exception:  # no answer has no time; where answers are judged it is counted as silent, with what was raised
            continue
        times.append((time.perf_counter_ns() - before) / 1000)
    return times


def _middle(times: list[float]) -> float:
    return statistics.median(times) if times else 0.0


__all__ = ["Candidate", "Tried", "default_gates", "judge", "load_candidate", "require_learned", "spec_of", "try_candidate"]
