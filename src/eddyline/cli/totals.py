"""How `replay` and `run` are told: one line while they go, one table or document at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eddyline.cli import show
from eddyline.records.time import show_instant

if TYPE_CHECKING:
    from eddyline.engines.embedded import Engine, Progress
    from eddyline.records import Measurement
    from eddyline.views.summary import Summary


def rate(progress: Progress) -> float:
    """Inputs a second."""
    return progress.inputs / progress.seconds if progress.seconds else 0.0


def moment(engine: Engine, progress: Progress) -> str:
    """A run in one line: how much, how fast, how far in event time, how good so far."""
    from eddyline.views.summary import quality

    words = [f"{progress.inputs:,} taken", f"{rate(progress):,.0f}/s"]
    if progress.inputs:
        words.append(show_instant(progress.at)[:16].replace("T", " "))
    for metric in quality(engine)[:1]:
        if metric.value is not None:
            words.append(f"{metric.metric} {metric.value:.4f}")
    return ", ".join(words)


def document(summary: Summary, progress: Progress, *, stopped: bool) -> dict[str, Any]:
    """A run as one value for programs: what this run took, and what the store holds altogether."""
    run = {
        "inputs": progress.inputs,
        "answered": progress.predictions,
        "examples": progress.examples,
        "dead": progress.dead,
        "seconds": progress.seconds,
        "per_second": rate(progress),
        "stopped": stopped,
    }
    metrics = [{"metric": one.metric, "value": one.value, "count": one.count} for one in summary.metrics]
    return {**show.plain(summary), "metrics": metrics, "run": run}


def print_totals(summary: Summary, progress: Progress, file: str) -> None:
    """The table at the end of a run."""
    taken = show.count(progress.inputs, "record")
    title = f"{summary.pipeline}: {taken} in {progress.seconds:.1f} s, {rate(progress):,.0f} a second"
    if not progress.inputs:
        stored = summary.answered or summary.dead or summary.early
        title = f"{summary.pipeline}: {'nothing new since the last run' if stored else 'the sources hold no record yet'}"
    made = show.table("what", "how many", "", right=("how many",), header=False)
    fates = (
        ("events answered", summary.answered, f"by {summary.voice}, rollout {summary.revision}"),
        ("  labelled", summary.labelled, "their truth was told"),
        ("  by absence", summary.absent, "nobody told otherwise in time"),
        ("  unlabelled", summary.unlabelled, "their horizon passed without a truth"),
        ("  waiting", summary.waiting, "for their truth"),
    )
    for name, number, words in fates:
        made.add_row(f"  {name}", f"{number:,}", words)
    made.add_row(
        "  dead letters",
        f"{sum(summary.dead.values()):,}",
        f"see them: eddyline dead-letters {file}" if summary.dead else "",
    )
    for reason, number in summary.dead.items():
        made.add_row(f"    {reason}", f"{number:,}", "")
    for metric in summary.metrics:
        made.add_row(f"  {metric.metric}", *_measured(metric, summary.windows.get(metric.metric)))
    for name, number in summary.paused.items():
        made.add_row(f"  {name} paused", f"{number:,}", "answers of lines that make no such feature: no monitor of it saw them")
    for name, number, words in _unsaid(summary):
        made.add_row(f"  {name}", f"{number:,}", words)
    made.add_row("  versions kept", f"{summary.versions:,}", f"the learner is at {summary.learner}")
    show.titled(title, made)
    show.console().print(f"store: {summary.store}", soft_wrap=True)
    for said in _warnings(summary, file):
        show.console().print(f"warning: {said}", soft_wrap=True)


def _measured(metric: Measurement, window: int | None) -> tuple[str, str]:
    """A metric's value, and over which examples it is."""
    last = "" if window is None or window >= metric.count else f"the last {window:,} of "
    over = f"over {last}{show.count(metric.count, 'example')}"
    if metric.value is not None:
        return f"{metric.value:.4f}", f"{over}, each measured before it was learned"
    if not metric.count:
        return "none yet", over
    return "none", f"{over}: it gives no number, as a ROC AUC where all truths are of one class"


def _unsaid(summary: Summary) -> Iterator[tuple[str, int, str]]:
    """What is no dead letter, and yet not what its author expects."""
    if summary.early:
        yield "early labels", summary.early, f"wait for an event of their id, such as {summary.alone}"
    if summary.late:
        yield "late events", summary.late, "came when event time was past them: in no aggregate of later events"
    if summary.silent:
        yield "answered None", summary.silent, "by a model that had nothing to say yet: measured by no metric"
    for name, (number, _) in summary.raised.items():
        yield f"{name} raised", number, "examples that it could not measure"


def _warnings(summary: Summary, file: str) -> Iterator[str]:
    """Where nothing came of a whole stream, or the most of it was not used: what happened, and what to type."""
    if summary.dead and not summary.answered:
        reason, number = next(iter(summary.dead.items()))
        yield (
            f"nothing was answered; most of what came was refused as {reason} ({number:,})\n"
            f"see why: eddyline dead-letters {file} --show 1"
        )
    if summary.alone is not None and summary.answered and not summary.labelled:
        yield (
            f"no label found its event: labels have ids such as {summary.alone!r}, events such as {summary.event_id!r}\n"
            "ids are compared as text, exactly; where they are made of rows, give both sources the same RowId(...)"
        )
    if summary.dead.get("model_failed") and summary.labelled and summary.learner.endswith("@0"):
        yield (
            "nothing was learned: the model refused every example\n"
            f"see why: eddyline dead-letters {file} --reason model_failed --show 1"
        )
    if summary.absent and not summary.labelled:
        yield (
            "every truth was told by silence, and all of them are the same: no metric over them says anything\n"
            "the answers stand, and alerts of monitors; to measure them, give it labels: Pipeline(labels=...)"
        )
    if summary.late * 10 > summary.answered:
        yield (
            f"{summary.late:,} of {summary.answered:,} events are older than what came before them, and enter no aggregate\n"
            "sort the source by event time, or say how late events may come: Pipeline(lateness=hours(1))"
        )
    for name, (_, said) in summary.raised.items():
        yield f"{said or name}\nmend it, and take the streams into a new store: eddyline replay {file} --store NEW.eddyline"
