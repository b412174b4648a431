"""Taking up another declaration: how a pipeline is watched and decided may change in its store, on request and on record.

The change is one block of the journal: a command, the words of both declarations, what follows for seats and policies, and a
checkpoint of the new declaration, in one commit. So no replay ever crosses it, a crash leaves the old declaration or the new
one, whole, and whoever tells the journal again begins there with what was remembered. The bytes of learners that stay, the
windows, the join and the ledger are those of the last checkpoint, untouched.

Keeps `stop`, `whole`, `one-writer`. Runs no stage and answers nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from eddyline.engines.embedded import codec
from eddyline.engines.embedded.codec import SavedLearner, SavedStates
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline, Plan
from eddyline.pipeline.meaning import MAY_CHANGE, changed_parts, differing, meaning
from eddyline.pipeline.naming import name_of_its_own
from eddyline.pipeline.turn_words import Facts, sentences
from eddyline.pipeline.turning import Turn, segments_of, turn_of
from eddyline.records import Decision, Declared, Left, ModelVersion, Rollout
from eddyline.records.errors import StoreMismatch
from eddyline.stages import carry_watch
from eddyline.stages.carry_decide import Carrying, carried, line_of
from eddyline.stages.commands import Command
from eddyline.stages.deciding import DecideState
from eddyline.stages.learn import ENTERED
from eddyline.store import blocks
from eddyline.store.blocks import Notes
from eddyline.store.database import Registered, Store, content_digest, in_words, no_store
from eddyline.store.declarations import CHANGED, LAYOUT, Kept, Memory, changes, kept_layout
from eddyline.store.rebuild import forgotten


class Change(msgspec.Struct, frozen=True):
    """What another declaration changes, in words, and what it came to: `block` is 0 where it was only asked what it would.

    `answers` is how many were given before it, `learner` where the pipeline's own learner stands, `rollout` who answers from
    here on where a seat changed, and `decisions` what was written into the ledger.
    """

    was: str
    digest: str
    says: list[str]
    answers: int
    learner: int
    block: int = 0
    rollout: Rollout | None = None
    decisions: list[Decision] = []


class _Stands(NamedTuple):
    """Where a store stands whose declaration is about to change."""

    parts: dict[str, str]
    kept: Kept
    saved: SavedStates
    notes: Notes


def keep_declaration(store: Store, pipeline: Pipeline, plan: Plan) -> None:
    """Writes down which declaration holds, inside the current transaction: its words, and how its memory lies."""
    known = kept_layout(store)
    places = plan.decide.places if known is None else known.places
    store.put("parts", meaning(pipeline))
    store.put("digest", pipeline.digest)
    store.put(LAYOUT, msgspec.to_builtins(Kept(carry_watch.layout_of(plan.watch), segments_of(pipeline), places)))


def change(pipeline: Pipeline, path: Path, *, author: str, reason: str = "", dry_run: bool = False) -> Change:
    """Makes a store go on under this declaration from here on; with `dry_run` says what that would mean, and changes nothing.

    Only how the pipeline is watched and decided may differ: `watch`, `challengers`, `decide`, `look_every`, `versions`; and
    `publish`, which says from which versions answers come from here on.
    What both declare goes on with its memory, the rest begins or ends here. Nobody may run on the store. Raises
    StoreMismatch for other differences, for a recipe under a name that is taken, and where what came after the last
    checkpoint has to be recovered first, which only the old declaration can; StoreLocked where somebody runs.
    """
    if not path.exists():
        raise no_store(path)
    with _opened(pipeline, path, look=dry_run) as store:
        stands = _stands(store, pipeline, look=dry_run)
        turn = turn_of(stands.parts, stands.kept.segment, pipeline, store.lines())
        if not turn.parts:
            return Change(pipeline.digest, pipeline.digest, [], store.slots, stands.notes.learner)
        work = _Work(store, pipeline, stands, turn, author, reason)
        if dry_run:
            return work.told()
        return work.done()


@contextmanager
def _opened(pipeline: Pipeline, path: Path, *, look: bool) -> Iterator[Store]:
    store = Store.read(path) if look else Store.write(path, pipeline=pipeline.name)
    try:
        with in_words(path):
            yield store
    finally:
        store.close()


def _stands(store: Store, pipeline: Pipeline, *, look: bool) -> _Stands:
    """Where the store stands; refused where nobody could say what its memory means. Who looks may see the last checkpoint."""
    parts, kept = store.get("parts") or {}, kept_layout(store)
    changed = changed_parts(parts, pipeline)
    if not set(changed) <= set(MAY_CHANGE):
        raise differing(parts, pipeline, store.path.name, changed)
    found = store.checkpoint()
    if not store.seq:
        raise StoreMismatch(f"store {store.path.name} holds nothing yet\nremove it, and run the pipeline as it is declared now")
    if found is None or kept is None or (found[0] != store.seq and not look):
        behind = store.seq - (0 if found is None else found[0])
        why = f"its last {behind:,} blocks are in no checkpoint" if behind else "it was last used by an older Eddyline"
        raise StoreMismatch(
            f"store {store.path.name}: {why}, and only the declaration that made them can recover them\n"
            f"open it once with the file as it was: eddyline replay OLD.py --store {store.path.name} --limit 0"
        )
    return _Stands(parts, kept, msgspec.msgpack.decode(found[1], type=SavedStates), store.block(store.seq).notes)


class _Work:
    """One change of one store: what it means, and its commit."""

    def __init__(self, store: Store, pipeline: Pipeline, stands: _Stands, turn: Turn, author: str, reason: str) -> None:
        self.store, self.pipeline, self.plan, self.turn = store, pipeline, pipeline.plan(), turn
        self.parts, self.kept, self.saved, self.notes = stands
        self.author, self.reason = author, reason
        self.name = pipeline.name
        self.before = self.plan.decide.restore(self.saved.decide)
        learners = {one.name: one.position for one in self.saved.learners}
        self.positions = {**self.before.ended, **learners}
        self.came = [f"{self.name}.{one.name}" for one in turn.came]
        self._require_possible()
        facts = Facts(
            store.slots,
            {line: self.positions[line] for line in turn.left if line in self.positions},
            carry_watch.last_numbers(self.saved.watch, self.kept.watch),
            self.before.frozen_by if self.before.frozen_since is not None else None,
            line_of(self.before.rollout.former or ""),
        )
        self.says = sentences(turn, self.parts, self.kept.watch, pipeline, facts)

    def told(self) -> Change:
        """What it would mean."""
        was = str(self.store.get("digest") or "")
        return Change(was, self.pipeline.digest, self.says, self.store.slots, self.notes.learner)

    # What cannot be --------------------------------------------------------------------------------------------------

    def _require_possible(self) -> None:
        """Refuses what would leave somebody asked whom nobody declares, or a name with two meanings."""
        rollout, entries = self.before.rollout, self.before.entries
        champion = line_of(rollout.champion or self.name)
        for line in dict.fromkeys((champion, *(line_of(place.who) for place in rollout.places))):
            like = entries[line].like if line in entries else line
            if like not in self.turn.left or (line == like and line != champion):
                continue
            place = "answers" if line == champion else "sits beside the champion"
            mend = "let another answer first: eddyline rollback FILE live"
            if line != champion:
                mend = f"take its seat away first: eddyline challengers FILE --leave {line}"
            raise StoreMismatch(
                f"{line} {place}, and is made as the challenger {like.partition('.')[2]}, which the file declares no more\n"
                f"leave the challenger in the declaration (its seat goes with --leave), or {mend}"
            )
        taken = {*self.positions, *entries, *self.store.lines()}
        for line in self.came:
            if line in taken:
                name = line.partition(".")[2]
                raise StoreMismatch(
                    f"challenger {name}: store {self.store.path.name} has a line {line} already, with answers on record\n"
                    + name_of_its_own(name, self.pipeline.decide, self.name, taken)
                )
        if self.before.quarantined and not self.turn.same_segments:
            held = ", ".join(name or "everything" for name in self.before.quarantined)
            raise StoreMismatch(
                f"in quarantine is {held}, and segments would be others\nlet it go first: eddyline release FILE SEGMENT"
            )

    # Doing it --------------------------------------------------------------------------------------------------------

    def done(self) -> Change:
        """Commits it: the block and the checkpoint, or neither."""
        number, at = len(changes(self.store)) + 1, self.saved.frontier
        places = {place.who: place for place in self.plan.decide.places}
        still = self.plan.decide.still
        made_as = [entry.name for entry in self.before.entries.values() if entry.like in self.turn.left]
        carrying = Carrying(
            number=number,
            kept=self.turn.kept,
            came=tuple(places[line] for line in self.came),
            left=frozenset((*self.turn.left, *made_as)),
            asked=self.turn.asked,
            learns={**self.turn.learns, **{line: line not in still for line in self.came}},
        )
        reason = self.reason or "the declaration changed"
        state, out = carried(self.plan.decide, self.saved.decide, carrying, at=at, author=self.author, reason=reason)
        watch = carry_watch.carried(self.plan.watch, self.saved.watch, self.kept.watch, segments=self.turn.same_segments)
        learners, versions = self._learners(state)
        evidence = {"was": str(self.store.get("digest") or ""), "changes": self.says}
        made = self.plan.decide.decided(
            state, "operator", "change", self.pipeline.digest, "done", at,
            reason=self.reason, author=self.author, evidence=evidence,
        )  # fmt: skip
        decisions = [*(one for one in out if isinstance(one, Decision)), made]
        rollout = next((one for one in out if isinstance(one, Rollout)), None)
        saved = msgspec.structs.replace(
            self.saved, learners=learners, watch=self.plan.watch.save(watch), decide=self.plan.decide.save(state)
        )
        with self.store.transaction():
            self._keep(number, saved, rollout, decisions, versions)
        told = self.told()
        return msgspec.structs.replace(told, was=evidence["was"], block=self.store.seq, rollout=rollout, decisions=decisions)

    def _learners(self, state: DecideState) -> tuple[list[SavedLearner], list[Registered]]:
        """The learners that go on, and those that come, with their first versions; lines that nobody asks end."""
        own, *rivals = self.saved.learners
        asked = state.asked()
        for one in rivals:
            if one.name not in asked:
                state.ended[one.name] = one.position
        going_on = [self._published(one) for one in (own, *(one for one in rivals if one.name in asked))]
        made, versions = [], []
        for line in self.came:
            model = self.plan.lines[line].model
            raw = model.save()
            published = raw if self.pipeline.publish is not None else None
            made.append(SavedLearner(line, raw, 0, published, 0))
            recipe = json.dumps({"pipeline": self.pipeline.digest, **model.recipe()}, sort_keys=True, default=repr)
            numbers, by = fingerprint(self.plan.models), f"{ENTERED} as declared"
            versions.append((ModelVersion(line, 0, model.digest(), content_digest(recipe), None, numbers, by), raw, recipe))
        return [*going_on, *made], versions

    def _published(self, learner: SavedLearner) -> SavedLearner:
        """A learner as it is asked from here on: what it published last, or where publishing begins, what it knows now."""
        if self.pipeline.publish is None:
            return msgspec.structs.replace(learner, published=None, published_position=0, published_at=None)
        if learner.published is not None:
            return learner
        return msgspec.structs.replace(learner, published=learner.model, published_position=learner.position)

    def _keep(
        self, number: int, saved: SavedStates, rollout: Rollout | None, decisions: list[Decision], versions: list[Registered]
    ) -> None:
        """Writes it all down, inside the transaction."""
        store, here = self.store, fingerprint(self.plan.models)
        learners = {one.name: one.position for one in saved.learners}
        memory = store.keep_bytes(msgspec.msgpack.encode(Memory(saved.watch, saved.decide, learners)))
        declared = Declared(
            number=number,
            was_digest=str(store.get("digest") or ""),
            digest=self.pipeline.digest,
            was=self.parts,
            parts=meaning(self.pipeline),
            says=self.says,
            author=self.author,
            reason=self.reason,
            at=saved.frontier,
            answers=store.slots,
            memory=memory,
            places=self.kept.places,
            left=[Left(line, self.positions.get(line, 0), alike) for line, alike in self.turn.left.items()],
            came=self.came,
            skip=tuple(sorted(forgotten(store))),
        )
        command = Command(do="change", to=self.pipeline.digest, author=self.author, reason=self.reason)
        parts = (blocks.encode_inputs([codec.command_input(command)]), *_NOTHING)
        notes = msgspec.structs.replace(
            self.notes,
            rollout=self.notes.rollout if rollout is None else rollout,
            received_at=time.time(),
            alerts=[],
            rollouts=[] if rollout is None else [rollout],
            decisions=decisions,
            entered=[],
            kept={},
            fingerprint="" if store.get("fingerprint") == here else here,
            published=-1 if saved.learners[0].published is None else saved.learners[0].published_position,
            declared=declared,
        )
        store.append(parts, 0, 0, 0, notes, versions)
        store.keep_checkpoint(msgspec.msgpack.encode(saved))
        store.put(CHANGED, [*(store.get(CHANGED) or ()), store.seq])
        keep_declaration(store, self.pipeline, self.plan)


_NOTHING = (blocks.encode_predictions([]), blocks.encode_examples([]), blocks.encode_dead([]))
