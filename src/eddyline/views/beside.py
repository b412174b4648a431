"""Retraining beside a job on Flink: a model is made from a copy of its log, led through the gates, and let in.

What a decision to retrain comes to is a line called after it (`fraud.r7`), so whoever starts anew knows from the topics alone
what is done and what is not: nothing is forgotten, and nothing is carried out twice. The work lies in a folder, `<line>` in
it is one training; all of it can be killed at any moment and gone on with. Decides nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from eddyline.engines.flink.beside import Job
from eddyline.engines.flink.copying import LogCopy
from eddyline.engines.flink.newcomers import Newcomer, entered, learning, let_in
from eddyline.engines.flink.per_key import learned_where_served
from eddyline.engines.flink.taken import decides
from eddyline.pipeline import Pipeline
from eddyline.records import Decision, Place
from eddyline.records.errors import DeclarationError, EddylineError, NotFound, Rejected
from eddyline.stages.commands import Command
from eddyline.store import blocks
from eddyline.store.examples import Examples, position_at
from eddyline.store.rebuild import forgotten
from eddyline.store.training import Lineage, Spec, Trained, trained_in
from eddyline.views.history import standing
from eddyline.views.retraining import Request, declared, retrain, spec_of
from eddyline.views.trial import Tried

SINCE_DRIFT = 1_000
"""A training on what came since a drift waits for so many examples: a fifth of them judges it."""
ATTEMPTS = 3
"""How often a model is let in before the job's refusal stands."""
COPY = "log.eddyline"
OnProgress = Callable[[int, int], None]


class Retrained(msgspec.Struct, frozen=True):
    """What became of a training: the gates, and the decision by which the line entered; None where it did not."""

    tried: Tried
    decision: Decision | None
    folder: str


class Workshop:
    """Makes models beside one job. `base` is the folder of the pipeline's file, `work` where all is kept.

    `hold` bounds how many examples the job keeps for a newcomer while it catches up (0: 50,000).
    """

    def __init__(self, job: Job, copy: LogCopy, base: Path, work: Path, *, hold: int = 0) -> None:
        self.job, self.copy, self.base, self.work, self.hold = job, copy, base, work, hold
        self.pipeline = copy.pipeline
        self.decisions: list[Decision] = []
        self.read = 0
        """the last block of the copy whose decisions are known"""

    def decided(self) -> list[Decision]:
        """Every decision in the copy, in order."""
        after, self.read = self.read, self.copy.store.seq
        for (packed,) in self.copy.store.db.execute("SELECT notes FROM blocks WHERE seq>? ORDER BY seq", (after,)):
            self.decisions += blocks.decode_notes(packed).decisions
        return self.decisions

    def waiting(self) -> list[Decision]:
        """The decisions to retrain that came to nothing yet, in order."""
        decisions = self.decided()
        done = {one.subject for one in decisions if one.action in ("enter", "turn_away")}
        mine = [one for one in decisions if one.action == "retrain" and one.carried_out]
        return [one for one in mine if line_of(self.pipeline, one) not in done]

    def retrain(
        self, request: Request, place: Place | None, *, author: str, seated: bool = True, on_progress: OnProgress | None = None
    ) -> Retrained:
        """Makes a model from the log as it stands, and lets it in when its gates are open.

        `place` is its seat, None: it answers from here on; without `seated` it stays in its folder. Raises `NotFound` where
        a line of its name is there already, or the job refuses.
        """
        check_seat(self.pipeline, place, seated=seated)
        self.job.fetch(self.copy)
        self._free(request.name)
        request = self._settled(request)
        for _ in range(ATTEMPTS):
            tried = self.make(request, on_progress)
            decision = self.enter(request, place, author) if tried.passed and seated else None
            if decision is not None or not tried.passed or not seated:
                return Retrained(tried, decision, str(self.work / request.name))
        raise EddylineError(f"events were forgotten {ATTEMPTS} times while {request.name} was being made\ntry again")

    def _settled(self, request: Request) -> Request:
        """The request with the line whose recipe it takes: where it was begun, the one that was taken then."""
        if request.continues is not None:
            return request
        store, begun = self.copy.store, self.work / request.name / "plan.json"
        champion = standing(store, self.pipeline).version
        wanted = request.challenger or (json.loads(begun.read_bytes())["spec"]["line"] if begun.exists() else champion)
        return replace(request, challenger=declared(store, self.pipeline, wanted))

    def make(self, request: Request, on_progress: OnProgress | None = None) -> Tried:
        """Makes a model from the copy as it stands, and leads it through the gates; goes on where it was interrupted."""
        return retrain(self.copy.store, self.pipeline, request, self.base, self.work / request.name, on_progress=on_progress)

    def enter(self, request: Request, place: Place | None, author: str) -> Decision | None:
        """Lets in what was made; None where events were forgotten since it began, which it may have learned.

        It is thrown away then, and has to be made again.
        """
        folder = self.work / request.name
        trained = trained_in(folder)
        assert trained is not None, "who enters was trained"
        decision = self._enter(request, trained, place, author)
        if decision is None:
            shutil.rmtree(folder)
        return decision

    def _free(self, name: str) -> None:
        if name in (*self.copy.plan.lines, *self.copy.store.lines()):
            raise NotFound(f"there is a line {name} already\ngive the newcomer a name of its own: --name {name}2")

    def _enter(self, request: Request, trained: Trained, place: Place | None, author: str) -> Decision | None:
        store, lineage, spec = self.copy.store, trained.lineage, spec_of(self.copy.store, self.pipeline, request)
        line, known = learning(self.copy, spec.line or self.pipeline.name), lineage.reached
        if line != self.pipeline.name:
            last = lineage.learned.last
            known = position_at(store, line, -1 if last is None else last.number)
        unwanted = forgotten(store)
        newcomer = Newcomer(
            name=request.name,
            model=spec.model.restored(trained.state),
            position=trained.position,
            line=line,
            known=known,
            place=place,
            made_by="retrain",
            parent=lineage.parent,
            skip=unwanted,
            lineage=msgspec.to_builtins(lineage),
        )
        still = forgotten(store, lineage.until) == unwanted
        return let_in(
            self.job, self.copy, newcomer, author=author, reason=_made_of(spec, lineage), hold=self.hold,
            still=lambda: still and forgotten(self.copy.store) == unwanted,
        )  # fmt: skip


