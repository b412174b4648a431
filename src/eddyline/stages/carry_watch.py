"""Watch's memory, carried over to another declaration: metrics and monitors that both declare go on, to the bit.

The bytes of a saved state lie as the declaration says that saved them; `layout_of` is those words, which a store keeps
beside its parts. What is new begins here, what is no more is left out; its numbers up to here are in no memory any more.
Knows no store and no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from eddyline.monitors.carried import carried_host, carried_quality, layout
from eddyline.monitors.coverage import Coverage
from eddyline.monitors.delay import DelayHistogram
from eddyline.monitors.drift import Drift
from eddyline.monitors.own import OwnMonitor, number_of, thing_name
from eddyline.monitors.saving import from_bytes
from eddyline.records.errors import StoreMismatch
from eddyline.stages.watch import FORMAT, WatchStage, WatchState


class Layout(msgspec.Struct, frozen=True):
    """How the saved state of a watch lies: its metrics, the user's own classes, drift, the user's monitors, and ours."""

    metrics: list[tuple[str, bool]]
    owned: list[str]
    features: list[str]
    error: bool
    monitors: list[str]
    host: dict[str, Any]


class Gone:
    """Stands for an object of a class of the user's that is declared no more: it is read over, and thrown away."""

    def __new__(cls, *_: Any, **__: Any) -> Gone:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def update(self, *_: Any) -> None:
        """Nobody shows it anything."""

    __setitem__ = append = extend = update


def layout_of(stage: WatchStage) -> Layout:
    """The words for how this stage's state lies when it is saved."""
    return Layout(
        metrics=[(gauge.name, gauge.reads_scores) for gauge in stage.quality.gauges],
        owned=[thing_name(thing) for thing in stage.owned()],
        features=list(stage.features),
        error=stage.error,
        monitors=[thing_name(monitor) for monitor in stage.monitors],
        host=layout(stage.host),
    )


def carried(stage: WatchStage, raw: bytes, was: Layout, *, segments: bool) -> WatchState:
    """The state that a watch of the layout `was` saved, as `stage` goes on with it.

    `segments` tells whether both name the segments of events alike; where not, what is kept by segment begins anew.
    """
    now, state = layout_of(stage), stage.new_state()
    known = dict(zip(now.owned, stage.owned(), strict=True))
    layout_said, *plain = from_bytes(raw, [known.get(name, Gone) for name in was.owned])
    if layout_said != FORMAT:
        raise StoreMismatch(f"watch: the saved state has layout {layout_said}, this version reads {FORMAT}")
    quality, coverage, delay, drift, error, monitors, revised, unfit, host = plain
    state.coverage, state.delay, state.revised, state.unfit = Coverage.of(coverage), DelayHistogram.of(delay), revised, unfit
    if was.metrics:
        places = places_of(was.metrics, now.metrics)
        state.quality = carried_quality(stage.quality, stage.quality.of(quality), places, segments=segments)
    for here, place in enumerate(places_of(was.features, now.features)):
        if place is not None:
            state.drift[here] = Drift.of(drift[place])
    if stage.error and error is not None:
        state.error = Drift.of(error)
    for here, place in enumerate(places_of(was.monitors, now.monitors)):
        if place is not None:
            state.monitors[here] = OwnMonitor(*monitors[place])
    if stage.host is not None and host is not None:
        going_on = [
            None if place is None or (was.host["segmental"][place] and not segments) else place
            for place in places_of(was.host["monitors"], now.host["monitors"])
        ]
        state.host = carried_host(stage.host, was.host, host, going_on, segments=segments)
    return state


def last_numbers(raw: bytes, was: Layout) -> dict[str, tuple[float, int]]:
    """Where River's metrics in a saved state stood over all examples, each with how many those were."""
    quality = from_bytes(raw, [Gone] * len(was.owned))[1]
    (counts, metrics), *_ = quality
    found = {}
    for (name, _), count, metric in zip(was.metrics, counts, metrics, strict=True):
        value = number_of(metric) if count and type(metric).__module__.startswith("river.") else None
        if value is not None:
            found[name] = (value, count)
    return found


def places_of(was: Sequence[Any], now: Sequence[Any]) -> list[int | None]:
    """For each of `now` its place in `was`; None where it is new. The second of one name is the second there.

    >>> places_of(["Accuracy", "LogLoss"], ["LogLoss", "F1", "LogLoss"])
    [1, None, None]
    """
    left = list(enumerate(was))
    found: list[int | None] = []
    for name in now:
        match = next((pair for pair in left if pair[1] == name), None)
        if match is not None:
            left.remove(match)
        found.append(None if match is None else match[0])
    return found
