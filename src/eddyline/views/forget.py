"""Forgetting: the lines that answer, as if they had never learned certain events; and the proof of it.

For poisoned labels and for people who want to be erased. Each line that is asked is folded again without those examples
and takes the place of the one that learned them; it will never learn them, whatever is told later. The proof is another
fold, from the line's first version over everything but those events: it must give the same digest. What other events'
features owe to the forgotten ones (aggregates that were served) is part of those events, and stays; so does the journal.
Versions that are asked as they stood once are not made again: those that learned the events leave their seats.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import ModelVersion, Place
from eddyline.records.errors import EddylineError, NotFound, StoreCorrupt
from eddyline.stages.commands import Command, version_of
from eddyline.stages.lines import Entry, Step
from eddyline.store.ancestry import FORGETTING, Ancestry
from eddyline.store.database import Store, content_digest
from eddyline.store.rebuild import StoredLines, entered_as, forgotten, kept_entries
from eddyline.views.explain import find_prediction
from eddyline.views.operate import ask, position_of


class Forgotten(msgspec.Struct, frozen=True):
    """One line that forgot: which, who took its place, how many examples it had learned of those events, and the proof.

    `digest` is that of the newcomer when it took its place, `proof` that of a fold from the first version which never saw
    those events.
    """

    line: str
    successor: str
    examples: int
    digest: str
    proof: str

    @property
    def proved(self) -> bool:
        """Whether the successor is the model that never saw them."""
        return self.digest == self.proof


def forget(
    pipeline: Pipeline, path: Path, events: Collection[str], *, author: str, reason: str = "", patience_s: float = 30.0
) -> list[Forgotten]:
    """Replaces every line that is asked and learned one of these events by one that did not; gives the proofs.

    Whoever runs on the store goes on meanwhile: most is folded beside it, and the newcomer learns what came since before it
    is asked anything. Versions beside the champion (`fraud@15320`) that learned one leave; where the champion is one, its
    line's successor answers. What was forgotten before stays so: the newcomers never learn that either. An event that was
    answered and that nobody learned yet is forgotten beforehand: a label that comes later is not learned. Raises `NotFound`
    when nobody who is asked learned any of them, or ever could; `EddylineError` for a line that was retrained and cannot tell
    what it learned (it went on from a version, or its lineage does not name each example): then nothing was changed.
    """
    reason = reason or f"forget {shown(events)}"
    commands: list[Command] = []
    replaced: set[str] = set()
    with closing(Store.read(path)) as store:
        asked = lines_asked(store, pipeline)
        before = forgotten(store)
        unwanted = frozenset(events) | before
        require_told(store, pipeline)
        answered = frozenset(event for event in events if _answered(store, event))
    for line, place in asked:
        with closing(Store.read(path)) as store:
            made = _without(store, pipeline, line, place, unwanted, answered)
        if made is not None:
            command, version = made
            said = msgspec.structs.replace(command, author=author, reason=reason)
            ask(pipeline, path, said, version=version, patience_s=patience_s)
            commands.append(said)
            replaced.add(line)
    with closing(Store.read(path)) as store:
        leaving = leaving_after(store, pipeline, unwanted, replaced)
    for who in leaving:
        ask(pipeline, path, Command(do="leave", to=who, author=author, reason=reason), patience_s=patience_s)
    if not commands and not leaving:
        raise _nothing_to_forget(events, before)
    with closing(Store.read(path)) as store:
        return [proof_of(store, pipeline, command, unwanted) for command in commands]


def _nothing_to_forget(events: Collection[str], before: frozenset[str]) -> NotFound:
    """Why nobody forgets these events: they were never learned, or a call before this one saw to it."""
    said = f"nobody who answers has learned {shown(events)}, or is going to\n"
    if before.issuperset(events):
        return NotFound(f"{said}forgotten before, and that holds: eddyline history FILE says when and by whom")
    return NotFound(f"{said}ids are compared as text, exactly; see what became of one: eddyline explain FILE ID")


def require_told(store: Store, pipeline: Pipeline) -> None:
    """Raises `EddylineError` where somebody with a seat cannot tell what it learned: before anything is changed."""
    past = Ancestry(store, StoredLines(store, pipeline.plan()))
    rollout = store.block(store.seq).notes.rollout if store.seq else None
    refused: dict[str, EddylineError] = {}
    for who in () if rollout is None else (rollout.champion or pipeline.name, *(place.who for place in rollout.places)):
        line = who.partition("@")[0]
        try:
            past.root(line)
        except EddylineError as error:
            refused[line] = error
    if len(refused) == 1:
        raise next(iter(refused.values()))
    if refused:
        first, *others = refused
        raise EddylineError(f"{refused[first]}\nthe same holds of {', '.join(others)}: each has to leave")


_Made = tuple[Command, tuple[ModelVersion, bytes, str]]


def lines_asked(store: Store, pipeline: Pipeline) -> list[tuple[str, Place | None]]:
    """The lines that answer or are asked beside, each with its place; None for the champion's."""
    if store.seq == 0:
        return []
    rollout = store.block(store.seq).notes.rollout
    champion = (rollout.champion or pipeline.name).partition("@")[0]
    places = [place for place in rollout.places if "@" not in place.who and place.who != champion]
    return [(champion, None), *((place.who, place) for place in places)]


