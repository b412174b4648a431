"""What another declaration changes about how a pipeline is watched and decided, compared part by part.

What a store keeps in words is compared with a declaration that is here. Refuses what would break what a store has
promised: the name of a line stands for one recipe, for ever. Knows no store, no state and no engine.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from eddyline.pipeline.challengers import Challenger
from eddyline.pipeline.changes import told
from eddyline.pipeline.code import code_digest
from eddyline.pipeline.declaration import Pipeline
from eddyline.pipeline.meaning import changed_parts, meaning, part_of
from eddyline.pipeline.naming import name_of_its_own
from eddyline.policies.policy import called_as
from eddyline.records import Place
from eddyline.records.errors import StoreMismatch


@dataclass(frozen=True, slots=True)
class Turn:
    """What changes. Lines are by name; policies by how the ledger calls them.

    `kept` are the policies that are declared as before. `left` tells of each line that is declared no more whether it saw
    the pipeline's own features. `asked` are the seats that are declared otherwise, `learns` the lines that now learn, or
    no longer do. `same_segments`: whether events are named by segment as before.
    """

    parts: tuple[str, ...]
    kept: frozenset[str] = frozenset()
    came: tuple[Challenger, ...] = ()
    left: dict[str, bool] = field(default_factory=dict)
    asked: dict[str, Place] = field(default_factory=dict)
    learns: dict[str, bool] = field(default_factory=dict)
    same_segments: bool = True


def turn_of(was: Mapping[str, str], was_segment: str, pipeline: Pipeline, taken: Collection[str] = ()) -> Turn:
    """What `pipeline` changes of the declaration whose words are `was`, which named segments by `was_segment`.

    `taken` are the lines that there are or were, so that a name is proposed which is free. Raises StoreMismatch for a
    challenger of another recipe under a name that is taken.
    """
    declared = {one.name: one for one in pipeline.challengers}
    before, now = challengers_in(was), challengers_in(meaning(pipeline))
    asked, learns = {}, {}
    for name in [name for name in now if name in before]:
        line, mode = f"{pipeline.name}.{name}", declared[name].mode
        _require_same_recipe(name, before[name], now[name], pipeline, taken)
        if before[name]["mode"] != now[name]["mode"]:
            asked[line] = Place(line, mode.mode, mode.share)
        if before[name]["learns"] != now[name]["learns"]:
            learns[line] = declared[name].learns
    old_rules, new_rules = rules_in(was), rules_in(meaning(pipeline))
    return Turn(
        parts=tuple(changed_parts(was, pipeline)),
        kept=frozenset(called for called, rule in new_rules.items() if old_rules.get(called) == rule),
        came=tuple(declared[name] for name in now if name not in before),
        left={f"{pipeline.name}.{name}": _as_pipeline(one, was) for name, one in before.items() if name not in now},
        asked=asked,
        learns=learns,
        same_segments=was_segment == segments_of(pipeline),
    )


def challengers_in(parts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The challengers of a declaration in words, by name."""
    return {one["name"]: one for one in part_of(parts, "challengers") or []}


def rules_in(parts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The policies of a declaration in words, by how the ledger calls them."""
    found = {}
    for rule in part_of(parts, "decide") or []:
        name = rule.get("name", "None")
        found[called_as(rule["policy"], None if name == "None" else name.strip("'\""))] = rule
    return found


def segments_of(pipeline: Pipeline) -> str:
    """By what the events of a pipeline are named: a field, or the code of a function; empty where they are not.

    >>> from eddyline.pipeline.declaration import Watch
    >>> from types import SimpleNamespace
    >>> segments_of(SimpleNamespace(watch=Watch(segment="carrier")))
    'carrier'
    """
    segment = pipeline.watch.segment
    if segment is None:
        return ""
    return segment if isinstance(segment, str) else code_digest(segment)


def _require_same_recipe(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], pipeline: Pipeline, taken: Collection[str]
) -> None:
    """Every version of a line is made by one recipe: another one is another line."""
    differs = [part for part in ("model", "features") if _plain(before[part]) != _plain(now[part])]
    if differs:
        lines = [line for part in differs for line in told(part, before[part], now[part])]
        raise StoreMismatch(
            f"challenger {name}: another recipe under the name that its versions have\n"
            + "".join(f"  {line}\n" for line in lines)
            + f"what {pipeline.name}.{name} answered is on record as that recipe's, also where it only failed\n"
            + name_of_its_own(name, pipeline.decide, pipeline.name, taken)
        )


def _as_pipeline(challenger: Mapping[str, Any], parts: Mapping[str, str]) -> bool:
    """Whether a challenger saw what the pipeline's own model sees."""
    own, theirs = part_of(parts, "model"), challenger["model"]
    return bool(challenger["features"] == "the pipeline's" and own.get("per") == theirs.get("per"))


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