class Follower:
    """Carries out what the `Retrain` policies of a job decide, one after the other. `place` is the seat of what it makes."""

    def __init__(self, workshop: Workshop, place: Place) -> None:
        self.workshop, self.place = workshop, place
        self.attempts: dict[str, int] = {}

    def step(self, on_progress: OnProgress | None = None) -> Decision | None:
        """Carries out the next decision that waits, from beginning to end; gives what it came to, None where none waits."""
        shop = self.workshop
        shop.job.fetch(shop.copy)
        decision = next((one for one in shop.waiting() if self._enough(one)), None)
        if decision is None:
            return None
        request = request_of(shop.copy, decision)
        try:
            tried = shop.make(request, on_progress)
        except (NotFound, DeclarationError) as error:  # there is nothing to learn, or to judge by
            return self._turned_away(request.name, str(error))
        if not tried.passed:
            said = "; ".join(gate.said for gate in tried.gates if not gate.passed)
            return self._turned_away(request.name, said or "it did not pass its gates")
        try:
            return shop.enter(request, self.place, "trainer")
        except Rejected as error:  # what came meanwhile cannot be learned by it
            return self._turned_away(request.name, str(error))
        except NotFound as error:
            return self._refused(request.name, str(error))

    def _enough(self, decision: Decision) -> bool:
        """Whether there is enough to learn from: a drift that has only begun has no examples yet."""
        if decision.evidence.get("window") != "since_drift":
            return True
        return self.workshop.copy.records - decision.record >= 2 * SINCE_DRIFT

    def _refused(self, name: str, said: str) -> Decision | None:
        """The job did not let it in: because it is in, asked for by a trainer before this one; else it is tried again."""
        shop = self.workshop
        shop.job.fetch(shop.copy)
        if entered(shop.copy, name) is not None:
            return next(one for one in shop.decided() if (one.action, one.subject) == ("enter", name))
        self.attempts[name] = self.attempts.get(name, 0) + 1
        return None if self.attempts[name] < ATTEMPTS else self._turned_away(name, said)

    def _turned_away(self, name: str, said: str) -> Decision:
        return self.workshop.job.ask(Command(do="turn_away", to=name, author="trainer", reason=said))


def line_of(pipeline: Pipeline, decision: Decision) -> str:
    """What the line is called that a decision to retrain comes to."""
    return f"{pipeline.name}.r{decision.number}"


def request_of(copy: LogCopy, decision: Decision) -> Request:
    """What a decision to retrain asks for: the recipe of who was champion, the examples of its evidence, its number as seed."""
    evidence = decision.evidence
    held_back_too = evidence.get("window") == "since_drift"
    chosen = Examples(
        from_at=evidence.get("from_at"), last=evidence.get("examples"), seed=decision.number, unlearned=held_back_too
    )  # fmt: skip
    recipe = declared(copy.store, copy.pipeline, decision.subject)
    return Request(name=line_of(copy.pipeline, decision), challenger=recipe, examples=chosen)


def check_seat(pipeline: Pipeline, place: Place | None, *, seated: bool = True) -> None:
    """Refuses, before anything is made, a line that this pipeline's job could not let in."""
    if learned_where_served(pipeline):
        raise DeclarationError(
            f'{pipeline.name}: its models are one per key, and learn where they are served on Flink (per="key")\n'
            "retraining and forgetting them is not there on Flink; in one process it is: leave out --brokers"
        )
    if seated and place is not None and not decides(pipeline.plan()):
        raise DeclarationError(
            f"{pipeline.name}: its job compares nobody, because it declares no challengers and no policies, so nobody would "
            "watch a newcomer in its seat\nlet it answer at once: --seat champion; or declare decide=(RollBack(),) and start a "
            "pipeline of another name"
        )


def _made_of(spec: Spec, lineage: Lineage) -> str:
    """Where a model comes from, in a sentence that the ledger keeps."""
    learned = lineage.learned
    which = f"made of {lineage.examples}; it learned {learned.count:,} of them, digest {learned.digest}"
    return f"the recipe of {spec.line}, {which}"
