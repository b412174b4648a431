"""How `replay` and `run` are told: one line while they go, one table or document at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eddyline.cli import show
from eddyline.records.time import show_instant

if TYPE_CHECKING:
    from eddyline.engines.embedded import Engine, Progress
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
        title = f"{summary.pipeline}: nothing new since the last run"
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
        value = "none yet" if metric.value is None else f"{metric.value:.4f}"
        made.add_row(
            f"  {metric.metric}",
            value,
            f"over {show.count(metric.count, 'example')}, each measured before it was learned",
        )
    for name, number in summary.paused.items():
        made.add_row(f"  {name} paused", f"{number:,}", "answers of lines that make no such feature: no monitor of it saw them")
    made.add_row("  versions kept", f"{summary.versions:,}", f"the learner is at {summary.learner}")
    show.titled(title, made)
    show.console().print(f"store: {summary.store}", soft_wrap=True)
    if summary.dead and not summary.answered:
        reason, number = next(iter(summary.dead.items()))
        said = f"warning: nothing was answered; most of what came was refused as {reason} ({number:,})"
        show.console().print(f"{said}\nsee why: eddyline dead-letters {file} --show 1", soft_wrap=True)
