"""The numbers of metrics and declared monitors, carried over to another declaration.

What both declare goes on to the bit; what is new has counted nothing yet, also in groups that are open; what is no more
is left out. Keeps `split` and `stop` for what goes on. Refuses to know drift, the user's own monitors and who decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from eddyline.monitors.declared import TIE, Monitor
from eddyline.monitors.host import Host, HostState, Shared
from eddyline.monitors.metrics import Gauge
from eddyline.monitors.quality import Group, Quality, QualityState, Series, Shown, new_group
from eddyline.records import Value

Places = Sequence[int | None]
"""For each metric or monitor that is declared now its place before; None where it is new."""


def carried_quality(quality: Quality, state: QualityState, places: Places, *, segments: bool) -> QualityState:
    """The state of other metrics as `quality` goes on with it. `segments` tells whether they are the same ones.

    The series by day of the label and by line hold the first metric alone; they begin anew where that is another one.
    """
    gauges, first = quality.gauges, bool(places) and places[0] == 0

    def series(one: Series) -> Series:
        live = {key: _group(gauges, group, places) for key, group in one.live.items()}
        closed = {key: _shown(shown, places) for key, shown in one.closed.items()}
        return Series(live, closed, one.late, one.forgotten)

    return QualityState(
        _group(gauges, state.overall, places),
        series(state.versions),
        series(state.days),
        state.label_days if first else Series(),
        series(state.segments) if segments else Series(),
        [0 if was is None else state.unanswered[was] for was in places],
        [0 if was is None else state.failed[was] for was in places],
        state.lines if first else Series(),
    )


def _group(gauges: tuple[Gauge, ...], group: Group, places: Places) -> Group:
    fresh = new_group(gauges)
    metrics = [new if was is None else group.metrics[was] for new, was in zip(fresh.metrics, places, strict=True)]
    return Group(metrics, [0 if was is None else group.counts[was] for was in places])


def _shown(shown: Shown, places: Places) -> Shown:
    return tuple((None, 0) if was is None else shown[was] for was in places)


def carried_host(
    host: Host, was: Mapping[str, Any], plain: tuple[bytes, list[bytes]], places: Places, *, segments: bool
) -> HostState:
    """The state of other monitors as `host` goes on with it; `was` is what `layout` said of the host before.

    A new monitor that looks at ticks waits for the next one: of this one it did not see the beginning. Where ticks are of
    another length, or nothing goes on, all begin here.
    """
    if was["tick"] != host.tick or all(place is None for place in places):
        return host.new_state()
    shared = msgspec.msgpack.decode(plain[0], type=Shared)
    fresh, since = host.new_state(), shared.since
    answers, labelled = len(since.ats), len(since.losses)
    missing: list[Value] = [None] * answers  # nobody reads it before the next tick
    since.columns = {name: since.columns.get(name, missing.copy()) for name in host.columns}
    since.labelled = {name: since.labelled.get(name, [None] * labelled) for name in host.columns if name != TIE}
    if not segments:
        shared.segments = []
    if host.segmented and not (segments and was["segmented"]):
        since.segments, since.labelled_segments = [None] * answers, [None] * labelled
    if not host.segmented:
        since.segments, since.labelled_segments = [], []
    memories = [
        new if place is None else monitor.restore(plain[1][place])
        for monitor, new, place in zip(host.monitors, fresh.memories, places, strict=True)
    ]
    waiting = set(shared.waiting)
    late = [
        place in waiting or (place is None and _looks(monitor)) for monitor, place in zip(host.monitors, places, strict=True)
    ]
    shared.waiting = [place for place, is_late in enumerate(late) if is_late and since.records]
    return HostState(shared, memories)


def _looks(monitor: Monitor[Any]) -> bool:
    """Whether a monitor looks at ticks; the others take every record as it comes."""
    return type(monitor).look is not Monitor.look


def layout(host: Host | None) -> dict[str, Any]:
    """How the saved state of a host lies, for `carried_host`."""
    if host is None:
        return {"monitors": [], "segmental": [], "tick": 0, "segmented": False}
    return {
        "monitors": [repr(monitor) for monitor in host.monitors],
        "segmental": [monitor.segmented() for monitor in host.monitors],
        "tick": host.tick,
        "segmented": host.segmented,
    }
