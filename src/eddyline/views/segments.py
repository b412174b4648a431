"""Which segments a store has seen, for whoever names one. Reads the memory of watch at the store's end; writes nothing."""

from __future__ import annotations

import difflib
from contextlib import closing
from pathlib import Path

from eddyline.monitors.quality import OTHER
from eddyline.pipeline import Pipeline
from eddyline.store.database import Store
from eddyline.views.current import current


def seen(pipeline: Pipeline, path: Path) -> tuple[str, ...] | None:
    """The segments of the answers whose truth came, by name; None where there are more than are remembered."""
    with closing(Store.read(path)) as store:
        plan = pipeline.plan()
        if not plan.watch.quality.segmented or not plan.watch.quality.gauges:
            return None if pipeline.watch.segment is not None else ()
        watch = current(store, pipeline, plan).states.watch
    known = {name for name in watch.quality.segments.live if isinstance(name, str)}
    if watch.host is not None:
        known.update(watch.host.shared.segments)
    return None if OTHER in known else tuple(sorted(known))


def stranger(pipeline: Pipeline, path: Path, segment: str) -> str | None:
    """What to tell who names a segment that no answer was of; None where there is nothing to tell."""
    known = seen(pipeline, path)
    if not segment or known is None or segment in known:
        return None
    if pipeline.watch.segment is None:
        return f"{pipeline.name} has no segments, so {segment!r} is nobody\nname the field they are in: Watch(segment=...)"
    near = difflib.get_close_matches(segment, known, 1)
    shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    mend = f"did you mean {near[0]}?" if near else "it counts for the answers that may come"
    return f"no answer so far was of segment {segment!r} (seen: {shown or 'none'})\n{mend}"
