"""The embedded engine: one process, one store, nothing to start.

Inputs are journaled in the same commit as what followed from them, and acknowledged after that commit. When the process
dies, anywhere, the next one takes the last checkpoint and replays the inputs since; what it answers must equal what was
recorded, or it says so and stops. After an error of the disk it acknowledges nothing until it has recovered.

Keeps `stop`, `whole`, `one-writer`, I11 to I13. Calls the stages through the loop; makes no decision of its own.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from eddyline.engines.embedded import codec
from eddyline.engines.embedded.change import keep_declaration
from eddyline.engines.embedded.codec import InputCodec
from eddyline.engines.embedded.opening import stood
from eddyline.engines.embedded.stopwatch import Stopwatch
from eddyline.engines.embedded.twins import Twins
from eddyline.engines.loop import Loop, Outcome, Record
from eddyline.models.fingerprint import fingerprint, same_numbers
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import require_same
from eddyline.records import Arrival, DeadLetter, Event, Label, Measurement, ModelVersion, Prediction, Watermark
from eddyline.records.errors import NotFound, Rejected, StoreCorrupt, StoreError, StoreWarning
from eddyline.records.schema import Schema
from eddyline.stages.commands import Command
from eddyline.stages.learn import Snapshot
from eddyline.stages.refuse import kept_bytes
from eddyline.stages.serve import says_the_same
from eddyline.store.blocks import Block, Input, Kind, Notes
from eddyline.store.database import Registered, Store, content_digest, in_words
from eddyline.store.declarations import kept_layout
from eddyline.store.rebuild import StoredLines

CHECKPOINT_INPUTS = 500_000
CHECKPOINT_SECONDS = 30.0


class Engine:
    """Runs a pipeline on one store: answers events, takes labels, and keeps everything it needs to do both again.

    Use it as a context manager. `answer` and `tell` return when the record is durable; `aanswer` and `atell` are their
    asyncio twins and share commits. Several threads and event loops may call; they take turns. A process that is forked
    from this one is refused, and so is who calls after `close`: open another one.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from river import linear_model
    >>> from eddyline import EpochSeconds, Event, Id, Label, Pipeline, Truth, memory
    >>> class Payment(Event):
    ...     id: Id
    ...     at: EpochSeconds
    ...     amount: float
    >>> class Chargeback(Label):
    ...     id: Id
    ...     at: EpochSeconds
    ...     fraud: Truth[bool]
    >>> fraud = Pipeline(name="fraud", events=memory([], Payment), labels=memory([], Chargeback),
    ...                  model=linear_model.LogisticRegression())
    >>> with tempfile.TemporaryDirectory() as folder, Engine(fraud, Path(folder) / "fraud.eddyline") as engine:
    ...     first = engine.answer(Payment(id="p-1", at=0, amount=12.0))
    ...     engine.tell(Chargeback(id="p-1", at=60, fraud=True))
    ...     again = engine.answer(Payment(id="p-2", at=90, amount=12.0))
    ...     print(first.version, again.version, again.value)
    fraud@0 fraud@1 True
    """

    def __init__(self, pipeline: Pipeline, path: str | Path) -> None:
        self.pipeline = pipeline
        self.path = Path(path)
        self.codec = InputCodec(pipeline)
        self.positions: dict[str, int] = {}
        self._acknowledged = 0
        self._turn = threading.RLock()
        self._twins: Twins[tuple[Input, Record], Prediction | None] = Twins(self._take_together)
        self._closed = False
        self._open()

    # Life ------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.store = Store.write(self.path, pipeline=self.pipeline.name)
        try:
            self.plan, self._meaning = self.pipeline.plan(), self.pipeline.digest
            with in_words(self.path):
                self._check_meaning()
                here, there = fingerprint(self.plan.models), self.store.get("fingerprint") or ""
                self._numbers = "" if self.store.seq and same_numbers(here, there) else here
                self._recover()
            if self.store.seq < self._acknowledged:
                raise StoreCorrupt(
                    f"store {self.path.name}: it ends at block {self.store.seq}, {self._acknowledged} were acknowledged\n"
                    "restore it from a backup"
                )
            self._acknowledged = self.store.seq
        except BaseException as error:
            self.store.broken = self.store.broken or f"store {self.path.name}: it could not be opened again ({error})"
            self.store.close()
            raise

    def close(self) -> None:
        """Checkpoints and lets go of the store; this engine takes nothing more. Calling it twice is harmless.

        What was acknowledged is durable with or without it: where no checkpoint can be kept, it warns.
        """
        with self._turn:
            if self._closed:
                return
            try:
                if self.store.broken is None and self.store.ours and self._since:
                    with self._only_warned():
                        self.checkpoint()
            finally:
                self._closed = True
                self.store.close()

    def __enter__(self) -> Self:
        self._require_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check_meaning(self) -> None:
        """Refuses a store that another declaration filled: its past would not follow from this file any more."""
        kept = self.store.get("parts")
        if kept is not None:
            require_same(kept, self.pipeline, self.path.name)
            if kept_layout(self.store) is not None:
                return
        with self.store.transaction():
            keep_declaration(self.store, self.pipeline, self.plan)
            if kept is None:
                self.store.put("fingerprint", fingerprint(self.plan.models))

    def _recover(self) -> None:
        """Takes the last checkpoint and replays the inputs since; the answers must be the recorded ones."""
        at = stood(self.store, self.pipeline, self.plan)
        ledger = at.restored(self.store, self.pipeline, self.plan)
        self._since = 0
        self._checkpointed = time.monotonic()
        self.lines = StoredLines(self.store, self.plan)
        self.loop = Loop(self.plan, at.states, ledger, self.lines)
        self.stopwatch = Stopwatch(self.loop)
        self.ledger = ledger
        if not at.block and not self.store.seq:
            self._keep_first_versions()
        for block in self.store.blocks(after=at.block):
            self._replay_block(block)
        if ledger.count != self.store.slots:
            raise StoreCorrupt(
                f"store {self.path.name}: its last block says {self.store.slots} answers, its blocks hold {ledger.count}\n"
                "run eddyline verify"
            )
        self.positions = dict(self.store.block(self.store.seq).notes.positions) if self.store.seq else {}

    def _keep_first_versions(self) -> None:
        states = self.loop.states
        with self.store.transaction():
            for learn in (states.learn, *states.rivals.values()):
                first = Snapshot(0, learn.saved, learn.model.digest(), learn.name, "the start")
                self.store.keep_version(*self._registered(first))

    def _replay_block(self, block: Block) -> None:
        records = [self.codec.decode(given) for given in block.inputs]
        self.ledger.expect(records)
        outcome = self.loop.advance(records)
        rows = codec.example_rows(outcome, self.loop)
        if outcome.predictions != block.predictions or rows != block.examples or outcome.decisions != block.notes.decisions:
            here, there = fingerprint(self.plan.models), self.store.get("fingerprint")
            why = (
                f"this machine computes as {here}, the store was written as {there}"
                if here != there
                else "the code or the store was changed since (verify tells which: its chain is broken where it was the store)"
            )
            raise StoreCorrupt(
                f"store {self.path.name}: replaying block {block.seq} gave other answers than were recorded; {why}"
            )
        self.ledger.committed()
        self._since += len(block.inputs)

    # Commits ---------------------------------------------------------------------------------------------------------

    def take(
        self,
        inputs: Sequence[Input],
        records: Sequence[Record],
        positions: dict[str, int] | None = None,
        inbox: Sequence[int] = (),
    ) -> Outcome:
        """Journals inputs and what follows from them in one commit. Commands come alone, in a batch of their own."""
        with self._turn:
            self._ready()
            ledger, loop, store = self.ledger, self.loop, self.store
            if positions:
                self.positions.update(positions)
            try:
                ledger.expect(records)
                outcome = loop.advance(records)
                parts, learn = codec.outcome_parts(outcome, loop, inputs), loop.states.learn
                notes = Notes(
                    positions=self.positions,
                    learner=learn.position,
                    rollout=loop.states.rollout,
                    received_at=time.time(),
                    alerts=outcome.alerts,
                    rollouts=outcome.rollouts,
                    decisions=outcome.decisions,
                    entered=outcome.entered,
                    fingerprint=self._numbers,
                    published=-1 if learn.published is None else learn.published_position,
                )
                with store.transaction():
                    counts = len(outcome.dead), len(outcome.predictions), len(outcome.examples)
                    store.append(parts, *counts, notes, map(self._registered, outcome.snapshots))
                    assert ledger.count == store.slots, "the ledger and the journal count other answers"
                    if outcome.entered:
                        store.put("entries", [msgspec.to_builtins(one) for one in loop.states.decide.entries.values()])
                    if inbox:
                        store.taken(inbox)
            except BaseException as error:
                store.broken = (
                    store.broken or f"store {self.path.name}: a commit was given up ({type(error).__name__}: {error})"
                )
                if isinstance(error, sqlite3.Error):
                    raise StoreError(store.broken) from error
                raise
            ledger.committed()
            self._acknowledged = store.seq
            self._numbers = ""
            self._since += len(inputs)
            with self._only_warned():
                for command in self.stopwatch.observed(outcome):
                    self.take([codec.command_input(command)], [command])
                if self._since >= CHECKPOINT_INPUTS or time.monotonic() - self._checkpointed >= CHECKPOINT_SECONDS:
                    self.checkpoint()
            return outcome

    @contextmanager
    def _only_warned(self) -> Iterator[None]:
        """What comes after a commit may fail, and does not take the commit back: the next call recovers."""
        try:
            yield
        except StoreError as error:
            warnings.warn(str(error), StoreWarning, stacklevel=4)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(
                f"the engine of {self.pipeline.name} is closed, and {self.path.name} is free for the next one\n"
                "open another: with Engine(pipeline, path) as engine: ..."
            )

    def _ready(self) -> None:
        """Refuses to go on where it was closed or forked; recovers after an error of the disk."""
        self._require_open()
        self.store.require_owner()
        if self.store.broken is not None:
            self._mend()

    def _mend(self) -> None:
        """After an error of the disk: recovers from the store, as a new process would, before it takes anything more."""
        self.store.close()
        if not self.path.exists():
            raise StoreError(f"store {self.path.name}: the file is gone\nput it back at {self.path}, and go on")
        self._open()

    def _registered(self, snapshot: Snapshot) -> Registered:
        name = snapshot.name
        recipe = json.dumps({"pipeline": self._meaning, **self.lines.blank(name).recipe()}, sort_keys=True, default=repr)
        (parent,) = self.store.db.execute(
            "SELECT max(position) FROM versions WHERE model=? AND position<?", (name, snapshot.position)
        ).fetchone()
        version = ModelVersion(
            model=name,
            position=snapshot.position,
            digest=snapshot.digest,
            recipe=content_digest(recipe),
            parent=None if parent is None else f"{name}@{parent}",
            fingerprint=fingerprint(self.plan.models),
            created_by=snapshot.created_by,
        )
        return version, snapshot.state, recipe

    def checkpoint(self) -> None:
        """Keeps where all stages stand, so that recovery starts here.

        Raises `StoreError` where it cannot be kept; what was committed stays, and recovery takes longer.
        """
        with self._turn:
            self._ready()
            states, store = self.loop.states, self.store
            try:
                with store.transaction():
                    remembered = self.ledger.save(states.serve.frontier)
                    store.keep_checkpoint(codec.save_states(states, self.plan, self.pipeline.label_schema, remembered))
            except StoreError as error:
                why = str(error).removeprefix(f"store {self.path.name}: ").partition(";")[0].partition("\n")[0]
                store.broken = (
                    f"store {self.path.name}: no checkpoint could be kept ({why})\n"
                    f"what was committed stays; the next start replays {self._since:,} inputs"
                )
                raise type(error)(store.broken) from error
            self._since = 0
            self._checkpointed = time.monotonic()

    # The Python way in -----------------------------------------------------------------------------------------------

    def answer(self, event: Event) -> Prediction:
        """Answers an event; when this returns, event and answer are durable.

        The same event again gets the first answer again. Raises `Rejected` with a reason code when it cannot be answered;
        it is in the dead letters then.
        """
        given, record = self._event(event)
        with self._turn, in_words(self.path):
            prediction = self._result(self.take([given], [record]), record)
        assert prediction is not None
        return prediction

    def tell(self, label: Label) -> None:
        """Takes the truth about an event; when this returns it is durable, and learned if its event is known.

        Raises `Rejected` when it is refused (too late, not readable); it is in the dead letters then.
        """
        given, record = self._label(label)
        with self._turn, in_words(self.path):
            self._result(self.take([given], [record]), record)

    async def aanswer(self, event: Event) -> Prediction:
        """`answer` for asyncio: calls that come together share one commit."""
        prediction = await self._twins.ask(self._event(event))
        assert prediction is not None
        return prediction

    async def atell(self, label: Label) -> None:
        """`tell` for asyncio: calls that come together share one commit."""
        await self._twins.ask(self._label(label))

    def _event(self, event: Event) -> tuple[Input, Record]:
        return self._given(event, Kind.EVENT, Kind.EVENT_FAULT, self.pipeline.event_schema)

    def _label(self, label: Label) -> tuple[Input, Record]:
        return self._given(label, Kind.LABEL, Kind.LABEL_FAULT, self.pipeline.label_schema)

    def _given(self, value: Event | Label, kind: Kind, fault: Kind, schema: Schema) -> tuple[Input, Record]:
        """A record as the journal takes it: one that cannot be said as JSON is an input, too."""
        try:
            given = Input(kind, schema.encode(value))
        except Rejected as rejected:
            given = codec.unsayable(fault, value, rejected)
        return given, self.codec.decode(given)

    def _result(self, outcome: Outcome, record: Record) -> Prediction | None:
        """What one record of a committed batch came to: its answer (None for a label), or why it was refused."""
        if isinstance(record, DeadLetter):
            raise Rejected(record.reason, record.detail)
        assert isinstance(record, Arrival)
        stream = "events" if record.truth is None else "labels"
        if stream == "events":
            slot = self.ledger.find(record.id)
            if slot is not None and says_the_same(self.ledger.arrival(slot), record):
                return self.ledger.prediction(slot)
        raw = kept_bytes(record.value)
        for letter in outcome.dead:
            if letter.stream == stream and letter.event_id == record.id and letter.raw == raw:
                raise Rejected(letter.reason, letter.detail)
        assert stream == "labels", "an event that was neither answered nor refused"
        return None

    def _take_together(self, batch: Sequence[tuple[Input, Record]]) -> list[Prediction | Rejected | None]:
        with self._turn, in_words(self.path):
            outcome = self.take([given for given, _ in batch], [record for _, record in batch])
            results: list[Prediction | Rejected | None] = []
            for _, record in batch:
                try:
                    results.append(self._result(outcome, record))
                except Rejected as rejected:
                    results.append(rejected)
            return results

    def measurements(self) -> list[Measurement]:
        """Every number that watch keeps, as it stands now: over all, by version, by day and by segment."""
        with self._turn:
            return self.plan.watch.measurements(self.loop.states.watch)

    # Operators -------------------------------------------------------------------------------------------------------

    def rollback(self, to: str, *, author: str = "unknown", reason: str = "") -> Outcome:
        """Makes a version answer from here on: `fraud@15320`, a line, or "live" for the learner again. Learning goes on.

        It is one record in the journal: in effect right after the commit, without a restart, nothing lost or doubled.
        """
        return self.command(Command(to=to, author=author, reason=reason))

    def command(self, command: Command) -> Outcome:
        """Has an operator's command taken: one record in the journal, in effect right after the commit.

        Raises `NotFound` with the reason when it cannot be obeyed; it is in the dead letters then.
        """
        with self._turn:
            outcome = self.take([codec.command_input(command)], [command])
            for letter in outcome.dead:
                raise NotFound(f"{letter.detail}\nlist who is there: eddyline versions, eddyline challengers")
            return outcome

    def drain(self) -> Outcome:
        """Says that the streams are complete: every prediction that still waits reaches its horizon now."""
        mark = Watermark(self.loop.states.serve.frontier + self.plan.join.wait_us)
        return self.take([codec.watermark_input(mark)], [mark])

    @contextmanager
    def looking(self, patience_s: float | None = None) -> Iterator[bool]:
        """For who looks at the memories from another thread: no batch is half taken meanwhile, and none is begun.

        With `patience_s` it gives False where a batch is not done by then; then nothing may be looked at.
        """
        mine = self._turn.acquire(timeout=-1 if patience_s is None else patience_s)
        try:
            yield mine
        finally:
            if mine:
                self._turn.release()

    def store_id(self) -> str:
        """The id of the store, by which receivers tell stores apart; given to it when it is first asked for."""
        with self._turn:
            self._require_open()
            known = self.store.get("id")
            if known is None:
                known = uuid.uuid4().hex[:16]
                with self.store.transaction():
                    self.store.put("id", known)
            return str(known)

    def take_inbox(self) -> int:
        """Takes what operators left in the store's inbox (see `eddyline rollback`); how many."""
        with self._turn:
            self._ready()
            requests = self.store.inbox()
            for number, body in requests:
                given = Input(Kind.COMMAND, body)
                self.take([given], [self.codec.decode(given)], inbox=[number])
            return len(requests)
