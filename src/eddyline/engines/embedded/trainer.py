"""The trainer: carries out what was decided about retraining, beside an engine that goes on answering.

A decision to retrain is in the ledger; the training runs in a process of its own, at low priority, and can be killed and
gone on with. What comes out has passed its gates or is turned away, and either is one more record in the journal. The new
line is called after the decision (`fraud.r7`), so that a restart knows what is done and what is not. Decides nothing.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from eddyline.engines.embedded.engine import Engine
from eddyline.records import Decision, Place
from eddyline.records.errors import EddylineError
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.store import blocks
from eddyline.store.database import content_digest, post
from eddyline.store.examples import position_at
from eddyline.store.rebuild import forgotten
from eddyline.store.spawned import Spawned, spawn
from eddyline.store.training import Trained, trained_in

POLL_SECONDS = 0.05
SINCE_DRIFT = 1_000
"""A training on what came since a drift waits for so many examples: a fifth of them judges it."""


class Trainer:
    """Retrains for one engine. `file` is the pipeline's, as FILE.py or FILE.py:name: the child reads it, too.

    Hand it to `replay` or `follow`. With `wait`, the stream stands still until a training ends: for replays, where event
    time runs faster than any training could. `seat` is how a model that passed its gates is asked: in the shadow.
    """

    def __init__(self, engine: Engine, file: str, *, wait: bool = False, seat: Place | None = None) -> None:
        self.engine = engine
        self.file = file
        self.wait = wait
        self.seat = seat or Place("", "shadow")
        self.running: tuple[Decision, Spawned] | None = None
        self.waiting: list[Decision] = []
        self.read = 0
        """the last block whose decisions are known"""

    def step(self) -> None:
        """Starts, looks after and ends what was decided. Returns at once, unless it was made to wait."""
        self._read()
        while self.running is not None or self.waiting:
            if self.running is None:
                if not self._enough(self.waiting[0]):
                    return
                self._start(self.waiting.pop(0))
            elif self.running[1].done():
                self._finish(*self.running)
            elif self.wait:
                time.sleep(POLL_SECONDS)
            else:
                return

    def _enough(self, decision: Decision) -> bool:
        """Whether there is enough to learn from: a drift that has only begun has no examples yet."""
        if decision.evidence.get("window") != "since_drift":
            return True
        answers_and_truths = self.engine.loop.states.decide.record - decision.record
        return answers_and_truths >= 2 * SINCE_DRIFT

    def _read(self) -> None:
        """Takes up what was decided since the last time: what is to be trained, and what came to an end."""
        after, self.read = self.read, self.engine.store.seq
        for (packed,) in self.engine.store.db.execute("SELECT notes FROM blocks WHERE seq>? ORDER BY seq", (after,)):
            for decision in blocks.decode_notes(packed).decisions:
                if decision.action == "retrain" and decision.carried_out:
                    self.waiting.append(decision)
                elif decision.action in ("enter", "turn_away"):
                    self.waiting = [one for one in self.waiting if line_of(self.engine, one) != decision.subject]

    def close(self) -> None:
        """Stops what is running; it is gone on with at the next start."""
        if self.running is not None:
            self.running[1].stop()
            self.running = None

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _folder(self, name: str) -> Path:
        return self.engine.path.with_name(f"{self.engine.path.name}-{name}")

    def _start(self, decision: Decision) -> None:
        name = line_of(self.engine, decision)
        evidence = decision.evidence
        child = spawn(
            self.file,
            self.engine.path,
            self._folder(name),
            name=name,
            challenger=self._recipe(decision),
            from_at=evidence.get("from_at"),
            examples=evidence.get("examples"),
            seed=decision.number,
            more=("--unlearned",) if held_back_too(decision) else (),
        )
        self.running = (decision, child)

    def _finish(self, decision: Decision, child: Spawned) -> None:
        self.running, name = None, line_of(self.engine, decision)
        try:
            result = child.result()
        except EddylineError as error:
            result = {"passed": False, "gates": [{"passed": False, "said": str(error)}]}
        trained = trained_in(child.out_dir)
        if trained is not None and self._outdated(trained):
            shutil.rmtree(child.out_dir)
            self._start(decision)
            return
        if result["passed"] and trained is not None:
            self._enter(name, trained, self._recipe(decision))
        else:
            reason = f"the recipe of {self._recipe(decision)}: {_said(result)}"
            command = Command(do="turn_away", to=name, author="trainer", reason=reason)
            post(self.engine.path, msgspec.json.encode(command))
        self.engine.take_inbox()
        self._read()

    def _recipe(self, decision: Decision) -> str:
        """The declared line whose recipe it is: that of who was champion when it was decided."""
        line = decision.subject.partition("@")[0]
        entry = self.engine.loop.states.decide.entries.get(line)
        return line if entry is None else entry.like

    def _outdated(self, trained: Trained) -> bool:
        """Whether events were forgotten since it began: it may have learned them, and is made again without."""
        store = self.engine.store
        return forgotten(store) != forgotten(store, trained.lineage.until)

    def _enter(self, name: str, trained: Trained, like: str) -> None:
        """Registers the model with its lineage, and asks for its seat. `like` is the line whose recipe it has."""
        recipe = msgspec.json.encode({**msgspec.json.decode(trained.recipe), "lineage": trained.lineage}).decode()
        version = msgspec.structs.replace(trained.version, recipe=content_digest(recipe))
        skip = tuple(sorted(forgotten(self.engine.store)))
        entry = Entry(name, like, version.name, self._after(trained, like), skip=skip, digest=version.digest)
        place = msgspec.structs.replace(self.seat, who=name)
        reason = f"the recipe of {like}, made of {trained.lineage.examples}"
        command = Command(do="enter", entry=entry, place=place, author="trainer", reason=reason)
        post(self.engine.path, msgspec.json.encode(command), (version, trained.state, recipe))

    def _after(self, trained: Trained, like: str) -> str | None:
        """From where the newcomer catches up: from the line whose recipe it has, or from the champion in its place.

        That one has to learn, and to be of the same kind. Of what it learned as another line before it took its place,
        nothing is caught up. None where neither learns.
        """
        engine, decide, lineage = self.engine, self.engine.loop.states.decide, trained.lineage
        if like == engine.pipeline.name and decide.learns(like):
            return f"{like}@{lineage.reached}"
        champion = (decide.rollout.champion or engine.pipeline.name).partition("@")[0]
        number = -1 if lineage.learned.last is None else lineage.learned.last.number
        for line in (like, champion):
            entry = decide.entries.get(line)
            alike = line == like or (entry is not None and entry.like == like)
            if alike and line in engine.loop.states.rivals and decide.learns(line):
                return f"{line}@{position_at(engine.store, line, number)}"
        return None


def held_back_too(decision: Decision) -> bool:
    """Whether a training takes the examples that were held back from learning (frozen, in quarantine), too.

    Of what came since a drift it does: drift and doubt often come together. A window of days or a number of examples leaves
    out what a policy, or a person, kept away from the learner.
    """
    return bool(decision.evidence.get("window") == "since_drift")


def line_of(engine: Engine, decision: Decision) -> str:
    """What the line is called that a decision to retrain comes to."""
    return f"{engine.pipeline.name}.r{decision.number}"


def _said(result: dict[str, Any]) -> str:
    """Which gates stayed closed, in their own words."""
    closed = [gate["said"] for gate in result.get("gates", ()) if not gate["passed"]]
    return "; ".join(closed) or "it did not pass its gates"