def leaving_after(store: Store, pipeline: Pipeline, unwanted: frozenset[str], replaced: Collection[str]) -> list[str]:
    """Whose seat beside the champion ends: versions that learned one of these events, and lines that have a successor."""
    past = Ancestry(store, StoredLines(store, pipeline.plan()))
    places = store.block(store.seq).notes.rollout.places if store.seq else ()
    return [place.who for place in places if place.who in replaced or _learned(past, place.who, unwanted)]


def _learned(past: Ancestry, who: str, unwanted: frozenset[str]) -> bool:
    """Whether a version, or a line up to where it stands, learned one of these events."""
    line, until = version_of(who) if "@" in who else (who, position_of(past.store, who))
    return any(step.event_id in unwanted for step in past.past(line, until))


def _answered(store: Store, event_id: str) -> bool:
    """Whether an event was answered: a label may still come, and be learned."""
    try:
        find_prediction(store, event_id)
    except NotFound:
        return False
    return True


def may_learn(store: Store, pipeline: Pipeline, line: str, answered: frozenset[str]) -> bool:
    """Whether a line may come to learn one of these events, whose truth may be told later."""
    entry = next((entry for entry in kept_entries(store) if entry.name == line), None)
    if entry is not None:
        return entry.learns and not answered <= frozenset(entry.skip)
    declared = {f"{pipeline.name}.{one.name}": one.learns for one in pipeline.challengers}
    return bool(answered) and declared.get(line, True)


def _without(
    store: Store, pipeline: Pipeline, line: str, place: Place | None, unwanted: frozenset[str], answered: frozenset[str]
) -> _Made | None:
    """The command by which a line's successor takes its place, and the version it starts from; None where it has nothing to
    forget, now or later.
    """
    lines, now = StoredLines(store, pipeline.plan()), position_of(store, line)
    past = Ancestry(store, lines)
    first = next((step for step in past.past(line, now) if step.event_id in unwanted), None)
    if first is None and not may_learn(store, pipeline, line, answered):
        return None
    model, position = folded_without(past, line, now, unwanted, before=first)
    name = next_name(store, pipeline)
    start, after, skip = f"{name}@{position}", f"{line}@{now}", tuple(sorted(unwanted))
    entry = Entry(name, line, start, after, skip=skip, digest=model.digest())
    seat = None if place is None else msgspec.structs.replace(place, who=name)
    command = Command(do="enter", to=name if place is None else "", entry=entry, place=seat)
    return command, _registered(pipeline, model, name, position, f"{line}@{now}")


def _registered(pipeline: Pipeline, model: Model, name: str, position: int, parent: str) -> tuple[ModelVersion, bytes, str]:
    recipe = json.dumps({"pipeline": pipeline.digest, **model.recipe()}, sort_keys=True, default=repr)
    version = ModelVersion(
        name, position, model.digest(), content_digest(recipe), parent, fingerprint(pipeline.plan().models), FORGETTING
    )
    return version, model.save(), recipe


def folded_without(
    past: Ancestry, line: str, until: int, unwanted: frozenset[str], *, before: Step | None = None
) -> tuple[Model, int]:
    """A line without some events: the model, and how many examples it has learned. All of its past is learned again.

    Where the line is a declared one, the newest kept version before the first unwanted example is taken up instead.
    """
    store, root = past.store, past.root(line)
    if line in past.entries:
        model, position = past.first(root)
        steps = past.past(line, until)
    else:
        version, state = store.nearest_version(until if before is None else before.position - 1, line)
        model, position = past.lines.blank(line).restored(state), version.position
        steps = past.lines.past(line, position, until)
    for step in steps:
        if step.event_id not in unwanted:
            model.learn(step.features, step.truth)
            position += 1
    return model, position


def next_name(store: Store, pipeline: Pipeline) -> str:
    number, taken = 1, set(store.lines())
    while f"{pipeline.name}.f{number}" in taken:
        number += 1
    return f"{pipeline.name}.f{number}"


def proof_of(store: Store, pipeline: Pipeline, command: Command, unwanted: frozenset[str]) -> Forgotten:
    """Folds the line from its first version over everything but the forgotten events, and compares."""
    entry = command.entry
    assert entry is not None
    assert entry.after is not None
    line, _ = version_of(entry.after)
    past = Ancestry(store, StoredLines(store, pipeline.plan()))
    entered = entered_as(store, entry.name)
    model, position = _fold_first(past, line, entered.position, unwanted)
    examples = sum(step.event_id in unwanted for step in past.past(line))
    if position != entered.position:
        raise StoreCorrupt(
            f"store {store.path.name}: {entry.name} stands at {entered.position}, its examples end at {position}"
        )
    return Forgotten(line, entry.name, examples, entered.digest, model.digest())


def _fold_first(past: Ancestry, line: str, many: int, unwanted: frozenset[str]) -> tuple[Model, int]:
    """The first so many examples of a line, but for the unwanted, learned from its very first version."""
    model, position = past.first(past.root(line))
    for step in islice((step for step in past.past(line) if step.event_id not in unwanted), many - position):
        model.learn(step.features, step.truth)
        position += 1
    return model, position


def shown(events: Collection[str]) -> str:
    names = sorted(events)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
