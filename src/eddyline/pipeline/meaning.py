"""Whether a store was made by this declaration: part by part, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from eddyline.pipeline.changes import told
from eddyline.pipeline.declaration import Pipeline
from eddyline.records.errors import StoreMismatch


def meaning(pipeline: Pipeline) -> dict[str, str]:
    """What a pipeline means, part by part, as a store keeps it."""
    return {name: json.dumps(part, sort_keys=True, default=repr) for name, part in pipeline.parts().items()}


def _part(text: str) -> Any:
    """A part as plain values; as the text that it is where it was damaged in the store."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def require_same(kept: Mapping[str, str], pipeline: Pipeline, store: str) -> None:
    """Refuses a store that another declaration filled: its past would not follow from this file."""
    now = meaning(pipeline)
    changed = [name for name in dict.fromkeys((*now, *kept)) if now.get(name) != kept.get(name)]
    if changed:
        lines = [line for name in changed for line in told(name, *(_part(one.get(name, "null")) for one in (kept, now)))]
        raise StoreMismatch(
            f"store {store}: the pipeline changed since it was made, in {', '.join(changed)}\n"
            + "".join(f"  {line}\n" for line in lines)
            + "put that back, or take the same streams into a new store: eddyline replay FILE --store NEW.eddyline"
        )
