"""Whether a store was made by this declaration: part by part, as text; and which parts another declaration may change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eddyline.pipeline.changes import told
from eddyline.pipeline.declaration import Pipeline
from eddyline.records.errors import StoreMismatch

MAY_CHANGE = ("watch", "segment", "challengers", "decide", "look_every", "publish", "versions")
"""The parts that a store takes up anew (`eddyline change`): what is watched, who decides, when versions are made and kept."""


def meaning(pipeline: Pipeline) -> dict[str, str]:
    """What a pipeline means, part by part, as a store keeps it."""
    return {name: json.dumps(part, sort_keys=True, default=repr) for name, part in pipeline.parts().items()}


def _part(text: str) -> Any:
    """A part as plain values; as the text that it is where it was damaged in the store."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def changed_parts(kept: Mapping[str, str], pipeline: Pipeline) -> list[str]:
    """The names of the parts in which a pipeline means something else than a store keeps."""
    now = meaning(pipeline)
    return [name for name in dict.fromkeys((*now, *kept)) if now.get(name) != kept.get(name)]


def part_of(kept: Mapping[str, str], name: str) -> Any:
    """One part as plain values; None where it is not declared."""
    return _part(kept.get(name, "null"))


def require_same(kept: Mapping[str, str], pipeline: Pipeline, store: str) -> None:
    """Refuses a store that another declaration filled: its past would not follow from this file."""
    changed = changed_parts(kept, pipeline)
    if changed:
        raise differing(kept, pipeline, store, changed)


def differing(kept: Mapping[str, str], pipeline: Pipeline, store: str, changed: Sequence[str]) -> StoreMismatch:
    """The refusal: what differs, a line for each, and what to type next."""
    now = meaning(pipeline)
    lines = [line for name in changed for line in told(name, part_of(kept, name), part_of(now, name))]
    anew = "take the same streams into a new store: eddyline replay FILE --store NEW.eddyline"
    if set(changed) <= set(MAY_CHANGE):
        mend = f"take it up from here on: eddyline change FILE (--dry-run says what it means)\nor put that back, or {anew}"
    else:
        mend = f"put that back, or {anew}"
    return StoreMismatch(
        f"store {store}: the pipeline changed since it was made, in {', '.join(changed)}\n"
        + "".join(f"  {line}\n" for line in lines)
        + mend
    )
