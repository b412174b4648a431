"""Whether a store was made by this declaration: part by part, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from eddyline.pipeline.declaration import Pipeline
from eddyline.records.errors import StoreMismatch


def meaning(pipeline: Pipeline) -> dict[str, str]:
    """What a pipeline means, part by part, as a store keeps it."""
    return {name: json.dumps(part, sort_keys=True, default=repr) for name, part in pipeline.parts().items()}


def require_same(kept: Mapping[str, str], pipeline: Pipeline, store: str) -> None:
    """Refuses a store that another declaration filled: its past would not follow from this file."""
    now = meaning(pipeline)
    changed = [name for name in now if now[name] != kept.get(name)]
    if changed:
        shown = "\n".join(f"  {name}: was {kept.get(name)}\n  {' ' * len(name)}  now {now[name]}" for name in changed)
        raise StoreMismatch(
            f"store {store}: the pipeline changed since it was made, in {', '.join(changed)}\n{shown}\n"
            "put that back, or start a new store: --store NEW.eddyline"
        )
